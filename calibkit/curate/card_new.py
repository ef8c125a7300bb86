"""What coverage cards look at of documents that no pool has: their texts alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calibkit.corpora.text import tokenize
from calibkit.curate.card_inputs import CardInputs, CardSource, inputs_of
from calibkit.curate.float_models import ModelArtefact, load_model
from calibkit.curate.seen_by_model import one_thread
from calibkit.policies import minhash
from calibkit.policies.card.documents import CardDocuments
from calibkit.policies.features import TfidfSpace
from calibkit.policies.mmd import FourierKernel

if TYPE_CHECKING:
    from calibkit.engine.document_grams import Whitening


@dataclass
class NewDocuments:
    """Looks at documents that are not in the pool of ``source`` as the pool's were looked at.

    In the pool's space of vectors, and in its whitened directions.
    """

    source: CardSource
    _white: dict[str, Whitening] = field(default_factory=dict)

    def look(self, doc_ids: Sequence[str], given: CardInputs) -> CardDocuments:
        """Return documents of the corpus, of any split, in the order of their ids."""
        found = self.source.library.by_id(sorted(doc_ids))
        documents = CardDocuments(
            label_ids=found.label_ids,
            lengths=np.array([len(tokenize(text)) for text in found.texts], dtype=np.int64),
            tokens=self.source.encoder.encode(found.texts),
        )
        if given.model is not None:
            return replace(documents, **self._seen_by(given.model, found.texts))
        signatures = minhash.signatures(found.texts)
        documents = replace(documents, signatures=signatures)
        if self.source.has_test:
            similar = minhash.nearest_similarity(signatures, self._test_signatures)
            documents = self.source.beside_test(documents, found.texts, similar)
        if given.reference.kernel is not None:
            features = self._features(found.texts, given.reference.kernel)
            documents = replace(documents, features=features)
        return documents

    def _features(self, texts: Sequence[str], kernel: FourierKernel) -> NDArray[np.int8]:
        most = 2.0**kernel.exponent  # the kernel is exact up to there
        return kernel.steps(np.clip(self._space.vectors(texts), -most, most))

    @cached_property
    def _space(self) -> TfidfSpace:
        texts = self.source.pool_texts
        self.source.tell(f"looking at {len(texts):,} documents by their words: a space of vectors")
        return TfidfSpace.of(texts)

    @cached_property
    def _test_signatures(self) -> minhash.Signatures:
        return minhash.signatures(self.source.test_texts)

    def _seen_by(self, model: ModelArtefact, texts: Sequence[str]) -> dict[str, Any]:
        from calibkit.engine.document_grams import directions, document_grams
        from calibkit.engine.documents import document_ranges

        kind, weights = model.settings.kind, load_model(self.source.library, model).tensors
        pool_tokens = self.source.read_by(model, self.source.pool_texts)
        tokens = self.source.read_by(model, texts)
        with one_thread():
            if model.id not in self._white:
                self._white[model.id] = directions(kind, weights, pool_tokens)
            gram = document_grams(kind, weights, tokens, white=self._white[model.id])
            ranges = document_ranges(kind, weights, tokens)
        return {"ranges": ranges, "gram": gram, "inputs": inputs_of(kind, tokens, pool_tokens)}
