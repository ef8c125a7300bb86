"""Two-sample Kolmogorov-Smirnov distance, exact, also against a quantized sample.

D = sup_x |F_a(x) - F_b(x)| (Smirnov, 1939). It hardly sees single codes moving and its p value
means nothing for millions of numbers: compare D with that of two random draws.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from calibkit.errors import BadInput

Sample = NDArray[np.floating]


def ordered(values: Sample) -> Sample:
    """Return all values of an array, sorted, flat.

    Raises BadInput for an empty array or one with NaN or infinite values.
    """
    flat = np.sort(np.asarray(values), axis=None)
    if not len(flat):
        raise BadInput("an empty sample has no distribution; give at least one value")
    if not (np.isfinite(flat[0]) and np.isfinite(flat[-1])):  # NaN sorts last
        raise BadInput("the sample has NaN or infinite values; give finite ones")
    return flat


def ks_distance(a: Sample, b: Sample) -> float:
    """Return D between two samples, of any sizes and in any order."""
    a, b = ordered(a), ordered(b)
    points = np.concatenate([a, b])
    share_a = np.searchsorted(a, points, side="right") / len(a)
    share_b = np.searchsorted(b, points, side="right") / len(b)
    return float(np.abs(share_a - share_b).max())


def ks_against_levels(sorted_sample: Sample, levels: Sample, counts: NDArray[np.integer]) -> float:
    """Return D between a sorted sample and one that takes few values, without sorting the latter.

    levels (L,) increasing, counts (L,) how often each occurs (0 is allowed). Between two levels
    the second distribution is flat and the first one rises, so the supremum lies at a level or at
    its left limit: exact with 2 L searches.
    """
    at, below, upto = shares_at_levels(levels, counts)
    right = np.searchsorted(sorted_sample, at, side="right") / len(sorted_sample)
    left = np.searchsorted(sorted_sample, at, side="left") / len(sorted_sample)
    return float(max(np.abs(right - upto).max(), np.abs(left - below).max()))


def ks_between_levels(
    levels: Sample, before: NDArray[np.integer], after: NDArray[np.integer]
) -> float:
    """Return D between two samples that take few values, counted at the same levels (L,)."""
    share_a = shares_at_levels(levels, before)[2]
    share_b = shares_at_levels(levels, after)[2]
    return float(np.abs(share_a - share_b).max())


def ks_p_value(distance: float, n_a: int, n_b: int) -> float:
    """Return the asymptotic two-sided p value of D (Kolmogorov's limit distribution)."""
    from scipy.special import kolmogorov  # 0.1 s at import, for a number that is only stored

    return float(kolmogorov(math.sqrt(n_a / (n_a + n_b) * n_b) * distance))


def shares_at_levels(
    levels: Sample, counts: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return checked levels, and the shares of the sample below and up to each of them.

    Raises BadInput where levels do not increase, or counts are negative, all 0 or too few.
    """
    at: NDArray[np.float64] = np.asarray(levels, dtype=np.float64)
    counts = np.asarray(counts)
    if at.ndim != 1 or at.shape != counts.shape:
        raise BadInput(f"{at.shape} levels and {counts.shape} counts; give one count a level")
    if not np.isfinite(at).all() or (np.diff(at) <= 0).any():
        raise BadInput("the levels of a quantized sample must be finite and increase")
    total = int(counts.sum())
    if total < 1 or counts.min() < 0:
        raise BadInput("the counts of a quantized sample must be 0 or more, and not all 0")
    upto = np.cumsum(counts) / total
    return at, np.concatenate([[0.0], upto[:-1]]), upto
