"""Near copies among documents, by MinHash signatures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BANDS = 16
"""A signature's values are taken in so many bands of equal width."""

ALIKE = 0.8
"""Near copies: their signatures agree in this share of the values at least (estimated Jaccard)."""

_MIX = np.uint64(0x9E3779B97F4A7C15)

Signatures = NDArray[np.uint32]
Keys = NDArray[np.uint64]


def band_keys(signatures: Signatures) -> Keys:
    """Return one key per band, uint64 (n, BANDS): equal bands have equal keys.

    MinHash is by Broder ("On the resemblance and containment of documents", 1997). Signatures of
    64 values that agree in `ALIKE` of them differ in 12 at most, so at least 4 of their 16 bands
    are equal: looking among documents with an equal band finds every near copy.
    """
    rows, width = signatures.shape
    parts = signatures.reshape(rows, BANDS, width // BANDS).astype(np.uint64)
    keys = np.zeros((rows, BANDS), dtype=np.uint64)
    for column in range(parts.shape[2]):
        keys = (keys ^ parts[:, :, column]) * _MIX
        keys ^= keys >> np.uint64(29)
    return keys


def has_near_copy(
    signatures: Signatures,
    keys: Keys,
    others: Signatures | None = None,
    other_keys: Keys | None = None,
) -> NDArray[np.bool_]:
    """Return, per document, whether one of the others is a near copy of it: bool (n,).

    signatures: uint32 (n, 64), keys: their `band_keys`. others: of the documents to look among;
    without them, the same documents, where no document is a copy of itself.
    """
    within = others is None or other_keys is None
    among, among_keys = (signatures, keys) if within else (others, other_keys)
    assert among is not None
    assert among_keys is not None
    least = int(np.ceil(ALIKE * signatures.shape[1]))
    found = np.zeros(len(signatures), dtype=bool)
    for band in range(BANDS):
        order = np.argsort(among_keys[:, band], kind="stable")
        there = among_keys[order, band]
        left = np.flatnonzero(~found)
        mine = keys[left, band]
        first = np.searchsorted(there, mine, side="left")
        last = np.searchsorted(there, mine, side="right")
        while True:  # each turn looks at one more document of the same bucket
            open_ = first < last
            left, first, last = left[open_], first[open_], last[open_]
            if not len(left):
                break
            other = order[first]
            agree = (signatures[left] == among[other]).sum(axis=1) >= least
            if within:
                agree &= left != other
            found[left[agree]] = True
            left, first, last = left[~agree], first[~agree] + 1, last[~agree]
    return found
