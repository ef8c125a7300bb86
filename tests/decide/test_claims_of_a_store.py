"""Claims judged by what a store has: which cells are paired, which measure, what is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from made_noise import make_code_changes, make_noise
from made_results import make_results

from calibkit.decide.claim_words import TYPES, columns, finding
from calibkit.decide.claims import judge_claims
from calibkit.decide.measures import MEASURES as COMPARED
from calibkit.decide.verdicts import Judged
from calibkit.recipe import GridPoint, Recipe, parse_recipe
from calibkit.recipe.claims import MEASURES
from calibkit.store import Store

RECIPE = """\
calibkit: 1
name: study
corpus: {name: toy}
models: {generative: {seeds: [0, 1, 2]}, discriminative: {seeds: [0, 1, 2]}}
policies: {one-label: {use: one-label}, balanced: {use: stratified}, random: {use: random}}
quantize: {rounding: gpfq}
grid:
  model: [generative, discriminative]
  policy: [one-label, balanced, random]
  size: [8]
  seed: [0, 1, 2, 3, 4, 5, 6, 7]
  bits: [8, 4]
  preset: [paper, robust]
measure: {noise: {keyboard: [0.05, 0.1]}}
claims:
"""
CLAIMS = {
    "costs": "compare: {policy: [one-label, balanced]}, where: {model: generative, bits: 4, "
    "preset: paper}, measure: accuracy, expect: lower, by: 1",
    "spares": "compare: {policy: [one-label, balanced]}, where: {model: discriminative, bits: 4, "
    "preset: paper}, measure: accuracy, expect: equal",
    "lossless": "where: {policy: balanced, model: generative, bits: 8, preset: paper}, measure: "
    "accuracy_drop, expect: equal, within: 5",
    "drops-more": "compare: {model: [generative, discriminative]}, where: {policy: one-label, "
    "bits: 4, preset: paper}, measure: accuracy_drop, expect: higher, by: 5",
    "noisier": "where: {policy: balanced, model: generative, bits: 4, preset: paper}, measure: "
    "noise_excess, noise: {keyboard: 0.1}, expect: higher, by: 1",
    "worse-at-four": "compare: {bits: [4, 8]}, where: {policy: balanced, model: generative, "
    "preset: paper}, measure: noise_auc, noise: keyboard, expect: lower, by: 5",
    "moves-less": "compare: {policy: [one-label, balanced]}, where: {model: generative, bits: 4, "
    "preset: paper}, measure: code_change, expect: lower, by: 0.05",
    "robust-helps": "compare: {preset: [robust, paper]}, where: {policy: balanced, model: "
    "generative, bits: 4}, measure: accuracy, expect: higher",
}


@pytest.fixture
def fresh_store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store.duckdb")


def recipe_with(*ids: str) -> Recipe:
    lines = [f"  - {{id: {name}, says: It is so, {CLAIMS[name]}}}\n" for name in ids]
    return parse_recipe(RECIPE + "".join(lines))


def accuracy(point: GridPoint) -> float:
    """A label alone costs the generative model 10 points at 4 bits; small spreads everywhere."""
    found = 0.9 - (0.1 if point.bits == 4 and point.preset == "paper" else 0.0)
    if (point.policy, point.model, point.bits) == ("one-label", "generative", 4):
        found -= 0.1
    draw = {"one-label": 1, "balanced": 2, "random": 3}[point.policy] * (point.seed - 3.5)
    return found + 1e-4 * draw + 2e-5 * point.model_seed * (point.seed - 4)


def judged(store: Store, recipe: Recipe) -> dict[str, Judged]:
    return {one.claim.id: one for one in judge_claims(store, recipe)}


def test_claims_can_be_made_about_what_can_be_compared():
    assert set(MEASURES) == set(COMPARED)
    for name, known in MEASURES.items():
        compared = COMPARED[name]
        assert (known.unit, known.scale) == (compared.unit, compared.scale), name
        margin = None if known.within is None else known.within / known.scale
        assert margin == compared.margin, name
        assert (known.noise == "level") == (compared.rows == "noisy"), name
        assert (known.noise == "kind") == (compared.rows == "curve"), name
        assert (known.noise == "none") == (compared.quantity is not None), name


def test_each_claim_is_judged_by_its_own_cells(fresh_store: Store):
    recipe = recipe_with("costs", "spares", "lossless", "drops-more", "robust-helps")
    make_results(fresh_store, recipe, accuracy)
    found = judged(fresh_store, recipe)
    assert {name: one.verdict for name, one in found.items()} == {
        "costs": "supported", "spares": "supported", "lossless": "supported",
        "drops-more": "supported", "robust-helps": "supported",
    }  # fmt: skip
    gains = {name: one.gain.gain for name, one in found.items() if one.gain is not None}
    assert gains == pytest.approx(
        {"costs": -0.1, "spares": 0.0, "lossless": 0.0, "drops-more": 0.1, "robust-helps": 0.1},
        abs=1e-3,
    )
    for one in found.values():
        assert one.is_measured and one.evidence.planned == 24
        assert one.gain is not None and (one.gain.draws, one.gain.models) == (8, 3)


def test_measures_under_noise_and_of_weights(fresh_store: Store):
    recipe = recipe_with("noisier", "worse-at-four", "moves-less")
    make_results(fresh_store, recipe, accuracy)

    def under(point: GridPoint, level: float) -> float:
        return accuracy(point) - (2.0 if point.bits == 4 else 1.0) * level

    make_noise(fresh_store, recipe, under, lambda alias, level: 0.9 - level)
    make_code_changes(
        fresh_store,
        recipe,
        lambda p: (0.1 if p.policy == "one-label" else 0.2) + 0.001 * p.seed * (p.size - 7),
    )
    found = judged(fresh_store, recipe)
    gains = {name: one.gain.gain for name, one in found.items() if one.gain is not None}
    # at level .1 float loses .1 and 4 bits .2; over levels, 4 bits is .1 lower and loses .05 more
    assert gains["noisier"] == pytest.approx(0.1, abs=1e-9)
    assert gains["worse-at-four"] == pytest.approx(-0.15, abs=1e-3)
    assert gains["moves-less"] == pytest.approx(-0.1, abs=1e-9)
    assert {one.verdict for one in found.values()} == {"supported"}
    random = found["noisier"].gain
    assert random is not None and random.floor == pytest.approx(0.0, abs=1e-9)


def test_the_noise_floor_is_that_of_random_draws_under_the_same_conditions(fresh_store: Store):
    recipe = recipe_with("costs", "robust-helps")
    make_results(fresh_store, recipe, accuracy)
    for one in judged(fresh_store, recipe).values():
        assert one.gain is not None
        # random spreads by 3e-4 a seed: the mean |difference| of eight equally spaced draws is 3
        assert one.gain.floor == pytest.approx(3 * 3e-4, rel=0.15)


def test_flags_are_counted_over_the_cells_of_both_sides(fresh_store: Store):
    recipe = recipe_with("costs", "lossless")
    make_results(
        fresh_store,
        recipe,
        accuracy,
        flags=lambda p: "dead-lstm, nll-explodes" if p.bits == 4 and p.seed == 0 else "",
    )
    found = judged(fresh_store, recipe)
    assert found["costs"].evidence.flags == "dead-lstm 6/48, nll-explodes 6/48"
    assert found["lossless"].evidence.flags == ""
    assert finding(found["costs"]).endswith("flags: dead-lstm 6/48, nll-explodes 6/48")


GAPS: list[tuple[str, Callable[[GridPoint], bool], int]] = [
    ("one seed of A", lambda p: p.policy == "one-label" and p.seed == 7, 21),
    ("another seed of A and of B", lambda p: (p.policy, p.seed) in
     {("one-label", 7), ("balanced", 0)}, 18),
    ("one float model of B", lambda p: p.policy == "balanced" and p.model_seed == 2, 16),
    ("all of A", lambda p: p.policy == "one-label", 0),
    ("nothing that counts", lambda p: p.policy == "random", 24),
]  # fmt: skip


@pytest.mark.parametrize("gap", GAPS, ids=lambda gap: gap[0])
def test_what_is_not_measured_is_told(gap, fresh_store: Store):
    _, lacks, pairs = gap
    recipe = recipe_with("costs")
    make_results(fresh_store, recipe, lambda p: None if lacks(p) else accuracy(p))
    one = judged(fresh_store, recipe)["costs"]
    assert (len(one.evidence.pairs), one.evidence.planned) == (pairs, 24)
    assert one.is_measured == (pairs == 24)
    record = columns(one, recipe)
    assert record["state"] == {24: "measured", 0: "missing"}.get(pairs, "in part")
    if not pairs:
        assert one.verdict == "undecided" and record["finding"] == "no pairs measured"
    elif pairs < 24:
        assert record["finding"].endswith(f"measured in part, {pairs} of 24 pairs")


def test_a_curve_that_lacks_a_level_is_not_measured(fresh_store: Store):
    recipe = recipe_with("worse-at-four")
    make_results(fresh_store, recipe, accuracy)
    make_noise(
        fresh_store,
        recipe,
        lambda p, level: None if (p.seed, level) == (3, 0.05) else accuracy(p) - level,
        lambda alias, level: 0.9 - level,
    )
    one = judged(fresh_store, recipe)["worse-at-four"]
    assert (len(one.evidence.pairs), one.evidence.planned) == (21, 24)


def test_without_a_store_nothing_is_measured(tmp_path):
    recipe = recipe_with("costs", "noisier")
    found = judged(Store(tmp_path / "none.duckdb"), recipe)
    assert all(one.gain is None and one.verdict == "undecided" for one in found.values())
    assert not (tmp_path / "none.duckdb").exists()


def test_columns_say_everything_with_stored_units(fresh_store: Store):
    recipe = recipe_with("costs", "moves-less", "lossless")
    make_results(fresh_store, recipe, accuracy)
    by_id = {one.claim.id: columns(one, recipe) for one in judge_claims(fresh_store, recipe)}
    costs = by_id["costs"]
    assert list(costs) == list(TYPES)
    assert (costs["axis"], costs["a"], costs["b"]) == ("policy", "one-label", "balanced")
    assert (costs["model"], costs["policy"], costs["size"], costs["bits"]) == (
        "generative", None, 8, 4,
    )  # fmt: skip
    assert (costs["rounding"], costs["preset"]) == ("gpfq", "paper")
    assert (costs["claimed_low"], costs["claimed_high"]) == (None, -0.01)
    assert costs["mean_a"] - costs["mean_b"] == pytest.approx(costs["gain"])
    assert costs["ci_low"] < costs["gain"] < costs["ci_high"] < -0.01
    assert costs["wins"] == 0 and costs["draws_needed"] is None
    assert by_id["moves-less"]["claimed_high"] == -0.05  # a share, not points
    assert by_id["moves-less"]["p_holm"] is None and by_id["moves-less"]["pairs"] == 0
    lossless = by_id["lossless"]
    assert (lossless["axis"], lossless["b"], lossless["mean_b"]) == (None, None, None)
    assert (lossless["claimed_low"], lossless["claimed_high"]) == (-0.05, 0.05)
    assert costs["finding"].startswith("-10.00 points (-10.0")
    assert "claimed: -1.00 or less; 8 draws of 3 float models" in costs["finding"]
