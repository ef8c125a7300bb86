"""The content of the smallest recipe of a cell, once it is known how the cell comes about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from calibkit.errors import CalibkitError
from calibkit.models.settings import KINDS, settings_from
from calibkit.policies import AnyPolicy, make_policy
from calibkit.quantize.schemes import SchemeSettings, unmatched_patterns
from calibkit.quantize.shortest import shortest_settings
from calibkit.recipe.model import DISTRIBUTIONS
from calibkit.sweep.cell_requests import Asked, CorpusSource
from calibkit.sweep.origin import CellOrigin, Training


@dataclass(frozen=True)
class Way:
    """How a cell comes about: its float model, its documents, and who wrote them, if anybody."""

    training: Training
    asked: Asked
    policy: AnyPolicy
    writer: Training | None = None


def smallest_document(
    origin: CellOrigin,
    way: Way,
    source: CorpusSource,
    *,
    model: str,
    policy: str,
    preset: str | None,
) -> dict[str, Any]:
    """Return the recipe's content; what is as it would be anyway is left out.

    model, policy: aliases. preset: the one that the cell was planned with, if any.
    """
    asked, test, share = way.asked, origin.test, way.training.share
    whole = max(1, round(share * origin.corpus.documents[test.split]))
    scheme = origin.scheme
    settings = shortest_settings(scheme, preset=preset)
    models = {model: model_section(model, way.training)}
    beside = _beside(origin, way, settings, taken=model)
    models |= {alias: model_section(alias, training) for alias, training in beside.items()}
    listed = bool(unmatched_patterns(settings, (way.training.settings.kind,)))
    grid_models = [model, *beside] if listed else [model]
    quantize = settings.model_dump(mode="json", exclude_unset=True)
    corpus = {
        "name": origin.corpus.name,
        "from": source.recipe_source,
        "share": _unless(share, 1.0),
        "pool": _unless(asked.pool, "train"),
        "test": _unless(test.split, "test"),
    }
    noise: dict[str, list[float]] = {}
    for kind, level, seed in origin.levels:
        if kind != "none" and seed == 0:
            noise.setdefault(kind, []).append(level)
    kept = [name for name in DISTRIBUTIONS if name in origin.distributions]
    measure = {
        "noise": noise or None,
        "distributions": _unless(kept, list(DISTRIBUTIONS)),
        "documents": len(test.doc_ids) if len(test.doc_ids) < whole else None,
    }
    document = {
        "calibkit": 1,
        "name": f"cell-{origin.cell_id.partition('-')[2]}",
        "corpus": _written(corpus),
        "models": models,
        "policies": {policy: {"use": asked.policy, **_fewest(way.policy)}},
        "quantize": _unless(quantize, {"preset": "brevitas-default"}),
        "grid": {
            "model": grid_models,
            "policy": [policy],
            "size": [asked.size],
            "seed": [asked.seed],
            "bits": [scheme.bits],
        },
        "exclude": [{"model": alias} for alias in beside] if listed else None,
        "measure": _written(measure) or None,
    }
    return _written(document)


def _beside(
    origin: CellOrigin, way: Way, settings: SchemeSettings, *, taken: str
) -> dict[str, Training]:
    """Return the other float model that the recipe needs, under an alias.

    It writes the documents, or has the quantizers that settings of the scheme speak of: the scheme
    of a cell keeps settings that its own model has no use for.
    """
    kind = way.training.settings.kind
    training = way.writer
    if training is None and unmatched_patterns(settings, (kind,)):
        other = next(one for one in KINDS if one != kind)
        training = Training("", settings_from(other), way.training.seed, way.training.share, "")
    if training is None:
        return {}
    alias = training.settings.kind
    return {alias if alias != taken else f"{alias}-2": training}


def model_section(alias: str, training: Training) -> dict[str, Any]:
    """Return what a recipe says of a float model under an alias."""
    usual = settings_from(training.settings.kind).as_dict()
    changed = {k: v for k, v in training.settings.as_dict().items() if v != usual[k]}
    use = _unless(training.settings.kind, alias if alias in KINDS else None)
    return _written({"use": use, **changed, "seeds": _unless([training.seed], [0])})


def _fewest(policy: AnyPolicy) -> dict[str, Any]:
    """Return the policy's parameters without those that are as they would be anyway."""
    params = whole = policy.params()
    for key in whole:
        shorter = {other: value for other, value in params.items() if other != key}
        try:
            if make_policy(policy.name, shorter).params() == whole:
                params = shorter
        except CalibkitError:
            continue  # it is required
    return params


def _unless(value: Any, usual: Any) -> Any:
    """Return a value, or None where it is what it would be anyway."""
    return None if value == usual else value


def _written(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if value is not None}
