"""Recipes: one YAML file that says everything that determines a set of results."""

from calibkit.recipe.claims import Claim
from calibkit.recipe.dump import dump_recipe
from calibkit.recipe.load import load_recipe, parse_recipe
from calibkit.recipe.recipe import (
    CorpusRef,
    Exclusion,
    Grid,
    GridPoint,
    Measure,
    ModelChoice,
    PolicyChoice,
    Recipe,
)
from calibkit.recipe.schema import recipe_schema

__all__ = [
    "Claim",
    "CorpusRef",
    "Exclusion",
    "Grid",
    "GridPoint",
    "Measure",
    "ModelChoice",
    "PolicyChoice",
    "Recipe",
    "dump_recipe",
    "load_recipe",
    "parse_recipe",
    "recipe_schema",
]
