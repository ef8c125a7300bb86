"""Rows of parquet files and of Arrow tables."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from calibkit.corpora.files import SourceFile, open_bytes
from calibkit.corpora.pages import expanded_bytes, rows_at_once
from calibkit.corpora.validation import (
    Block,
    FileProblem,
    Limits,
    Row,
    label_text,
    naming,
    no_column,
)


def parquet_rows(
    source: SourceFile,
    text_column: str,
    label_column: str,
    limits: Limits,
    vectors: str | None = None,
) -> Iterator[Row | Block]:
    """Yield the documents; ``line`` is the row number, from 1.

    vectors: the column of vectors, if any, lists of numbers. Raises FileProblem for a file that is
    no parquet, a missing column, one that does not hold text or vectors, and a file without rows.
    """
    columns = {"--text-column": text_column, "--label-column": label_column}
    if vectors is not None:
        columns["--vectors"] = vectors
    if not source.is_gzipped:
        yield from _rows(source.path, source.place, columns, limits)
        return
    with tempfile.TemporaryDirectory(prefix="calibkit-") as folder:
        plain = Path(folder) / "plain.parquet"
        with open_bytes(source, limits) as packed, plain.open("wb") as file:
            shutil.copyfileobj(packed, file)
        yield from _rows(plain, source.place, columns, limits)


def _rows(path: Path, place: str, columns: dict[str, str], limits: Limits) -> Iterator[Row | Block]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with naming(place):
        try:
            with pq.ParquetFile(path) as file:
                check_columns(place, file.schema_arrow, columns)
                if not file.metadata.num_rows:
                    raise FileProblem(f"{place}: there are columns but no document in them")
                names = list(columns.values())
                bound = _Bound(place, path.stat().st_size, limits)
                bound.check(expanded_bytes(file.metadata, names))
                with path.open("rb") as pages:
                    rows = rows_at_once(pages, file.metadata, names)
                bounded = bound.batches(file.iter_batches(rows, columns=names))
                text, label = columns["--text-column"], columns["--label-column"]
                yield from arrow_rows(bounded, text, label, vectors=columns.get("--vectors"))
        except (pa.ArrowException, UnicodeDecodeError) as error:
            raise FileProblem(f"{place}: not a readable parquet file: {error}") from error


class _Bound:
    """Refuses what grows beyond the limits."""

    def __init__(self, place: str, size: int, limits: Limits) -> None:
        self.place, self.size = place, size
        grown = max(limits.expansion_free_bytes, limits.expansion * size)
        self.most = min(limits.expanded_bytes, grown)

    def check(self, seen: int) -> None:
        if seen > self.most:
            raise FileProblem(
                f"{self.place}: {self.size:,} compressed bytes grow to more than {self.most:,};"
                " that is taken for a decompression bomb. If the file is sound, ingest it as csv"
                " or jsonl"
            )

    def batches(self, batches: Iterable[Any]) -> Iterator[Any]:
        seen = 0
        for batch in batches:
            seen += batch.nbytes
            self.check(seen)
            yield batch


def check_columns(place: str, schema: Any, columns: dict[str, str]) -> None:
    """Raise FileProblem unless the schema has the columns, of text and vectors where they must be.

    columns: option that chooses a column -> name.
    """
    import pyarrow as pa

    for option, name in columns.items():
        if schema.names.count(name) != 1:
            raise FileProblem(f"{place}: {no_column('column', name, schema.names, option)}")
    text = columns["--text-column"]
    kind = schema.field(text).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or _is_view(kind)):
        raise FileProblem(
            f"{place}: column {text!r} holds {kind}, not text; choose another with --text-column"
        )
    if "--vectors" in columns:
        kind = schema.field(columns["--vectors"]).type
        if not _is_list_of_numbers(kind):
            raise FileProblem(
                f"{place}: column {columns['--vectors']!r} holds {kind}, not lists of numbers;"
                " choose another with --vectors"
            )


def _is_list_of_numbers(kind: Any) -> bool:
    from pyarrow import types

    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return bool(
        is_list and (types.is_floating(kind.value_type) or types.is_integer(kind.value_type))
    )


def _is_view(kind: Any) -> bool:
    return str(kind) == "string_view"


def arrow_rows(
    batches: Iterable[Any],
    text_column: str,
    label_column: str,
    names: tuple[str, ...] = (),
    vectors: str | None = None,
) -> Iterator[Row | Block]:
    """Yield the documents of Arrow batches; with ``names``, labels are numbers of label names.

    vectors: the column of vectors, if any; they are given as arrays.
    """
    line = 0
    for batch in batches:
        texts = batch.column(text_column).to_pylist()
        labels = batch.column(label_column).to_pylist()
        if not names and vectors is None and {*map(type, labels)} <= {str, type(None)}:
            yield Block(range(line + 1, line + 1 + len(texts)), texts, labels)
            line += len(texts)
            continue
        arrays = _arrays(batch.column(vectors)) if vectors else [None] * len(texts)
        for text, value, vector in zip(texts, labels, arrays, strict=True):
            line += 1
            if names:
                is_name = isinstance(value, int) and 0 <= value < len(names)
                yield Row(line, text, names[value] if is_name else None, "", vector)
                continue
            try:
                yield Row(line, text, label_text(value), "", vector)
            except TypeError as error:
                yield Row(line, None, None, str(error))


def _arrays(column: Any) -> list[NDArray[Any] | None]:
    """Return the lists of a column as arrays; None for a list, NaN for a number that is missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lists = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    lengths = pc.list_value_length(lists).to_pylist()
    numbers = lists.flatten().to_numpy(zero_copy_only=False)
    found: list[NDArray[Any] | None] = []
    start = 0
    for length in lengths:
        if length is None:
            found.append(None)
        else:
            found.append(numbers[start : start + length])
            start += length
    return found
