"""Documents of a stored corpus as token lists, kept as artefacts that workers can load."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibkit.corpora.noise import corrupt_tokens, noise_version
from calibkit.corpora.reading import (
    Corpus,
    Documents,
    Index,
    documents,
    documents_by_id,
    index,
    texts,
)
from calibkit.corpora.vocabulary import Vocabulary
from calibkit.errors import StoreDamaged
from calibkit.identity import content_id, ordered_hash
from calibkit.models.settings import ModelSettings
from calibkit.ragged import Ragged
from calibkit.store.artefacts import Artefact, Artefacts
from calibkit.store.connection import Store

log = logging.getLogger(__name__)

Content = tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]]
"""Tensors and configuration of an artefact."""


def artefacts_of(store: Store) -> Artefacts:
    """Return the artefacts that belong to a store."""
    return Artefacts(store.artefacts)


def kept(
    shelf: Artefacts,
    kind: str,
    key: str,
    make: Callable[[], Content],
    *,
    mapped: bool = False,
) -> Artefact:
    """Return an artefact that can be made from the store, anew where it is missing or damaged.

    Reading it checks its content, so a worker that is given the key finds what was written.
    mapped: its arrays are read-only and stay on disk until they are used.
    """
    read = shelf.mapped if mapped else shelf.load
    if shelf.has(kind, key):
        try:
            return read(kind, key)
        except StoreDamaged as error:
            log.warning("%s (it is made anew now)", error)
    tensors, config = make()
    try:
        made = shelf.save(kind, key, tensors, config)
    except StoreDamaged:  # its file was there without a key, and bad: it is out of the way now
        made = shelf.save(kind, key, tensors, config)
    return read(kind, key) if mapped else made


def made_once(shelf: Artefacts, kind: str, key: str, make: Callable[[], Content]) -> Artefact:
    """Return an artefact as `kept` does; of several processes that ask at once, one makes it."""
    if shelf.has(kind, key):
        return kept(shelf, kind, key, make)
    with shelf.lock(kind, key):
        return kept(shelf, kind, key, make)


@dataclass
class Library:
    """The documents of one corpus version and share, read once per split."""

    store: Store
    corpus: Corpus
    share: float
    _splits: dict[tuple[str, int | None, bool], Documents] = field(default_factory=dict)
    _indexes: dict[str, Index] = field(default_factory=dict)

    def split(
        self, name: str, *, limit: int | None = None, leave_out_in_test: bool = False
    ) -> Documents:
        """Return the documents of a split in doc_id order."""
        key = (name, limit, leave_out_in_test)
        if key not in self._splits:
            with self.store.reading() as con:
                self._splits[key] = documents(
                    con,
                    self.corpus,
                    name,
                    share=self.share,
                    limit=limit,
                    leave_out_in_test=leave_out_in_test,
                )
        return self._splits[key]

    def texts(self, name: str) -> Iterable[str]:
        """Return the texts of a split, in no order; they are not kept."""
        if (name, None, False) in self._splits:
            return self._splits[name, None, False].texts
        with self.store.reading() as con:
            return texts(con, self.corpus, name, share=self.share)

    def index(self, name: str) -> Index:
        """Return the documents of a pool without their texts; those in the test split left out."""
        if name not in self._indexes:
            with self.store.reading() as con:
                self._indexes[name] = index(
                    con, self.corpus, name, share=self.share, leave_out_in_test=True
                )
        return self._indexes[name]

    def by_id(self, ids: Sequence[str]) -> Documents:
        """Return documents of any split, synthetic ones included, in the order of ``ids``."""
        with self.store.reading() as con:
            return documents_by_id(con, self.corpus, ids)


@dataclass(frozen=True)
class Encoded:
    """Documents as token ids, their label ids (n,), and what is to be noted about them."""

    tokens: Ragged
    label_ids: NDArray[Any]
    facts: dict[str, float] = field(default_factory=dict)
    doc_ids: tuple[str, ...] | None = None
    """Where the key does not tell them."""


@dataclass
class Encoder:
    """Turns documents into token ids by the vocabulary of the training split."""

    library: Library
    min_count: int
    most_types: int
    most_tokens: int

    @classmethod
    def of(cls, library: Library, settings: ModelSettings) -> Encoder:
        """Return the encoder that a model with these settings reads through."""
        return cls(library, settings.min_count, settings.most_types, settings.most_tokens)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary, built from the training split once and kept as an artefact."""
        made_from = [self.library.corpus.corpus_id, self.library.share]
        key = content_id("artefact", ["vocabulary", *made_from, self.min_count, self.most_types])

        def make() -> Content:
            found = self.library.texts("train")
            built = Vocabulary.build(found, min_count=self.min_count, most=self.most_types)
            return {}, {"types": list(built.types), "made_from": made_from}

        found = made_once(artefacts_of(self.library.store), "vocabulary", key, make)
        return Vocabulary(tuple(found.config["types"]))

    def encode(self, texts: Sequence[str]) -> Ragged:
        """Return the texts as token ids, cut, in <bos> ... <eos>."""
        return self.vocabulary.encode(texts, most_tokens=self.most_tokens)

    def split_tokens(self, name: str) -> str:
        """Keep a whole split and return the artefact's key."""
        made_from = ["split", *self._source(), name]
        return self._keep(made_from, lambda: self._encoded(self.library.split(name)))[0]

    def subset_tokens(self, subset_id: str, chosen: Callable[[], Documents]) -> str:
        """Keep a calibration subset, in calibration order; ``chosen`` is called where needed."""
        return self._keep(["subset", subset_id], lambda: self._encoded(chosen()))[0]

    def test_tokens(
        self, split: str, kind: str, level: float, seed: int, *, limit: int | None
    ) -> tuple[str, dict[str, float]]:
        """Keep a test split under one noise level; return the key and what the noise did.

        The second value has realised_rate, oov_rate and length_drift (change of the number of
        characters, relative), as NoisyTokens defines them.
        """
        version = noise_version(kind)
        made_from = ["test", *self._source(), split, limit, kind, level, seed, version]

        def make() -> Encoded:
            found = self.library.split(split, limit=limit)
            noisy = corrupt_tokens(
                found.texts,
                found.ids,
                kind,
                level,
                seed,
                self.vocabulary,
                most_tokens=self.most_tokens,
            )
            facts = {name: getattr(noisy, name) for name in NOISE_FACTS}
            return Encoded(noisy.tokens, found.label_ids, facts)

        key, config = self._keep(made_from, make)
        return key, {name: float(config[name]) for name in NOISE_FACTS}

    def noisy_tokens(
        self, found: Documents, corpus_id: str, kind: str, level: float, seed: int
    ) -> str:
        """Keep documents under a noise level, in their order, and return the artefact's key.

        corpus_id: of the corpus that they come from, which need not be the library's; label ids
        are by the labels of the library's. The configuration has their doc_ids.
        """
        labels_of = self.library.corpus.corpus_id
        came = [corpus_id, ordered_hash(found.ids), kind, level, seed, noise_version(kind)]

        def make() -> Encoded:
            noisy = corrupt_tokens(
                found.texts,
                found.ids,
                kind,
                level,
                seed,
                self.vocabulary,
                most_tokens=self.most_tokens,
            )
            facts = {name: getattr(noisy, name) for name in NOISE_FACTS}
            return Encoded(noisy.tokens, found.label_ids, facts, found.ids)

        return self._keep(["documents", labels_of, *came], make)[0]

    def _encoded(self, found: Documents) -> Encoded:
        return Encoded(self.encode(found.texts), found.label_ids)

    def _keep(
        self, made_from: Sequence[object], make: Callable[[], Encoded]
    ) -> tuple[str, dict[str, Any]]:
        """Keep documents as a ``tokens`` artefact; return its key and its configuration."""
        key = self._key(made_from)

        def content() -> Content:
            found = make()
            labels = np.asarray(found.label_ids, dtype=np.int32)
            flat: dict[str, NDArray[Any]] = {"ids": found.tokens.ids, "labels": labels}
            described = {"made_from": list(made_from), **found.facts}
            if found.doc_ids is not None:
                described["doc_ids"] = list(found.doc_ids)
            return flat | {"offsets": found.tokens.offsets}, described

        return key, made_once(artefacts_of(self.library.store), "tokens", key, content).config

    def _source(self) -> list[object]:
        return [self.library.corpus.corpus_id, self.library.share]

    def _key(self, made_from: Sequence[object]) -> str:
        return content_id("artefact", ["tokens", *made_from, self.vocabulary.id, self.most_tokens])


NOISE_FACTS = ("realised_rate", "oov_rate", "length_drift")
