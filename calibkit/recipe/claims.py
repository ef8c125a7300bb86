"""What a claim of a recipe says, typed; and the measures that claims may be about."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

MeasureName = Literal[
    "accuracy",
    "accuracy_drop",
    "macro_f1",
    "worst_label_accuracy",
    "nll",
    "noise_drop",
    "noise_excess",
    "noise_auc",
    "ks_weights",
    "ks_activations",
    "wasserstein_weights",
    "wasserstein_activations",
    "code_change",
]
Expectation = Literal["lower", "higher", "equal"]
ClaimedAxis = Literal["model", "policy", "size", "bits", "rounding", "preset"]

CLAIMED_AXES: tuple[ClaimedAxis, ...] = ("model", "policy", "size", "bits", "rounding", "preset")
"""Axes of the grid that a claim compares along or fixes; seeds are its replicates."""

USUAL_FAMILY = "main"
"""Family of the claims that name none."""


@dataclass(frozen=True)
class ClaimMeasure:
    """How a measure is written in a claim.

    unit: what ``by`` and ``within`` count; scale: that many of it are 1 as stored. noise: whether a
    claim about it names a noise level, may, must not, or names a kind alone. within: the usual
    half-width of what counts as equal, in that unit; None where it must be written. signed:
    whether it can be below 0. distribution: what ``measure.distributions`` must keep for it.
    """

    unit: str = "points"
    scale: float = 100.0
    noise: Literal["allowed", "level", "kind", "none"] = "allowed"
    within: float | None = 0.5
    signed: bool = False
    distribution: Literal["weights", "activations"] | None = None


def _shift(unit: str, distribution: Literal["weights", "activations"]) -> ClaimMeasure:
    return ClaimMeasure(unit, 1.0, "none", None, distribution=distribution)


MEASURES: Mapping[MeasureName, ClaimMeasure] = {
    "accuracy": ClaimMeasure(),
    "accuracy_drop": ClaimMeasure(signed=True),
    "macro_f1": ClaimMeasure(),
    "worst_label_accuracy": ClaimMeasure(),
    "nll": ClaimMeasure("nats", 1.0, within=None),
    "noise_drop": ClaimMeasure(noise="level", signed=True),
    "noise_excess": ClaimMeasure(noise="level", signed=True),
    "noise_auc": ClaimMeasure(noise="kind"),
    "ks_weights": _shift("D", "weights"),
    "ks_activations": _shift("D", "activations"),
    "wasserstein_weights": _shift("sigma", "weights"),
    "wasserstein_activations": _shift("sigma", "activations"),
    "code_change": _shift("share", "weights"),
}
"""Everything a claim may be about; what each is: `calibkit.decide.measures`."""


@dataclass(frozen=True)
class Claim:
    """A statement that a recipe declares before it is measured.

    ``measure`` of a is lower than, higher than or equal to that of b, where a and b are two values
    of ``axis`` and everything else is the same; without an axis, the measure itself is held
    against 0. Replicates are the draws (seeds) and float models of the recipe.
    """

    id: str
    says: str
    measure: MeasureName
    expect: Expectation
    where: Mapping[str, Any]
    """Axis -> value, as written; axes that are left open have one value in the grid."""
    axis: ClaimedAxis | None = None
    a: Any = None
    b: Any = None
    noise_kind: str = "none"
    noise: float | None = 0.0
    """Level of the noise; None for a measure over all levels of the kind."""
    by: float = 0.0
    """Least difference of ``lower`` and ``higher``, in the measure's unit (points of accuracy)."""
    within: float | None = None
    """Largest difference that is still ``equal``, in that unit; None where it is not claimed."""
    family: str = USUAL_FAMILY
    """Claims of one family share one error rate."""

    @property
    def region(self) -> tuple[float, float]:
        """Lowest and highest difference a - b at which the claim holds, as stored."""
        scale = MEASURES[self.measure].scale
        if self.expect == "lower":
            return -math.inf, -self.by / scale
        if self.expect == "higher":
            return self.by / scale, math.inf
        assert self.within is not None
        return -self.within / scale, self.within / scale

    def sides(self) -> tuple[Mapping[str, Any], ...]:
        """Return what the cells of a and of b are: axis -> value; one entry without an axis."""
        if self.axis is None:
            return (dict(self.where),)
        return tuple({**self.where, self.axis: value} for value in (self.a, self.b))
