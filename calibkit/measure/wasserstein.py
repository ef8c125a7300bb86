"""Wasserstein-1 distance between two samples in units of the first one's standard deviation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calibkit.measure.ks import Sample, ordered, shares_at_levels


def wasserstein_per_sigma(a: Sample, b: Sample) -> float | None:
    """Return the integral of |F_a - F_b| over the standard deviation of ``a``.

    None where ``a`` is constant: a shift has no size in units of nothing.
    """
    a, b = ordered(a), ordered(b)
    points = np.sort(np.concatenate([a, b]).astype(np.float64))
    share_a = np.searchsorted(a, points[:-1], side="right") / len(a)
    share_b = np.searchsorted(b, points[:-1], side="right") / len(b)
    return _per_sigma(float(np.abs(share_a - share_b) @ np.diff(points)), a)


def wasserstein_against_levels(
    sorted_sample: Sample, levels: Sample, counts: NDArray[np.integer]
) -> float | None:
    """Return the same for a sorted sample and one that takes few values; see ks_against_levels.

    The distance is the mean |difference| of the two samples in order, each number of the first
    being paired with the level at its rank. None where the first sample is constant.
    """
    levels, _, upto = shares_at_levels(levels, counts)
    total = int(np.sum(counts))
    n = len(sorted_sample)
    if total == n:
        paired = np.repeat(levels, counts)
        distance = float(np.abs(sorted_sample.astype(np.float64) - paired).mean())
    else:
        shares = np.unique(np.concatenate([np.arange(1, n + 1) / n, upto[upto > 0]]))
        middle = shares - np.diff(shares, prepend=0.0) / 2
        first = sorted_sample[np.minimum((middle * n).astype(np.intp), n - 1)].astype(np.float64)
        second = levels[np.minimum(np.searchsorted(upto, middle), len(levels) - 1)]
        distance = float(np.abs(first - second) @ np.diff(shares, prepend=0.0))
    return _per_sigma(distance, sorted_sample)


def _per_sigma(distance: float, first: Sample) -> float | None:
    if first[0] == first[-1]:
        return None
    return distance / float(np.std(first, dtype=np.float64))
