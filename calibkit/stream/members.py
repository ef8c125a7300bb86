"""Documents that a trajectory holds: those of the subset, and those of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibkit.identity import content_id
from calibkit.ragged import Ragged

START = -1
"""The phase of documents that were in the subset before any batch."""


@dataclass(frozen=True, eq=False)
class Members:
    """Documents in an order: first come, first.

    doc_ids: distinct. tokens: as the model reads them. labels: label ids (n,). phases: the phase
    that each came with (n,), `START` for the first subset. misses: how often each was found to have
    turned from right to wrong (n,). right: what it was when it was last looked at (n,); a document
    that comes anew counts as right.
    """

    doc_ids: tuple[str, ...]
    tokens: Ragged
    labels: NDArray[np.int64]
    phases: NDArray[np.int64]
    misses: NDArray[np.int64]
    right: NDArray[np.bool_]

    @classmethod
    def arrived(
        cls, doc_ids: Sequence[str], tokens: Ragged, labels: NDArray[np.int64], phase: int
    ) -> Members:
        """Return documents that come with a phase."""
        count = len(doc_ids)
        return cls(
            tuple(doc_ids),
            tokens,
            np.asarray(labels, dtype=np.int64),
            np.full(count, phase, dtype=np.int64),
            np.zeros(count, dtype=np.int64),
            np.ones(count, dtype=np.bool_),
        )

    def __len__(self) -> int:
        return len(self.doc_ids)

    def take(self, rows: NDArray[np.intp]) -> Members:
        """Return the documents at these rows, in their order."""
        return Members(
            tuple(self.doc_ids[row] for row in rows),
            self.tokens.take(rows),
            self.labels[rows],
            self.phases[rows],
            self.misses[rows],
            self.right[rows],
        )

    def and_then(self, later: Members) -> Members:
        """Return these documents, and after them the later ones."""
        return Members(
            self.doc_ids + later.doc_ids,
            self.tokens.and_then(later.tokens),
            np.concatenate([self.labels, later.labels]),
            np.concatenate([self.phases, later.phases]),
            np.concatenate([self.misses, later.misses]),
            np.concatenate([self.right, later.right]),
        )

    def looked_at(self, right: NDArray[np.bool_]) -> Members:
        """Return the documents after a look: those that were right and are wrong have a miss more.

        right: whether the present network labels each document as it should (n,).
        """
        missed = self.right & ~right
        return Members(
            self.doc_ids, self.tokens, self.labels, self.phases, self.misses + missed, right
        )

    def content(self) -> str:
        """Return the id of these documents in this order, noise included."""
        read = [self.tokens[row].tobytes().hex() for row in range(len(self))]
        return content_id("subset", ["stream", list(self.doc_ids), read])
