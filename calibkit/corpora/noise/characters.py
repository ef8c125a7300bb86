"""The characters of many documents in one array, and what is known of each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Runs:
    """Maximal runs of characters of one sort, none across two documents.

    first, last: int64 (n,), for every position of a run the positions of its first and its last
    character; for the positions outside of runs they mean nothing.
    """

    inside: NDArray[np.bool_]
    first: NDArray[np.int64]
    last: NDArray[np.int64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of characters of the run that each position is in (n,)."""
        return self.last - self.first + 1


@dataclass(frozen=True)
class Characters:
    """Concatenated documents: document d is ``codes[offsets[d]:offsets[d + 1]]``.

    codes: Unicode code points, uint32 (n,); offsets: int64 (documents + 1,).
    """

    codes: NDArray[np.uint32]
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Sequence[str]) -> Characters:
        """Take texts apart; any ``str`` is allowed, unpaired surrogates included."""
        offsets = np.zeros(len(texts) + 1, dtype=np.int64)
        np.cumsum([len(text) for text in texts], out=offsets[1:])
        joined = "".join(texts).encode("utf-32-le", "surrogatepass")
        return cls(np.frombuffer(joined, dtype="<u4").astype(np.uint32), offsets)

    def __len__(self) -> int:
        return len(self.codes)

    def texts(self) -> list[str]:
        """Put the documents together again."""
        joined = self.codes.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
        return [joined[start:end] for start, end in pairwise(self.offsets.tolist())]

    @cached_property
    def distinct(self) -> NDArray[np.int64]:
        """The code points that occur, ascending."""
        return np.flatnonzero(np.bincount(self.codes)) if len(self) else np.zeros(0, np.int64)

    @cached_property
    def kinds(self) -> NDArray[np.int64]:
        """Position -> index into ``distinct`` (n,)."""
        table = np.zeros(int(self.distinct[-1]) + 1 if len(self) else 0, dtype=np.int64)
        table[self.distinct] = np.arange(len(self.distinct))
        return table[self.codes]

    def where(self, holds: Callable[[str], bool]) -> NDArray[np.bool_]:
        """Return which characters something holds for (n,); it is asked once per distinct one."""
        answers = [holds(chr(code)) for code in self.distinct.tolist()]
        return np.array(answers, dtype=np.bool_)[self.kinds]

    @cached_property
    def alphanumeric(self) -> NDArray[np.bool_]:
        """Which characters are letters or digits of any script (n,)."""
        return self.where(str.isalnum)

    @cached_property
    def ends_document(self) -> NDArray[np.bool_]:
        """Which characters are the last of their documents (n,)."""
        ends = np.zeros(len(self), dtype=np.bool_)
        ends[(self.offsets[1:] - 1)[np.diff(self.offsets) > 0]] = True
        return ends

    def with_next(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which characters have a next one in the document, with both in the mask (n,)."""
        both = np.zeros(len(self), dtype=np.bool_)
        both[:-1] = mask[:-1] & mask[1:]
        return both & ~self.ends_document

    def runs(self, inside: NDArray[np.bool_]) -> Runs:
        """Return the runs of the characters in a mask (n,)."""
        joined = self.with_next(inside)
        opens = inside.copy()
        opens[1:] &= ~joined[:-1]
        starts, ends = np.flatnonzero(opens), np.flatnonzero(inside & ~joined)
        if len(starts) == 0:
            nothing = np.zeros(len(self), dtype=np.int64)
            return Runs(inside, nothing, nothing)
        number = np.maximum(np.cumsum(opens) - 1, 0)
        return Runs(inside, starts[number], ends[number])
