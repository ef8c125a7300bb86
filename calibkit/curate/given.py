"""Vectors that the user brought with the documents."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calibkit.corpora.vectors import vectors_of
from calibkit.curate.features import Features


def given_vectors(features: Features) -> NDArray[np.float32]:
    """Return the vectors that a pool's documents came with: float32 (documents, numbers).

    Raises BadInput, saying how to bring them, where the corpus has none.
    """
    library = features.library
    with library.store.reading() as con:
        return vectors_of(con, library.corpus, features.doc_ids)
