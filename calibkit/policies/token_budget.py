"""As many documents as asked for, with a given number of tokens in all."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat

from calibkit.errors import Infeasible
from calibkit.policies.base import Policy
from calibkit.policies.draw import Draw, Rows
from calibkit.policies.pool import Pool

_STEPS = 1 << 30
"""Steps of the integer grid on which keys are compared, per unit of log."""


class TokenBudget(Policy, name="token-budget"):
    """Draw at random so that all documents together fill a budget of tokens.

    The budget is ``size`` x ``tokens_per_document`` tokens (rounded down; by default the mean of
    the pool), lengths are in tokens, uncut. The result has exactly ``size`` documents, at most that
    many tokens, and fewer by less than the largest step between neighbouring lengths that occur in
    the pool: none where every length between the shortest and the longest occurs. So arms of
    equally many documents become arms of equally many tokens as well.

    A weighted draw without replacement (Efraimidis & Spirakis, "Weighted random sampling with a
    reservoir", 2006) with weights exp(-c length): of all tilts of the pool towards short or long
    documents, the one that changes it least for a given mean (Csiszar, "I-divergence geometry of
    probability distributions and minimization problems", 1975). c is the smallest that keeps
    the budget; near the mean of the pool it is near 0, where the draw is that of policy ``random``.
    Then documents are exchanged, the exchange that brings the total nearest to the budget first, of
    several the one whose outgoing document only just got in, until none brings it nearer. O(n) per
    halving of c (some 40) and O(n log n) per exchange (few).

    Infeasible when the shortest documents have more tokens than the budget, or the longest fewer.
    """

    version: ClassVar[int] = 2

    tokens_per_document: PositiveFloat | None = None

    def pick(self, pool: Pool, size: int, draw: Draw) -> Rows:
        """Return a tilted draw that fills the budget."""
        pool.require_size(size, self.name)
        budget = self.budget(pool, size)
        keys = _keys(draw.uniform(pool.doc_ids))
        chosen, tilted = _tilted(keys, pool.lengths, size, budget)
        return draw.shuffled(pool, _exchanged(chosen, tilted, pool.lengths, budget))

    def foresee(self, pool: Pool, size: int, draw: Draw) -> str:
        """Return nothing: lengths decide. Raises Infeasible for a budget that cannot be met."""
        pool.require_size(size, self.name)
        self.budget(pool, size)
        return ""

    def budget(self, pool: Pool, size: int) -> int:
        """Return the most tokens that ``size`` documents may have together.

        Raises Infeasible for a budget that they cannot keep, or cannot fill.
        """
        if self.tokens_per_document is None:
            return size * int(pool.lengths.sum()) // len(pool)
        budget = math.floor(size * self.tokens_per_document + 1e-9)  # 30 x 10.3 are 309
        ordered = np.sort(pool.lengths)
        least, most = int(ordered[:size].sum()), int(ordered[-size:].sum())
        if least <= budget <= most:
            return budget
        kind, tokens = ("shortest", least) if budget < least else ("longest", most)
        raise Infeasible(
            f"{self.name}: {size:,} documents of {self.tokens_per_document:g} tokens are "
            f"{budget:,} tokens, the {kind} {size:,} of the pool have {tokens:,} "
            f"({tokens / size:.1f} each); change 'tokens_per_document', or leave it out for the "
            "mean of the pool"
        )


def _keys(uniform: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return log(-log(1 - u)) on the grid: the lowest comes first in a draw of equal weights."""
    # one logarithm at a time: numpy's vector loops round differently from machine to machine
    logs = [math.log(-math.log1p(-u)) for u in uniform.tolist()]
    keys: NDArray[np.int64] = np.rint(np.array(logs) * _STEPS).astype(np.int64)
    return keys


def _tilted(
    keys: NDArray[np.int64], lengths: NDArray[np.int64], size: int, budget: int
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return which ``size`` documents have the lowest keys + c lengths, at most ``budget`` tokens.

    And these tilted keys, int64 (n,).

    The total falls as c rises: of two choices, each has the lower sum of its own tilted keys. So
    the smallest c, a whole number of steps, is found by halving.
    """

    def lowest(tilt: int) -> NDArray[np.bool_]:
        tilted = keys + tilt * lengths
        last = np.partition(tilted, size - 1)[size - 1]
        chosen: NDArray[np.bool_] = tilted < last
        ties = np.flatnonzero(tilted == last)
        chosen[ties[: size - int(chosen.sum())]] = True
        return chosen

    most = int(keys.max() - keys.min()) + 1  # beyond this, lengths alone decide
    low, high = -most - 1, most
    while high - low > 1:
        middle = (low + high) // 2
        if int(lengths[lowest(middle)].sum()) <= budget:
            high = middle
        else:
            low = middle
    return lowest(high), keys + high * lengths


def _exchanged(
    chosen: NDArray[np.bool_],
    keys: NDArray[np.int64],
    lengths: NDArray[np.int64],
    budget: int,
) -> Rows:
    """Return the rows after all exchanges that bring the total nearer to ``budget`` from below.

    keys: those of the tilted draw. Each exchange is the one that gains most; of several the one
    whose outgoing document is the last of the draw (were it the shortest, hardly any of the
    shortest documents would ever be drawn). Of equally long documents the last of the draw goes,
    and the first comes.
    """
    chosen = chosen.copy()
    gap = budget - int(lengths[chosen].sum())
    while gap > 0:
        rows = np.flatnonzero(chosen)
        inside, outside = lengths[rows], np.unique(lengths[~chosen])
        if not len(outside):
            break
        best = np.searchsorted(outside, inside + gap, side="right") - 1
        gains = np.where(best >= 0, outside[best] - inside, 0)
        most = int(gains.max())
        if most <= 0:
            break
        ties = np.flatnonzero(gains == most)
        place = ties[np.argmax(keys[rows[ties]])]
        comes = np.flatnonzero(~chosen & (lengths == outside[best[place]]))
        chosen[rows[place]] = False
        chosen[comes[np.argmin(keys[comes])]] = True
        gap -= most
    return np.flatnonzero(chosen)
