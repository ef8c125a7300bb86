"""Documents that no source has, added to a corpus: made for calibration, with their provenance."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from duckdb import DuckDBPyConnection

from calibkit.corpora.reading import Corpus
from calibkit.corpora.text import clean, tokenize
from calibkit.store.rows import insert

SYNTHETIC = "synthetic"
"""The split of such documents. It is no pool, and no count of a corpus includes it."""


@dataclass(frozen=True)
class SyntheticDocument:
    """A made document: its id, its text in normal form, its label, and what it is made from.

    made_from: the id of a document of the corpus, or None.
    """

    doc_id: str
    text: str
    label: str
    made_from: str | None


@dataclass(frozen=True)
class Provenance:
    """Who made documents: the request for a subset, and what it asked for."""

    request_key: str
    generator: str
    params: str
    seed: int
    model_id: str | None
    created_at: datetime


def identified(
    corpus: Corpus, made: Iterable[tuple[str, str, str]]
) -> tuple[SyntheticDocument, ...]:
    """Return documents of (text, label, made from or '') with their ids, in their order.

    An id is the hash of corpus, split, label, text and occurrence, as at ingest: the same text for
    the same label is the same document, whoever made it, but for its repetitions in one list.
    """
    seen: Counter[tuple[str, str]] = Counter()
    documents = []
    for given, label, made_from in made:
        text = clean(given)
        parts = (corpus.name, SYNTHETIC, label, text, str(seen[label, text]))
        digest = hashlib.md5(chr(31).join(parts).encode(), usedforsecurity=False).hexdigest()
        documents.append(SyntheticDocument(f"d1-{digest[:20]}", text, label, made_from or None))
        seen[label, text] += 1
    return tuple(documents)


def add_synthetic(
    con: DuckDBPyConnection,
    corpus: Corpus,
    documents: Sequence[SyntheticDocument],
    provenance: Provenance,
) -> int:
    """Add documents that the corpus lacks, note who made all of them, return how many are new.

    Adding the same again changes nothing. The caller's transaction holds it.
    """
    ids = [document.doc_id for document in documents]
    known = _among(con, "doc_id", corpus, SYNTHETIC, ids)
    in_test = _among(con, "text", corpus, "test", [document.text for document in documents])
    number = {label: place for place, label in enumerate(corpus.labels)}
    first: dict[str, str] = {}
    rows = []
    for document in documents:
        repeats = first.setdefault(document.text, document.doc_id) != document.doc_id
        if document.doc_id not in known:
            rows.append(
                {
                    "corpus_id": corpus.corpus_id,
                    "doc_id": document.doc_id,
                    "split": SYNTHETIC,
                    "label_id": number[document.label],
                    "text": document.text,
                    "tokens": len(tokenize(document.text)),
                    "is_duplicate": repeats,
                    "in_test": document.text in in_test,
                }
            )
    insert(con, "documents", rows)
    asked = {
        "corpus_id": corpus.corpus_id,
        "request_key": provenance.request_key,
        "generator": provenance.generator,
        "params": provenance.params,
        "seed": provenance.seed,
        "model_id": provenance.model_id,
        "created_at": provenance.created_at,
    }
    own = [
        {"doc_id": one.doc_id, "label": one.label, "made_from": one.made_from} for one in documents
    ]
    insert(con, "synthetic_documents", [asked | row for row in own])
    return len(rows)


def _among(
    con: DuckDBPyConnection, column: str, corpus: Corpus, split: str, values: Sequence[str]
) -> frozenset[str]:
    """Return those of the values that stand in a column of a split."""
    found = con.execute(
        f"SELECT DISTINCT {column} FROM documents WHERE corpus_id = ? AND split = ?"
        f" AND {column} IN (SELECT unnest(?::VARCHAR[]))",
        [corpus.corpus_id, split, list(values)],
    ).fetchall()
    return frozenset(value for (value,) in found)
