"""What a claim of a recipe says, typed; and the measures that claims may be about."""

from __future__ import annotations

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

    unit: size of 1 in ``by`` and ``within`` (.01: they are points, hundredths of a fraction).
    noise: whether a claim about it names a noise level, may, must not, or names a kind alone.
    within: usual half-width of what counts as equal, in those units; None where it must be
    written. signed: whether it can be below 0. distribution: what ``measure.distributions`` must
    keep for it.
    """

    unit: float
    noise: Literal["allowed", "level", "kind", "none"]
    within: float | None
    signed: bool
    distribution: Literal["weights", "activations"] | None = None


MEASURES: Mapping[MeasureName, ClaimMeasure] = {
    "accuracy": ClaimMeasure(0.01, "allowed", 0.5, signed=False),
    "accuracy_drop": ClaimMeasure(0.01, "allowed", 0.5, signed=True),
    "macro_f1": ClaimMeasure(0.01, "allowed", 0.5, signed=False),
    "worst_label_accuracy": ClaimMeasure(0.01, "allowed", 0.5, signed=False),
    "nll": ClaimMeasure(1.0, "allowed", None, signed=False),
    "noise_drop": ClaimMeasure(0.01, "level", 0.5, signed=True),
    "noise_excess": ClaimMeasure(0.01, "level", 0.5, signed=True),
    "noise_auc": ClaimMeasure(0.01, "kind", 0.5, signed=False),
    "ks_weights": ClaimMeasure(0.01, "none", None, signed=False, distribution="weights"),
    "ks_activations": ClaimMeasure(0.01, "none", None, signed=False, distribution="activations"),
    "code_change": ClaimMeasure(0.01, "none", None, signed=False, distribution="weights"),
}
"""Fractions are claimed in points (hundredths), ``nll`` in nats."""


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
    """Least difference of ``lower`` and ``higher``: in points, or nats for nll."""
    within: float | None = None
    """Largest difference that is still ``equal``, in those units; None where it is not claimed."""
    family: str = USUAL_FAMILY
    """Claims of one family share one error rate."""

    @property
    def region(self) -> tuple[float, float]:
        """Lowest and highest difference a - b at which the claim holds, in the measure's unit."""
        unit = MEASURES[self.measure].unit
        if self.expect == "lower":
            return float("-inf"), -self.by * unit
        if self.expect == "higher":
            return self.by * unit, float("inf")
        assert self.within is not None
        return -self.within * unit, self.within * unit

    def sides(self) -> tuple[Mapping[str, Any], ...]:
        """Return what the cells of a and of b are: axis -> value; one entry without an axis."""
        if self.axis is None:
            return (dict(self.where),)
        return tuple({**self.where, self.axis: value} for value in (self.a, self.b))
