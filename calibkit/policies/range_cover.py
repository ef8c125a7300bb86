"""Documents that drive every quantizer to the ends of its range."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from calibkit.errors import BadInput
from calibkit.policies.candidates import CandidatePolicy, count_not_finite
from calibkit.policies.draw import Draw, Rows
from calibkit.policies.pool import Pool

ONE_IN = (None, 1000, 100, 10)
"""The levels of each side of a site: its extreme, and what 1 in 1,000, 100, 10 documents reach."""


class RangeCover(CandidatePolicy, name="range-cover"):
    """Cover the minimum, the maximum and both tails of every activation site.

    For each site and side there are four levels: the extreme of the WHOLE pool, and the values that
    .1 %, 1 % and 10 % of its documents reach. A subset of n documents needs 1, n / 1,000, n / 100
    and n / 10 documents (rounded, at least one) at or beyond them. The subset's worth is the mean,
    over sites, sides and levels, of the share of those that it has, at most 1: monotone submodular,
    so that the greedy choice is within 1 - 1/e of the best (Nemhauser, Wolsey & Fisher, 1978).
    A cover of ranges as in COVERCAL (Shihab, Akter & Sharma, arXiv 2604.24008, 2026), which covers
    outlier channels; here sites of per-tensor quantizers, and their tails as well.

    ``candidates``: the selection runs on so many documents of the keyed draw, by default on half
    the pool (rounded up). An extreme that no candidate reaches stays uncovered.

    Ties go to the first document id; when no candidate adds to the worth the rest follows in the
    order of the keyed draw. Not nested: what is needed depends on the size. O(n s) time for the
    levels of n documents at s sites, O(m (s + k)) for k of m candidates.
    """

    needs: ClassVar[tuple[str, ...]] = ("ranges",)

    def pick(self, pool: Pool, size: int, draw: Draw) -> Rows:
        """Return the documents that cover most, then the keyed draw."""
        candidates, keyed = self.keyed(pool, size, draw)
        ranges = pool.need("ranges", self.name)
        _check(ranges, self.name)
        reaches = reached(ranges[candidates], levels(ranges))
        chosen = cover(reaches, wanted(size, reaches.shape[0]), min(size, len(candidates)))
        return self.filled(candidates[chosen], keyed, size)


def levels(ranges: NDArray[Any]) -> NDArray[Any]:
    """Return the levels of a pool, of the type of ``ranges``: (sites, 2, len(ONE_IN)).

    ranges: (n, sites, 2), smallest and largest value of each of n documents. Of the smallest
    values, the 1st, (n / 1,000)th, ... from below, of the largest from above; places are rounded,
    at least the first.
    """
    documents, sites, _ = ranges.shape
    places = np.array([_rounded(documents, one_in) - 1 for one_in in ONE_IN])
    found = np.empty((sites, 2, len(ONE_IN)), dtype=ranges.dtype)
    for site in range(sites):
        for side in (0, 1):
            ends = places if side == 0 else documents - 1 - places
            found[site, side] = np.partition(ranges[:, site, side], ends)[ends]
    return found


def reached(ranges: NDArray[Any], at: NDArray[Any]) -> NDArray[np.bool_]:
    """Return whether documents are at or beyond each level: bool (sites * 2 * len(ONE_IN), n).

    ranges: (n, sites, 2). at: from ``levels``.
    """
    below = ranges[:, :, 0].T[:, None, :] <= at[:, 0, :, None]
    above = ranges[:, :, 1].T[:, None, :] >= at[:, 1, :, None]
    return np.stack([below, above], axis=1).reshape(-1, len(ranges))


def wanted(size: int, targets: int) -> NDArray[np.int64]:
    """Return how many documents at each target make a subset of ``size`` complete: (targets,)."""
    per_level = np.array([_rounded(size, one_in) for one_in in ONE_IN], dtype=np.int64)
    return np.tile(per_level, targets // len(ONE_IN))


def cover(reaches: NDArray[np.bool_], need: NDArray[np.int64], count: int) -> Rows:
    """Return up to ``count`` rows, each adding most to `worth`; ties go to the lower row.

    reaches: bool (targets, m). need: int64 (targets,), at least 1. Ends early when no row adds
    anything. Whole numbers throughout: gains are multiples of 1 / (the needs' least common
    multiple). O(m (targets + count)) time.
    """
    unit = math.lcm(*(int(n) for n in np.unique(need)))
    gains = np.zeros(reaches.shape[1], dtype=np.int64)
    for reach, least in zip(reaches, need, strict=True):
        gains += reach * (unit // least)
    missing = need.copy()
    order: list[int] = []
    while len(order) < count:
        best = int(np.argmax(gains))
        if gains[best] <= 0:
            break
        order.append(best)
        nearer = reaches[:, best] & (missing > 0)
        missing -= nearer
        for target in np.flatnonzero(nearer & (missing == 0)):
            gains -= reaches[target] * (unit // need[target])
        gains[best] = np.iinfo(np.int64).min // 2
    return np.array(order, dtype=np.intp)


def worth(reaches: NDArray[np.bool_], need: NDArray[np.int64], rows: Rows) -> float:
    """Return the mean over targets of min(1, documents at ``rows`` that reach it / needed)."""
    return float(np.minimum(1.0, reaches[:, rows].sum(axis=1) / need).mean())


def _rounded(documents: int, one_in: int | None) -> int:
    return 1 if one_in is None else max(1, (2 * documents + one_in) // (2 * one_in))


def _check(ranges: NDArray[Any], policy: str) -> None:
    if ranges.ndim != 3 or ranges.shape[1] < 1 or ranges.shape[2] != 2:
        raise BadInput(
            f"{policy}: the pool's 'ranges' have the shape {ranges.shape}; they must be "
            "(documents, sites, 2), the smallest and largest value of each document at each site"
        )
    bad = count_not_finite(ranges)
    if bad:
        raise BadInput(
            f"{policy}: the ranges of {bad:,} documents are not finite numbers; compute them anew"
        )
