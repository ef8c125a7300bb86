"""A scratch database in which a corpus is checked as a whole before the store is touched."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb

from calibkit.corpora import placing
from calibkit.corpora.batches import Clean, all_clean, batches, clean_rows, without_cycles
from calibkit.corpora.validation import Block, FileProblem, Limits, Problems, Row, checked
from calibkit.corpora.vectors import VectorColumn, vector_table
from calibkit.errors import BadInput, StoreError
from calibkit.identity import content_id
from calibkit.store.files import disk_told
from calibkit.store.opening import first_line

TEST_SHARE = 0.2
VALID_SHARE = 0.1

_BATCH = 20_000
_VECTORS_AT_ONCE = 4_096
_MEMORY = "500MB"
"""What the scratch database may hold in memory; beyond that it goes to its folder."""


@dataclass(frozen=True)
class Staged:
    """What a checked corpus holds, before it is written.

    text_bytes: of all its texts. vector_length: numbers of each document's vector, 0 without.
    """

    corpus_id: str
    documents: dict[str, int]
    labels: tuple[str, ...]
    duplicates: int
    in_test: int
    text_bytes: int
    vector_length: int = 0


class Staging:
    """Collects the rows of every split, then checks them together. A context manager.

    vectors: the column of vectors that every row must have one in, if any.
    """

    def __init__(
        self, name: str, limits: Limits, problems: Problems, vectors: VectorColumn | None = None
    ) -> None:
        self._name = name
        self._limits = limits
        self._vectors = vectors
        self._problems = problems
        self._places: dict[str, str] = {}
        with disk_told(f"make a scratch folder in {tempfile.gettempdir()} (TMPDIR names another)"):
            self._folder = Path(tempfile.mkdtemp(prefix="calibkit-ingest-"))
        self.con = duckdb.connect(
            config={
                "temp_directory": str(self._folder),
                "memory_limit": _MEMORY,
                "autoload_known_extensions": "false",
                "autoinstall_known_extensions": "false",
            }
        )
        self.con.execute(
            "CREATE TABLE rows"
            "(split VARCHAR, line BIGINT, label VARCHAR, text VARCHAR, tokens INTEGER,"
            " text_key UHUGEINT)"
        )
        if vectors is not None:
            self.con.execute(
                "CREATE TABLE vectors(split VARCHAR, line BIGINT, vector FLOAT[], digest VARCHAR)"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.con.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        if isinstance(error, duckdb.IOException):
            raise StoreError(
                f"cannot ingest {self._name!r}: {first_line(error)} Nothing was ingested; what does"
                f" not fit into memory goes to {self._folder.parent}: make room there, or name"
                " another folder with TMPDIR"
            ) from error

    def add(self, split: str, place: str, rows: Iterable[Row | Block]) -> None:
        """Check, clean and keep the rows of a split; bad ones go to the problems."""
        self._places[split] = place
        with without_cycles():
            kept = sum(self._add(split, place, batch) for batch in batches(rows))
        if not kept:
            self._problems.settle()
            raise FileProblem(f"{place}: no usable document is left")

    def _add(self, split: str, place: str, batch: list[Row] | Block) -> int:
        """Keep the good rows of a batch, and return how many there are."""
        import pyarrow as pa

        if self._vectors is not None:
            batch = self._vectors.checked(place, _rows(batch))
        found = all_clean(batch, self._limits) or self._one_by_one(place, _rows(batch))
        if found is None:
            return 0
        table = pa.table(
            {
                "line": pa.array(found.lines, pa.int64()),
                "label": pa.array(found.labels, pa.large_string()),
                "text": pa.array(found.texts, pa.large_string()),
                "tokens": pa.array(found.tokens, pa.int32()),
            }
        )
        with _registered(self.con, "batch", table):
            self.con.execute(
                "INSERT INTO rows SELECT $split, line, label, text, tokens, md5_number(text)"
                " FROM batch",
                {"split": split},
            )
        if self._vectors is not None:
            with _registered(self.con, "batch", vector_table(_rows(batch), found.lines)):
                self.con.execute(
                    "INSERT INTO vectors SELECT $split, line, vector, digest FROM batch",
                    {"split": split},
                )
        return len(found.lines)

    def _one_by_one(self, place: str, rows: Iterable[Row]) -> Clean | None:
        """Return the good ones of some rows, None if there are none; note the bad ones."""
        good = []
        for row in rows:
            found = checked(row, self._limits)
            if isinstance(found, str):
                self._problems.add(place, row.line, found)
            else:
                good.append((row.line, *found))
        return clean_rows(good) if good else None

    def finish(self) -> Staged:
        """Check the corpus as a whole, give it its splits and ids, and say what it holds.

        Raises BadInput with the problems of all rows, or for a corpus that can train nothing.
        """
        if not self._problems.count:  # the clearest error first
            self._check_train()
        self._check_unseen()
        self._problems.settle()
        self._check_train()
        self._split()
        self.con.execute(placing.REPEATED)
        self.con.execute(placing.IDS, {"name": self._name})
        self.con.execute(placing.FINISHED)
        if self._vectors is not None:
            self.con.execute(placing.WITH_VECTORS)
        return self._staged()

    def _check_train(self) -> None:
        place = self._places["train"]
        labels, texts, first = self._one(
            "SELECT count(DISTINCT label), count(DISTINCT text_key), min(label) FROM rows"
            " WHERE split = 'train'"
        )
        if labels == 1:
            raise FileProblem(
                f"{place}: every document has the label {first!r}; a classifier needs at least two"
            )
        if labels > texts:
            raise FileProblem(
                f"{place}: {labels:,} different labels but only {texts:,} different texts; are the"
                " two columns swapped (--text-column, --label-column)?"
            )
        if labels > self._limits.labels:
            raise FileProblem(
                f"{place}: {labels:,} different labels; at most {self._limits.labels:,} are"
                " allowed. Is --label-column the right column?"
            )

    def _check_unseen(self) -> None:
        unseen = "split <> 'train' AND label NOT IN (SELECT label FROM rows WHERE split = 'train')"
        bad = self.con.execute(
            f"SELECT split, line, label FROM rows WHERE {unseen}"
            " ORDER BY split DESC, line"  # valid before test
        ).fetchall()
        for split, line, label in bad:
            self._problems.add(
                self._places[split], line, f"label {label!r} does not occur in the training split"
            )
        if bad:
            self.con.execute(f"DELETE FROM rows WHERE {unseen}")

    def _split(self) -> None:
        """Take valid and test out of train where they are not given: keyed, label by label.

        Equal texts of a label stay together, and every label keeps a training document.
        """
        self.con.execute(
            placing.MOVED,
            {
                "test": 0.0 if "test" in self._places else TEST_SHARE,
                "valid": 0.0 if "valid" in self._places else VALID_SHARE,
            },
        )
        self.con.execute(placing.PLACED)
        counts = dict(self.con.execute("SELECT split, count(*) FROM placed GROUP BY 1").fetchall())
        for split in ("train", "valid", "test"):
            if not counts.get(split):
                raise BadInput(
                    f"{self._places['train']}: too few documents per label to take a {split} split"
                    f" from them; give one with --{split} FILE"
                )

    def _staged(self) -> Staged:
        counts = dict(self.con.execute("SELECT split, count(*) FROM ids GROUP BY split").fetchall())
        labels = self.con.execute("SELECT DISTINCT label FROM rows").fetchall()
        duplicates, in_test = self._one(
            "SELECT count(*) FILTER (is_duplicate), count(*) FILTER (in_test) FROM ids"
        )
        (size,) = self._one("SELECT sum(strlen(text)) FROM rows")
        content = [self._digest("ids", "doc_id")]
        if self._vectors is not None:  # the same texts with other vectors are another corpus
            content.append(self._digest("with_vectors", "digest"))
        return Staged(
            corpus_id=content_id("corpus", [self._name, *content]),
            documents={split: counts[split] for split in ("train", "valid", "test")},
            labels=tuple(sorted(label for (label,) in labels)),
            duplicates=duplicates,
            in_test=in_test,
            text_bytes=int(size),
            vector_length=self._vectors.length if self._vectors is not None else 0,
        )

    def _digest(self, table: str, column: str) -> str:
        """Return the md5 of all values of a column one behind the other, in order of doc_id."""
        digest = hashlib.md5(usedforsecurity=False)
        values = self.con.sql(f"SELECT {column} FROM {table} ORDER BY doc_id")
        for batch in values.to_arrow_reader(_BATCH):
            digest.update("".join(batch.column(0).to_pylist()).encode())
        return digest.hexdigest()

    def examples(self, flag: str) -> list[str]:
        """Return the beginnings of up to five texts that carry a flag."""
        rows = self.con.execute(
            f"SELECT DISTINCT left(text, 60) FROM finished WHERE {flag} ORDER BY 1 LIMIT 5"
        ).fetchall()
        return [text for (text,) in rows]

    def copy_into(self, con: duckdb.DuckDBPyConnection, staged: Staged) -> None:
        """Write the labels and the documents into the store's tables, in doc_id order."""
        con.executemany(
            "INSERT INTO labels (corpus_id, label_id, label) VALUES (?, ?, ?)",
            [[staged.corpus_id, number, label] for number, label in enumerate(staged.labels)],
        )
        with _registered(con, "incoming_documents", self._in_order(staged)):
            con.execute(
                """
                INSERT INTO documents
                    (corpus_id, doc_id, split, label_id, text, tokens, is_duplicate, in_test)
                SELECT $corpus, doc_id, split, label_id, text, tokens, is_duplicate, in_test
                FROM incoming_documents
                """,
                {"corpus": staged.corpus_id},
            )

        if self._vectors is not None:
            vectors = self.con.sql("SELECT doc_id, vector FROM with_vectors ORDER BY doc_id")
            with _registered(con, "incoming_vectors", vectors.to_arrow_reader(_VECTORS_AT_ONCE)):
                con.execute(
                    "INSERT INTO document_vectors (corpus_id, doc_id, vector)"
                    " SELECT $corpus, doc_id, vector FROM incoming_vectors",
                    {"corpus": staged.corpus_id},
                )

    def _in_order(self, staged: Staged) -> Any:
        """Return an Arrow reader of all documents, sorted part by part to save memory."""
        import pyarrow as pa

        self.con.execute(
            "CREATE OR REPLACE TABLE numbers AS"
            " SELECT unnest($labels) AS label, unnest(range(len($labels))) AS label_id",
            {"labels": list(staged.labels)},
        )
        documents = sum(staged.documents.values())
        parts = [
            self.con.sql(
                "SELECT doc_id, split, label_id, text, tokens, is_duplicate, in_test"
                " FROM finished JOIN numbers USING (label)"
                f" WHERE split = '{split}' AND doc_id >= '{low}' AND doc_id < '{high}'"
                " ORDER BY doc_id"
            )
            for split, low, high in _parts(staged.documents, most=documents // 8 + _BATCH)
        ]
        schema = parts[0].limit(0).to_arrow_table().schema
        batches = (batch for part in parts for batch in part.to_arrow_reader(_BATCH))
        return pa.RecordBatchReader.from_batches(schema, batches)

    def _one(self, sql: str) -> tuple[Any, ...]:
        return tuple(self.con.execute(sql).fetchall()[0])  # an aggregate always gives a row


def _rows(batch: list[Row] | Block) -> list[Row]:
    return list(batch.rows()) if isinstance(batch, Block) else batch


def _parts(documents: Mapping[str, int], most: int) -> Iterator[tuple[str, str, str]]:
    """Yield (split, low, high): ranges of document ids with about ``most`` documents, in order.

    Document ids are spread evenly, and sorting a part takes a part of the memory.
    """
    for split in sorted(documents):
        count = min(256, -(-documents[split] // most))
        edges = [f"d1-{256 * part // count:02x}" for part in range(count)]
        yield from zip([split] * count, edges, [*edges[1:], "d1-g"], strict=True)


@contextmanager
def _registered(con: duckdb.DuckDBPyConnection, name: str, table: object) -> Iterator[None]:
    con.register(name, table)
    try:
        yield
    finally:
        con.unregister(name)
