"""What generators read of a pool, and their documents before they enter the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np

from calibkit.corpora.noise import corrupt
from calibkit.corpora.reading import Documents
from calibkit.corpora.synthetic import SyntheticDocument, identified
from calibkit.corpora.text import clean
from calibkit.corpora.vocabulary import BOS, EOS, SPECIALS
from calibkit.curate.encoding import Encoder, Library
from calibkit.curate.float_models import ModelArtefact, load_model, network_of
from calibkit.errors import BadInput, Infeasible
from calibkit.models.settings import settings_from
from calibkit.policies import Made, NewDocument, PoolDocument

if TYPE_CHECKING:
    from calibkit.models.networks import Generative


@dataclass
class LibrarySource:
    """What a generator may read of a corpus, and the float model that writes for it.

    asking: the generator's name, for messages. writer: None for generators that need none.
    """

    library: Library
    asking: str
    writer: ModelArtefact | None = None

    def texts(self, doc_ids: Sequence[str]) -> list[str]:
        """Return the texts of documents of the pool."""
        return list(self.library.by_id(doc_ids).texts)

    def corrupted(self, doc_ids: Sequence[str], kind: str, level: float, seed: int) -> list[str]:
        """Return the texts of documents of the pool with noise of a kind, in normal form."""
        noisy = corrupt(self.texts(doc_ids), doc_ids, kind, level, seed)
        return [clean(text) for text in noisy.texts]

    def types(self) -> tuple[str, ...]:
        """Return the types of the training vocabulary, the most frequent first."""
        encoder = Encoder.of(self.library, settings_from("discriminative", {}))
        return encoder.vocabulary.types[len(SPECIALS) :]

    def text(self, types: Sequence[str]) -> str:
        """Return a text that is read as exactly these types."""
        return " ".join(types)

    def prior(self) -> dict[str, float]:
        """Return the probability of each label, by the model that writes."""
        shares = self._network.log_prior.double().exp().tolist()
        return dict(zip(self.library.corpus.labels, shares, strict=True))

    def write(
        self, labels: Sequence[str], seeds: Sequence[int], *, temperature: float, top_p: float
    ) -> list[str]:
        """Return one text per label name, written by the float model, each from its own seed.

        Raises Infeasible where there is no generative model to write.
        """
        from calibkit.models.writing import write

        number = {label: place for place, label in enumerate(self.library.corpus.labels)}
        written = write(
            self._network,
            np.array([number[label] for label in labels], dtype=np.int64),
            seeds,
            most_tokens=self._model.settings.most_tokens,
            temperature=temperature,
            top_p=top_p,
        )
        types = Encoder.of(self.library, self._model.settings).vocabulary.types
        return [
            self.text([types[number] for number in document if number not in (BOS, EOS)])
            for document in (written[row].tolist() for row in range(len(written)))
        ]

    @property
    def _model(self) -> ModelArtefact:
        if self.writer is None or self.writer.settings.kind != "generative":
            what = f"{self.writer.called} cannot write" if self.writer else "none is named"
            raise Infeasible(
                f"{self.asking}: documents are written by a generative model, and {what}; "
                "name a generative one with --model ID (`calibkit list models`)"
            )
        return self.writer

    @cached_property
    def _network(self) -> Generative:
        found = load_model(self.library, self._model)
        labels = self.library.corpus.labels
        known = tuple(found.config.get("labels_in_order", labels))
        if known != labels:
            raise BadInput(
                f"{self.asking}: {self._model.called} writes for the labels {', '.join(known)}, "
                f"corpus {self.library.corpus.name!r} has {', '.join(labels)}; name a model that "
                "was trained on this corpus (`calibkit list models`)"
            )
        return cast("Generative", network_of(found))


@dataclass(frozen=True)
class Chosen:
    """Documents in calibration order, and those of them that the store may not have yet."""

    documents: Documents
    made: tuple[SyntheticDocument, ...] = ()


def as_documents(made: Sequence[Made], library: Library) -> Chosen:
    """Return what a generator made as documents of a corpus; those of the pool keep their ids."""
    corpus = library.corpus
    number = {label: place for place, label in enumerate(corpus.labels)}
    new = [document for document in made if isinstance(document, NewDocument)]
    found = identified(corpus, [(one.text, one.label, one.made_from) for one in new])
    stored = library.by_id([one.doc_id for one in made if isinstance(one, PoolDocument)])
    fresh = iter([(one.doc_id, one.text, number[one.label]) for one in found])
    own = iter(zip(stored.ids, stored.texts, stored.label_ids.tolist(), strict=True))
    listed = [next(fresh) if isinstance(one, NewDocument) else next(own) for one in made]
    ids, texts, labels = zip(*listed, strict=True)
    return Chosen(Documents(ids, texts, np.array(labels, dtype=np.int64)), found)
