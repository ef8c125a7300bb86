"""What is known of the documents of a pool: computed once, kept in the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibkit.curate.encoding import Content, Library, artefacts_of, kept
from calibkit.errors import StoreBusy
from calibkit.identity import content_id
from calibkit.store.artefacts import Artefacts

FEATURES = 1
"""Version of the feature extraction; part of the key of every kept feature."""

AT_BITS = 2
"""Version of how models are quantized to look at documents: 2 computes in whole numbers."""

QUIET_SECONDS = 1.0
"""So long nobody is told that another process is waited for."""

Tell = Callable[[str], None]
"""Takes a line about what is going on, for whoever waits."""


def untold(text: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Features:
    """The documents of one pool, in the order of their ids, and arrays about them.

    tell: is told when something that takes a while is computed, rather than read.
    """

    library: Library
    pool_split: str
    tell: Tell = untold

    @property
    def doc_ids(self) -> Sequence[str]:
        """The documents' ids."""
        return self.library.index(self.pool_split).ids

    @property
    def label_ids(self) -> NDArray[np.int64]:
        """The documents' labels, by the corpus's numbers: int64 (documents,)."""
        return self.library.index(self.pool_split).label_ids

    @property
    def texts(self) -> tuple[str, ...]:
        """The documents' texts."""
        return self.library.split(self.pool_split, leave_out_in_test=True).texts

    def kept(
        self, what: Sequence[object], compute: Callable[[], NDArray[Any]], *, about: str
    ) -> NDArray[Any]:
        """Return an array about the documents, read-only, computed only where the store lacks it.

        what: everything that the array depends on, beside the documents. about: what is computed,
        in words. Of several processes that ask at once, one computes and the others wait.
        """
        source = [self.library.corpus.corpus_id, self.library.share, self.pool_split]
        key = content_id("artefact", ["feature", FEATURES, *what, *source])
        shelf = artefacts_of(self.library.store)

        def make() -> Content:
            self.tell(f"looking at {len(self.doc_ids):,} documents {about}")
            return {"rows": compute()}, {"made_from": [*what, *source]}

        with self._turn(shelf, key, about):
            rows: NDArray[Any] = kept(shelf, "feature", key, make, mapped=True).tensors["rows"]
        return rows

    @contextmanager
    def _turn(self, shelf: Artefacts, key: str, about: str) -> Iterator[None]:
        """Hold the right to compute an array, and tell if that takes waiting."""
        with ExitStack() as held:
            try:
                held.enter_context(shelf.lock("feature", key, patience=QUIET_SECONDS))
            except StoreBusy:
                self.tell(f"another process is looking at documents {about}; waiting for it")
                held.enter_context(shelf.lock("feature", key))
            yield


def word_vectors(features: Features) -> NDArray[np.float32]:
    """Return TF-IDF + SVD vectors: float32 (documents, dimensions)."""

    def compute() -> NDArray[np.float32]:
        from calibkit.policies.features import tfidf_svd

        return tfidf_svd(features.texts)

    return features.kept(["tfidf-svd"], compute, about="by their words: vectors")
