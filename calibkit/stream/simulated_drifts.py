"""Drifts made from the training text alone, to learn on before a model is deployed.

What a device will meet is unknown, so many drifts are drawn: another mix of labels, typing errors,
long or short documents, rare or frequent words, all or part of the documents. Everything is made
from token ids: a typing error shows to a model as an unknown word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibkit.corpora.vocabulary import EOS, UNK
from calibkit.errors import BadInput
from calibkit.ragged import Ragged

MOST_NOISE = 0.15
"""Highest simulated level of typing errors, per letter."""

NARROWEST = 0.4
"""Smallest share of the documents that a slice by length or rarity leaves."""

MOST_TAKEN = 0.6
"""Largest share of the documents in question that is taken: of all, any mix is that of all."""


@dataclass(frozen=True)
class SimulatedDrift:
    """One way in which text may have changed.

    weights: how likely a document of each label is, relative to the training text; noise: share of
    letters mistyped; tokens, rarity: between which quantiles of length, and of the mean rarity of
    the words, documents come from; share: of documents that drifted, the others are as before.
    """

    weights: tuple[float, ...]
    noise: float = 0.0
    tokens: tuple[float, float] = (0.0, 1.0)
    rarity: tuple[float, float] = (0.0, 1.0)
    share: float = 1.0


def draw_drift(generator: np.random.Generator, labels: int) -> SimulatedDrift:
    """Return a drift at random: each of the four changes is there in about half of them."""
    mixed, noisy, long_, rare, whole = generator.random(5) < 0.5
    weights = generator.dirichlet(np.full(labels, 0.5)) * labels if mixed else np.ones(labels)
    noise = float(generator.uniform(0.01, MOST_NOISE)) if noisy else 0.0
    slices = [_slice(generator) if sliced else (0.0, 1.0) for sliced in (long_, rare)]
    share = 1.0 if whole else float(generator.uniform(0.3, 1.0))
    return SimulatedDrift(tuple(float(w) for w in weights), noise, slices[0], slices[1], share)


def _slice(generator: np.random.Generator) -> tuple[float, float]:
    width = float(generator.uniform(NARROWEST, 0.7))
    return (0.0, width) if generator.random() < 0.5 else (1.0 - width, 1.0)


@dataclass(frozen=True)
class Simulator:
    """Training documents, from which samples of drifted text are drawn.

    labels: ids from 0 (documents,); count: number of labels; rarity: mean over a document's tokens
    of -log of the share of documents that have the token; letters: how many each token id has, as
    far as its frequency tells (ids,).
    """

    tokens: Ragged
    labels: NDArray[np.int64]
    count: int
    rarity: NDArray[np.float64]
    letters: NDArray[np.float64]

    @classmethod
    def of(cls, tokens: Ragged, labels: NDArray[np.integer]) -> Simulator:
        """Return the simulator of a training text.

        Raises BadInput for fewer than two documents, or labels that do not belong to them.
        """
        if len(tokens) < 2 or len(labels) != len(tokens):
            raise BadInput(
                f"{len(tokens)} documents with {len(labels)} labels: drifts are simulated from two "
                "documents or more, each with a label"
            )
        label_ids = np.asarray(labels, dtype=np.int64)
        return cls(tokens, label_ids, int(label_ids.max()) + 1, rarity(tokens), letters(tokens))

    def samples(
        self, drift: SimulatedDrift, sizes: Sequence[int], generator: np.random.Generator
    ) -> list[Ragged]:
        """Return samples without a document in common, all drawn alike from the drifted text.

        Where the text is too small, the samples are smaller in proportion, of at least one
        document each.
        """
        drifted = self._drifted(drift)
        room = int(min(len(drifted) * MOST_TAKEN / drift.share, len(self.tokens)))
        total = max(min(sum(sizes), room), len(sizes))
        if len(drifted) < len(sizes) or len(self.tokens) < len(sizes):
            drifted = np.arange(len(self.tokens))
        moved = self._weighted(drifted, drift.weights, round(drift.share * total), generator)
        rest = np.setdiff1d(np.arange(len(self.tokens)), moved)
        stayed = generator.permutation(rest)[: total - len(moved)]
        read = self._mistyped(moved, drift.noise, generator).and_then(self.tokens.take(stayed))
        order = generator.permutation(len(read))
        ends = np.cumsum([0, *_shared_out(sizes, len(read))])
        return [read.take(order[a:b]) for a, b in zip(ends[:-1], ends[1:], strict=True)]

    def _drifted(self, drift: SimulatedDrift) -> NDArray[np.intp]:
        """Return the documents in both slices, of labels that come at all."""
        stays = np.array([w > 0 for w in drift.weights])[self.labels]
        for column, (low, high) in (
            (self.tokens.lengths.astype(np.float64), drift.tokens),
            (self.rarity, drift.rarity),
        ):
            rank = np.argsort(np.argsort(column, kind="stable"), kind="stable") / len(column)
            stays &= (rank >= low) & (rank < high)
        return np.flatnonzero(stays)

    def _weighted(
        self,
        rows: NDArray[np.intp],
        weights: Sequence[float],
        size: int,
        generator: np.random.Generator,
    ) -> NDArray[np.intp]:
        """Draw rows without replacement, by the weights of their labels."""
        share = np.array(weights)[self.labels[rows]]
        # the smallest of exponential times with these rates: Efraimidis & Spirakis 2006
        with np.errstate(divide="ignore"):
            times = generator.exponential(size=len(rows)) / share
        return rows[np.argsort(times, kind="stable")[:size]]

    def _mistyped(
        self, rows: NDArray[np.intp], level: float, generator: np.random.Generator
    ) -> Ragged:
        """Return the documents with each word unknown if one of its letters is mistyped."""
        found = self.tokens.take(rows)
        kept = (1.0 - level) ** self.letters[found.ids]
        ids = np.where(generator.random(len(found.ids)) < kept, found.ids, UNK)
        return Ragged(ids.astype(np.int32), found.offsets)


def rarity(tokens: Ragged) -> NDArray[np.float64]:
    """Return each document's mean over tokens of -log of the share of documents that have it."""
    document = np.repeat(np.arange(len(tokens)), tokens.lengths)
    width = int(tokens.ids.max(initial=0)) + 1
    pairs = np.unique(document.astype(np.int64) * width + tokens.ids)
    share = np.bincount(pairs % width, minlength=width) / len(tokens)
    total = np.bincount(document, -np.log(share[tokens.ids]), minlength=len(tokens))
    return np.asarray(total / np.maximum(tokens.lengths, 1))


def letters(tokens: Ragged) -> NDArray[np.float64]:
    """Return how many letters each token id has, as far as its frequency tells: (ids,).

    Frequent words are short (Zipf 1949): the tenth most frequent has 2.5 letters, the thousandth
    5.5. The specials have none: nobody mistypes them.
    """
    counts = np.bincount(tokens.ids, minlength=EOS + 1)
    counts[: EOS + 1] = 0
    rank = np.argsort(np.argsort(-counts, kind="stable"), kind="stable") + 1.0
    found = 1.0 + 1.5 * np.log10(rank)
    found[: EOS + 1] = 0.0
    return np.asarray(found)


def _shared_out(sizes: Sequence[int], total: int) -> list[int]:
    """Return sample sizes that sum to at most ``total``, in proportion, each at least one."""
    if sum(sizes) <= total:
        return list(sizes)
    return [max(int(size * total / sum(sizes)), 1) for size in sizes]
