"""Scheme settings from single values, with a recipe's words for what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from calibkit.errors import BadInput
from calibkit.quantize.schemes import SchemeSettings, unsupported
from calibkit.recipe.wording import problems_of
from calibkit.recipe.yaml_source import path_text


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    quantize: SchemeSettings


def quantize_settings(values: Mapping[str, Any]) -> SchemeSettings:
    """Return what a recipe's `quantize:` with these values says.

    Raises BadInput with every problem as ``quantize.key: message``, one a line.
    """
    document = {"quantize": dict(values)}
    try:
        settings = _Section.model_validate(document).quantize
    except ValidationError as error:
        problems = list(problems_of(error.errors(), document))
    else:
        problems = [(("quantize", *path), message) for path, message in unsupported(settings)]
        if not problems:
            return settings
    raise BadInput("\n".join(sorted({f"{path_text(path)}: {said}" for path, said in problems})))
