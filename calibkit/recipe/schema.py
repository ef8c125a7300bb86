"""The JSON Schema of recipes, for editors: made from the models that validate them."""

from __future__ import annotations

from typing import Any

from calibkit.recipe.model import RecipeDocument


def recipe_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a recipe.

    It says which keys and values there are. Names that must exist elsewhere (aliases, policies,
    noise kinds) and the settings of models and policies are checked by `load_recipe` only.
    """
    schema = RecipeDocument.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
