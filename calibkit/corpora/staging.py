"""A scratch database in which a corpus is checked as a whole before the store is touched."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb

from calibkit.corpora.text import tokenize
from calibkit.corpora.validation import FileProblem, Limits, Problems, Row, checked
from calibkit.errors import BadInput
from calibkit.identity import content_id

TEST_SHARE = 0.2
VALID_SHARE = 0.1

_BATCH = 20_000

# chr(31) counts as white space in a clean text or label, so it separates the parts of an id.
_FINISH = """
CREATE TABLE keyed AS
SELECT split, line, label, text, tokens, md5(text) AS text_key FROM placed;

CREATE TABLE in_test AS SELECT DISTINCT text_key FROM keyed WHERE split = 'test';

CREATE TABLE numbered AS
SELECT *, row_number() OVER (PARTITION BY split, label, text_key ORDER BY line) - 1 AS occurrence
FROM keyed;

CREATE TABLE finished AS
SELECT
    'd1-' || left(md5(concat_ws(chr(31), $name, split, label, text, occurrence)), 20) AS doc_id,
    split,
    label,
    text,
    tokens,
    row_number() OVER (PARTITION BY split, text_key ORDER BY label, occurrence) > 1 AS is_duplicate,
    split <> 'test' AND text_key IN (FROM in_test) AS in_test
FROM numbered;
"""


@dataclass(frozen=True)
class Staged:
    """What a checked corpus holds, before it is written. text_bytes: of all its texts."""

    corpus_id: str
    documents: dict[str, int]
    labels: tuple[str, ...]
    duplicates: int
    in_test: int
    text_bytes: int


class Staging:
    """Collects the rows of every split, then checks them together. A context manager."""

    def __init__(self, name: str, limits: Limits, problems: Problems) -> None:
        self._name = name
        self._limits = limits
        self._problems = problems
        self._places: dict[str, str] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="calibkit-ingest-"))
        self.con = duckdb.connect(
            config={
                "temp_directory": str(self._folder),
                "autoload_known_extensions": "false",
                "autoinstall_known_extensions": "false",
            }
        )
        self.con.execute(
            "CREATE TABLE rows"
            "(split VARCHAR, line BIGINT, label VARCHAR, text VARCHAR, tokens INTEGER)"
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

    def add(self, split: str, place: str, rows: Iterable[Row]) -> None:
        """Check, clean and keep the rows of a split; bad ones go to the problems."""
        import pyarrow as pa

        self._places[split] = place
        good = self._checked(place, rows)
        kept = 0
        while batch := list(islice(good, _BATCH)):
            lines, labels, texts, tokens = zip(*batch, strict=True)
            table = pa.table(
                {
                    "line": pa.array(lines, pa.int64()),
                    "label": pa.array(labels, pa.large_string()),
                    "text": pa.array(texts, pa.large_string()),
                    "tokens": pa.array(tokens, pa.int32()),
                }
            )
            with _registered(self.con, "batch", table):
                self.con.execute(
                    "INSERT INTO rows SELECT $split, line, label, text, tokens FROM batch",
                    {"split": split},
                )
            kept += len(batch)
        if not kept:
            self._problems.settle()
            raise FileProblem(f"{place}: no usable document is left")

    def _checked(self, place: str, rows: Iterable[Row]) -> Iterator[tuple[int, str, str, int]]:
        limits = self._limits
        for row in rows:
            found = checked(row, limits)
            if isinstance(found, str):
                self._problems.add(place, row.line, found)
            else:
                text, label = found
                yield row.line, label, text, len(tokenize(text))

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
        self.con.execute(_FINISH, {"name": self._name})
        return self._staged()

    def _check_train(self) -> None:
        place = self._places["train"]
        labels, texts, first = self._one(
            "SELECT count(DISTINCT label), count(DISTINCT text), min(label) FROM rows"
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
            """
            CREATE TABLE placed AS
            WITH ranked AS (
                SELECT
                    label,
                    text,
                    row_number() OVER (
                        PARTITION BY label ORDER BY md5('calibkit1:0:split:' || md5(text)), text
                    ) AS rank,
                    count(*) OVER (PARTITION BY label) AS many
                FROM (SELECT DISTINCT label, text FROM rows WHERE split = 'train')
            ), moved AS (
                SELECT label, text, CASE
                    WHEN rank <= round($test * many) THEN 'test'
                    WHEN rank <= round($test * many) + round($valid * many) THEN 'valid'
                END AS target
                FROM ranked
            )
            SELECT coalesce(target, split) AS split, line, rows.label, rows.text, tokens
            FROM rows LEFT JOIN moved
                ON split = 'train' AND rows.label = moved.label AND rows.text = moved.text
            """,
            {
                "test": 0.0 if "test" in self._places else TEST_SHARE,
                "valid": 0.0 if "valid" in self._places else VALID_SHARE,
            },
        )
        counts = dict(self.con.execute("SELECT split, count(*) FROM placed GROUP BY 1").fetchall())
        for split in ("train", "valid", "test"):
            if not counts.get(split):
                raise BadInput(
                    f"{self._places['train']}: too few documents per label to take a {split} split"
                    f" from them; give one with --{split} FILE"
                )

    def _staged(self) -> Staged:
        counts = dict(
            self.con.execute("SELECT split, count(*) FROM finished GROUP BY split").fetchall()
        )
        labels = self.con.execute("SELECT DISTINCT label FROM finished").fetchall()
        duplicates, in_test, size, content = self._one(
            "SELECT count(*) FILTER (is_duplicate), count(*) FILTER (in_test), sum(strlen(text)),"
            " md5(string_agg(doc_id, '' ORDER BY doc_id)) FROM finished"
        )
        return Staged(
            corpus_id=content_id("corpus", [self._name, content]),
            documents={split: counts[split] for split in ("train", "valid", "test")},
            labels=tuple(sorted(label for (label,) in labels)),
            duplicates=duplicates,
            in_test=in_test,
            text_bytes=int(size),
        )

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
        reader = self.con.sql(
            "SELECT doc_id, split, label, text, tokens, is_duplicate, in_test FROM finished"
            " ORDER BY split, doc_id"
        ).to_arrow_reader(_BATCH)
        with _registered(con, "incoming_documents", reader):
            con.execute(
                """
                INSERT INTO documents
                    (corpus_id, doc_id, split, label_id, text, tokens, is_duplicate, in_test)
                SELECT corpus_id, doc_id, split, label_id, text, tokens, is_duplicate, in_test
                FROM incoming_documents JOIN labels USING (label) WHERE corpus_id = $corpus
                """,
                {"corpus": staged.corpus_id},
            )

    def _one(self, sql: str) -> tuple[Any, ...]:
        return tuple(self.con.execute(sql).fetchall()[0])  # an aggregate always gives a row


@contextmanager
def _registered(con: duckdb.DuckDBPyConnection, name: str, table: object) -> Iterator[None]:
    con.register(name, table)
    try:
        yield
    finally:
        con.unregister(name)
