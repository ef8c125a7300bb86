"""Batches of documents in an order that depends on their content only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calibkit.ragged import Ragged

BATCH = 256
"""Documents per batch; fixed, so that a cell's numbers never depend on the machine's size."""


@dataclass(frozen=True)
class Batch:
    """Documents of one batch, longest first, in padded and in packed form.

    rows: their places in the caller's token lists (n,). ids: padded with 0, (n, steps) int64.
    lengths: (n,) int64. Packed form runs over real positions step by step: all documents' first
    tokens, then the second tokens of those that have one, and so on; ``active[t]`` documents
    reach step t, and ``positions`` (total,) indexes ``ids.flatten()``.
    """

    rows: NDArray[np.intp]
    ids: Tensor
    lengths: Tensor
    active: tuple[int, ...]
    positions: Tensor

    @property
    def total(self) -> int:
        """Number of real positions."""
        return len(self.positions)

    def pack(self, padded: Tensor) -> Tensor:
        """Return the real positions (total, ...) of padded values (n, steps, ...), in order."""
        return padded.flatten(0, 1)[self.positions]

    def before(self, packed: Tensor) -> Tensor:
        """Return, for each packed position, the value (total, width) one token earlier, or 0."""
        found = torch.zeros_like(packed)
        start = 0
        for earlier, count in pairwise(self.active):
            found[start + earlier : start + earlier + count] = packed[start : start + count]
            start += earlier
        return found

    def pad(self, packed: Tensor) -> Tensor:
        """Return packed values (total, width) in padded form (n, steps, width), zeros elsewhere."""
        padded = packed.new_zeros(self.ids.numel(), packed.shape[1])
        padded[self.positions] = packed
        return padded.view(*self.ids.shape, packed.shape[1])

    def mean(self, packed: Tensor) -> Tensor:
        """Return the mean (n, width) of packed values (total, width) over each document's tokens.

        Summed in float64, where sums of so few float32 values hardly depend on their order.
        """
        total = packed.new_zeros(len(self.rows), packed.shape[1], dtype=torch.float64)
        start = 0
        for count in self.active:
            total[:count] += packed[start : start + count]
            start += count
        return (total / self.lengths[:, None]).to(packed.dtype)

    def last(self, packed: Tensor) -> Tensor:
        """Return packed values (total, width) at each document's last position: (n, width)."""
        starts = torch.tensor([0, *accumulate(self.active)])
        return packed[starts[self.lengths - 1] + torch.arange(len(self.rows))]

    @property
    def documents(self) -> Tensor:
        """Return, for each packed position, the document (0 .. n - 1) it belongs to."""
        return self.positions // self.ids.shape[1]


def canonical_order(tokens: Ragged) -> NDArray[np.intp]:
    """Return the rows longest first, equal lengths by content: the same for every shuffle."""
    keys = [(-len(ids), ids.tobytes()) for ids in (tokens[row] for row in range(len(tokens)))]
    return np.array(sorted(range(len(tokens)), key=keys.__getitem__), dtype=np.intp)


def make_batch(tokens: Ragged, rows: NDArray[np.intp], *, drop_last: bool = False) -> Batch:
    """Return the documents at ``rows`` (longest first) as one batch.

    drop_last leaves out each document's last token, which a language model only predicts.
    """
    cut = 1 if drop_last else 0
    lengths = np.array([len(tokens[int(r)]) - cut for r in rows], dtype=np.int64)
    padded = np.zeros((len(rows), int(lengths.max(initial=1))), dtype=np.int64)
    for place, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        padded[place, :length] = tokens[int(row)][:length]
    steps = padded.shape[1]
    active = tuple(int((lengths > t).sum()) for t in range(steps))
    positions = np.concatenate([np.arange(n) * steps + t for t, n in enumerate(active)])
    return Batch(
        rows,
        torch.from_numpy(padded),
        torch.from_numpy(lengths),
        active,
        torch.from_numpy(positions),
    )


def batches(tokens: Ragged, *, drop_last: bool = False, size: int = BATCH) -> Iterator[Batch]:
    """Yield all documents in batches of ``size``, longest first."""
    order = canonical_order(tokens)
    for start in range(0, len(order), size):
        yield make_batch(tokens, order[start : start + size], drop_last=drop_last)
