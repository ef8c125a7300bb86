"""Documents of a stored corpus as token lists, kept as artefacts that workers can load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibkit.corpora.noise import corrupt
from calibkit.corpora.reading import Corpus, Documents, documents
from calibkit.corpora.vocabulary import Vocabulary
from calibkit.identity import content_id
from calibkit.models.settings import ModelSettings
from calibkit.ragged import Ragged
from calibkit.store.artefacts import Artefacts
from calibkit.store.connection import Store


def artefacts_of(store: Store) -> Artefacts:
    """Return the artefacts that belong to a store."""
    return Artefacts(store.artefacts)


@dataclass
class Library:
    """The documents of one corpus version and share, read once per split."""

    store: Store
    corpus: Corpus
    share: float
    _splits: dict[tuple[str, int | None, bool], Documents] = field(default_factory=dict)

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
        shelf = artefacts_of(self.library.store)
        made_from = [self.library.corpus.corpus_id, self.library.share]
        key = content_id("artefact", ["vocabulary", *made_from, self.min_count, self.most_types])
        if shelf.has("vocabulary", key):
            return Vocabulary(tuple(shelf.load("vocabulary", key).config["types"]))
        texts = self.library.split("train").texts
        built = Vocabulary.build(texts, min_count=self.min_count, most=self.most_types)
        shelf.save("vocabulary", key, {}, {"types": list(built.types)})
        return built

    def encode(self, texts: Sequence[str]) -> Ragged:
        """Return the texts as token ids, cut, in <bos> ... <eos>."""
        return self.vocabulary.encode(texts, most_tokens=self.most_tokens)

    def keep(self, made_from: Sequence[object], found: Documents) -> str:
        """Keep documents as a ``tokens`` artefact and return its key."""
        key = self._key(made_from)
        shelf = artefacts_of(self.library.store)
        if not shelf.has("tokens", key):
            save_tokens(shelf, key, self.encode(found.texts), found.label_ids)
        return key

    def split_tokens(self, name: str) -> str:
        """Keep a whole split and return the artefact's key."""
        return self.keep(["split", *self._source(), name], self.library.split(name))

    def subset_tokens(self, subset_id: str, chosen: Documents) -> str:
        """Keep a calibration subset, in calibration order."""
        return self.keep(["subset", subset_id], chosen)

    def test_tokens(
        self, split: str, kind: str, level: float, seed: int, *, limit: int | None
    ) -> tuple[str, dict[str, float]]:
        """Keep a test split under one noise level; return the key and what the noise did.

        The second value has realised_rate, oov_rate and length_drift (mean change of the number
        of characters, relative).
        """
        made_from = ["test", *self._source(), split, limit, kind, level, seed, NOISE_VERSION]
        key = self._key(made_from)
        shelf = artefacts_of(self.library.store)
        if shelf.has("tokens", key):
            config = shelf.load("tokens", key).config
            return key, {name: float(config[name]) for name in NOISE_FACTS}
        found = self.library.split(split, limit=limit)
        texts: Sequence[str] = found.texts
        realised, drift = 0.0, 0.0
        if kind != "none":
            noisy = corrupt(found.texts, found.ids, kind, level, seed)
            texts, realised, drift = noisy.texts, noisy.realised_rate, noisy.length_drift
        facts = dict(
            zip(NOISE_FACTS, (realised, self.vocabulary.oov_share(texts), drift), strict=True)
        )
        save_tokens(shelf, key, self.encode(texts), found.label_ids, facts)
        return key, facts

    def _source(self) -> list[object]:
        return [self.library.corpus.corpus_id, self.library.share]

    def _key(self, made_from: Sequence[object]) -> str:
        return content_id("artefact", ["tokens", *made_from, self.vocabulary.id, self.most_tokens])


NOISE_VERSION = 1
"""Version of the noise's derivation; part of the key of every kept test set."""

NOISE_FACTS = ("realised_rate", "oov_rate", "length_drift")


def save_tokens(
    shelf: Artefacts,
    key: str,
    tokens: Ragged,
    labels: NDArray[np.integer],
    facts: dict[str, float] | None = None,
) -> None:
    """Keep token lists with their labels under a key."""
    tensors: dict[str, NDArray[Any]] = {
        "ids": tokens.ids,
        "offsets": tokens.offsets,
        "labels": np.asarray(labels, dtype=np.int32),
    }
    shelf.save("tokens", key, tensors, dict(facts or {}))
