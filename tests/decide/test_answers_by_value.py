"""What questions answer, against numbers computed another way."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from asked_store import clean_store, full_store
from noisy_study import accuracy as noisy
from scipy import stats

from calibkit.decide.answers import Answer, answer
from calibkit.decide.contrast import Paired, contrast
from calibkit.measure.detectable import detectable_difference
from calibkit.recipe import GridPoint
from calibkit.store import Store, insert

TEXT = """\
calibkit: 1
name: study
corpus: {name: news}
models:
  generative: {seeds: SEEDS}
policies:
  random: {use: random}
  even: {use: stratified}
  long: {use: longest}
grid:
  model: [generative]
  policy: [random, even, long]
  size: [8, 16]
  seed: DRAWS
  bits: [8, 4]
  rounding: [nearest, gpfq]
"""


def text(models: int = 1, draws: int = 7) -> str:
    found = TEXT.replace("SEEDS", str(list(range(models))))
    return found.replace("DRAWS", str(list(range(draws))))


def noise(*of: object) -> float:
    """A number between -.01 and .01 that what it is of decides."""
    seed = np.frombuffer(repr(of).encode(), dtype=np.uint8)
    return float(np.random.default_rng(seed).uniform(-0.01, 0.01))


def usual(point: GridPoint) -> float:
    """At 4 bits even gains .03 and gpfq loses .02; 16 documents gain .004."""
    value = 0.8 + noise("draw", point.policy, point.size, point.seed)
    value += noise("model", point.model_seed) + noise(point) / 10
    value += 0.03 * (point.policy == "even" and point.bits == 4)
    value -= 0.02 * (point.rounding == "gpfq" and point.bits == 4)
    return value + 0.004 * (point.size == 16)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """One float model, seven draws."""
    return clean_store(tmp_path_factory.mktemp("one") / "one.duckdb", text(), usual)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Three float models, five draws."""
    path = tmp_path_factory.mktemp("three") / "three.duckdb"
    return clean_store(path, text(models=3, draws=5), usual)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return full_store(tmp_path_factory.mktemp("full") / "full.duckdb")


def measured(models: int = 1, draws: int = 7) -> dict[GridPoint, float]:
    from calibkit.recipe import parse_recipe

    points = parse_recipe(text(models, draws), "study.yaml").cells()
    return {point: usual(point) for point in points}


def values(found: dict[GridPoint, float], **where: object) -> np.ndarray:
    """Accuracy by draw, averaged over float models."""
    by_seed: dict[int, list[float]] = {}
    for point, value in found.items():
        if all(getattr(point, name) == wanted for name, wanted in where.items()):
            by_seed.setdefault(point.seed, []).append(value)
    return np.array([np.mean(by_seed[seed]) for seed in sorted(by_seed)])


def interval(sample: np.ndarray) -> tuple[float, float]:
    half = stats.t.ppf(0.975, len(sample) - 1) * stats.sem(sample)
    return float(sample.mean() - half), float(sample.mean() + half)


def row(found: Answer, **where: object) -> dict[str, object]:
    rows = [r for r in found.table if all(r[k] == v for k, v in where.items())]
    assert len(rows) == 1, rows
    return rows[0]


@pytest.mark.parametrize(("fixture", "models", "draws"), [("one", 1, 7), ("three", 3, 5)])
def test_best_ranks_by_the_mean_and_pairs_with_the_first(fixture, models, draws, request):
    store, found = request.getfixturevalue(fixture), measured(models, draws)
    setting = {"size": 8, "bits": 4, "rounding": "nearest"}
    asked = answer(store, "best", {"size": "8", "bits": "4", "rounding": "nearest"})
    means = {p: values(found, policy=p, **setting).mean() for p in ("random", "even", "long")}
    order = sorted(means, key=lambda p: -means[p])
    assert [r["policy"] for r in asked.table] == order == ["even", *order[1:]]
    first = row(asked, rank=1)
    assert first["behind"] is None and first["tied"] is None
    low, high = interval(values(found, policy="even", **setting))
    assert (first["ci_low"], first["ci_high"]) == pytest.approx((low, high))
    assert (first["draws"], first["models"]) == (draws, models)
    last = row(asked, rank=3)
    gap = values(found, policy="even", **setting) - values(found, policy=order[2], **setting)
    assert last["behind"] == pytest.approx(gap.mean())
    assert (last["behind_low"], last["behind_high"]) == pytest.approx(interval(gap))
    assert last["tied"] is (interval(gap)[0] <= 0)
    assert [r["rank"] for r in answer(store, "best", {"top": "1"}).table] == [1] * 8


def test_beats_random_says_what_the_contrast_of_the_same_pairs_says(one):
    found = measured()
    asked = answer(one, "beats-random")
    assert len(asked.table) == 2 * 2 * 2 * 2
    adjusted = stats.false_discovery_control([r["p"] for r in asked.table])
    for r, p in zip(asked.table, adjusted, strict=True):
        setting = {k: r[k] for k in ("size", "bits", "rounding")}
        a, b = (values(found, policy=p, **setting) for p in (r["policy"], "random"))
        pairs = [Paired(0, s, f"a{s}", f"b{s}", a[s], b[s]) for s in range(7)]
        wanted = contrast(pairs, margin=0.005)
        assert r["gain"] == pytest.approx(wanted.gain, abs=1e-9)
        assert (r["ci_low"], r["ci_high"]) == pytest.approx((wanted.low, wanted.high))
        assert r["p"] == pytest.approx(wanted.p)
        assert r["p_adjusted"] == pytest.approx(p)
        assert (r["draws"], r["wins"], r["pairs"]) == (7, wanted.wins, 7)
        if r["alone"] != "same":  # here the whole interval has to be inside of the margin
            assert wanted.verdict in (r["alone"], "same")
        apart = [abs(x - y) for x, y in itertools.combinations(b, 2)]
        assert r["floor"] == pytest.approx(np.mean(apart))
    even = row(asked, policy="even", size=8, bits=4, rounding="nearest")
    assert even["alone"] == "better" and even["p"] == pytest.approx(2 / 2**7)


def test_few_draws_are_never_better_or_worse(tmp_path):
    store = clean_store(tmp_path / "few.duckdb", text(draws=5), usual)
    found = answer(store, "beats-random").table
    assert {r["p"] >= 2 / 2**5 for r in found} == {True}
    assert {r["alone"] for r in found} <= {"undecided", "same"}
    one_draw = clean_store(tmp_path / "one.duckdb", text(draws=1), usual)
    for r in answer(one_draw, "beats-random").table:
        assert (r["ci_low"], r["floor"], r["verdict"]) == (None, None, "undecided")
        assert r["p"] == 1


def test_equal_subsets_are_one_draw(tmp_path):
    """Seeds 0 and 1 gave the same documents to either policy: their pair counts once."""
    store = clean_store(tmp_path / "made.duckdb", text(draws=4), usual)
    with store.writing() as con:
        con.execute("UPDATE cells SET subset_id = replace(subset_id, '-1', '-0')"
                    " WHERE subset_id LIKE '%-1'")  # fmt: skip
    found = measured(draws=4)
    asked = answer(store, "beats-random", {"size": "8", "bits": "4", "rounding": "gpfq"})
    even = row(asked, policy="even")
    gaps = values(found, policy="even", size=8, bits=4, rounding="gpfq") - values(
        found, policy="random", size=8, bits=4, rounding="gpfq"
    )
    draws = np.array([gaps[:2].mean(), *gaps[2:]])
    assert even["draws"] == 3
    assert even["gain"] == pytest.approx(draws.mean(), abs=1e-9)
    assert (even["ci_low"], even["ci_high"]) == pytest.approx(interval(draws))


@pytest.mark.parametrize(("fixture", "models", "draws"), [("one", 1, 7), ("three", 3, 5)])
def test_bits_pairs_each_width_with_the_next_wider(fixture, models, draws, request):
    store, found = request.getfixturevalue(fixture), measured(models, draws)
    asked = answer(store, "bits", {"policy": "even", "size": "16"})
    wide, narrow = (
        values(found, policy="even", size=16, bits=bits, rounding="gpfq") for bits in (8, 4)
    )
    r = row(asked, bits=4, rounding="gpfq")
    assert (r["accuracy"], r["accuracy_drop"]) == pytest.approx(
        (narrow.mean(), 0.9 - narrow.mean())
    )
    assert (r["drop_low"], r["drop_high"]) == pytest.approx(interval(0.9 - narrow))
    assert (r["from_bits"], r["step"]) == (8, pytest.approx((wide - narrow).mean(), abs=1e-9))
    assert (r["step_low"], r["step_high"]) == pytest.approx(interval(wide - narrow))
    widest = row(asked, bits=8, rounding="gpfq")
    assert (widest["from_bits"], widest["step"], widest["models"]) == (None, None, models)


def test_rounding_hurts_pairs_the_same_documents(one):
    found = measured()
    asked = answer(one, "rounding-hurts")
    for r in asked.table:
        setting = {k: r[k] for k in ("policy", "size", "bits")}
        gaps = values(found, rounding="gpfq", **setting) - values(
            found, rounding="nearest", **setting
        )
        assert r["gain"] == pytest.approx(gaps.mean(), abs=1e-9)
        assert (r["ci_low"], r["ci_high"]) == pytest.approx(interval(gaps))
        assert r["wins"] == (gaps > 0).sum()
        assert r["hurts"] is (interval(gaps)[1] < 0)
    gains = [r["gain"] for r in asked.table]
    assert gains == sorted(gains)
    assert [r["bits"] for r in asked.table][:6] == [4] * 6
    other_way = answer(one, "rounding-hurts", {"reference": "gpfq"}).table
    assert sorted(-r["gain"] for r in other_way) == pytest.approx(sorted(gains))


def test_budget_holds_sizes_against_the_largest(one):
    found = measured()
    setting = {"policy": "long", "bits": 8, "rounding": "nearest"}
    asked = answer(one, "budget", {"margin": "0.02", "policy": "long"})
    r = row(asked, size=8, bits=8, rounding="nearest")
    gaps = values(found, size=8, **setting) - values(found, size=16, **setting)
    assert (r["largest"], r["gain"]) == (16, pytest.approx(gaps.mean(), abs=1e-9))
    assert (r["gain_low"], r["gain_high"]) == pytest.approx(interval(gaps))
    assert r["enough"] is (interval(gaps)[0] > -0.02)
    assert row(asked, size=16, bits=8, rounding="nearest")["gain"] is None


def test_draws_enough_agrees_with_the_noncentral_t(one):
    found = measured()
    asked = answer(one, "draws-enough", {"difference": "0.004"})
    for r in asked.table:
        setting = {k: r[k] for k in ("size", "bits", "rounding")}
        gaps = values(found, policy=r["policy"], **setting) - values(
            found, policy="random", **setting
        )
        assert r["sd"] == pytest.approx(gaps.std(ddof=1), abs=1e-9)
        exact = detectable_difference(r["sd"] / math.sqrt(7), 6)
        assert r["detectable"] == pytest.approx(exact, rel=0.03)
        needed = r["needed"]
        assert detectable_difference(r["sd"] / math.sqrt(needed), needed - 1) <= 0.004 * 1.03
        if needed > 6:
            fewer = needed - 1
            assert detectable_difference(r["sd"] / math.sqrt(fewer), fewer - 1) > 0.004 * 0.97
        assert r["enough"] is (needed <= 7)


def test_seeds_takes_the_variance_of_a_crossed_table_apart(three):
    found = measured(3, 5)
    setting = {"policy": "even", "size": 8, "bits": 4, "rounding": "gpfq"}
    table = np.zeros((3, 5))
    for point, value in found.items():
        if all(getattr(point, name) == wanted for name, wanted in setting.items()):
            table[point.model_seed, point.seed] = value
    rows, columns, all_ = table.mean(1, keepdims=True), table.mean(0, keepdims=True), table.mean()
    of_models = 5 * ((rows - all_) ** 2).sum() / 2
    of_draws = 3 * ((columns - all_) ** 2).sum() / 4
    rest = ((table - rows - columns + all_) ** 2).sum() / 8
    r = row(answer(three, "seeds"), **setting)
    assert (r["models"], r["draws"]) == (3, 5)
    assert r["accuracy"] == pytest.approx(all_)
    assert r["sd_models"] == pytest.approx(math.sqrt(max(0, (of_models - rest) / 5)), abs=1e-8)
    assert r["sd_draws"] == pytest.approx(math.sqrt(max(0, (of_draws - rest) / 3)), abs=1e-8)
    assert r["sd_both"] == pytest.approx(math.sqrt(rest), abs=1e-8)
    variances = np.array([r["sd_models"], r["sd_draws"], r["sd_both"]]) ** 2
    assert r["share_models"] == pytest.approx(variances[0] / variances.sum(), abs=1e-5)


def test_seeds_leaves_out_draws_that_a_float_model_lacks(tmp_path):
    whole = {p: v for p, v in measured(2, 4).items() if (p.model_seed, p.seed) != (1, 3)}
    store = clean_store(tmp_path / "made.duckdb", text(models=2, draws=4), whole.get)
    assert {(r["models"], r["draws"]) for r in answer(store, "seeds").table} == {(2, 3)}


def test_who_pays_counts_labels(full):
    asked = answer(full, "who-pays", {"policy": "even", "size": "8", "bits": "4", "top": "100"})
    r = row(asked, label="<b>bold</b>", rounding="gpfq")
    drops = np.array([19 / 20 - (17 - seed) / 20 for seed in range(3)])
    assert r["accuracy_drop"] == pytest.approx(drops.mean())
    assert (r["ci_low"], r["ci_high"]) == pytest.approx(interval(drops))
    assert (r["documents"], r["predicted"], r["draws"], r["models"]) == (20, 0.5, 3, 2)
    assert [x["label"] for x in asked.table] == ["<b>bold</b>"] * 2 + ["it's"] * 2


def test_interaction_and_fragile_count_what_noise_takes(full):
    asked = answer(full, "interaction", {"policy": "even", "size": "8", "bits": "4"})
    r = row(asked, noise=0.1, rounding="nearest")
    assert (r["noise_drop"], r["float_drop"]) == pytest.approx((0.1, 0.1))
    assert r["excess"] == pytest.approx(0.0, abs=1e-9)
    other = row(answer(full, "interaction", {"size": "8", "bits": "4"}), noise=0.1,
                rounding="nearest")  # fmt: skip
    assert other["policy"] == "random"
    assert other["excess"] == pytest.approx(0.1)
    fragile = answer(full, "fragile", {"size": "8", "bits": "4", "top": "100"})
    r = row(fragile, policy="even", rounding="nearest")
    assert (r["noise"], r["noise_drop"], r["more"]) == pytest.approx((0.1, 0.1, -0.1))
    assert row(fragile, policy="random", rounding="nearest")["more"] is None
    assert {x["noise"] for x in answer(full, "fragile", {"noise": "0.05"}).table} == {0.05}


def test_noise_area_is_the_trapezoid_over_the_levels(full):
    asked = answer(full, "noise-area", {"size": "8", "bits": "4", "rounding": "gpfq"})
    r = row(asked, policy="even")
    assert (r["levels"], r["most"]) == (3, 0.1)
    points = [
        p for p in _points(full) if (p.policy, p.size, p.bits, p.rounding) == ("even", 8, 4, "gpfq")
    ]
    areas = [(noisy(p, 0) + 2 * noisy(p, 0.05) + noisy(p, 0.1)) / 4 for p in points]
    assert r["area"] == pytest.approx(np.mean(areas))
    assert r["float_area"] == pytest.approx(0.85)
    assert r["gain"] == pytest.approx(0.02 + 0.05)


def _points(store: Store) -> list[GridPoint]:
    from asked_store import recipe

    return list(recipe().cells())


def test_sites_first_orders_by_the_width_at_which_they_move(full):
    asked = answer(full, "sites-first", {"size": "8", "rounding": "gpfq", "limit": "0.08"})
    first = row(asked, site="cell", bits=4)
    assert (first["first"], first["moves_at"]) == (1, 4)
    assert (first["ks"], first["least"], first["most"]) == pytest.approx((0.101, 0.1, 0.102))
    assert first["wasserstein"] == pytest.approx(0.202)
    second = row(asked, site="input", bits=8)
    assert (second["first"], second["moves_at"]) == (2, None)


def test_rank_correlations_are_those_of_scipy(tmp_path):
    drawn = np.random.default_rng(5)
    store = clean_store(
        tmp_path / "made.duckdb", text(draws=8),
        lambda p: round(0.8 + noise("draw", p.policy, p.size, p.seed, p.bits), 3),
    )  # fmt: skip
    with store.reading() as con:
        cells = con.execute("SELECT DISTINCT cell_id FROM results ORDER BY 1").fetchall()
    shift = {cell: round(float(drawn.uniform(0, 0.1)), 2) for (cell,) in cells}
    rows = [
        dict(cell_id=cell, quantity="weights", site="cell", pair="float-quantized", ks=ks)
        for cell, ks in shift.items()
    ]
    with store.writing() as con:
        insert(con, "distributions", rows)
    asked = answer(store, "ks-predicts", {"size": "8", "bits": "4", "rounding": "gpfq"})
    r = row(asked, measure="weights")
    with store.reading() as con:
        pairs = con.execute(
            "SELECT ks_weights, accuracy_drop FROM results"
            " WHERE size = 8 AND bits = 4 AND rounding = 'gpfq'"
        ).fetchall()
    wanted = stats.spearmanr([p[0] for p in pairs], [round(p[1], 9) for p in pairs]).statistic
    assert r["spearman"] == pytest.approx(wanted)
    assert r["subsets"] == len(pairs) == 24
    half = stats.norm.ppf(0.975) * math.sqrt(1.06 / 21)
    assert r["ci_low"] == pytest.approx(math.tanh(math.atanh(wanted) - half), abs=1e-4)


def test_cheapest_wants_few_bits_then_certainty(one):
    asked = answer(one, "cheapest", {"loss": "0.11"})
    rows = list(asked.table)
    assert [r["bits"] for r in rows] == [4] * 5
    assert all(r["accuracy_drop"] <= 0.11 for r in rows)
    assert rows[0]["policy"] == "even" and rows[0]["sure"]
    assert all(r["sure"] is (r["ci_high"] <= 0.11) for r in rows)
    assert answer(one, "cheapest", {"loss": "0"}).table.rows == []


def test_order_and_overlap(full):
    shuffled = answer(full, "order-matters", {"size": "8", "bits": "8"})
    r = row(shuffled, model_seed=0, rounding="gpfq")
    assert (r["orders"], r["spread"]) == (3, pytest.approx(0.02))
    assert r["share"] == pytest.approx(1.0)
    same = answer(full, "same-subset", {"size": "16"})
    assert {(r["seeds"], r["same"], r["shared"]) for r in same.table} == {(3, 3, 1.0)}
    assert len(same.table) == 10


def test_schemes_and_carries_over_compare_means(one):
    found = measured()
    setting = {"size": 8, "bits": 4, "rounding": "nearest"}
    r = row(answer(one, "schemes"), **setting)
    means = {p: values(found, policy=p, **setting).mean() for p in ("random", "even", "long")}
    assert (r["best"], r["worst"]) == (max(means, key=means.get), min(means, key=means.get))
    assert r["spread"] == pytest.approx(max(means.values()) - min(means.values()))
    assert r["random_sd"] == pytest.approx(values(found, policy="random", **setting).std(ddof=1))
    assert answer(one, "carries-over").table.rows == []  # three policies rank too little
