"""Bring labelled text into the store: whole and checked, or not at all."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from duckdb import DuckDBPyConnection

from calibkit.corpora.delimited import delimited_rows
from calibkit.corpora.docstrings import docstring_paragraphs, library_versions
from calibkit.corpora.files import SourceFile, file_sha256, find_file
from calibkit.corpora.hub import load_hub
from calibkit.corpora.jsonl import jsonl_rows
from calibkit.corpora.parquet import parquet_rows
from calibkit.corpora.staging import TEST_SHARE, VALID_SHARE, Staged, Staging
from calibkit.corpora.validation import Block, Limits, Problems, Row, check_name
from calibkit.corpora.vectors import VectorColumn
from calibkit.errors import BadInput
from calibkit.identity import canonical
from calibkit.store.connection import Store

log = logging.getLogger(__name__)

_Reader = Callable[[SourceFile, str, str, Limits, str | None], Iterator[Row | Block]]
_READERS: dict[str, _Reader] = {
    "csv": delimited_rows,
    "tsv": delimited_rows,
    "jsonl": jsonl_rows,
    "parquet": parquet_rows,
}


@dataclass(frozen=True)
class IngestReport:
    """What an ingest brought in, or found to be there already.

    documents: per split; duplicates: later occurrences of a text within its split; in_test:
    documents of train and valid whose text stands in test; skipped: bad rows left out on purpose,
    the first of them in ``problems``; notes: decisions a reader should know of; vector_length:
    numbers of each document's vector, 0 where none came with them.
    """

    corpus_id: str
    name: str
    version: int
    documents: dict[str, int]
    labels: tuple[str, ...]
    duplicates: int
    in_test: int
    skipped: int
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    already_there: bool
    vector_length: int = 0


@dataclass(frozen=True)
class Prepared:
    """A checked corpus in its scratch database, ready to be written.

    finishing: seconds that it took to check it as a whole, once its rows had been read and checked.
    """

    name: str
    staging: Staging
    staged: Staged
    source: dict[str, object]
    provenance: str
    problems: Problems
    notes: tuple[str, ...]
    finishing: float


def ingest(
    store: Store,
    name: str,
    *,
    train: str | Path | None = None,
    valid: str | Path | None = None,
    test: str | Path | None = None,
    source: str | None = None,
    text_column: str = "text",
    label_column: str = "label",
    vectors: str | None = None,
    strict: bool = False,
    on_error: Literal["abort", "skip"] = "abort",
    max_rejects: int = 100,
    limits: Limits | None = None,
) -> IngestReport:
    """Ingest a corpus from files, or from ``source``: 'docstrings' or 'hub:ORG/DATASET[:CONFIG]'.

    Where valid or test is missing, 10 % and 20 % of train are taken for them, keyed by the text
    and label by label. The same content under the same name is reported and not written again;
    other content becomes the next version. strict: duplicates within a split and texts that stand
    in test as well are errors. on_error 'skip' leaves out up to ``max_rejects`` bad rows. vectors:
    a column with a list of numbers for each document, all of one length, which are kept beside the
    documents and belong to the content.

    Everything is checked before the store is opened. Raises BadInput and leaves the store as it
    was; StoreError when the disk is too full.
    """
    files = {"train": train, "valid": valid, "test": test}
    with prepared(
        name,
        files={split: path for split, path in files.items() if path is not None},
        source=source,
        text_column=text_column,
        label_column=label_column,
        vectors=vectors,
        strict=strict,
        most_rejects=_most_rejects(on_error, max_rejects),
        limits=limits or Limits(),
    ) as corpus:
        numbers = corpus.staged.vector_length * sum(corpus.staged.documents.values())
        store.require_space(3 * corpus.staged.text_bytes + 2 * 4 * numbers)
        with store.writing() as con:
            return ingest_into(con, corpus)


@contextmanager
def prepared(
    name: str,
    *,
    files: dict[str, str | Path],
    source: str | None = None,
    text_column: str = "text",
    label_column: str = "label",
    vectors: str | None = None,
    strict: bool = False,
    most_rejects: int = 0,
    limits: Limits | None = None,
) -> Iterator[Prepared]:
    """Yield a checked corpus; nothing is written to any store. Parameters as for ``ingest``."""
    limits = limits or Limits()
    check_name(name)
    if text_column == label_column:
        raise BadInput(f"the text and the label cannot both be column {text_column!r}")
    if vectors in (text_column, label_column):
        raise BadInput(
            f"--vectors: the column {vectors!r} is taken for the text or the label; name the one"
            " that has a list of numbers in every row"
        )
    if source is not None and files:
        raise BadInput("a corpus comes from files (--train) or from a source (--from), not both")
    problems = Problems(most=most_rejects)
    column = None if vectors is None else VectorColumn(vectors, limits)
    with Staging(name, limits, problems, column) as staging:
        columns = (text_column, label_column)
        if source is None:
            described, notes = _stage_files(staging, files, *columns, limits, vectors)
        elif source == "docstrings":
            if vectors is not None:
                raise BadInput("--vectors: the source 'docstrings' has no vectors; leave it out")
            described, notes = _stage_docstrings(staging)
        elif source.startswith("hub:"):
            address = source.removeprefix("hub:")
            described, notes = _stage_hub(staging, address, *columns, vectors)
        else:
            raise BadInput(
                f"no source is called {source!r}; known: 'docstrings', 'hub:ORG/DATASET[:CONFIG]'"
            )
        start = time.perf_counter()
        staged = staging.finish()
        finishing = time.perf_counter() - start
        if strict:
            _refuse_repeats(staging, staged)
        taken = _splits_taken(described)
        if taken:
            described["split_by_calibkit"] = taken
            notes = (*notes, _splits_note(taken))
        if vectors is not None:
            described["vectors"] = {"column": vectors, "numbers": staged.vector_length}
        if problems.count:
            described["rows_left_out"] = problems.count
        provenance = str(described.pop("provenance"))
        yield Prepared(name, staging, staged, described, provenance, problems, notes, finishing)


def ingest_into(con: DuckDBPyConnection, corpus: Prepared) -> IngestReport:
    """Write a prepared corpus through a connection that is in a transaction."""
    staged = corpus.staged
    rows = con.execute(
        "SELECT corpus_id, CAST(version AS INTEGER) FROM corpora WHERE name = ?", [corpus.name]
    ).fetchall()
    versions: dict[str, int] = dict(rows)
    latest = max(versions.values(), default=0)
    version = versions.get(staged.corpus_id)
    is_new = version is None
    notes = corpus.notes
    if version is None:
        version = latest + 1
        con.execute(
            "INSERT INTO corpora (corpus_id, name, version, source, documents, labels,"
            " ingested_at, provenance) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                staged.corpus_id,
                corpus.name,
                str(version),
                canonical(corpus.source),
                sum(staged.documents.values()),
                len(staged.labels),
                datetime.now(UTC).replace(tzinfo=None),
                corpus.provenance,
            ],
        )
        corpus.staging.copy_into(con, staged)
    elif version < latest:
        notes = (
            *notes,
            f"this content is version {version} of {corpus.name!r}; the name keeps meaning version"
            f" {latest}. To use it, ingest it under another name",
        )
    log.info("corpus %s version %d: %s", corpus.name, version, staged.documents)
    return IngestReport(
        corpus_id=staged.corpus_id,
        name=corpus.name,
        version=version,
        documents=staged.documents,
        labels=staged.labels,
        duplicates=staged.duplicates,
        in_test=staged.in_test,
        skipped=corpus.problems.count,
        problems=tuple(corpus.problems.listed),
        notes=notes,
        already_there=not is_new,
        vector_length=staged.vector_length,
    )


def _most_rejects(on_error: str, max_rejects: int) -> int:
    if on_error not in ("abort", "skip"):
        raise BadInput(f"--on-error is {on_error!r}; allowed: abort, skip")
    if max_rejects < 0:
        raise BadInput(f"--max-rejects is {max_rejects}; allowed: 0 and more")
    return max_rejects if on_error == "skip" else 0


_Described = tuple[dict[str, object], tuple[str, ...]]


def _stage_files(
    staging: Staging,
    paths: dict[str, str | Path],
    text_column: str,
    label_column: str,
    limits: Limits,
    vectors: str | None,
) -> _Described:
    if "train" not in paths:
        raise BadInput(
            "a corpus needs a training split: --train FILE (with --valid and --test where there"
            " are any), or --from docstrings, or --from hub:ORG/DATASET"
        )
    files = {split: find_file(path) for split, path in paths.items()}
    hashes = {split: file_sha256(file.path) for split, file in files.items()}
    for split, file in files.items():
        rows = _READERS[file.format](file, text_column, label_column, limits, vectors)
        staging.add(split, file.place, rows)
    described: dict[str, object] = {
        "kind": "files",
        "splits": {
            split: {
                "file": str(file.path),
                "bytes": file.path.stat().st_size,
                "sha256": hashes[split],
            }
            for split, file in files.items()
        },
        "text_column": text_column,
        "label_column": label_column,
        "provenance": "files " + ", ".join(file.path.name for file in files.values()),
    }
    return described, ()


def _stage_docstrings(staging: Staging) -> _Described:
    versions = library_versions()
    found = docstring_paragraphs()
    staging.add(
        "train",
        "docstrings",
        (Row(number, one.text, one.library) for number, one in enumerate(found, start=1)),
    )
    listed = ", ".join(f"{label} {version}" for label, version in versions.items())
    described: dict[str, object] = {
        "kind": "docstrings",
        "splits": {"train": {"paragraphs": len(found)}},
        "versions": versions,
        "provenance": f"documentation paragraphs of {listed}",
    }
    return described, (f"read the installed sources of {listed}",)


def _stage_hub(
    staging: Staging, address: str, text_column: str, label_column: str, vectors: str | None
) -> _Described:
    dataset = load_hub(address, label_column)
    for split in dataset.splits:
        rows = dataset.rows(split, text_column, label_column, vectors)
        staging.add(split, dataset.place(split), rows)
    described = {
        **dataset.source,
        "splits": {split: {"rows": len(rows)} for split, rows in dataset.splits.items()},
        "text_column": text_column,
        "label_column": label_column,
        "provenance": f"dataset {address}",
    }
    return described, dataset.notes


def _splits_taken(described: dict[str, object]) -> dict[str, float]:
    """Return the share of train that each split was made of, for those that were not given."""
    given = described["splits"]
    assert isinstance(given, dict)
    shares = {"valid": VALID_SHARE, "test": TEST_SHARE}
    return {split: share for split, share in shares.items() if split not in given}


def _splits_note(taken: dict[str, float]) -> str:
    parts = " and ".join(f"{share:.0%} for {split}" for split, share in taken.items())
    return f"of the training documents, calibkit took {parts}: keyed by text, label by label"


def _refuse_repeats(staging: Staging, staged: Staged) -> None:
    found = {
        "is_duplicate": (staged.duplicates, "repeat a text of the same split"),
        "in_test": (staged.in_test, "have a text that stands in the test split"),
    }
    lines = [
        f"{count:,} documents {what}, for example {', '.join(map(repr, staging.examples(flag)))}"
        for flag, (count, what) in found.items()
        if count
    ]
    if lines:
        lines.append("nothing was ingested, since --strict refuses such documents")
        raise BadInput("\n".join(lines))
