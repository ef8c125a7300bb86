"""Token sequences of different lengths in two flat arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Ragged:
    """``len(self)`` integer sequences: sequence i is ``ids[offsets[i]:offsets[i + 1]]``.

    ids: int32 (total,); offsets: int64 (n + 1,), starting at 0.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int] | NDArray[np.int32]]) -> Ragged:
        """Pack the sequences in their order."""
        lengths = np.array([len(s) for s in sequences], dtype=np.int64)
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
        parts = [np.asarray(s, dtype=np.int32) for s in sequences]
        ids = np.concatenate(parts) if parts else np.zeros(0, np.int32)
        return cls(ids.astype(np.int32, copy=False), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> NDArray[np.int32]:
        return self.ids[self.offsets[row] : self.offsets[row + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of tokens of each sequence."""
        return np.diff(self.offsets)

    def take(self, rows: Sequence[int] | NDArray[np.intp]) -> Ragged:
        """Return the sequences at ``rows``, in that order."""
        chosen = np.asarray(rows, dtype=np.intp)
        lengths = self.lengths[chosen]
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
        shift = np.repeat(self.offsets[:-1][chosen] - offsets[:-1], lengths)
        return Ragged(self.ids[np.arange(offsets[-1]) + shift], offsets)

    def and_then(self, later: Ragged) -> Ragged:
        """Return these sequences, and after them the later ones."""
        ids = np.concatenate([self.ids, later.ids])
        offsets = np.concatenate([self.offsets, later.offsets[1:] + self.offsets[-1]])
        return Ragged(ids, offsets)
