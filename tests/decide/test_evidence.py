"""Which measurements are paired, what their settings are, and what two random draws differ by."""

import random
import shutil
from pathlib import Path

import pytest
from noisy_study import TEXT, accuracy, float_accuracy, make_study, study

from calibkit.decide.contrast import contrast
from calibkit.decide.evidence import Group, pairs_of
from calibkit.decide.measures import MEASURES
from calibkit.errors import BadInput, UnknownName
from calibkit.store import Store


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store to copy: making one takes longer than a test."""
    made = Store(tmp_path_factory.mktemp("empty") / "made.duckdb")
    with made.writing():
        pass
    return made.path


def copied(empty: Path, folder: Path, name: str = "made.duckdb") -> Store:
    made = Store(folder / name)
    made.folder.mkdir()
    shutil.copy(empty, made.path)
    return made


@pytest.fixture(scope="module")
def store(empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = copied(empty, tmp_path_factory.mktemp("evidence"))
    make_study(made, study())
    return made


def only(groups: list[Group], **keys: object) -> Group:
    (found,) = [g for g in groups if all(g.keys[name] == value for name, value in keys.items())]
    return found


def gain(group: Group) -> float:
    return contrast(group.pairs, margin=None).gain


def test_draws_of_one_seed_size_model_and_scheme_are_paired(store):
    groups = pairs_of(store, "even", "random")
    assert [(g.keys["model"], g.keys["bits"], g.keys["noise"]) for g in groups] == [  # fmt: skip
        (model, bits, noise)
        for model in ("discriminative", "generative")
        for bits in (8, 4)
        for noise in (0.0, 0.05, 0.1)
    ]
    found = only(groups, model="generative", bits=4, noise=0.1)
    assert len(found.pairs) == 8  # two float models, four draws
    for pair in found.pairs:
        assert (pair.subset_a, pair.subset_b) == (
            f"s1-even-8-{pair.seed}",
            f"s1-random-8-{pair.seed}",
        )
        assert pair.a - pair.b == pytest.approx(0.02 + 0.1)
    assert "policy" not in found.keys and "site" not in found.keys
    assert found.keys["preset"] == "brevitas-default" and found.keys["recipe"] == "study"


def test_the_floor_is_the_mean_distance_of_two_random_draws(store):
    found = only(pairs_of(store, "even", "random"), model="generative", bits=4, noise=0.0)
    apart = [0.01, 0.02, 0.03, 0.01, 0.02, 0.01]  # seeds 0, 1, 2, 3 differ by .01 each
    assert found.floor == pytest.approx(sum(apart) / 6)
    assert only(pairs_of(store, "even", "random", where="seed = 0"), model="generative", bits=4,
                noise=0.0).floor is None  # fmt: skip


def test_arms_turned_and_rows_in_any_order_give_the_same(store, empty, tmp_path):
    forth = pairs_of(store, "even", "random")
    back = pairs_of(store, "random", "even")
    assert [g.keys for g in back] == [g.keys for g in forth]
    assert [gain(g) for g in back] == pytest.approx([-gain(g) for g in forth])
    assert [g.floor for g in back] == [g.floor for g in forth]
    other = copied(empty, tmp_path)
    make_study(other, study())
    with other.writing() as con:
        rows = con.execute("SELECT * FROM evaluations").fetchall()
        random.Random(1).shuffle(rows)
        con.execute("DELETE FROM evaluations")
        marks = ", ".join("?" for _ in rows[0])
        con.executemany(f"INSERT INTO evaluations VALUES ({marks})", rows)
    assert pairs_of(other, "even", "random") == forth


def test_float_is_an_arm(store):
    groups = pairs_of(store, "random", "float")
    found = only(groups, model="generative", bits=4, noise=0.1)
    assert all(pair.b == pytest.approx(float_accuracy(0.1)) for pair in found.pairs)
    assert {pair.subset_b for pair in found.pairs} == {"float"}
    excess = pairs_of(store, "random", "float", measure="noise_drop")
    assert gain(only(excess, model="generative", bits=4, noise=0.1)) == pytest.approx(0.1)
    same = pairs_of(store, "float", "random", measure="noise_drop")
    assert [gain(g) for g in same] == pytest.approx([-gain(g) for g in excess])


def test_noise_as_a_drop_an_excess_and_an_area(store):
    def at(measure, **keys):
        return only(pairs_of(store, "even", "random", measure=measure), bits=4, **keys)

    drop = at("noise_drop", model="generative", noise=0.1)
    assert {round(p.a, 6) for p in drop.pairs} == {0.1}
    assert {round(p.b, 6) for p in drop.pairs} == {0.2}
    excess = at("noise_excess", model="generative", noise=0.1)
    assert {round(p.a, 6) for p in excess.pairs} == {0.0}  # noise costs float as much
    assert {round(p.b, 6) for p in excess.pairs} == {0.1}
    area = at("noise_auc", model="generative")
    assert (area.keys["noise_kind"], area.keys["noise"]) == ("keyboard", 0.1)
    point = next(p for p in study().cells() if (p.policy, p.bits, p.seed) == ("random", 4, 0))
    levels = [accuracy(point, noise) for noise in (0.0, 0.05, 0.1)]
    assert area.pairs[0].b == pytest.approx((levels[0] + 2 * levels[1] + levels[2]) / 4)
    two = pairs_of(store, "even", "random", measure="noise_auc", where="noise <= 0.05")
    assert two[0].keys["noise"] == 0.05


def test_along_bits_everything_else_is_the_same(store):
    groups = pairs_of(store, "8", "4", axis="bits")
    assert {g.keys["policy"] for g in groups} == {"even", "random"}
    assert "bits" not in groups[0].keys and "scheme_id" not in groups[0].keys
    found = only(groups, model="generative", policy="random", noise=0.0)
    assert gain(found) == pytest.approx(0.05)
    assert all(pair.subset_a == pair.subset_b for pair in found.pairs)
    assert found.floor is not None


def test_shifts_by_site(store):
    groups = pairs_of(store, "4", "8", axis="bits", measure="ks_activations", by_site=True)
    rises = {g.keys["site"]: gain(g) for g in groups if g.keys["policy"] == "random"}
    assert rises == {"cell": pytest.approx(0.09), "input": pytest.approx(0.04)}
    whole = pairs_of(store, "4", "8", axis="bits", measure="ks_activations")
    assert gain(whole[0]) == pytest.approx(0.065)
    far = pairs_of(store, "4", "8", axis="bits", measure="wasserstein_weights", by_site=True)
    assert gain(far[0]) == pytest.approx(0.18)
    changed = pairs_of(store, "even", "random", measure="code_change")
    assert changed[0].pairs[0].a == 0.25


PRESETS = TEXT.replace("bits: [8, 4]", "bits: [4]\n  preset: [brevitas-default, robust]").replace(
    "seed: [0, 1, 2, 3]", "seed: [0, 1]"
)


def test_along_presets_the_rounding_may_differ(empty, tmp_path):
    made = copied(empty, tmp_path, "presets.duckdb")
    make_study(made, study(PRESETS))
    groups = pairs_of(made, "robust", "brevitas-default", axis="preset", where="noise = 0")
    assert len(groups) == 4  # policies by models
    assert "rounding" not in groups[0].keys and "preset" not in groups[0].keys
    both = copied(empty, tmp_path, "roundings.duckdb")
    text = PRESETS.replace("bits: [4]", "bits: [4]\n  rounding: [nearest, gpfq]")
    make_study(both, study(text))
    groups = pairs_of(both, "robust", "brevitas-default", axis="preset", where="noise = 0")
    assert {g.keys["rounding"] for g in groups} == {"nearest", "gpfq"} and len(groups) == 8


def test_two_names_of_one_scheme_are_one_group(empty, tmp_path):
    made = copied(empty, tmp_path)
    text = PRESETS.replace("robust]", "again]") + "schemes: {again: {preset: brevitas-default}}\n"
    make_study(made, study(text))
    groups = pairs_of(made, "even", "random", where="noise = 0 AND model = 'discriminative'")
    (found,) = groups
    assert found.keys["preset"] == "again+brevitas-default"
    assert len(found.pairs) == 2


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        (dict(a="evn"), UnknownName, "did you mean 'even'"),
        (dict(b="evn"), UnknownName, "no policy among the measured cells is called 'evn'"),
        (dict(recipe="other"), UnknownName, "no measured recipe is called 'other'; known: 'study'"),
        (dict(measure="speed"), UnknownName, "no measure is called 'speed'"),
        (dict(axis="seed"), UnknownName, "no axis is called 'seed'"),
        (dict(a="random"), BadInput, "compared with itself"),
        (dict(where="bitz = 4"), BadInput, "--where 'bitz = 4'.*columns of the view results"),
        (dict(where="1 = 1) OR (1 = 1"), BadInput, "--where"),
        (dict(where="bits = 5"), BadInput, "no measured cell that meets --where 'bits = 5'"),
        (
            dict(where="(policy = 'even') = (seed = 1)"),
            BadInput,
            r"no cells to pair.*'even' has recipe study.*seed 1; .*'random' has.*seed 0, 2, 3",
        ),
        (dict(a="8", b="5", axis="bits"), UnknownName, "no bits among the measured cells"),
        (dict(b="float", measure="ks_weights"), BadInput, "the float model has no ks_weights"),
        (dict(by_site=True), BadInput, "accuracy is of whole networks"),
        (dict(a="x'; DROP TABLE cells; --"), UnknownName, "no policy among"),
    ],
)
def test_what_cannot_be_paired_is_told_with_what_there_is(store, changes, error, said):
    asked = dict(a="even", b="random") | changes
    with pytest.raises(error, match=said):
        pairs_of(store, **asked)


def test_a_store_without_results_says_what_makes_them(empty, tmp_path):
    with pytest.raises(BadInput, match="no cell is measured yet; `calibkit evaluate RECIPE`"):
        pairs_of(copied(empty, tmp_path), "even", "random")


def test_every_measure_can_be_read(store):
    for name in MEASURES:
        assert all(g.pairs for g in pairs_of(store, "even", "random", measure=name)), name
