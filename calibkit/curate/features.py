"""What policies measure distances in: one row per document of a pool, computed once and kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibkit.curate.encoding import Content, Encoder, Library, artefacts_of, kept
from calibkit.errors import BadInput
from calibkit.identity import content_id
from calibkit.models.settings import ModelSettings

FEATURES = 1
"""Version of the feature extraction; part of the key of every kept feature."""

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class ModelArtefact:
    """A trained float model: ``key`` names its artefact, ``id`` its content."""

    key: str
    id: str
    settings: ModelSettings


@dataclass(frozen=True)
class Features:
    """The features of the documents of one pool, in the pool's order of document ids."""

    library: Library
    pool_split: str

    def vectors(self) -> Rows:
        """Return TF-IDF + SVD vectors: float32 (documents, dimensions)."""

        def compute() -> Rows:
            from calibkit.policies.features import tfidf_svd

            return tfidf_svd(self._texts())

        return self._kept(["tfidf-svd"], compute)

    def hidden(self, model: ModelArtefact) -> Rows:
        """Return the mean hidden state of a float model: float32 (documents, hidden)."""

        def compute() -> Rows:
            from calibkit.models.checkpoints import from_arrays
            from calibkit.models.scoring import hidden
            from calibkit.models.training import one_thread

            found = artefacts_of(self.library.store).load("model", model.key)
            names = ("kind", "vocabulary", "labels", "embedding", "hidden", "label_dim")
            config = {name: found.config[name] for name in names if name in found.config}
            network = from_arrays(dict(found.tensors), config)
            encoder = Encoder.of(self.library, model.settings)
            self._check_vocabulary(model, encoder.vocabulary.id, found.config)
            tokens = encoder.encode(self._texts())
            with one_thread():
                return hidden(network, tokens)

        return self._kept(["hidden", model.id], compute)

    def _check_vocabulary(
        self, model: ModelArtefact, vocabulary_id: str, config: Mapping[str, Any]
    ) -> None:
        """Raise BadInput for a model that was trained on other text: it reads other token ids."""
        if vocabulary_id == config["vocabulary_id"]:
            return
        library = self.library
        raise BadInput(
            f"the model {model.id} has another vocabulary than corpus {library.corpus.name!r}, "
            f"version {library.corpus.version}, share {library.share:g}: hidden states would be "
            "those of other words; name a model trained on these documents (`calibkit list "
            "models` shows corpus and share), or give the model's --share"
        )

    def _texts(self) -> tuple[str, ...]:
        return self.library.split(self.pool_split, leave_out_in_test=True).texts

    def _kept(self, what: list[str], compute: Callable[[], Rows]) -> Rows:
        source = [self.library.corpus.corpus_id, self.library.share, self.pool_split]
        key = content_id("artefact", ["feature", FEATURES, *what, *source])

        def make() -> Content:
            return {"rows": compute()}, {}

        rows: Rows = kept(artefacts_of(self.library.store), "feature", key, make).tensors["rows"]
        return rows
