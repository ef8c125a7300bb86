"""As many of the words that the pool is made of as a subset can hold."""

from __future__ import annotations

import heapq
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from calibkit.policies.candidates import CandidatePolicy
from calibkit.policies.draw import Draw, Rows
from calibkit.policies.pool import Pool
from calibkit.policies.profile import FIRST_TYPE
from calibkit.ragged import Ragged


class TokenCoverage(CandidatePolicy, name="token-coverage"):
    """Take documents that together have as many of the pool's token types as can be.

    Always the document next whose types that are not covered yet weigh most. With ``weigh:
    frequency`` a type weighs as often as it occurs in the pool, so a chosen subset covers the
    largest share of the pool's running text; with ``weigh: types`` each type counts once.
    Types are those of the training vocabulary, in documents as a model reads them (cut).

    Lexical diversity by word frequencies as the measure of calibration text is the idea of ZipCal
    ("Frequency Matters", arXiv 2603.16105, 2026); this is its form as maximum coverage, which is
    monotone and submodular, so the greedy choice is at least 1 - 1/e = .632 of the best possible
    one among the candidates (Nemhauser, Wolsey & Fisher, "An analysis of approximations for
    maximizing submodular set functions", 1978). Lazy evaluation (Minoux, "Accelerated greedy
    algorithms for maximizing submodular set functions", 1978) gives the same documents; time
    O(tokens) plus what the re-evaluations take, in practice a few per choice.

    ``candidates``: the selection runs on so many documents of the keyed draw, by default on half
    the pool (rounded up). Ties go to the first document id. When nothing is left to cover the rest
    follows in the order of the keyed draw, so subsets stay nested. Long documents have many types:
    compare with policy ``longest``.
    """

    nested: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ("tokens",)

    weigh: Literal["frequency", "types"] = "frequency"

    def pick(self, pool: Pool, size: int, draw: Draw) -> Rows:
        """Return the greedy order of the candidates, cut to ``size``."""
        candidates, keyed = self.keyed(pool, size, draw)
        tokens = pool.need_tokens(self.name)
        weights = type_weights(tokens)
        if self.weigh == "types":
            weights = np.minimum(weights, 1)
        chosen = candidates[greedy_coverage(tokens.take(candidates), weights, size)]
        return self.filled(chosen, keyed, size)


def type_weights(tokens: Ragged) -> NDArray[np.int64]:
    """Return how often each token id occurs, int64 (largest id + 1,); specials count nothing."""
    counts = np.bincount(tokens.ids, minlength=FIRST_TYPE).astype(np.int64)
    counts[:FIRST_TYPE] = 0
    return counts


def greedy_coverage(tokens: Ragged, weights: NDArray[np.int64], count: int) -> Rows:
    """Return up to ``count`` documents, each adding most weight of types to those before it.

    tokens: the documents; weights: int64, not negative, one per token id. Ties go to the lower row.
    Ends early when no document adds anything.
    """
    left = weights.copy()
    # a document's weight can only fall, so one that still leads after a new look is the best
    heap = []
    types = []
    for row in range(len(tokens)):
        types.append(np.unique(tokens[row]))
        heap.append((-int(left[types[row]].sum()), row))
    heapq.heapify(heap)
    order: list[int] = []
    while heap and len(order) < count:
        row = heap[0][1]
        now = (-int(left[types[row]].sum()), row)
        if now[0] == 0:
            heapq.heappop(heap)
        elif now > heap[0]:
            heapq.heapreplace(heap, now)
        else:
            heapq.heappop(heap)
            order.append(row)
            left[types[row]] = 0
    return np.array(order, dtype=np.intp)
