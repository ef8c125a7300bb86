"""How large one mean gain is as a share of another, both measured on the same draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibkit.errors import BadInput
from calibkit.measure.clustered import clustered_interval

_Holds = Callable[[float], bool]
_HALVINGS = 60
_WIDEST = 2.0**40


@dataclass(frozen=True)
class Ratio:
    """A ratio of two means with its confidence interval; 1 = they are equal."""

    ratio: float
    low: float
    high: float


def ratio_interval(
    numerator: ArrayLike, denominator: ArrayLike, level: float = 0.95
) -> Ratio | None:
    """Return mean(numerator) / mean(denominator) with its interval, paired cell by cell.

    numerator, denominator: (float models, draws), as for ``clustered_interval``. The interval has
    every ratio r for which that of numerator - r denominator holds 0; with one float model, that is
    Fieller's (1954, Journal of the Royal Statistical Society B 16).

    None where there are fewer than two draws, or where the interval of the denominator holds 0: a
    share of what may be nothing has no bounds. Raises BadInput for tables of different shapes, and
    for what ``clustered_interval`` refuses.
    """
    above: NDArray[np.float64] = np.asarray(numerator, dtype=np.float64)
    below: NDArray[np.float64] = np.asarray(denominator, dtype=np.float64)
    if above.shape != below.shape:
        raise BadInput(f"gains of shapes {above.shape} and {below.shape} cannot be paired")
    found = clustered_interval(below, level)
    if found is None or found.low <= 0 <= found.high:
        return None
    ratio = float(above.mean() / below.mean())

    def holds(share: float) -> bool:
        interval = clustered_interval(above - share * below, level)
        assert interval is not None
        return interval.low <= 0 <= interval.high

    return Ratio(ratio, _end(holds, ratio, -1.0), _end(holds, ratio, 1.0))


def _end(holds: _Holds, ratio: float, side: float) -> float:
    """Return the end of the interval on one side of the ratio, to about 15 digits."""
    inside, step = ratio, 2.0**-20
    while holds(ratio + side * step):
        inside = ratio + side * step
        step *= 2
        if step > _WIDEST:
            return side * float("inf")
    outside = ratio + side * step
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        if holds(middle):
            inside = middle
        else:
            outside = middle
    return inside
