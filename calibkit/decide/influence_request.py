"""What is asked about the documents of a subset. No torch here: what cannot be is refused here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from calibkit.decide.request import FEWEST, MOST
from calibkit.errors import BadInput
from calibkit.quantize.contradictions import refuse_peer
from calibkit.quantize.schemes import (
    Rounding,
    Scheme,
    SchemeSettings,
    resolve,
    with_linear_rounding,
)
from calibkit.sweep.jobs import Engine

FEWEST_CELLS = 8
"""Networks that a rank correlation is worth computing over."""


@dataclass(frozen=True)
class InfluenceRequest:
    """Which scheme is looked at, and how closely.

    bits, rounding: as a recipe's grid has them; None leaves the rounding to ``settings``.
    labels, documents: which of the two questions is asked. controls: random removals beside each
    label's. orders: the work of sampling Shapley values, see `calibkit.measure.shapley`. cells:
    networks quantized and measured to validate the documents' values; 0 for none. seed: of all
    draws. engine: what evaluates; never changes a number.

    Raises BadInput for numbers out of bounds, and for a scheme that reads no documents.
    """

    settings: SchemeSettings
    bits: int = 4
    rounding: Rounding | None = None
    labels: bool = True
    documents: bool = True
    controls: int = 10
    orders: int = 400
    cells: int = 20
    seed: int = 0
    engine: Engine = "auto"

    def __post_init__(self) -> None:
        if not FEWEST <= self.bits <= MOST:
            raise BadInput(f"--bits {self.bits}: allowed are {FEWEST} to {MOST} bits")
        if self.controls < 2:
            raise BadInput(f"--controls {self.controls}: a spread needs at least 2")
        if self.orders < 4:
            raise BadInput(f"--permutations {self.orders}: a standard error needs at least 4")
        if 0 < self.cells < FEWEST_CELLS or self.cells < 0:
            raise BadInput(
                f"--validate {self.cells}: a rank correlation needs at least {FEWEST_CELLS}; "
                "give more, or 0 for none"
            )
        refuse_peer(self.scheme.quantizer, "the ranges of documents are looked at in calibkit's")
        if self.scheme.dynamic:
            raise BadInput(
                "dynamic: true reads no calibration documents, so that none can have any influence;"
                " choose a scheme with calibrated ranges"
            )

    @cached_property
    def with_rounding(self) -> SchemeSettings:
        """The settings with the rounding that is asked for."""
        if self.rounding is None:
            return self.settings
        return with_linear_rounding(self.settings, self.rounding)

    @cached_property
    def scheme(self) -> Scheme:
        """What the subset is quantized with."""
        return resolve(self.with_rounding, bits=self.bits)

    @property
    def rounds_with_documents(self) -> bool:
        """Whether documents decide codes or biases."""
        chosen = {rounding for _, rounding in self.scheme.rounding}
        return chosen != {"nearest"} or self.scheme.bias_correction
