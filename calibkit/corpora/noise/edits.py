"""What a kind of noise would do at every position, and doing a part of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibkit.corpora.noise.characters import Characters

Uniforms = NDArray[np.float64]
"""One number in [0, 1) per position (n,)."""


@dataclass(frozen=True)
class Edits:
    """The edits of one kind at all positions, whatever the level. They are made by unit.

    unit: int64 (n,), the position whose uniform decides about each position, -1 for never; a unit
    is called by its first position, which belongs to it.
    first: uint32 (n,), the character that takes a position's place in an edited unit.
    second, count: uint32 and int64 (n,), for kinds that change lengths: how many characters (0 to
    2) take its place, and the second of them.
    """

    unit: NDArray[np.int64]
    first: NDArray[np.uint32]
    second: NDArray[np.uint32] | None = None
    count: NDArray[np.int64] | None = None

    @property
    def units(self) -> NDArray[np.int64]:
        """The first positions of the units, ascending."""
        return np.flatnonzero(self.unit == np.arange(len(self.unit)))

    def made(self, clean: Characters, hit: NDArray[np.bool_]) -> Characters:
        """Return the characters after the units at ``hit`` (n,), by first position, are edited."""
        edited = (self.unit >= 0) & hit[self.unit]
        first = np.where(edited, self.first, clean.codes)
        if self.count is None or self.second is None:
            return Characters(first, clean.offsets)
        count = np.where(edited, self.count, 1)
        ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(count, dtype=np.int64)])
        codes = np.empty(int(ends[-1]), dtype=np.uint32)
        some, two = count > 0, count == 2
        codes[ends[:-1][some]] = first[some]
        codes[ends[:-1][two] + 1] = self.second[two]
        return Characters(codes, ends[clean.offsets])


def each(eligible: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return units of one position each (n,), -1 where not eligible."""
    return np.where(eligible, np.arange(len(eligible)), -1)


def chosen(
    clean: Characters, choices: Callable[[str], str | list[str]], which: Uniforms
) -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.int64]]:
    """Choose one of the replacements, of one or two characters, that a character has.

    Returns (first, second, count), each (n,); the count is 0 for characters without replacements.
    """
    rows = [list(choices(chr(code))) for code in clean.distinct.tolist()]
    width = max(map(len, rows), default=0)
    table = np.zeros((len(rows), max(width, 1), 3), dtype=np.uint32)
    for row, words in enumerate(rows):
        for column, word in enumerate(words):
            table[row, column] = (ord(word[0]), ord(word[-1]), len(word))
    many = np.array([len(words) for words in rows], dtype=np.int64)[clean.kinds]
    taken = table[clean.kinds, (which * many).astype(np.int64)]
    return taken[:, 0], taken[:, 1], taken[:, 2].astype(np.int64)
