"""Near copies among documents, by MinHash signatures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calibkit.policies.minhash import HASHES, matches_needed

NEAR = 0.8
"""Near copies: this share of their MinHash values is equal at least (their estimated Jaccard)."""

BANDS = HASHES - matches_needed(NEAR) + 1
"""Near copies differ in fewer values than there are bands, so they agree in one band at least."""

_MIX = np.uint64(0x9E3779B97F4A7C15)

Keys = NDArray[np.uint64]


def band_keys(signatures: NDArray[np.uint32]) -> Keys:
    """Return one key per band of a signature, uint64 (n, BANDS): equal for equal values."""
    keys = np.zeros((len(signatures), BANDS), dtype=np.uint64)
    for band, columns in enumerate(np.array_split(np.arange(HASHES), BANDS)):
        for column in columns:
            keys[:, band] = (keys[:, band] ^ signatures[:, column]) * _MIX
            keys[:, band] ^= keys[:, band] >> np.uint64(29)
    return keys


def has_near_copy(signatures: NDArray[np.uint32], keys: Keys) -> NDArray[np.bool_]:
    """Return, per document, whether another one is a near copy of it: bool (n,).

    signatures: uint32 (n, 64), keys: their `band_keys`. Unlike `minhash.similar_pairs` it lists no
    pairs, so many copies of one text take no more time than few.
    """
    least = matches_needed(NEAR)
    found = np.zeros(len(signatures), dtype=bool)
    for band in range(BANDS):
        order = np.argsort(keys[:, band], kind="stable")
        there = keys[order, band]
        left = np.flatnonzero(~found)
        mine = keys[left, band]
        first = np.searchsorted(there, mine, side="left")
        last = np.searchsorted(there, mine, side="right")
        while len(left):  # each turn looks at one more document of the same bucket
            other = order[first]
            equal = (signatures[left] == signatures[other]).sum(axis=1)
            near = (equal >= least) & (left != other)
            found[left[near]] = True
            first += 1
            open_ = ~near & (first < last)
            left, first, last = left[open_], first[open_], last[open_]
    return found
