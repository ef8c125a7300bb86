"""The documents of a stream: the batches of every draw, and the hold-out of every phase."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from calibkit.corpora.reading import Corpus, Documents, find_corpus
from calibkit.corpora.text import token_counts
from calibkit.curate.encoding import Encoder, Library
from calibkit.errors import Infeasible, UnknownName
from calibkit.identity import draw_order, share_out
from calibkit.recipe.stream_model import Column
from calibkit.recipe.streams import Phase, StreamRecipe
from calibkit.store.connection import Store
from calibkit.stream.columns import Frequencies, between

HELD_OUT = "stream-hold-out"
"""Purpose of the draw of hold-outs; its seed is 0, so that every draw is measured on the same."""

COMING = "stream-batches"
"""Purpose of the draw of batches; its seed is the trajectory's."""

Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class _Split:
    """The documents of a split in doc_id order; label ids by the recipe's corpus, -1 for none."""

    corpus: Corpus
    name: str
    documents: Documents

    def take(self, rows: Rows) -> Documents:
        found = self.documents
        return Documents(
            ids=tuple(found.ids[row] for row in rows),
            texts=tuple(found.texts[row] for row in rows),
            label_ids=found.label_ids[rows],
        )


class StreamSource:
    """What comes in the stream of a recipe, over one version of its corpus.

    Everything is a function of the recipe, the corpora and the seed, whatever is asked first.
    """

    def __init__(self, store: Store, recipe: StreamRecipe, corpus: Corpus) -> None:
        self.recipe = recipe
        self.stream = recipe.stream
        self.corpus = corpus
        self._store = store
        self._library = Library(store, corpus, recipe.corpus.share)
        self._corpora: dict[str, Corpus] = {}
        self._splits: dict[tuple[str, str], _Split] = {}
        self._values: dict[tuple[str, str, Column], NDArray[np.float64]] = {}
        self._masks: dict[tuple[str, str, Column, tuple[float, float]], Mask] = {}
        self._batches: dict[int, list[Documents]] = {}

    def corpus_of(self, phase: Phase) -> Corpus:
        """Return the corpus that a phase's documents come from; UnknownName if there is none."""
        if phase.corpus is None or phase.corpus == self.corpus.name:
            return self.corpus
        if phase.corpus not in self._corpora:
            with self._store.reading() as con:
                self._corpora[phase.corpus] = find_corpus(con, phase.corpus)
        return self._corpora[phase.corpus]

    def check(self) -> None:
        """Raise where a phase cannot be had under one of the recipe's seeds, before any work.

        UnknownName for a corpus, a split or a label; Infeasible, with the numbers, for too few
        documents.
        """
        for phase in self.stream.phases:
            self._check_labels(phase)
        self.hold_outs()
        for seed in self.recipe.grid.seed:
            self.batches(seed)

    def hold_outs(self) -> list[Documents]:
        """Return the documents that each phase is measured on, in doc_id order.

        Of the documents of the phase, those that come first in one draw: phases that differ in
        nothing but noise are measured on the same ones, and so are all seeds.
        """
        return self._hold_outs

    def batches(self, seed: int) -> list[Documents]:
        """Return the batches of a draw in the order in which they come.

        No document comes twice, and none whose text stands in a hold-out. Under label weights,
        every batch has the numbers of the labels by largest remainder.
        """
        if seed not in self._batches:
            self._batches[seed] = list(self._drawn(seed))
        return self._batches[seed]

    def encoded_batch(self, encoder: Encoder, seed: int, place: int) -> str:
        """Keep ``batches(seed)[place]`` as the phase's noise leaves it; return the tokens' key."""
        phase = self.stream.phases[self.stream.steps[place]]
        return self._encoded(encoder, phase, self.batches(seed)[place])

    def encoded_hold_out(self, encoder: Encoder, place: int) -> str:
        """Keep ``hold_outs()[place]`` as the phase's noise leaves it; return the tokens' key."""
        return self._encoded(encoder, self.stream.phases[place], self.hold_outs()[place])

    def _encoded(self, encoder: Encoder, phase: Phase, found: Documents) -> str:
        seed = self.stream.noise_seed if phase.noise_kind != "none" else 0
        corpus_id = self.corpus_of(phase).corpus_id
        return encoder.noisy_tokens(found, corpus_id, phase.noise_kind, phase.noise, seed)

    def _check_labels(self, phase: Phase) -> None:
        """Raise UnknownName for a label that comes and that one of the corpora does not have."""
        source = self.corpus_of(phase)
        hint = f"(stream phase {phase.name!r})"
        for label in source.labels if phase.labels is None else phase.labels:
            for corpus in (self.corpus, source):
                if label not in corpus.labels:
                    what = f"label of corpus {corpus.name!r}"
                    raise UnknownName(what, label, corpus.labels, hint)

    @cached_property
    def _hold_outs(self) -> list[Documents]:
        found = []
        for phase in self.stream.phases:
            source = self._split(phase, self.stream.hold_out_from)
            order = draw_order(0, HELD_OUT, source.documents.ids)
            there = order[self._of_phase(phase, source)[order]]
            rows = self._first(there, phase, source, self.stream.hold_out, "its hold-out")
            found.append(source.take(np.sort(rows)))
        return found

    def _drawn(self, seed: int) -> Iterator[Documents]:
        held_out = {text for documents in self.hold_outs() for text in documents.texts}
        free: dict[str, Mask] = {}
        orders: dict[str, Rows] = {}
        for number, place in enumerate(self.stream.steps, start=1):
            phase = self.stream.phases[place]
            source = self._split(phase, self.stream.batches_from)
            corpus, known = source.corpus.corpus_id, source.documents
            if corpus not in free:
                free[corpus] = np.array([text not in held_out for text in known.texts], bool)
                orders[corpus] = draw_order(seed, COMING, known.ids)
            order = orders[corpus]
            left = order[(free[corpus] & self._of_phase(phase, source))[order]]
            what = f"batch {number} of seed {seed}"
            rows = self._first(left, phase, source, self.stream.batch, what)
            free[corpus][rows] = False
            yield source.take(rows)

    def _first(self, rows: Rows, phase: Phase, source: _Split, count: int, what: str) -> Rows:
        """Return the first ``count`` rows, of each label as many as its weight says.

        Raises Infeasible where there are too few of them.
        """
        if phase.labels is None:
            self._require(len(rows), count, "documents", phase, source, what)
            return rows[:count]
        labels = source.documents.label_ids[rows]
        taken = np.zeros(len(rows), dtype=np.bool_)
        for label, quota in share_out(count, phase.labels).items():
            own = np.flatnonzero(labels == self.corpus.labels.index(label))
            self._require(len(own), quota, f"documents of label {label!r}", phase, source, what)
            taken[own[:quota]] = True
        return rows[taken]

    def _require(
        self, there: int, needed: int, of: str, phase: Phase, source: _Split, what: str
    ) -> None:
        if there >= needed:
            return
        key = "hold_out" if source.name == self.stream.hold_out_from else "batch"
        ways = [f"lower stream.{key}"]
        ways += ["let it have fewer batches"] if key == "batch" else []
        ways += ["widen its between"] if phase.between else []
        if source.corpus is self.corpus and self.recipe.corpus.share < 1:
            ways.append("raise corpus.share")
        raise Infeasible(
            f"stream phase {phase.name!r} needs {needed:,} {of} for {what}, and the split"
            f" {source.name!r} of corpus {source.corpus.name!r} has {there:,} that are right and"
            f" not taken; {', or '.join(ways)}"
        )

    def _split(self, phase: Phase, name: str) -> _Split:
        """Return a split of the corpus of a phase: the recipe's share of its own, all of others."""
        corpus = self.corpus_of(phase)
        key = (corpus.corpus_id, name)
        if key not in self._splits:
            if corpus is self.corpus:
                found = self._library.split(name)
            else:
                other = Library(self._store, corpus, 1.0).split(name)
                ours = {label: number for number, label in enumerate(self.corpus.labels)}
                number = np.array([ours.get(label, -1) for label in corpus.labels], np.int64)
                found = Documents(other.ids, other.texts, number[other.label_ids])
            self._splits[key] = _Split(corpus, name, found)
        return self._splits[key]

    def _of_phase(self, phase: Phase, source: _Split) -> Mask:
        """Say of each document of a split whether it stands between the phase's quantiles."""
        ids = source.documents.ids
        found = np.ones(len(ids), dtype=np.bool_)
        for column, ends in phase.between.items():
            key = (source.corpus.corpus_id, source.name, column, ends)
            if key not in self._masks:
                self._masks[key] = between(self._column(column, source), ids, *ends)
            found &= self._masks[key]
        return found

    def _column(self, column: Column, source: _Split) -> NDArray[np.float64]:
        key = (source.corpus.corpus_id, source.name, column)
        if key not in self._values:
            known = source.documents
            if column == "tokens":
                self._values[key] = token_counts(known.texts).astype(np.float64)
            elif column == "label":
                self._values[key] = known.label_ids.astype(np.float64)
            else:
                self._values[key] = self._frequencies.rarity(known.texts)
        return self._values[key]

    @cached_property
    def _frequencies(self) -> Frequencies:
        return Frequencies.of(self._library.texts("train"))
