"""What is asked about a model's quantizers. No torch here: what cannot be is refused at once."""

from __future__ import annotations

from dataclasses import dataclass

from calibkit.errors import BadInput
from calibkit.quantize.contradictions import refuse_peer
from calibkit.quantize.schemes import SchemeSettings, quantizer_of
from calibkit.sweep.jobs import Engine

FEWEST, MOST = 2, 8
"""Bits that a quantizer can have."""


@dataclass(frozen=True)
class Request:
    """Which schemes are measured.

    settings: the base scheme; a width that it gives to quantizers stays as it is. low, high: bits.
    budget: mean bits per weight of the suggestion, None for one bit above the least possible.
    activation_budget: mean bits per activation value; None leaves activations at ``high``, since
    they take no storage. only: patterns of quantizers to look at, all if empty.
    evaluations: the most schemes measured on the way to the suggestion; 0 for none at all.
    engine: what evaluates; never changes a number.

    Raises BadInput unless 2 <= low <= high <= 8, and for another tool's quantizer.
    """

    settings: SchemeSettings
    low: int = 3
    high: int = 8
    budget: float | None = None
    activation_budget: float | None = None
    only: tuple[str, ...] = ()
    evaluations: int = 200
    engine: Engine = "auto"

    def __post_init__(self) -> None:
        for name, bits in (("low", self.low), ("high", self.high)):
            if not FEWEST <= bits <= MOST:
                raise BadInput(f"--{name} {bits}: allowed are {FEWEST} to {MOST} bits")
        if self.low > self.high:
            raise BadInput(f"--low {self.low} is above --high {self.high}; turn them round")
        refuse_peer(quantizer_of(self.settings), "its widths are fixed")
