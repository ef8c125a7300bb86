"""Batches of documents of similar length, as padded arrays; numpy only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibkit.errors import BadInput
from calibkit.ragged import Ragged

_BUCKET = 50  # batches that are sorted by length together: little padding, much shuffling


@dataclass(frozen=True)
class Batch:
    """Some documents, padded on the right with 0 to the longest of them.

    rows: (B,) their rows in the Ragged they come from; ids: int64 (B, T); lengths: int64 (B,).
    """

    rows: NDArray[np.intp]
    ids: NDArray[np.int64]
    lengths: NDArray[np.int64]

    def positions(self, *, last: bool) -> NDArray[np.int64]:
        """Return the flat positions in ids (B, T) of real tokens, document by document.

        With ``last`` false the last token of every document is left out: what a language model
        reads; those positions + 1 are what it predicts.
        """
        width = self.ids.shape[1]
        upto = self.lengths if last else self.lengths - 1
        return np.flatnonzero((np.arange(width)[None, :] < upto[:, None]).ravel())


def checked(tokens: Ragged, vocabulary: int) -> Ragged:
    """Return ``tokens`` if every document is wrapped and every id is in the vocabulary.

    Raises BadInput for a document of fewer than two tokens (<bos>, <eos>), or for a foreign id.
    """
    lengths = tokens.lengths
    if len(tokens) and lengths.min() < 2:
        row = int(lengths.argmin())
        raise BadInput(
            f"document {row} has {lengths[row]} tokens; every document needs at least <bos> and "
            "<eos>: encode the texts with a vocabulary"
        )
    if len(tokens.ids) and not 0 <= tokens.ids.min() <= tokens.ids.max() < vocabulary:
        raise BadInput(
            f"token ids run from {tokens.ids.min()} to {tokens.ids.max()}, the model knows "
            f"0 to {vocabulary - 1}: encode the texts with the vocabulary of the model"
        )
    return tokens


def padded(tokens: Ragged, rows: NDArray[np.intp]) -> Batch:
    """Return the documents at ``rows`` as one batch."""
    starts = tokens.offsets[rows]
    lengths = tokens.offsets[rows + 1] - starts
    steps = np.arange(int(lengths.max()) if len(rows) else 0)
    real = steps[None, :] < lengths[:, None]
    ids = np.zeros(real.shape, dtype=np.int64)
    ids[real] = tokens.ids[(starts[:, None] + steps[None, :])[real]]
    return Batch(rows, ids, lengths)


def by_length(tokens: Ragged, size: int) -> Iterator[Batch]:
    """Yield all documents from the shortest to the longest, ``size`` at a time; ties by row."""
    order = np.argsort(tokens.lengths, kind="stable")
    for start in range(0, len(order), size):
        yield padded(tokens, order[start : start + size])


def shuffled(tokens: Ragged, size: int, generator: np.random.Generator) -> Iterator[Batch]:
    """Yield all documents in random batches of similar length.

    A random permutation is cut into buckets of 50 batches; each is sorted by length and cut into
    batches, which are shuffled once more.
    """
    order = generator.permutation(len(tokens))
    lengths = tokens.lengths
    batches: list[NDArray[np.intp]] = []
    for start in range(0, len(order), size * _BUCKET):
        bucket = order[start : start + size * _BUCKET]
        bucket = bucket[np.argsort(lengths[bucket], kind="stable")]
        batches += [bucket[i : i + size] for i in range(0, len(bucket), size)]
    for index in generator.permutation(len(batches)):
        yield padded(tokens, batches[index])
