"""Recipes: one YAML file that says everything that determines a set of results."""

from calibkit.recipe.claims import Claim
from calibkit.recipe.dump import dump_recipe
from calibkit.recipe.load import load_recipe, parse_recipe
from calibkit.recipe.load_stream import is_stream, load_stream_recipe, parse_stream_recipe
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
from calibkit.recipe.schema import recipe_schema, stream_recipe_schema
from calibkit.recipe.streams import MethodChoice, Phase, Stream, StreamRecipe, TrajectoryPoint

__all__ = [
    "Claim",
    "CorpusRef",
    "Exclusion",
    "Grid",
    "GridPoint",
    "Measure",
    "MethodChoice",
    "ModelChoice",
    "Phase",
    "PolicyChoice",
    "Recipe",
    "Stream",
    "StreamRecipe",
    "TrajectoryPoint",
    "dump_recipe",
    "is_stream",
    "load_recipe",
    "load_stream_recipe",
    "parse_recipe",
    "parse_stream_recipe",
    "recipe_schema",
    "stream_recipe_schema",
]
