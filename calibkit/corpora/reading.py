"""Corpora read back from the store: the latest version of a name, and documents of a split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from duckdb import DuckDBPyConnection
from numpy.typing import NDArray

from calibkit.errors import BadInput, UnknownName
from calibkit.ids import packed

SPLITS = ("train", "valid", "test")

_BATCH = 1 << 16


@dataclass(frozen=True)
class Corpus:
    """One version of a corpus. labels: names by label id; documents: how many per split."""

    corpus_id: str
    name: str
    version: int
    labels: tuple[str, ...]
    documents: dict[str, int]


@dataclass(frozen=True)
class Documents:
    """Documents in doc_id order: ids, clean texts, label ids (int64, by ``Corpus.labels``)."""

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    label_ids: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Index:
    """What is known of documents without reading their texts, in doc_id order.

    ids: like a tuple of strings, but packed where they are equally long. label_ids: int64 (n,), by
    ``Corpus.labels``; tokens: int64 (n,), lengths in tokens, uncut.
    """

    ids: Sequence[str]
    label_ids: NDArray[np.int64]
    tokens: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)


def find_corpus(con: DuckDBPyConnection, name: str) -> Corpus:
    """Return the latest version of the corpus called ``name``; UnknownName when there is none."""
    found = con.execute(
        "SELECT corpus_id FROM corpora WHERE name = ?"
        " ORDER BY CAST(version AS INTEGER) DESC LIMIT 1",
        [name],
    ).fetchall()
    if not found:
        known = [str(n) for (n,) in con.execute("SELECT DISTINCT name FROM corpora").fetchall()]
        raise UnknownName(
            "corpus",
            name,
            known,
            f"(`calibkit ingest {name} --train FILE --valid FILE --test FILE` makes it)",
        )
    return corpus_by_id(con, found[0][0])


def corpus_by_id(con: DuckDBPyConnection, corpus_id: str) -> Corpus:
    """Return one version of a corpus; BadInput where it was never ingested into this store."""
    found = con.execute(
        "SELECT name, version FROM corpora WHERE corpus_id = ?", [corpus_id]
    ).fetchall()
    if not found:
        raise BadInput(
            f"the store has no corpus {corpus_id!r}; what was merged from another store refers to"
            " it: ingest the same documents under the same name"
        )
    ((name, version),) = found
    labels = con.execute(
        "SELECT label FROM labels WHERE corpus_id = ? ORDER BY label_id", [corpus_id]
    ).fetchall()
    counts = con.execute(
        "SELECT split, count(*) FROM documents WHERE corpus_id = ? GROUP BY split", [corpus_id]
    ).fetchall()
    size = dict(counts)
    return Corpus(
        corpus_id=corpus_id,
        name=name,
        version=int(version),
        labels=tuple(label for (label,) in labels),
        documents={split: size[split] for split in SPLITS if split in size},
    )


def documents(
    con: DuckDBPyConnection,
    corpus: Corpus,
    split: str,
    *,
    share: float = 1.0,
    limit: int | None = None,
    leave_out_in_test: bool = False,
) -> Documents:
    """Return the documents of a split in doc_id order.

    share: the first round(share * n) of the whole split (at least one) in the order of the keyed
    draw 'share'; leave_out_in_test: then without those whose text stands in the test split; limit:
    of these, the first ones in the order of the keyed draw 'limit'.

    Raises UnknownName for a split that the corpus lacks, BadInput for a share outside (0, 1].
    """
    query = document_query(
        corpus, split, "text", share=share, limit=limit, leave_out_in_test=leave_out_in_test
    )
    rows = con.execute(f"{query.sql} ORDER BY doc_id", query.params).fetchnumpy()
    return Documents(
        ids=tuple(np.asarray(rows["doc_id"]).tolist()),
        texts=tuple(np.asarray(rows["text"]).tolist()),
        label_ids=np.asarray(rows["label_id"], dtype=np.int64),
    )


def texts(
    con: DuckDBPyConnection, corpus: Corpus, split: str, *, share: float = 1.0
) -> Iterator[str]:
    """Return the texts of `documents` one by one, in no order, also after ``con`` is closed.

    They are read at once, but take less memory than as many strings.
    """
    query = document_query(corpus, split, "text", share=share)
    found = con.cursor().sql(f"SELECT text FROM ({query.sql})", params=query.params)
    batches = [batch["text"] for batch in found.to_arrow_reader(_BATCH)]
    return (text for batch in batches for text in batch.to_pylist())


def index(
    con: DuckDBPyConnection,
    corpus: Corpus,
    split: str,
    *,
    share: float = 1.0,
    leave_out_in_test: bool = False,
) -> Index:
    """Return the same documents as `documents`, without their texts."""
    query = document_query(
        corpus, split, "tokens", share=share, leave_out_in_test=leave_out_in_test
    )
    # a cursor, since a relation refuses a connection whose last result was not read to its end
    found = con.cursor().sql(f"{query.sql} ORDER BY doc_id", params=query.params)
    numbers = {name: [np.zeros(0, np.int64)] for name in ("label_id", "tokens")}

    def ids() -> Iterator[Sequence[str]]:
        for batch in found.to_arrow_reader(_BATCH):
            for name, parts in numbers.items():
                parts.append(np.asarray(batch[name], dtype=np.int64))
            yield batch["doc_id"].to_pylist()

    return Index(
        packed(ids()), np.concatenate(numbers["label_id"]), np.concatenate(numbers["tokens"])
    )


def documents_by_id(con: DuckDBPyConnection, corpus: Corpus, ids: Sequence[str]) -> Documents:
    """Return documents of any split, synthetic ones included, in the order of ``ids``.

    Raises BadInput, naming the first, for ids that the corpus does not have.
    """
    rows = con.execute(
        "SELECT doc_id, any_value(text), any_value(label_id) FROM documents "
        "WHERE corpus_id = ? AND doc_id IN (SELECT unnest(?::VARCHAR[])) GROUP BY doc_id",
        [corpus.corpus_id, list(dict.fromkeys(ids))],
    ).fetchall()
    found = {doc_id: (text, label_id) for doc_id, text, label_id in rows}
    strange = [doc_id for doc_id in ids if doc_id not in found]
    if strange:
        more = f" and {len(strange) - 1:,} more" if len(strange) > 1 else ""
        raise BadInput(f"corpus {corpus.name!r} has no document {strange[0]!r}{more}")
    return Documents(
        ids=tuple(ids),
        texts=tuple(found[doc_id][0] for doc_id in ids),
        label_ids=np.array([found[doc_id][1] for doc_id in ids], dtype=np.int64),
    )


@dataclass(frozen=True)
class Query:
    """A SELECT of doc_id, label_id and one more column, and its named parameters."""

    sql: str
    params: dict[str, Any]


def document_query(
    corpus: Corpus,
    split: str,
    column: str,
    *,
    share: float = 1.0,
    limit: int | None = None,
    leave_out_in_test: bool = False,
) -> Query:
    """Return the SQL for the documents that `documents` reads, in no order.

    column: of the table ``documents``. Parameters and errors are those of `documents`.
    """
    if split not in corpus.documents:
        raise UnknownName(f"split of corpus {corpus.name!r}", split, corpus.documents)
    if not 0 < share <= 1:
        raise BadInput(f"share of corpus {corpus.name!r} is {share!r}; allowed: above 0, up to 1")
    if limit is not None and limit < 1:
        raise BadInput(f"limit of documents is {limit!r}; allowed: 1 and more")
    kept = max(1, round(share * corpus.documents[split]))
    sql = f"""
        WITH shared AS (
            SELECT doc_id, {column}, label_id, in_test
            FROM documents WHERE corpus_id = $corpus AND split = $split
            {_first("share", kept) if kept < corpus.documents[split] else ""}
        ), wanted AS (
            SELECT * FROM shared {"WHERE NOT in_test" if leave_out_in_test else ""}
            {_first("limit", limit) if limit is not None else ""}
        )
        SELECT doc_id, {column}, label_id FROM wanted
        """
    return Query(sql, {"corpus": corpus.corpus_id, "split": split})


def _first(purpose: str, count: int) -> str:
    """Return SQL for the first rows of a keyed draw with seed 0 (calibkit.identity.draw_key)."""
    return f"ORDER BY md5('calibkit1:0:{purpose}:' || doc_id), doc_id LIMIT {int(count)}"
