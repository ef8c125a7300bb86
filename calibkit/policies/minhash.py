"""Which texts are nearly the same: MinHash signatures, and pairs that agree in most of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibkit.errors import BadInput
from calibkit.identity import keyed_generator

VERSION = 1
"""To be raised whenever the same text begins to get another signature."""

HASHES = 64
"""Values of a signature; the estimate of a Jaccard similarity J has variance J (1 - J) / 64."""

WORDS = 3
"""Words of a shingle. A text of fewer words is one shingle."""

LEAST = 0.5
"""Smallest similarity that pairs are looked for at; below, they are too many and mean little."""

Signatures = NDArray[np.uint32]

_find_words = re.compile(r"\w+").findall
_SHINGLES = 1 << 14
"""Shingles that are hashed at a time, so that they stay in the processor's cache."""
_TEXTS = 1 << 13
_PAIRS = 1 << 15


def signatures(texts: Sequence[str]) -> Signatures:
    """Return the MinHash signature of each text's set of word 3-grams: uint32 (n, 64).

    Words are runs of letters, digits and underscores, in lower case. The share of equal values of
    two rows estimates the Jaccard similarity of the two sets, |A and B| / |A or B| (Broder, "On
    the resemblance and containment of documents", 1997). Words are hashed by blake2b, shingles by a
    polynomial in the words' hashes, the 64 orders by x -> a x + b modulo 2^32; a text's row depends
    on nothing but the text. Texts without words have equal rows. O(64 words).
    """
    hashes = _WordHashes()
    rows = np.empty((len(texts), HASHES), dtype=np.uint32)
    for start in range(0, len(texts), _TEXTS):
        block = texts[start : start + _TEXTS]
        shingles, offsets = _shingles(block, hashes)
        _smallest(shingles, offsets, rows[start : start + len(block)])
    return rows


def matches_needed(similarity: float) -> int:
    """Return how many of the 64 values must be equal for an estimate of ``similarity`` or more.

    Raises BadInput for a similarity outside [0.5, 1].
    """
    if not LEAST <= similarity <= 1:
        raise BadInput(f"the similarity is {similarity!r}; it must be from {LEAST} to 1")
    return int(np.ceil(similarity * HASHES - 1e-9))


def similar_pairs(found: Signatures, similarity: float) -> NDArray[np.intp]:
    """Return all pairs (i, j), i < j, of rows whose estimated similarity is ``similarity`` or more.

    intp (pairs, 2), sorted. Locality-sensitive hashing (Indyk & Motwani, 1998) by bands of values:
    rows that differ in at most d of the 64 agree in one of d + 1 bands, so no pair is missed, and
    every pair found is compared value by value. Time: sorting each band, and the pairs that agree
    in a band; memory: 8 bytes per pair found. Raises BadInput as `matches_needed` does.
    """
    needed = matches_needed(similarity)
    pairs = np.zeros(0, dtype=np.int64)
    for band in _bands(needed):
        keys = _band_keys(found, band)
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        first, apart = np.arange(len(keys)), 1
        codes = [pairs]
        while len(first):
            first = first[first + apart < len(keys)]
            first = first[keys[first] == keys[first + apart]]
            one, other = order[first], order[first + apart]  # stable: one < other
            alike = _matches(found, one, found, other) >= needed
            codes.append(one[alike].astype(np.int64) * len(found) + other[alike])
            apart += 1
        pairs = np.unique(np.concatenate(codes))
    return np.column_stack(np.divmod(pairs, max(1, len(found)))).astype(np.intp)


def repeats(found: Signatures, similarity: float) -> NDArray[np.bool_]:
    """Return which rows are nearly the same as an earlier row that is not itself such a repeat.

    bool (n,). The other rows are all less similar to each other than ``similarity``, as estimated,
    and every repeat has one of them that it is as similar to. Raises BadInput as `similar_pairs`.
    """
    needed = matches_needed(similarity)
    first = _first_equal(found)
    distinct = np.flatnonzero(first == np.arange(len(found)))
    repeat = np.zeros(len(distinct), dtype=bool)
    pairs = similar_pairs(found[distinct], needed / HASHES)
    pairs = pairs[np.argsort(pairs[:, 1], kind="stable")]
    later, begin = np.unique(pairs[:, 1], return_index=True)
    for row, earlier in zip(later.tolist(), np.split(pairs[:, 0], begin[1:]), strict=False):
        repeat[row] = not repeat[earlier].all()
    out = np.ones(len(found), dtype=bool)
    out[distinct] = repeat
    return out


def nearest_similarity(found: Signatures, others: Signatures) -> NDArray[np.float32]:
    """Return the largest estimated similarity of each row to a row of ``others``: float32 (n,).

    Multiples of 1/64; 0 where it is below one half, which is not looked for.
    """
    needed = matches_needed(LEAST)
    best = np.zeros(len(found), dtype=np.int64)
    for band in _bands(needed):
        theirs = _band_keys(others, band)
        order = np.argsort(theirs, kind="stable")
        theirs = theirs[order]
        mine = _band_keys(found, band)
        place = np.searchsorted(theirs, mine, side="left")
        rows = np.arange(len(found))
        while len(rows):
            inside = place[rows] < len(theirs)
            rows = rows[inside]
            rows = rows[theirs[place[rows]] == mine[rows]]
            equal = _matches(found, rows, others, order[place[rows]])
            best[rows] = np.maximum(best[rows], equal)
            place[rows] += 1
    return np.where(best >= needed, best / HASHES, 0).astype(np.float32)


class _WordHashes(dict[str, int]):
    """Word -> 64 bits that depend on the word alone."""

    def __missing__(self, word: str) -> int:
        digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        value = self[word] = int.from_bytes(digest, "little")
        return value


def _shingles(
    texts: Sequence[str], hashes: _WordHashes
) -> tuple[NDArray[np.uint32], NDArray[np.intp]]:
    """Return 32 bits for each shingle, text after text, and where each text's begin, (n + 1,).

    A text without words has one shingle, of nothing.
    """
    flat: list[int] = []
    starts = []
    for text in texts:
        starts.append(len(flat))
        words = _find_words(text.lower())
        flat.extend(map(hashes.__getitem__, words))
        flat.extend([0] * (WORDS - len(words)))  # a shingle of fewer words
    begin = np.array([*starts, len(flat)], dtype=np.intp)
    word = np.array(flat, dtype=np.uint64)
    if not len(word):
        return np.zeros(0, dtype=np.uint32), begin
    mixed = np.zeros(len(word) - WORDS + 1, dtype=np.uint64)
    for place in range(WORDS):
        mixed *= _BASE
        mixed += word[place : place + len(mixed)]
    mixed ^= mixed >> np.uint64(31)
    mixed *= _BASE
    inside = np.ones(len(mixed), dtype=bool)
    for place in range(1, WORDS):  # those that would run from one text into the next
        inside[begin[1:-1] - place] = False
    return (mixed[inside] >> np.uint64(32)).astype(np.uint32), begin - np.arange(
        0, len(begin) * (WORDS - 1), WORDS - 1
    )


def _smallest(shingles: NDArray[np.uint32], offsets: NDArray[np.intp], rows: Signatures) -> None:
    """Write the smallest value of each hash over each text's shingles into ``rows``."""
    first = 0
    while first < len(rows):
        limit = offsets[first] + _SHINGLES
        last = max(first + 1, int(np.searchsorted(offsets, limit, side="right")) - 1)
        block = shingles[offsets[first] : offsets[last]]
        starts = offsets[first:last] - offsets[first]
        values = np.empty_like(block)
        out = np.empty((HASHES, last - first), dtype=np.uint32)
        for number in range(HASHES):
            np.multiply(block, _FACTORS[number], out=values)
            np.add(values, _SHIFTS[number], out=values)
            np.minimum.reduceat(values, starts, out=out[number])
        rows[first:last] = out.T
        first = last


def _bands(needed: int) -> list[NDArray[Any]]:
    """Return columns in bands, one more than the values that may differ."""
    return list(np.array_split(np.arange(HASHES), HASHES - needed + 1))


def _band_keys(found: Signatures, band: NDArray[Any]) -> NDArray[np.uint64]:
    """Return 64 bits of the values in a band; equal for equal values."""
    keys = np.zeros(len(found), dtype=np.uint64)
    for column in band:
        keys *= _BASE
        keys ^= keys >> np.uint64(29)
        keys += found[:, column]
    return keys


def _matches(
    found: Signatures, rows: NDArray[np.intp], others: Signatures, their: NDArray[np.intp]
) -> NDArray[np.int64]:
    """Return how many values are equal, for each pair of a row here and a row there."""
    counts = np.empty(len(rows), dtype=np.int64)
    for start in range(0, len(rows), _PAIRS):
        part = slice(start, start + _PAIRS)
        counts[part] = np.count_nonzero(found[rows[part]] == others[their[part]], axis=1)
    return counts


def _first_equal(found: Signatures) -> NDArray[np.intp]:
    """Return for each row an earlier row that equals it, the first where keys do not collide."""
    keys = _band_keys(found, np.arange(HASHES))
    order = np.argsort(keys, kind="stable")
    new = np.ones(len(found), dtype=bool)
    new[1:] = (found[order[1:]] != found[order[:-1]]).any(axis=1)
    group = np.maximum.accumulate(np.where(new, np.arange(len(found)), 0))
    first = np.empty(len(found), dtype=np.intp)
    first[order] = order[group]
    return first


_BASE = np.uint64(0x9E3779B97F4A7C15)
_generator = keyed_generator(0, "minhash", str(VERSION))
_FACTORS = (_generator.integers(0, 1 << 32, HASHES, dtype=np.uint32)) | np.uint32(1)
_SHIFTS = _generator.integers(0, 1 << 32, HASHES, dtype=np.uint32)
