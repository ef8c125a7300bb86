"""A `Recipe` back to the text of a recipe file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from calibkit.models.settings import settings_from
from calibkit.quantize.schemes import SchemeSettings
from calibkit.recipe.claims import USUAL_FAMILY, Claim
from calibkit.recipe.recipe import ModelChoice, PolicyChoice, Recipe
from calibkit.recipe.yaml_source import plain_value


def dump_recipe(recipe: Recipe) -> str:
    """Return recipe text that loads as ``recipe``: same id, same cells in the same order.

    Settings at their defaults and comments are left out.
    """
    return dump_document(recipe_document(recipe))


def dump_document(document: Mapping[str, Any]) -> str:
    """Return the text of a recipe file with this plain content."""
    return _yaml(document)


def dump_quantize(settings: SchemeSettings) -> str:
    """Return the section `quantize:` of a recipe that says these settings."""
    return _yaml({"quantize": settings.model_dump(mode="json", exclude_none=True)})


def _yaml(document: Mapping[str, Any]) -> str:
    return yaml.dump(
        document,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=100,
        default_flow_style=None,
    )


def recipe_document(recipe: Recipe) -> dict[str, Any]:
    """Return the plain content of a recipe file that says what ``recipe`` says."""
    corpus, measure = recipe.corpus, recipe.measure
    document: dict[str, Any] = {"calibkit": 1, "name": recipe.name}
    if recipe.about:
        document["about"] = recipe.about
    document["corpus"] = {
        "name": corpus.name,
        **({"from": corpus.source} if corpus.source is not None else {}),
        "share": corpus.share,
        "pool": corpus.pool,
        "test": corpus.test,
    }
    document["models"] = {alias: _model(choice) for alias, choice in recipe.models.items()}
    document["policies"] = {alias: _policy(choice) for alias, choice in recipe.policies.items()}
    document["quantize"] = recipe.quantize.model_dump(mode="json", exclude_none=True)
    if recipe.schemes:
        document["schemes"] = {
            alias: settings.model_dump(mode="json", exclude_unset=True)
            for alias, settings in recipe.schemes.items()
        }
    axes = ("model", "policy", "size", "seed", "bits", "rounding", "preset")
    values = {axis: getattr(recipe.grid, axis) for axis in axes}
    document["grid"] = {axis: list(found) for axis, found in values.items() if found is not None}
    if recipe.exclude:
        document["exclude"] = [
            {axis: list(listed) for axis, listed in entry.values.items()}
            for entry in recipe.exclude
        ]
    noise: dict[str, list[float]] = {}
    for kind, level in measure.noise:
        noise.setdefault(kind, []).append(level)
    document["measure"] = {
        "noise": noise,
        "distributions": list(measure.distributions),
        "documents": "all" if measure.documents is None else measure.documents,
        **({"card": measure.card} if measure.card != "none" else {}),
    }
    if recipe.claims:
        document["claims"] = [_claim(claim) for claim in recipe.claims]
    return document


def _claim(claim: Claim) -> dict[str, Any]:
    noise: Any = claim.noise_kind if claim.noise is None else {claim.noise_kind: claim.noise}
    optional = {
        "family": claim.family if claim.family != USUAL_FAMILY else None,
        "compare": {claim.axis: [claim.a, claim.b]} if claim.axis is not None else None,
        "where": dict(claim.where) or None,
        "measure": claim.measure,
        "noise": noise if claim.noise_kind != "none" else None,
        "expect": claim.expect,
        "by": claim.by or None,
        "within": claim.within,
    }
    written = {key: value for key, value in optional.items() if value is not None}
    return {"id": claim.id, "says": claim.says, **written}


def _model(choice: ModelChoice) -> dict[str, Any]:
    defaults = settings_from(choice.kind).as_dict()
    settings = choice.settings.as_dict()
    changed = {key: value for key, value in settings.items() if value != defaults[key]}
    return {"use": choice.kind, **changed, "seeds": list(choice.seeds)}


def _policy(choice: PolicyChoice) -> dict[str, Any]:
    return {"use": choice.name, **choice.policy.params()}


class _Dumper(yaml.SafeDumper):
    """Writes what `read_source` reads back: no aliases, and quotes where a word is not text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_text(self, data: str) -> yaml.ScalarNode:
        try:
            plain = plain_value(data) == data
        except ValueError:
            plain = False
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=None if plain else '"')


_Dumper.add_representer(str, _Dumper.represent_text)
