"""What decides a float model besides its data and its seed; needs no torch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from calibkit.errors import BadInput, UnknownName

Kind = Literal["discriminative", "generative"]
KINDS: tuple[Kind, ...] = ("discriminative", "generative")

Prior = Literal["train", "uniform"]
PRIORS: tuple[Prior, ...] = ("train", "uniform")


@dataclass(frozen=True)
class ModelSettings:
    """Architecture, vocabulary rule and training schedule of one float classifier.

    Make one with :func:`settings_from`, which knows the defaults of each kind and checks values.

    epochs: passes over the training documents. embedding, hidden: sizes of the word vectors and of
    the LSTM state (the label vectors of the generative model have the size of the state).
    dropout: on word vectors and on what the output layer reads. learning_rate: of Adam.
    batch: documents a step. clip: largest gradient norm. min_count, most_types: which word types
    enter the vocabulary. most_tokens: where documents are cut (before <bos> and <eos> are added).
    prior: p(y) of the generative model, ``train`` = label shares of the training documents.
    """

    kind: Kind
    epochs: int
    embedding: int = 100
    hidden: int = 100
    dropout: float = 0.0
    learning_rate: float = 1e-3
    batch: int = 64
    clip: float = 1.0
    min_count: int = 5
    most_types: int = 40_000
    most_tokens: int = 80
    prior: Prior = "train"

    def as_dict(self) -> dict[str, Any]:
        """Return every setting of the kind by name, in field order; the input of an identity."""
        settings = dataclasses.asdict(self)
        if self.kind == "discriminative":
            del settings["prior"]  # it has none
        return settings


_DEFAULTS: dict[Kind, dict[str, Any]] = {
    "discriminative": {"epochs": 12, "dropout": 0.5},
    "generative": {"epochs": 5, "dropout": 0.0},
}

_INTEGERS: dict[str, tuple[int, int]] = {
    "epochs": (1, 1_000),
    "embedding": (1, 4_096),
    "hidden": (1, 4_096),
    "batch": (1, 65_536),
    "min_count": (1, 1_000_000),
    "most_types": (1, 10_000_000),
    "most_tokens": (1, 100_000),
}

_FLOATS: dict[str, tuple[str, float, float]] = {  # what is allowed; lowest; highest; see _number
    "dropout": ("a number from 0 up to, not including, 1", 0.0, math.nextafter(1.0, 0.0)),
    "learning_rate": ("a number above 0, at most 1", math.ulp(0.0), 1.0),
    "clip": ("a number above 0", math.ulp(0.0), math.inf),
}


def settings_from(kind: str, values: Mapping[str, Any] | None = None) -> ModelSettings:
    """Return the settings of a model of this kind: its defaults, overridden by ``values``.

    Raises UnknownName for a kind or key that does not exist, BadInput for a value that is not
    allowed; the message names the key, the value and what is allowed.
    """
    known = next((k for k in KINDS if k == kind), None)
    if known is None:
        raise UnknownName("model kind", str(kind), KINDS)
    allowed = [f.name for f in dataclasses.fields(ModelSettings) if f.name != "kind"]
    if known == "discriminative":
        allowed.remove("prior")
    chosen = dict(_DEFAULTS[known])
    for key, value in (values or {}).items():
        if key == "prior" and known == "discriminative":
            raise BadInput(
                "prior: a discriminative model has no label prior; leave the key out, "
                "or use a generative model"
            )
        if key not in allowed:
            raise UnknownName(f"setting of a {known} model", str(key), allowed)
        chosen[key] = _checked(key, value)
    return ModelSettings(kind=known, **chosen)


def settings_from_dict(plain: Mapping[str, Any]) -> ModelSettings:
    """Rebuild settings from `ModelSettings.as_dict`."""
    values = dict(plain)
    return settings_from(values.pop("kind"), values)


def _checked(key: str, value: Any) -> Any:
    if key in _INTEGERS:
        low, high = _INTEGERS[key]
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise BadInput(f"{key}: {value!r} is not allowed; give an integer from {low} to {high}")
        return value
    if key in _FLOATS:
        return _number(key, value)
    if value not in PRIORS:
        raise BadInput(f"{key}: {value!r} is not allowed; give one of {', '.join(PRIORS)}")
    return value


def _number(key: str, value: Any) -> float:
    allowed, low, high = _FLOATS[key]
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not math.isfinite(value)
        or not low <= value <= high
    ):
        raise BadInput(f"{key}: {value!r} is not allowed; give {allowed}")
    return float(value)
