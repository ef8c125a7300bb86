"""Fixtures named by state: an empty store path, and a writer of small source files."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from calibkit.store import Store

Rows = Sequence[tuple[object, object]]
Writer = Callable[..., Path]

LABELLED: Rows = tuple(
    (f"{word} number {number} of the {label} kind", label)
    for label in ("apple", "bread", "cheese")
    for number, word in enumerate(("first", "second", "third", "fourth", "fifth", "sixth") * 5)
)


@pytest.fixture
def labelled() -> Rows:
    """90 different documents of three labels."""
    return LABELLED


@pytest.fixture
def fresh_store(tmp_path: Path) -> Store:
    """A store that does not exist yet."""
    return Store(tmp_path / "store" / "calibkit.duckdb")


def _as_delimited(rows: Iterable[tuple[object, object]], header: Sequence[str], mark: str) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=mark, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


def _as_parquet(rows: Rows, header: Sequence[str]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = list(zip(*rows, strict=True)) if rows else [(), ()]
    sink = pa.BufferOutputStream()
    table = pa.table({name: list(column) for name, column in zip(header, columns, strict=True)})
    pq.write_table(table, sink)
    return bytes(sink.getvalue().to_pybytes())


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Write rows to a file of the format that its name says, or raw bytes as they are."""

    def write(name: str, rows: Rows | bytes, header: Sequence[str] = ("text", "label")) -> Path:
        path = tmp_path / name
        kind = name.removesuffix(".gz").rpartition(".")[2]
        if isinstance(rows, bytes):
            data = rows
        elif kind in ("csv", "tsv"):
            data = _as_delimited(rows, header, "," if kind == "csv" else "\t")
        elif kind == "jsonl":
            lines = (json.dumps(dict(zip(header, row, strict=True))) for row in rows)
            data = "".join(line + "\n" for line in lines).encode()
        else:
            data = _as_parquet(rows, header)
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write
