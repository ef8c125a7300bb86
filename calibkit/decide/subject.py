"""What is being looked at: a stored float model, a calibration subset, documents to measure on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import duckdb
import numpy as np
from numpy.typing import NDArray

from calibkit.corpora.reading import corpus_by_id
from calibkit.curate.encoding import Encoder, Library, artefacts_of
from calibkit.curate.subsets import find_model
from calibkit.errors import BadInput, StoreDamaged
from calibkit.identity import draw_order
from calibkit.ragged import Ragged
from calibkit.store.connection import Store

if TYPE_CHECKING:
    from calibkit.quantize.networks import Arrays

Split = Literal["valid", "train"]


@dataclass(frozen=True)
class Chosen:
    """A calibration document as the store has it."""

    doc_id: str
    label: str
    text: str


@dataclass(frozen=True)
class Subject:
    """A float model, a calibration subset, and the documents that every scheme is measured on.

    kind: discriminative or generative; arrays: its state dict; config: what its network is built
    from; labels: names by label id; subset: token lists in calibration order; tokens, label_ids:
    the documents (n,). left_out: how many documents of the split are calibration documents too
    and are therefore not measured on. chosen: the documents of ``subset``, in the same order.
    """

    kind: str
    arrays: Arrays
    config: Mapping[str, Any]
    labels: tuple[str, ...]
    subset: Ragged
    tokens: Ragged
    label_ids: NDArray[np.int64]
    left_out: int = 0
    chosen: tuple[Chosen, ...] = ()


def load_subject(
    store: Store, model: str, subset: str, *, split: Split = "valid", documents: int | None = None
) -> Subject:
    """Return a model and a subset of a store by (the start of) their ids, with documents.

    split: where documents come from, of the share of the corpus that the model was trained on and
    without those that are in the subset or whose text also stands in the test split. documents:
    how many, the first in the order of the keyed draw 'limit'; None for all.

    Raises BadInput for a model or subset that the store has not, or not exactly once, for a subset
    of another corpus, and where no document is left; StoreDamaged for a lost model.
    """
    with store.reading() as con:
        artefact = find_model(con, model)
        corpus_id, share = _row(
            con, "SELECT corpus_id, share FROM models WHERE model_key = ?", artefact.key
        )
        subset_id, subset_corpus = find_subset(con, subset)
        if subset_corpus != corpus_id:
            raise BadInput(
                f"the subset {subset_id} is of the corpus {_called(con, subset_corpus)}, and the "
                f"model {artefact.id} was trained on {_called(con, corpus_id)}; choose a subset "
                "of that corpus (`calibkit list subsets`, `calibkit build-subset`)"
            )
        corpus = corpus_by_id(con, corpus_id)
        chosen = con.execute(
            "SELECT chosen.doc_id, any_value(documents.label_id), any_value(documents.text)"
            " FROM subset_documents AS chosen"
            " JOIN documents ON documents.doc_id = chosen.doc_id AND documents.corpus_id = ?"
            " WHERE chosen.subset_id = ? GROUP BY chosen.doc_id, chosen.position"
            " ORDER BY chosen.position",
            [corpus_id, subset_id],
        ).fetchall()
    library = Library(store, corpus, share)
    found = library.split(split, leave_out_in_test=True)
    calibrating = {doc_id for doc_id, _, _ in chosen}
    rows = np.array([row for row, i in enumerate(found.ids) if i not in calibrating], dtype=np.intp)
    left_out = len(found.ids) - len(rows)
    if not len(rows):
        raise BadInput(
            f"the {split} split of corpus {corpus.name!r} has no document that is neither in the "
            f"subset {subset_id} nor in the test split; give another split or subset"
        )
    if documents is not None:
        drawn = draw_order(0, "limit", [found.ids[row] for row in rows])[:documents]
        rows = rows[np.sort(drawn)]
    shelf = artefacts_of(store)
    if not shelf.has("model", artefact.key):
        raise StoreDamaged(
            f"the weights of the float model {artefact.id} are lost: {shelf.root} has no model "
            f"{artefact.key}; `calibkit evaluate RECIPE`, with its recipe, trains it again"
        )
    content = shelf.load("model", artefact.key)
    encoder = Encoder.of(library, artefact.settings)
    return Subject(
        kind=artefact.settings.kind,
        arrays=content.tensors,
        config=content.config,
        labels=corpus.labels,
        subset=encoder.encode([text for _, _, text in chosen]),
        tokens=encoder.encode([found.texts[row] for row in rows]),
        label_ids=found.label_ids[rows],
        left_out=left_out,
        chosen=tuple(Chosen(doc_id, corpus.labels[label], text) for doc_id, label, text in chosen),
    )


def find_subset(con: duckdb.DuckDBPyConnection, name: str) -> tuple[str, str]:
    """Return the id of a stored subset, and of its corpus, by the id or the start of it."""
    rows = con.execute(
        "SELECT DISTINCT subset_id, corpus_id FROM subsets WHERE starts_with(subset_id, ?)", [name]
    ).fetchall()
    if len(rows) != 1:
        what = "no subset" if not rows else f"{len(rows)} subsets"
        raise BadInput(
            f"{what} with an id that starts with {name!r}; `calibkit list subsets` shows them"
        )
    return str(rows[0][0]), str(rows[0][1])


def _row(con: duckdb.DuckDBPyConnection, query: str, value: str) -> tuple[Any, ...]:
    (row,) = con.execute(query, [value]).fetchall()
    return tuple(row)


def _called(con: duckdb.DuckDBPyConnection, corpus_id: str) -> str:
    name, version = _row(con, "SELECT name, version FROM corpora WHERE corpus_id = ?", corpus_id)
    return f"{name!r}, version {version}"
