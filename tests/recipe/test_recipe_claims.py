"""Claims of a recipe: read typed, part of no identity, mistakes told at their place."""

from __future__ import annotations

import math

import pytest

from calibkit.errors import RecipeError
from calibkit.recipe import dump_recipe, parse_recipe, recipe_schema
from calibkit.recipe.claim_plan import planned_sides

CLAIMS = """\
claims:
  - id: one-class-costs
    says: One class costs the generative model accuracy at 4 bits.
    compare: {policy: [one-class, random]}
    where: {model: generative, bits: 4, size: 256, rounding: gpfq}
    measure: accuracy
    expect: lower
    by: 0.5
  - id: noise-hurts-more
    says: Noise hurts the quantized model more.
    family: noise
    where: {model: fast, policy: random, bits: 4, size: 256, rounding: gpfq}
    measure: noise_excess
    noise: {keyboard: 0.10}
    expect: higher
  - id: curves-agree
    says: Both widths stand noise alike.
    compare: {bits: [8, 4]}
    where: {model: fast, policy: random, size: 256, rounding: nearest}
    measure: noise_auc
    noise: keyboard
    expect: equal
"""


@pytest.fixture
def claiming(right: str) -> str:
    """The right recipe with three claims from line 20 on."""
    return right.replace("claims: []\n", CLAIMS)


def test_claims_arrive_typed(claiming):
    costs, noise, curves = parse_recipe(claiming).claims
    assert (costs.axis, costs.a, costs.b) == ("policy", "one-class", "random")
    assert (costs.noise_kind, costs.noise, costs.family) == ("none", 0.0, "main")
    assert costs.region == (-math.inf, -0.005)
    assert costs.sides()[1] == {**costs.where, "policy": "random"}
    assert (noise.axis, noise.noise_kind, noise.noise, noise.family) == (
        None, "keyboard", 0.1, "noise",
    )  # fmt: skip
    assert noise.region == (0.0, math.inf) and noise.sides() == (noise.where,)
    assert (curves.a, curves.b, curves.noise_kind, curves.noise) == (8, 4, "keyboard", None)
    assert curves.within == 0.5 and curves.region == (-0.005, 0.005)


def test_claims_change_no_identity_and_survive_a_dump(claiming, right):
    recipe, without = parse_recipe(claiming), parse_recipe(right)
    assert recipe.id() == without.id()
    assert list(recipe.cells()) == list(without.cells())
    again = parse_recipe(dump_recipe(recipe))
    assert again == recipe and again.claims == recipe.claims
    assert "claims" not in dump_recipe(without)


def test_an_nll_is_claimed_in_nats(claiming):
    text = claiming.replace("measure: accuracy\n", "measure: nll\n")
    assert parse_recipe(text).claims[0].region == (-math.inf, -0.5)


def test_cells_of_both_sides_have_the_same_seeds(claiming):
    recipe = parse_recipe(
        claiming.replace("exclude: []", "exclude: [{policy: random, seed: 1, model: generative}]")
    )
    a, b = planned_sides(recipe, recipe.claims[0])
    assert list(a) == list(b) == [(0, 0)]
    assert a[0, 0].policy == "one-class" and b[0, 0].policy == "random"
    assert {p.scheme.id for p in a.values()} == {p.scheme.id for p in b.values()}
    (alone,) = planned_sides(recipe, recipe.claims[1])
    assert list(alone) == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_the_schema_has_the_claims():
    schema = recipe_schema()
    entry = schema["$defs"]["ClaimEntry"]
    assert entry["additionalProperties"] is False
    assert set(entry["required"]) == {"id", "says", "measure", "expect"}
    assert "noise_excess" in entry["properties"]["measure"]["enum"]


# (what the claims say, what is written instead, every problem that must be reported)
MISTAKES = [
    # keys and types
    ("    expect: lower\n", "", "21:5: claims[0].expect: required, but missing"),
    ("expect: lower", "expect: less",
     "26:5: claims[0].expect: 'less' is not allowed; allowed: lower, higher, equal"),
    ("measure: accuracy", "measure: acuracy",
     "25:5: claims[0].measure: 'acuracy' is not allowed; did you mean 'accuracy'?"),
    ("    by: 0.5", "    buy: 0.5", "27:5: claims[0].buy: unknown key; did you mean 'by'?"),
    ("by: 0.5", "by: -1", "27:5: claims[0].by: -1 is not allowed; it must be at least 0"),
    ("by: 0.5", "by: half", "27:5: claims[0].by: expected a number, found 'half'"),
    ("id: one-class-costs", "id: One class",
     "21:5: claims[0].id: 'One class' is no valid name; use small letters, digits, '-' and '_', "
     "at most 64, a letter or digit first"),
    ("id: noise-hurts-more", "id: one-class-costs",
     "28:5: claims[1].id: 'one-class-costs' is the id of claims[0] already; choose another"),
    ("says: Both widths stand noise alike.", 'says: "two\\nlines"',
     "36:5: claims[2].says: expected one line of text"),
    ("says: Both widths stand noise alike.", 'says: ""',
     "36:5: claims[2].says: empty; write a line of text"),
    ("family: noise", "family: [noise]", "30:5: claims[1].family: expected text, found a list"),
    # what is compared
    ("{policy: [one-class, random]}", "{policy: one-class}",
     "23:15: claims[0].compare.policy: expected two values, [A, B]"),
    ("{policy: [one-class, random]}", "{policy: [one-class, random, random]}",
     "23:15: claims[0].compare.policy: expected two values, [A, B]"),
    ("{policy: [one-class, random]}", "{policy: [one-class, one-class]}",
     "23:15: claims[0].compare.policy: A and B are both 'one-class'; give two values"),
    ("{policy: [one-class, random]}", "{policy: [one-clas, random]}",
     "23:24: claims[0].compare.policy[0]: no policy in the grid is called 'one-clas'; did you mean "
     "'one-class'?"),
    ("{policy: [one-class, random]}", "{}",
     "23:5: claims[0].compare: A and B differ along one axis, as in policy: [a, b]; found none"),
    ("{policy: [one-class, random]}", "{policy: [one-class, random], bits: [8, 4]}",
     "23:5: claims[0].compare: A and B differ along one axis, as in policy: [a, b]; found policy, "
     "bits",
     "24:32: claims[0].where.bits: bits is what A and B differ in; leave it out here, or out of "
     "compare"),
    ("{policy: [one-class, random]}", "{seed: [0, 1]}",
     "23:15: claims[0].compare.seed: unknown key; allowed: model, policy, size, bits, rounding, "
     "preset"),
    ("{policy: [one-class, random]}", "{preset: [paper, robust]}",
     "23:15: claims[0].compare.preset: the grid has no axis 'preset'; compare along "
     "another"),
    ("compare: {bits: [8, 4]}", "compare: {bits: [8, 5]}",
     "37:25: claims[2].compare.bits[1]: grid.bits has no 5; it has 8, 4"),
    # under which conditions
    ("model: generative, bits: 4", "model: generativ, bits: 4",
     "24:13: claims[0].where.model: no model in the grid is called 'generativ'; did you mean "
     "'generative'?"),
    ("model: generative, bits: 4", "model: generative, bits: 3",
     "24:32: claims[0].where.bits: grid.bits has no 3; it has 8, 4"),
    ("model: generative, bits: 4", "model: generative, bits: [4]",
     "24:32: claims[0].where.bits: expected a whole number, found a list"),
    ("model: generative, bits: 4", "model: generative, bits: true",
     "24:32: claims[0].where.bits: grid.bits has no true; it has 8, 4"),
    ("model: generative, bits: 4", "model: generative, bit: 4",
     "24:32: claims[0].where.bit: unknown key; did you mean 'bits'?"),
    ("model: generative, bits: 4, size: 256, ", "model: generative, ",
     "24:5: claims[0].where: nothing says which size (128, 256) and which bits (8, 4); add it to "
     "where"),
    ("    where: {model: fast, policy: random, size: 256, rounding: nearest}\n", "",
     "35:5: claims[2]: nothing says which model (generative, fast) and which policy (random, "
     "one-class) and which size (128, 256) and which rounding (nearest, gpfq); add it to where"),
    ("model: generative, bits: 4", "preset: paper, model: generative, bits: 4",
     "24:13: claims[0].where.preset: the grid has no axis 'preset'; leave it out"),
    # noise
    ("noise: {keyboard: 0.10}", "noise: {keyboard: 0.20}",
     "33:13: claims[1].noise.keyboard: measure.noise.keyboard has no 0.2; it has 0.05, 0.1"),
    ("noise: {keyboard: 0.10}", "noise: {keybord: 0.10}",
     "33:13: claims[1].noise.keybord: no noise kind of this recipe is called 'keybord'; did you "
     "mean 'keyboard'?"),
    ("noise: {keyboard: 0.10}", "noise: {keyboard: 0}",
     "33:13: claims[1].noise.keyboard: level 0 is always measured (the clean documents); leave it "
     "out"),
    ("noise: {keyboard: 0.10}", "noise: {keyboard: 0.1, swap: 0.1}",
     "33:5: claims[1].noise: one kind and one level: write {KIND: LEVEL}, as in {keyboard: 0.1}"),
    ("noise: {keyboard: 0.10}", "noise: 0.1",
     "33:5: claims[1].noise: one kind and one level: write {KIND: LEVEL}, as in {keyboard: 0.1}"),
    ("    noise: {keyboard: 0.10}\n", "",
     "28:5: claims[1]: noise_excess needs a noise; write {KIND: LEVEL}, as in {keyboard: 0.1}"),
    ("noise: keyboard", "noise: {keyboard: 0.1}",
     "40:5: claims[2].noise: write the kind alone, as in keyboard: the measure is over all its "
     "levels"),
    ("noise: keyboard", "noise: keybord",
     "40:5: claims[2].noise: no noise kind of this recipe is called 'keybord'; did you mean "
     "'keyboard'?"),
    ("measure: noise_excess", "measure: ks_weights",
     "33:5: claims[1].noise: ks_weights is measured on no noisy documents; leave noise out"),
    # amounts
    ("expect: equal", "expect: equal\n    by: 1",
     "42:5: claims[2].by: by belongs to lower and higher; say how close with within"),
    ("    by: 0.5", "    within: 0.5",
     "27:5: claims[0].within: within belongs to equal; say by how many points with by"),
    ("expect: equal", "expect: equal\n    within: 0",
     "42:5: claims[2].within: 0 is not allowed; it must be above 0"),
    ("measure: noise_auc\n    noise: keyboard", "measure: nll",
     "35:5: claims[2]: nll has no usual margin; add within, in nats"),
    ("    compare: {policy: [one-class, random]}\n    where: {", "    where: {policy: random, ",
     "25:5: claims[0].expect: accuracy is never below 0; add compare, or expect higher"),
    # what the recipe measures
    ("measure: accuracy", "measure: ks_activations",
     "25:5: claims[0].measure: ks_activations needs activations in measure.distributions"),
    ("rounding: gpfq}\n    measure: accuracy", "rounding: nearest}\n    measure: code_change",
     "21:5: claims[0]: code_change counts weights that are not rounded to nearest; here all are; "
     "choose another rounding"),
    ("compare: {bits: [8, 4]}\n    where: {model: fast,",
     "compare: {model: [fast, generative]}\n    where: {bits: 5,",
     "38:13: claims[2].where.bits: grid.bits has no 5; it has 8, 4"),
]  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: m[1].replace("\n", "|"))
def test_a_mistake_is_said_at_its_place_and_nothing_else_is(mistake, claiming):
    before, after, *expected = mistake
    assert claiming.count(before) == 1
    with pytest.raises(RecipeError) as caught:
        parse_recipe(claiming.replace(before, after), "r.yaml")
    assert caught.value.problems == [f"r.yaml:{wanted}" for wanted in expected]


EXCLUDED = [
    ("{policy: one-class, bits: 4}", "claims[0]: no cell of one-class has one of random with the "
     "same seed and float seed; change exclude, or the seeds under models"),
    ("{model: fast, bits: 4}", "claims[1]: exclude leaves out every cell that this claim is about",
     "claims[2]: no cell of 8 has one of 4 with the same seed and float seed; change exclude, or "
     "the seeds under models"),
]  # fmt: skip


@pytest.mark.parametrize("case", EXCLUDED, ids=lambda c: c[0])
def test_claims_of_which_no_cell_is_left_are_mistakes(case, claiming):
    excluded, *expected = case
    with pytest.raises(RecipeError) as caught:
        parse_recipe(claiming.replace("exclude: []", f"exclude: [{excluded}]"), "r.yaml")
    assert [p.split(": ", 1)[1] for p in caught.value.problems] == expected


def test_models_without_a_float_seed_in_common_cannot_be_compared(claiming):
    text = claiming.replace("seeds: [0, 1]", "seeds: [1, 2]")
    text = text.replace(
        "compare: {bits: [8, 4]}\n    where: {model: fast,",
        "compare: {model: [fast, generative]}\n    where: {bits: 8,",
    )
    with pytest.raises(RecipeError, match=r"no cell of fast has one of generative with the same"):
        parse_recipe(text)
