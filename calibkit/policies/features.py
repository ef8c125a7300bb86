"""Vectors of documents that policies measure distances in."""

from __future__ import annotations

from collections.abc import Sequence

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
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from threadpoolctl import threadpool_limits

    if not texts:
        raise Infeasible("tfidf-svd: there are no texts to make vectors of")
    order = sorted(range(len(texts)), key=texts.__getitem__)
    vectorizer = TfidfVectorizer(
        token_pattern=r"(?u)\b\w+\b", sublinear_tf=True, max_features=MOST_TERMS
    )
    if not any(map(vectorizer.build_analyzer(), texts)):
        raise Infeasible(
            f"tfidf-svd: none of the {len(texts):,} texts has a word; use another policy"
        )
    matrix = vectorizer.fit_transform([texts[i] for i in order])
    kept = min(dims, min(matrix.shape) - 1)
    if kept < 1:
        reduced = np.asarray(matrix.sum(axis=1), dtype=np.float64).reshape(-1, 1)
    else:
        # One thread: the blocking of a threaded product changes the last bits of the vectors.
        with threadpool_limits(limits=1):
            svd = TruncatedSVD(kept, algorithm="randomized", n_iter=7, random_state=0).fit(matrix)
            axes = svd.components_.T
            peaks = axes[np.abs(axes).argmax(axis=0), np.arange(kept)]
            reduced = matrix @ (axes * np.where(peaks < 0, -1.0, 1.0))
    lengths = np.sqrt(np.einsum("ij,ij->i", reduced, reduced))[:, None]
    vectors = np.empty(reduced.shape, dtype=np.float32)
    vectors[order] = np.divide(reduced, lengths, out=np.zeros_like(reduced), where=lengths > 1e-9)
    return vectors
