"""The key ``measure.card``: what it may say, and that it changes no result."""

import pytest

from calibkit.errors import RecipeError
from calibkit.recipe import dump_recipe, parse_recipe

TEXT = """
calibkit: 1
name: deck
corpus: {name: made}
models: {generative: {}}
policies: {random: {use: random}}
grid: {model: [generative], policy: [random], size: [16], seed: [0], bits: [4]}
measure: {documents: 10}
"""


def written(card):
    return TEXT.replace("documents: 10", f"documents: 10, card: {card}")


def test_no_card_is_asked_for_unless_it_is_written():
    assert parse_recipe(TEXT).measure.card == "none"
    assert parse_recipe(written("none")) == parse_recipe(TEXT)
    assert "card" not in dump_recipe(parse_recipe(TEXT))


@pytest.mark.parametrize("card", ["text", "model"])
def test_a_card_changes_no_result(card):
    recipe = parse_recipe(written(card))
    assert recipe.measure.card == card
    assert recipe.id() == parse_recipe(TEXT).id()
    assert parse_recipe(dump_recipe(recipe)).measure.card == card


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("modle", "measure.card: 'modle' is not allowed; did you mean 'model'?"),
        ("true", "measure.card: "),
        ("", "measure.card: nothing is written here"),
    ],
)
def test_another_value_is_refused(value, said):
    with pytest.raises(RecipeError) as caught:
        parse_recipe(written(value))
    (problem,) = caught.value.problems
    assert said in problem
    assert problem.startswith("recipe.yaml:8:")
