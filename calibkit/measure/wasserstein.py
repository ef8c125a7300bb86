"""Wasserstein-1 distance between two samples in units of the first one's standard deviation."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from calibkit.measure.ks import Sample, ordered, shares_at_levels

BLOCK = 1 << 18
"""Values that are widened to float64 at a time."""


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
        distance = _paired(sorted_sample, levels, np.asarray(counts)) / n
    else:
        shares = np.unique(np.concatenate([np.arange(1, n + 1) / n, upto[upto > 0]]))
        middle = shares - np.diff(shares, prepend=0.0) / 2
        first = sorted_sample[np.minimum((middle * n).astype(np.intp), n - 1)].astype(np.float64)
        second = levels[np.minimum(np.searchsorted(upto, middle), len(levels) - 1)]
        distance = float(np.abs(first - second) @ np.diff(shares, prepend=0.0))
    return _per_sigma(distance, sorted_sample)


def wasserstein_between_levels(
    levels: Sample, before: NDArray[np.integer], after: NDArray[np.integer]
) -> float | None:
    """Return the same for two samples that take few values, counted at the same levels (L,)."""
    at, _, share_a = shares_at_levels(levels, before)
    share_b = shares_at_levels(levels, after)[2]
    weights = np.asarray(before) / np.sum(before)
    variance = float(weights @ (at - weights @ at) ** 2)
    if variance <= 0:
        return None
    return float(np.abs(share_a - share_b)[:-1] @ np.diff(at)) / math.sqrt(variance)


def _paired(sample: Sample, levels: NDArray[np.float64], counts: NDArray[np.integer]) -> float:
    """Return the sum of |x - level| over a sorted sample and as many sorted levels, by blocks."""
    upto = np.cumsum(counts)
    total = 0.0
    for start in range(0, len(sample), BLOCK):
        end = min(start + BLOCK, len(sample))
        first = int(np.searchsorted(upto, start, side="right"))
        last = int(np.searchsorted(upto, end, side="left"))
        ends = np.minimum(upto[first : last + 1], end)
        paired = np.repeat(levels[first : last + 1], np.diff(ends, prepend=start))
        total += float(np.abs(sample[start:end].astype(np.float64) - paired).sum())
    return total


def _per_sigma(distance: float, first: Sample) -> float | None:
    if first[0] == first[-1]:
        return None
    blocks = [first[start : start + BLOCK] for start in range(0, len(first), BLOCK)]
    mean = sum(float(b.sum(dtype=np.float64)) for b in blocks) / len(first)
    squares = sum(float(np.square(b.astype(np.float64) - mean).sum()) for b in blocks)
    return distance / math.sqrt(squares / len(first))
