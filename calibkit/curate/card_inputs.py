"""What coverage cards look at, from the store: a pool's documents and a subset's, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calibkit.corpora.vocabulary import SPECIALS
from calibkit.curate.encoding import Content, Encoder, Library, artefacts_of, made_once
from calibkit.curate.features import Tell, untold
from calibkit.curate.float_models import ModelArtefact, load_model
from calibkit.curate.needs import pool_with
from calibkit.curate.seen_by_model import one_thread
from calibkit.errors import Infeasible
from calibkit.identity import content_id
from calibkit.models.settings import settings_from
from calibkit.policies import Draw, Pool
from calibkit.policies.card.copies import NEAR
from calibkit.policies.card.documents import CardDocuments, Reference
from calibkit.policies.card.sites import SiteReference
from calibkit.policies.mmd import SAMPLE, FourierKernel, fourier_kernel
from calibkit.ragged import Ragged

if TYPE_CHECKING:
    from calibkit.curate.card_new import NewDocuments

NO_TEST = "the corpus has no test split"


@dataclass(frozen=True)
class CardInputs:
    """What cards of one kind need: the pool's documents, what it is like, and what is missing.

    model: through which documents are looked at, or None. reasons: why something is not known, by
    the name of the array; where the pool lacks it, its subsets do too.
    """

    pool: Pool
    documents: CardDocuments
    reference: Reference
    reasons: dict[str, str]
    model: ModelArtefact | None = None


@dataclass
class CardSource:
    """The documents of one corpus version, share and pool, read and looked at once.

    tell: is told what is computed, where the store lacks it and it takes a while.
    """

    library: Library
    split: str
    tell: Tell = untold

    # ------------------------------------------------------------------------------------ pools

    @cached_property
    def text(self) -> CardInputs:
        """What the cards without a model need."""
        known, names = self.library.index(self.split), self.library.corpus.labels
        bare = Pool(known.ids, tuple(names[i] for i in known.label_ids), known.tokens)
        if not len(bare):
            raise Infeasible(
                f"the pool {self.split!r} of corpus {self.library.corpus.name!r} has no document "
                "outside of the test split; there is nothing to hold a subset against"
            )
        pool = self._pool_with(bare, "tokens", "minhash")
        reasons = {} if self.has_test else {"in_test": NO_TEST, "near_test": NO_TEST}
        kernel = features = None
        try:
            kernel, features = self._features(bare)
        except Infeasible as error:  # no text has a word
            reasons["features"] = str(error)
        assert pool.tokens is not None
        documents = CardDocuments(
            label_ids=known.label_ids,
            lengths=known.tokens,
            tokens=pool.tokens,
            features=features,
            signatures=pool.arrays["minhash"],
        )
        if self.has_test:
            similar = self._pool_with(bare, "near-test").arrays["near-test"]
            documents = self.beside_test(documents, self.pool_texts, similar)
        reference = Reference.of(
            documents,
            labels=len(names),
            vocabulary_types=len(self.encoder.vocabulary) - len(SPECIALS),
            kernel=kernel,
        )
        return CardInputs(pool, documents, reference, reasons)

    def under(self, model: ModelArtefact) -> CardInputs:
        """Return what the metrics under a float model need, and nothing else.

        Raises BadInput for a model that was trained on other text.
        """
        text = self.text
        pool = self._pool_with(text.pool, "ranges", "gram", model=model)
        kind, tokens = model.settings.kind, self.read_by(model, self.pool_texts)
        documents = replace(
            text.documents,
            features=None,
            signatures=None,
            in_test=None,
            near_test=None,
            ranges=pool.arrays["ranges"],
            gram=pool.arrays["gram"],
            inputs=inputs_of(kind, tokens, tokens),
        )
        reference = replace(text.reference, sites=self._sites(model, tokens))
        return CardInputs(text.pool, documents, reference, {}, model)

    # ---------------------------------------------------------------------------------- subsets

    def subset(
        self, doc_ids: Sequence[str], given: CardInputs
    ) -> tuple[CardDocuments, dict[str, str]]:
        """Return the documents of a subset, and why what is not known of them is not.

        Those of the pool are looked up; where some are not in the pool, such as documents that
        somebody wrote, all are looked at by their texts alone.
        """
        row_of = {doc_id: row for row, doc_id in enumerate(given.pool.doc_ids)}
        rows = [row_of.get(doc_id, -1) for doc_id in doc_ids]
        if -1 not in rows:  # in the order of ids, so that sums are those of the draws
            return given.documents.take(np.sort(np.array(rows, dtype=np.intp))), given.reasons
        return self._new.look(doc_ids, given), given.reasons

    @cached_property
    def _new(self) -> NewDocuments:
        from calibkit.curate.card_new import NewDocuments

        return NewDocuments(self)

    # ------------------------------------------------------------------------------------- text

    def _pool_with(self, pool: Pool, *needs: str, model: ModelArtefact | None = None) -> Pool:
        return pool_with(needs, pool, self.library, self.split, model, tell=self.tell)

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder of a model with default settings, which the text is measured by."""
        return Encoder.of(self.library, settings_from("discriminative", {}))

    @property
    def pool_texts(self) -> tuple[str, ...]:
        """The texts of the pool."""
        return self.library.split(self.split, leave_out_in_test=True).texts

    @property
    def has_test(self) -> bool:
        """Whether the corpus has a test split."""
        return "test" in self.library.corpus.documents

    @cached_property
    def test_texts(self) -> tuple[str, ...]:
        """The whole test split, whatever the share of it that is measured on."""
        return Library(self.library.store, self.library.corpus, 1.0).split("test").texts

    def _features(self, bare: Pool) -> tuple[FourierKernel, NDArray[np.int8]]:
        vectors = self._pool_with(bare, "vectors").arrays["vectors"]
        draw = Draw(0, "mmd")
        sample = draw.order(bare.doc_ids)[:SAMPLE]
        kernel = fourier_kernel(vectors, sample, draw.generator("frequencies"))
        return kernel, kernel.steps(vectors)

    def beside_test(
        self, documents: CardDocuments, texts: Sequence[str], similar: NDArray[np.float32]
    ) -> CardDocuments:
        """Return the documents with whether they, or near copies of them, stand in test.

        similar: each document's largest similarity to a test document.
        """
        test_texts = set(self.test_texts)
        same = np.array([text in test_texts for text in texts], dtype=bool)
        return replace(documents, in_test=same, near_test=(similar >= NEAR) | same)

    # ------------------------------------------------------------------------------------ models

    def read_by(self, model: ModelArtefact, texts: Sequence[str]) -> Ragged:
        """Return texts as a model reads them."""
        return Encoder.of(self.library, model.settings).encode(texts)

    def _sites(self, model: ModelArtefact, tokens: Ragged) -> dict[str, SiteReference]:
        """Return what the pool's values are like at each site, by one pass that is kept."""
        from calibkit.quantize.estimators import Histogram
        from calibkit.quantize.sites import ACTIVATION_SITES

        names = ACTIVATION_SITES[model.settings.kind]
        library = self.library
        source = [library.corpus.corpus_id, library.share, self.split]
        key = content_id("artefact", ["site-histograms", 1, model.id, *source])

        def observe() -> Content:
            from calibkit.engine.statistics import collect_statistics

            self.tell(f"observing {len(tokens):,} documents through {model.called}: histograms")
            kind, weights = model.settings.kind, load_model(library, model).tensors
            with one_thread():
                seen = collect_statistics(kind, weights, tokens, percentile=100.0)
            tensors: dict[str, NDArray[Any]] = {}
            for name in names:
                tensors[f"{name}/levels"] = seen[name].histogram.levels
                tensors[f"{name}/counts"] = seen[name].histogram.counts
            return tensors, {}

        stored = made_once(artefacts_of(library.store), "feature", key, observe).tensors
        return {
            name: SiteReference.of(Histogram(stored[f"{name}/levels"], stored[f"{name}/counts"]))
            for name in names
        }


def inputs_of(kind: str, tokens: Ragged, pool_tokens: Ragged) -> NDArray[np.float64]:
    """Return how many inputs of the linear layer each document's Gram matrix stands for.

    As `calibkit.engine.document_grams` sums them: of the generative model one at every position
    that it reads; the discriminative one's single input counts as the pool's mean number of tokens.
    """
    if kind == "generative":
        return tokens.lengths.astype(np.float64) - 1
    return np.full(len(tokens), float(pool_tokens.lengths.mean()))
