"""Drawing by a number per document: as often as it is large, or in the pool's own proportions."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from calibkit.errors import BadInput
from calibkit.policies.draw import Draw, Rows
from calibkit.policies.pool import Pool


def weighted_order(pool: Pool, weights: NDArray[np.float64], draw: Draw) -> Rows:
    """Return the rows of positive weight in the order of a weighted draw without replacement.

    weights: (n,), not negative. At each place, each document that is left comes next with
    probability weight / sum of the weights left; so every prefix is a weighted sample too.

    ``ORDER BY -ln(u) / weight`` with a keyed uniform number u per document: Efraimidis & Spirakis,
    "Weighted random sampling with a reservoir", 2006. u is one minus the document's number in the
    draw, so that documents of equal weight keep the order of ``draw`` and share its luck with
    policy ``random``. Ties go to the first document id. O(n log n).
    """
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        bad = int((~(np.isfinite(weights) & (weights >= 0))).sum())
        raise BadInput(f"the weights of {bad:,} documents are negative or not finite")
    rows = np.flatnonzero(weights > 0)
    numbers = 1.0 - draw.uniform(pool.ids(rows))  # exact: both have 53 bits at most
    # one logarithm at a time: numpy's vector loops round differently from machine to machine
    logs = np.array([-math.log(u) for u in numbers.tolist()], dtype=np.float64)
    with np.errstate(over="ignore"):  # next to nothing: last
        keys = logs / weights[rows]
    return rows[np.argsort(keys, kind="stable")]


def quotas(levels: NDArray[np.int64], size: int) -> dict[int, int]:
    """Return how many of ``size`` documents each level gets in the proportions of ``levels``.

    levels: int (n,), one per document, n >= size. Largest remainder, in integers; ties go to the
    lower level. Level -> count, rising; counts sum to ``size``, and no level gets more than it has.
    """
    names, counts = np.unique(levels, return_counts=True)
    shares, remainders = np.divmod(size * counts.astype(np.int64), len(levels))
    shares[np.lexsort((names, -remainders))[: size - int(shares.sum())]] += 1
    return {int(level): int(share) for level, share in zip(names, shares, strict=True)}


def by_quota(pool: Pool, levels: NDArray[np.int64], quota: dict[int, int], draw: Draw) -> Rows:
    """Return so many documents of each level, uniformly within a level, shuffled together.

    levels: int (n,), one per document of the pool; levels without a quota get nothing.
    """
    parts = [
        draw.first(pool, np.flatnonzero(levels == level), count)
        for level, count in quota.items()
        if count
    ]
    return draw.shuffled(pool, np.concatenate(parts))


def at_most(limited: NDArray[np.bool_], order: Rows, share: float, size: int) -> Rows:
    """Return the first ``size`` of ``order`` with at most ``share`` of every prefix limited.

    limited: bool (n,), by row. A limited document whose turn comes too early waits until the share
    has room for it, so the result is nested. There must be enough documents:
    at least ``size - share_of(size, share)`` in ``order`` that are not limited.
    """
    place = {int(row): i for i, row in enumerate(order)}
    waiting = {flag: [int(r) for r in order if limited[r] == flag] for flag in (True, False)}
    taken: list[int] = []
    used = {True: 0, False: 0}
    for count in range(1, size + 1):
        fronts = {
            flag: waiting[flag][used[flag]]
            for flag in (True, False)
            if used[flag] < len(waiting[flag])
        }
        if used[True] >= share_of(count, share):
            fronts.pop(True, None)
        flag = min(fronts, key=lambda flag: place[fronts[flag]])
        taken.append(fronts[flag])
        used[flag] += 1
    return np.array(taken, dtype=np.intp)


def share_of(size: int, share: float) -> int:
    """Return how many documents are at most ``share`` of ``size``; 0.1 of 30 is 3, not 2."""
    return math.floor(size * share + 1e-9)
