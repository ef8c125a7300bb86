"""The JSON Schema of recipes, for editors: made from the models that validate them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from calibkit.recipe.model import RecipeDocument
from calibkit.recipe.stream_model import StreamDocument


def recipe_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a recipe.

    It says which keys and values there are. Names that must exist elsewhere (aliases, policies,
    noise kinds) and the settings of models and policies are checked by `load_recipe` only.
    """
    return _schema(RecipeDocument)


def stream_recipe_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a recipe of a stream.

    Which parameters go with which update of a model is checked by `load_stream_recipe` only, like
    the names that must exist elsewhere.
    """
    return _schema(StreamDocument)


def _schema(document: type[BaseModel]) -> dict[str, Any]:
    schema = document.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
