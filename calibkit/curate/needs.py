"""What policies need to know of documents, computed outside of them: one table of who makes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibkit.curate.encoding import Encoder, Library
from calibkit.curate.features import Features, Tell, untold, word_vectors
from calibkit.curate.float_models import ModelArtefact
from calibkit.curate.given import given_vectors
from calibkit.curate.likeness import equal_texts, nearest_in_test, signatures
from calibkit.curate.seen_at_bits import chain, disagreement, misses
from calibkit.curate.seen_by_model import grams, hidden, margins, moments, ranges
from calibkit.errors import BadInput, UnknownName
from calibkit.policies import Pool
from calibkit.policies.pool import MODEL_NEEDS


@dataclass(frozen=True)
class Asked:
    """One need: ``misses:8,4`` has the name misses and the option 8,4.

    features: of the documents of the pool, in order of their ids. model: the float model, for the
    needs that take one.
    """

    features: Features
    pool: Pool
    option: str
    model: ModelArtefact | None

    @property
    def looking_through(self) -> ModelArtefact:
        """The float model, which `pool_with` has made sure of."""
        assert self.model is not None
        return self.model


Maker = Callable[[Asked], NDArray[Any]]

MAKERS: dict[str, Maker] = {
    "vectors": lambda asked: word_vectors(asked.features),
    "given": lambda asked: given_vectors(asked.features),
    "hidden": lambda asked: hidden(asked.features, asked.looking_through),
    "ranges": lambda asked: ranges(asked.features, asked.looking_through),
    "moments": lambda asked: moments(asked.features, asked.looking_through),
    "gram": lambda asked: grams(asked.features, asked.looking_through),
    "margins": lambda asked: margins(asked.features, asked.looking_through),
    "disagreement": lambda asked: disagreement(asked.features, asked.looking_through, asked.option),
    "misses": lambda asked: misses(asked.features, asked.looking_through, asked.option),
    "chain": lambda asked: chain(asked.features, asked.looking_through, asked.option),
    "duplicates": lambda asked: equal_texts(asked.features),
    "minhash": lambda asked: signatures(asked.features),
    "near-test": lambda asked: nearest_in_test(asked.features),
    "subset": lambda asked: positions_in(asked),
}
"""Name of a need -> what computes the array, one row per document of the pool."""


def reads_checkpoints(needs: Iterable[str]) -> bool:
    """Say whether any of these needs reads the checkpoints of a model's training."""
    return any(need.partition(":")[0] == "misses" for need in needs)


def pool_with(
    needs: Iterable[str],
    pool: Pool,
    library: Library,
    split: str,
    model: ModelArtefact | None,
    *,
    tell: Tell = untold,
) -> Pool:
    """Return the pool with everything that the needs name.

    tell: is told what is computed, where the store lacks it and it takes a while.
    Raises BadInput where a float model is needed and none is given, UnknownName for a need that
    nothing here computes.
    """
    features = Features(library, split, tell)
    for need in needs:
        name, _, option = need.partition(":")
        if name == "tokens":
            pool = with_tokens(pool, library, split)
        elif name not in MAKERS:
            raise UnknownName("need of a policy", name, [*MAKERS, "tokens"])
        elif name in MODEL_NEEDS and model is None:
            raise BadInput(
                f"{need} is looked up through a float model; name one with --model ID "
                "(`calibkit list models` shows what is trained)"
            )
        else:
            pool = pool.with_arrays(**{need: MAKERS[name](Asked(features, pool, option, model))})
    return pool


def with_tokens(pool: Pool, library: Library, split: str) -> Pool:
    """Return the pool with its documents as ids of the training vocabulary, cut as a model's."""
    from dataclasses import replace

    from calibkit.models.settings import settings_from

    encoder = Encoder.of(library, settings_from("discriminative", {}))
    texts = library.split(split, leave_out_in_test=True).texts
    return replace(pool, tokens=encoder.encode(texts))


def positions_in(asked: Asked) -> NDArray[np.int64]:
    """Return the place of each document in the stored subset that the option names, or -1.

    Raises BadInput for a subset that the store lacks, or that has documents outside the pool.
    """
    with asked.features.library.store.reading() as con:
        rows = con.execute(
            "SELECT doc_id FROM subset_documents WHERE subset_id = ? ORDER BY position",
            [asked.option],
        ).fetchall()
    if not rows:
        raise BadInput(
            f"the store has no subset {asked.option!r}; `calibkit list subsets` shows them"
        )
    row_of = {doc_id: row for row, doc_id in enumerate(asked.pool.doc_ids)}
    outside = [doc_id for (doc_id,) in rows if doc_id not in row_of]
    if outside:
        raise BadInput(
            f"{len(outside):,} of the {len(rows):,} documents of subset {asked.option} are not in "
            f"this pool, the first is {outside[0]!r}; name the pool and the share of the corpus "
            "that they were chosen from"
        )
    places = np.full(len(asked.pool), -1, dtype=np.int64)
    for place, (doc_id,) in enumerate(rows):
        places[row_of[doc_id]] = place
    return places
