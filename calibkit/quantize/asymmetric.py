"""Ranges with two ends of their own: codes 0 .. 2^b - 1 around an integer zero point.

A code q stands for (q - zero point) * step. Written relative to the zero point, codes run over
low .. high with low <= 0 <= high, so that 0 is always a code and the quantizer is an ordinary one
whose codes reach further to one side.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from calibkit.quantize.estimators import Codes, Histogram, mse_threshold, squared_error

Floats = NDArray[np.float64]
Ends = tuple[float, float]

SHARES = np.linspace(0.05, 1.0, 39)
"""Of an end, where less error is looked for."""

ROUNDS = 6


def codes_between(low: float, high: float, bits: int) -> tuple[Codes, float]:
    """Return the codes and the threshold of a quantizer from ``low`` to ``high``, 0 within.

    The zero point is the nearest whole number, so an end may move by half a step.
    """
    low, high, top = min(low, 0.0), max(high, 0.0), 2**bits - 1
    if low == high:  # nothing but zeros: any step will do
        codes = Codes.activation(bits, signed=True)
        return codes, 1.0
    step = (high - low) / top
    codes = Codes.shifted(bits, int(np.rint(-low / step)))
    return codes, step * codes.per_threshold


def percentile_ends(seen: Histogram, low: float, high: float, q: float) -> Ends:
    """Return the (100 - q)-th and the q-th percentile of the values, as wide as a bin is.

    low, high: the smallest and the largest value, which they are where q asks for them.
    """
    counts, count = seen.counts, int(seen.counts.sum())
    rank = min(max(int(np.floor(0.01 * q * count + 0.5)), 1), count)
    if rank == count:
        return low, high
    upper = seen.levels[np.searchsorted(np.cumsum(counts), rank)]
    lower = seen.levels[::-1][np.searchsorted(np.cumsum(counts[::-1]), rank)]
    return float(lower), float(upper)


def mse_ends(
    seen: Histogram, bits: int, *, through: Callable[[Floats], Floats] = np.positive
) -> Ends:
    """Return the ends of least mean squared error between values and quantized values.

    through: as in `mse_threshold`. Searched from the symmetric range of least error and from the
    whole range, one end at a time; so never worse than the symmetric one.
    """
    if seen.top <= 0:
        return 0.0, 0.0
    of = squared_error(seen, through=through)

    def error(ends: Ends) -> float:
        codes, threshold = codes_between(*ends, bits)
        return of(codes, threshold)

    symmetric = Codes.activation(bits, signed=True)
    step = mse_threshold(seen, symmetric, through=through) / symmetric.per_threshold
    lowest, highest = min(float(seen.levels[0]), 0.0), max(float(seen.levels[-1]), 0.0)
    starts = [(symmetric.low * step, symmetric.high * step)]
    starts += [(lowest * share, highest * share) for share in SHARES]
    best = min(starts, key=error)
    for _ in range(ROUNDS):
        before = best
        best = min([best, *((lowest * share, best[1]) for share in SHARES)], key=error)
        best = min([best, *((best[0], highest * share) for share in SHARES)], key=error)
        if best == before:
            break
    return best
