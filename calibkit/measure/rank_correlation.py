"""Whether two lists of numbers are in the same order: Spearman's r, its interval, its p value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from calibkit.errors import BadInput
from calibkit.identity import keyed_generator

SHUFFLES = 9_999
"""Random pairings that the p value is counted over; it is never below 1 in 10,000."""

FEWEST = 4
"""Pairs that an interval needs."""


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's r of n pairs, its confidence interval, and a two-sided permutation p value."""

    r: float
    low: float
    high: float
    p: float
    n: int
    level: float


def rank_correlation(
    x: Sequence[float], y: Sequence[float], level: float = 0.95
) -> RankCorrelation | None:
    """Return the rank correlation of pairs; None for fewer than 4, or where one side is constant.

    Ties take their mean rank. The interval is on Fisher's z scale with the standard error
    sqrt((1 + r^2 / 2) / (n - 3)) (Bonett and Wright, 2000, Psychometrika 65); the p value counts
    how many of 9,999 keyed random pairings reach |r|, the observed one included.

    Raises BadInput for lists of different lengths, values that are not finite, and a level outside
    (0, 1).
    """
    if not 0 < level < 1:
        raise BadInput(f"level: {level} is not allowed; give a number between 0 and 1")
    a, b = (np.asarray(side, dtype=np.float64) for side in (x, y))
    if len(a) != len(b) or not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise BadInput("a rank correlation needs two lists of finite numbers of one length")
    n = len(a)
    if n < FEWEST or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    first, second = _centred(a), _centred(b)
    r = min(max(float(first @ second), -1.0), 1.0)
    generator = keyed_generator(0, "rank-correlation", str(n))
    shuffled = generator.permuted(np.tile(second, (SHUFFLES, 1)), axis=1) @ first
    reached = int(np.count_nonzero(np.abs(shuffled) >= abs(r) - 1e-12))
    z = math.atanh(min(max(r, -1 + 1e-12), 1 - 1e-12))
    half = NormalDist().inv_cdf((1 + level) / 2) * math.sqrt((1 + r * r / 2) / (n - 3))
    p = (reached + 1) / (SHUFFLES + 1)
    return RankCorrelation(r, math.tanh(z - half), math.tanh(z + half), p, n, level)


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks from 1 on; equal values share their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    found: NDArray[np.float64] = (last - (counts - 1) / 2)[place]
    return found


def _centred(values: NDArray[np.float64]) -> NDArray[np.float64]:
    ranked = ranks(values)
    ranked -= ranked.mean()
    found: NDArray[np.float64] = ranked / np.linalg.norm(ranked)
    return found
