"""Published cells and ours: which belong together, and what is computed of each pair."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest
from made_results import make_results
from scipy import stats

from calibkit.decide.protocol import OURS, is_of_this_recipe, protocols
from calibkit.decide.reference import parse_reference
from calibkit.decide.reproduction import TYPES, Pair, pair
from calibkit.errors import BadInput
from calibkit.recipe import Recipe, parse_recipe
from calibkit.store import Store

RECIPE = """\
calibkit: 1
name: study
corpus: {name: news, share: 0.5}
models:
  generative: {seeds: [0, 1], epochs: 4}
  discriminative: {min_count: 3}
policies:
  balanced: {use: stratified}
  random: {use: random}
grid:
  model: [generative, discriminative]
  policy: [balanced, random]
  size: [8]
  seed: [0, 1, 2]
  bits: [8, 4]
  rounding: [nearest, gpfq]
  preset: [paper, robust]
exclude: [{bits: 8, rounding: gpfq}, {bits: 4, rounding: nearest}]
"""
REFERENCE = """\
# protocol of then
#   corpus: another one
#   rounding: by hand
source,corpus,model,calibration_mix,policy,rounding,bits,accuracy
then,news,generative,even,,none,32,0.92
then,news,generative,even,balanced,gpfq,4,0.80
then,news,generative,even,balanced,gpfq,16,0.91
then,news,generative,lone,one-label,gpfq,4,0.50
now,news,discriminative,,,none,32,0.95
now,news,discriminative,any,random,nearest,8,0.94
now,mails,discriminative,any,random,nearest,8,0.93
"""


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store to copy: making one takes longer than a test."""
    store = Store(tmp_path_factory.mktemp("empty") / "made.duckdb")
    with store.writing():
        pass
    return store.path


@pytest.fixture
def store(tmp_path: Path, empty: Path) -> Store:
    made = Store(tmp_path / "made.duckdb")
    made.folder.mkdir()
    shutil.copy(empty, made.path)
    return made


def recipe(text: str = RECIPE) -> Recipe:
    return parse_recipe(text, "study.yaml")


def pairs_of(store: Store, of: Recipe, reference: str = REFERENCE) -> tuple[Pair, ...]:
    with store.reading() as con:
        return pair(con, of, parse_reference(reference, "r.csv"))


def by_row(pairs: tuple[Pair, ...], source: str, bits: int, preset: str | None) -> Pair:
    (found,) = [
        one
        for one in pairs
        if (one.reference.source, one.reference.bits, one.preset) == (source, bits, preset)
        and one.reference.policy != "one-label"
    ]
    return found


def test_every_cell_of_the_corpus_stands_beside_each_scheme_that_corresponds():
    asked = recipe()
    found = pair(None, asked, parse_reference(REFERENCE, "r.csv"))
    told = [(p.reference.source, p.reference.bits, p.preset, p.state, p.planned) for p in found]
    assert told == [
        ("then", 32, None, "missing", 2),
        ("then", 4, "paper", "missing", 6),
        ("then", 4, "robust", "missing", 6),
        ("then", 16, None, "not planned", 0),
        ("then", 4, None, "not planned", 0),
        ("now", 32, None, "missing", 1),
        ("now", 8, "paper", "missing", 3),
        ("now", 8, "robust", "missing", 3),
    ]
    wanted = {
        (p.scheme.id, p.rounding) for p in asked.cells() if (p.bits, p.preset) == (4, "paper")
    }
    assert (found[1].scheme_id, "gpfq") in wanted and found[1].rounding == "gpfq"
    assert all(one.columns().keys() == TYPES.keys() for one in found)


def test_means_intervals_differences_and_drops(store):
    study = recipe()
    accuracies = {  # (preset, seed, model seed): the mean over models makes the draw
        ("paper", 0, 0): 0.70, ("paper", 1, 0): 0.74, ("paper", 2, 0): 0.72,
        ("paper", 0, 1): 0.80, ("paper", 1, 1): 0.82, ("paper", 2, 1): 0.90,
    }  # fmt: skip

    def accuracy(point):
        wanted = ("generative", "balanced", 4, "gpfq")
        if (point.model, point.policy, point.bits, point.rounding) == wanted:
            return accuracies.get((point.preset, point.seed, point.model_seed), 0.25)
        return 0.5

    make_results(store, study, accuracy, float_accuracy=lambda model, seed: 0.9 if seed else 0.86)
    found = by_row(pairs_of(store, study), "then", 4, "paper")
    draws = [0.75, 0.78, 0.81]
    mean = sum(draws) / 3
    half = stats.t.ppf(0.975, 2) * math.sqrt(sum((d - mean) ** 2 for d in draws) / 2) / math.sqrt(3)
    assert found.measured is not None and found.state == "measured"
    assert (found.measured.draws, found.measured.models, found.done) == (3, 2, 6)
    assert found.measured.accuracy == pytest.approx(mean)
    assert found.measured.ci_low == pytest.approx(mean - half)
    assert found.measured.ci_high == pytest.approx(mean + half)
    assert found.difference == pytest.approx(mean - 0.80)
    assert found.reference_drop == pytest.approx(0.92 - 0.80)
    assert found.float_accuracy == pytest.approx(0.88)
    assert found.measured.accuracy_drop == pytest.approx(0.88 - mean)
    other = by_row(pairs_of(store, study), "then", 4, "robust")
    assert other.measured is not None and other.measured.accuracy == pytest.approx(0.25)


def test_float_models_stand_beside_float_models(store):
    study = recipe()
    make_results(
        store, study, lambda point: 0.5, float_accuracy=lambda model, seed: 0.8 + seed / 10
    )
    found = by_row(pairs_of(store, study), "then", 32, None)
    assert found.measured is not None and found.state == "measured"
    assert found.measured.accuracy == pytest.approx(0.85) and found.measured.models == 2
    assert found.difference == pytest.approx(0.85 - 0.92)
    assert found.measured.draws is None and found.measured.ci_low is None
    assert found.reference_drop is None and found.measured.accuracy_drop is None


def test_what_is_measured_in_part_says_so(store):
    study = recipe()
    make_results(store, study, lambda p: 0.5 if p.seed == 0 and p.preset == "paper" else None)
    found = pairs_of(store, study)
    part = by_row(found, "then", 4, "paper")
    assert (part.state, part.done, part.planned) == ("in part", 2, 6)
    assert part.measured is not None
    assert part.measured.draws == 1 and part.measured.ci_low is None
    missing = by_row(found, "then", 4, "robust")
    assert (missing.state, missing.done, missing.measured) == ("missing", 0, None)
    assert missing.difference is None and missing.reference_drop == pytest.approx(0.12)


def test_flags_are_counted_over_cells(store):
    study = recipe()

    def flags(point):
        if point.preset != "paper" or point.model != "generative":
            return ""
        return {0: "dead-lstm", 1: "dead-lstm, one-label", 2: ""}[point.seed]

    make_results(store, study, lambda point: 0.5, flags=flags)
    found = pairs_of(store, study)
    collapsed = by_row(found, "then", 4, "paper")
    assert collapsed.flagged == (("dead-lstm", 4), ("one-label", 2))
    assert collapsed.columns()["flags"] == "dead-lstm 4/6, one-label 2/6"
    assert by_row(found, "then", 4, "robust").flagged == ()


def test_presets_of_one_scheme_share_their_cells(store):
    text = RECIPE.replace("grid:", "schemes: {again: {preset: robust}}\ngrid:")
    study = recipe(text.replace("preset: [paper, robust]", "preset: [robust, again]"))
    schemes = {p.preset: p.scheme.id for p in study.cells() if p.bits == 8}
    assert schemes["robust"] == schemes["again"]
    make_results(store, study, lambda point: 0.5 + point.seed / 10)
    found = [one for one in pairs_of(store, study) if one.reference.bits == 8]
    assert [one.preset for one in found] == ["robust", "again"]
    assert all(one.measured is not None and one.measured.draws == 3 for one in found)
    assert found[0].measured == found[1].measured


def test_rounding_is_that_of_the_linear_layers_whatever_else_is_rounded():
    grid = RECIPE.partition("  rounding:")[0]
    study = recipe(grid.replace("grid:", "quantize: {rounding: {linear: gpfq}}\ngrid:"))
    found = pair(None, study, parse_reference(REFERENCE, "r.csv"))
    assert [one.state for one in found if one.reference.rounding == "gpfq"][0] == "missing"
    assert all(one.state == "not planned" for one in found if one.reference.rounding == "nearest")


def test_a_reference_of_another_corpus_or_without_a_planned_cell_is_refused():
    mails = recipe(RECIPE.replace("name: news", "name: letters"))
    with pytest.raises(BadInput, match="nothing on corpus 'letters'.*it has news, mails"):
        pair(None, mails, parse_reference(REFERENCE, "r.csv"))
    other = recipe(
        RECIPE.replace("balanced", "even").replace("random:", "any:").replace("random]", "any]")
    )
    with pytest.raises(BadInput, match="plans none.*policies there: balanced, one-label, random"):
        pair(None, other, parse_reference(REFERENCE, "r.csv"))


# -------------------------------------------------------------------------------------- protocols


def test_protocols_say_what_recipe_store_and_reference_tell(store):
    study = recipe()
    make_results(store, study, lambda point: 0.5, documents=150)
    with store.reading() as con:
        told = protocols(con, study, parse_reference(REFERENCE, "r.csv"), ["then", "now"])
    by = {one.subject: one.by for one in told}
    assert list(by["corpus"]) == [OURS, "then"] and by["corpus"]["then"] == "another one"
    assert "a share of 0.5" in by["corpus"][OURS] and "150 of test" in by["corpus"][OURS]
    assert "generative: those seen 5 times" in by["words"][OURS]
    assert "discriminative: those seen 3 times" in by["words"][OURS]
    assert "generative: seeds 0, 1, the best of 4 epochs" in by["models"][OURS]
    assert by["calibration"][OURS].startswith("8 documents of train")
    assert by["draws"][OURS] == "seeds 0, 1, 2"
    assert "paper: Brevitas's, batches of 64" in by["observer"][OURS]
    assert "robust: calibkit's" in by["observer"][OURS]
    assert "gpfq on linear" in by["rounding"][OURS] and by["rounding"]["then"] == "by hand"


def test_results_of_another_content_are_noticed(store):
    make_results(store, recipe(), lambda point: 0.5)
    same = ["# a remark\n" + RECIPE.replace("[balanced, random]", "[random, balanced]"), RECIPE]
    same.append(RECIPE + "measure: {noise: {keyboard: [0.1]}, distributions: [weights]}\n")
    others = [RECIPE.replace("seed: [0, 1, 2]", "seed: [0, 1]"), RECIPE.replace("4}", "5}")]
    others.append(RECIPE + "measure: {documents: 9}\n")
    with store.reading() as con:
        assert all(is_of_this_recipe(con, recipe(text)) for text in same)
        assert not any(is_of_this_recipe(con, recipe(text)) for text in others)
        con.execute("CREATE TEMP TABLE runs AS SELECT recipe, recipe_id, started_at, run_id,"
                    " 'calibkit: 0' AS recipe_text FROM runs")  # fmt: skip
        assert not is_of_this_recipe(con, recipe())
