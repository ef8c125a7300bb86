"""Vectors of documents that policies measure distances in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibkit.errors import Infeasible

MOST_TERMS = 40_000
"""Terms of the TF-IDF matrix: the most frequent ones, as many as a vocabulary may have types."""


def tfidf_svd(texts: Sequence[str], dims: int = 64) -> NDArray[np.float32]:
    """Return one vector per text: TF-IDF (log term frequency), reduced by a truncated SVD.

    float32 (n, min(dims, n - 1, terms - 1)), at least one column; rows have length 1, or 0 for a
    text without terms. Latent semantic analysis (Deerwester et al., 1990) by randomized SVD (Halko,
    Martinsson & Tropp, 2011). Equal texts get equal rows, and a text's row depends neither on the
    order of the texts nor on the number of threads. Raises Infeasible when no text has a term.
    """
    return TfidfSpace.of(texts, dims).vectors(texts)


@dataclass(frozen=True)
class TfidfSpace:
    """The space of `tfidf_svd` over some texts, in which other texts have vectors too.

    vectorizer: from texts to TF-IDF. axes: float64 (terms, dimensions); None where the texts have
    one dimension, the sum of a text's weights.
    """

    vectorizer: Any
    axes: NDArray[np.float64] | None

    @classmethod
    def of(cls, texts: Sequence[str], dims: int = 64) -> TfidfSpace:
        """Return the space of these texts. Raises Infeasible when none of them has a term."""
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer
        from threadpoolctl import threadpool_limits

        if not texts:
            raise Infeasible("tfidf-svd: there are no texts to make vectors of")
        vectorizer = TfidfVectorizer(
            token_pattern=r"(?u)\b\w+\b", sublinear_tf=True, max_features=MOST_TERMS
        )
        if not any(map(vectorizer.build_analyzer(), texts)):
            raise Infeasible(
                f"tfidf-svd: none of the {len(texts):,} texts has a word; use another policy"
            )
        matrix = vectorizer.fit_transform(sorted(texts))
        kept = min(dims, min(matrix.shape) - 1)
        if kept < 1:
            return cls(vectorizer, None)
        # One thread: the blocking of a threaded product changes the last bits of the vectors.
        with threadpool_limits(limits=1):
            svd = TruncatedSVD(kept, algorithm="randomized", n_iter=7, random_state=0).fit(matrix)
        axes = svd.components_.T
        peaks = axes[np.abs(axes).argmax(axis=0), np.arange(kept)]
        return cls(vectorizer, axes * np.where(peaks < 0, -1.0, 1.0))

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of texts: float32 (n, dimensions), of length 1 or 0."""
        matrix = self.vectorizer.transform(texts)
        if self.axes is None:
            reduced = np.asarray(matrix.sum(axis=1), dtype=np.float64).reshape(-1, 1)
        else:
            reduced = matrix @ self.axes
        lengths = np.sqrt(np.einsum("ij,ij->i", reduced, reduced))[:, None]
        found = np.divide(reduced, lengths, out=np.zeros_like(reduced), where=lengths > 1e-9)
        return np.asarray(found, dtype=np.float32)
