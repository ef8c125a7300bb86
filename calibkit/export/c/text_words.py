"""A vocabulary's words in few bytes: in order, each as what it adds to the one before."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from calibkit.corpora.vocabulary import SPECIALS, UNK, Vocabulary
from calibkit.export.c.literals import stream

BLOCK = 16
"""So many words are read one after the other; the first of each block is written out."""
LEAST_WORD = 4
"""No buffer for a word is smaller: one character fits."""
_NIBBLE = 15
"""A count from here on has a number of its own behind the byte."""


@dataclass(frozen=True)
class PackedWords:
    """Words in order of their UTF-8 bytes, in blocks of ``BLOCK`` words, and their ids.

    Each word in ``words`` is a byte of two nibbles, the number of bytes that it has in common with
    the word before in its block (the first has none) and that of its own bytes, less one; then
    what exceeds a nibble of 15, as a number of 7 bits a byte, lowest first, of the first count and
    of the second; then its own bytes. ``starts`` says where blocks begin. ``ids`` has ``id_bits``
    bits for each word's id, lowest first. ``longest``: room for every word, in bytes.
    """

    words: bytes
    starts: tuple[int, ...]
    ids: bytes
    id_bits: int
    count: int
    longest: int

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> PackedWords:
        """Pack every word that a UTF-8 text can have: no specials, no lone surrogates."""
        # C has no empty array: this one is in no text
        found = sorted(_reachable(vocabulary)) or [(b"\xff", UNK)]
        packed = bytearray()
        starts = []
        before = b""
        for row, (word, _) in enumerate(found):
            if row % BLOCK == 0:
                starts.append(len(packed))
                before = b""
            packed += _entry(before, word)
            before = word
        id_bits = (len(vocabulary) - 1).bit_length()
        ids, _ = stream([(np.array([[number for _, number in found]]), id_bits)])
        return cls(
            bytes(packed),
            tuple(starts),
            ids.astype(np.uint8).tobytes(),
            id_bits,
            len(found),
            max(LEAST_WORD, *(len(word) for word, _ in found)),
        )


def _reachable(vocabulary: Vocabulary) -> Iterable[tuple[bytes, int]]:
    """Yield words in UTF-8 with their ids, in order of ids."""
    for number, name in enumerate(vocabulary.types[len(SPECIALS) :], len(SPECIALS)):
        try:
            word = name.encode()
        except UnicodeEncodeError:  # lone surrogates, which no UTF-8 has
            continue
        if word:
            yield word, number


def _entry(before: bytes, word: bytes) -> bytes:
    """Return what is stored of a word behind another."""
    shared = len(os.path.commonprefix([before, word]))
    own = len(word) - shared - 1
    head = min(shared, _NIBBLE) << 4 | min(own, _NIBBLE)
    return bytes([head]) + _excess(shared) + _excess(own) + word[shared:]


def _excess(count: int) -> bytes:
    """Return what a count has beyond its nibble."""
    if count < _NIBBLE:
        return b""
    left = count - _NIBBLE
    found = bytearray()
    while left >= 0x80:
        found.append(left & 0x7F | 0x80)
        left >>= 7
    found.append(left)
    return bytes(found)
