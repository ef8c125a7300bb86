"""Which documents have the same text, or nearly: what the filters of a policy look at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calibkit.curate.encoding import Library
from calibkit.curate.features import Features
from calibkit.policies import minhash


def equal_texts(features: Features) -> NDArray[np.int64]:
    """Return the first row with the same text, for each document: int64 (documents,).

    Texts are stored in their normal form (NFC, white space as single spaces); case matters.
    """
    first: dict[str, int] = {}
    return np.array([first.setdefault(t, i) for i, t in enumerate(features.texts)], dtype=np.int64)


def signatures(features: Features) -> minhash.Signatures:
    """Return MinHash signatures of word 3-grams: uint32 (documents, 64)."""
    return features.kept(
        ["minhash", minhash.VERSION],
        lambda: minhash.signatures(features.texts),
        about="by their shingles: MinHash signatures",
    )


def nearest_in_test(features: Features) -> NDArray[np.float32]:
    """Return each document's largest estimated similarity to one of the split ``test``.

    float32 (documents,), 0 below one half. The test split is taken whole, whatever the share of the
    corpus, as it is for the documents that stand in it word for word.
    """

    def compute() -> NDArray[np.float32]:
        library = features.library
        test = Library(library.store, library.corpus, 1.0).split("test")
        return minhash.nearest_similarity(signatures(features), minhash.signatures(test.texts))

    return features.kept(
        ["near-test", minhash.VERSION], compute, about="beside those of the test split"
    )
