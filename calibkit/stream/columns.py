"""Columns of documents that a stream may be ordered by, and what stands between two quantiles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibkit.corpora.text import tokenize
from calibkit.identity import draw_order


@dataclass(frozen=True)
class Frequencies:
    """In how many of some documents each token occurs."""

    documents: int
    having: Counter[str]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Frequencies:
        """Count the documents that have each token."""
        having: Counter[str] = Counter()
        documents = 0
        for text in texts:
            having.update(set(tokenize(text)))
            documents += 1
        return cls(documents, having)

    def rarity(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the mean over tokens of -log(share of documents that have the token), (n,).

        Both counts of a share are one more than they are, so that a new token has one too.
        """
        total = np.log1p(self.documents)
        found = np.zeros(len(texts))
        for row, text in enumerate(texts):
            counts = np.array([self.having[token] for token in tokenize(text)], dtype=np.float64)
            found[row] = total - np.log1p(counts).mean() if len(counts) else 0.0
        return found


def between(
    values: NDArray[np.float64] | NDArray[np.int64],
    ids: Sequence[str],
    low: float,
    high: float,
) -> NDArray[np.bool_]:
    """Say of each document whether it stands between two quantiles of a column, (n,).

    Documents are ranked by value; a keyed draw, the same for every seed, ranks those of one value.
    Quantiles that follow one another part the documents: each stands in one of the parts.
    """
    ties = np.empty(len(ids), dtype=np.intp)
    ties[draw_order(0, "stream-ties", ids)] = np.arange(len(ids))
    order = np.lexsort((ties, values))
    found = np.zeros(len(ids), dtype=np.bool_)
    found[order[round(low * len(ids)) : round(high * len(ids))]] = True
    return found
