"""What can be compared between two arms: names, units, and which way is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from calibkit.errors import UnknownName

Rows = Literal["every", "noisy", "clean", "curve"]


@dataclass(frozen=True)
class Measure:
    """One number of a cell, or of a cell under one noise level.

    unit: of the number as people read it, which is ``scale`` times the stored one. margin:
    differences within it are called the same, in stored units; None where nobody can say. rows:
    which rows of ``results`` have it. column: in ``results``, or in ``distributions`` where
    ``quantity`` and ``pair`` say of which rows.
    """

    name: str
    about: str
    column: str
    unit: str = "points"
    scale: float = 100.0
    higher_is_better: bool = True
    margin: float | None = 0.005
    rows: Rows = "every"
    quantity: str | None = None
    pair: str = "float-quantized"

    @property
    def has_sites(self) -> bool:
        """Whether it is a mean over sites, each of which can be looked at."""
        return self.quantity is not None


def _shift(name: str, about: str, column: str, quantity: str, unit: str, **more: str) -> Measure:
    return Measure(
        name, about, column, unit=unit, scale=1.0, higher_is_better=False, margin=None,
        rows="clean", quantity=quantity, **more,
    )  # fmt: skip


_ALL = (
    Measure("accuracy", "share of the documents that are right", "accuracy"),
    Measure(
        "accuracy_drop", "accuracy of the float model minus that of the cell, under the same noise",
        "accuracy_drop", higher_is_better=False,
    ),
    Measure("macro_f1", "mean of the F1 scores of the labels", "macro_f1"),
    Measure("worst_label_accuracy", "accuracy on the worst label", "worst_label_accuracy"),
    Measure(
        "nll", "negative log-likelihood, in nats", "nll",
        unit="nats", scale=1.0, higher_is_better=False, margin=None,
    ),
    Measure(
        "noise_drop", "accuracy on clean documents minus that under noise", "noise_drop",
        higher_is_better=False, rows="noisy",
    ),
    Measure(
        "noise_excess",
        "how much more accuracy noise costs than it costs the float model: (float - quantized)"
        " under noise minus the same on clean documents",
        "noise_excess", higher_is_better=False, rows="noisy",
    ),
    Measure(
        "noise_auc", "mean accuracy from the least to the highest noise level, by trapezoids",
        "accuracy", rows="curve",
    ),
    _shift("ks_weights", "KS D of weights, float against quantized", "ks", "weights", "D"),
    _shift(
        "ks_activations", "KS D of activations, float against quantized", "ks", "activations", "D"
    ),
    _shift(
        "wasserstein_weights", "Wasserstein-1 of weights in standard deviations of the float ones",
        "wasserstein", "weights", "sigma",
    ),
    _shift(
        "wasserstein_activations",
        "Wasserstein-1 of activations in standard deviations of the float ones",
        "wasserstein", "activations", "sigma",
    ),
    _shift(
        "code_change", "share of the weights whose code the rounding method changed",
        "code_change_rate", "weights", "share", pair="nearest-rounded",
    ),
)  # fmt: skip
MEASURES = {measure.name: measure for measure in _ALL}
"""Name -> measure."""


def find_measure(name: str) -> Measure:
    """Return the measure of that name; raise UnknownName, which says what there is."""
    if name not in MEASURES:
        raise UnknownName("measure", name, MEASURES)
    return MEASURES[name]
