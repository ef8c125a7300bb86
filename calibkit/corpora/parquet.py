"""Rows of parquet files and of Arrow tables."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from calibkit.corpora.files import SourceFile, open_bytes
from calibkit.corpora.validation import FileProblem, Limits, Row, label_text, naming
from calibkit.errors import unknown_name

_BATCH = 2048


def parquet_rows(
    source: SourceFile, text_column: str, label_column: str, limits: Limits
) -> Iterator[Row]:
    """Yield the documents; ``line`` is the row number, from 1.

    Raises FileProblem for a file that is no parquet, a missing column, a text column that is no
    string, and a file without rows.
    """
    if not source.is_gzipped:
        yield from _rows(source.path, source.place, text_column, label_column, limits)
        return
    with tempfile.TemporaryDirectory(prefix="calibkit-") as folder:
        plain = Path(folder) / "plain.parquet"
        with open_bytes(source, limits) as packed, plain.open("wb") as file:
            shutil.copyfileobj(packed, file)
        yield from _rows(plain, source.place, text_column, label_column, limits)


def _rows(
    path: Path, place: str, text_column: str, label_column: str, limits: Limits
) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with naming(place):
        try:
            with pq.ParquetFile(path) as file:
                columns = {"--text-column": text_column, "--label-column": label_column}
                check_columns(place, file.schema_arrow, columns)
                if not file.metadata.num_rows:
                    raise FileProblem(f"{place}: there are columns but no document in them")
                size = path.stat().st_size
                batches = file.iter_batches(_BATCH, columns=[text_column, label_column])
                bounded = _bounded(batches, place, size, limits)
                yield from arrow_rows(bounded, text_column, label_column)
        except (pa.ArrowException, UnicodeDecodeError) as error:
            raise FileProblem(f"{place}: not a readable parquet file: {error}") from error


def _bounded(batches: Iterable[Any], place: str, size: int, limits: Limits) -> Iterator[Any]:
    most = min(limits.expanded_bytes, max(limits.expansion_free_bytes, limits.expansion * size))
    seen = 0
    for batch in batches:
        seen += batch.nbytes
        if seen > most:
            raise FileProblem(
                f"{place}: {size:,} compressed bytes grow to more than {most:,}; that is taken for"
                " a decompression bomb. If the file is sound, ingest it as csv or jsonl"
            )
        yield batch


def check_columns(place: str, schema: Any, columns: dict[str, str]) -> None:
    """Raise FileProblem unless the schema has the columns, and text where text must be.

    columns: option that chooses a column -> name; the first one is the text column.
    """
    import pyarrow as pa

    for option, name in columns.items():
        if schema.names.count(name) != 1:
            raise FileProblem(
                f"{place}: {unknown_name('column', name, schema.names)}; choose one with {option}"
            )
    text = next(iter(columns.values()))
    kind = schema.field(text).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or _is_view(kind)):
        raise FileProblem(
            f"{place}: column {text!r} holds {kind}, not text; choose another with --text-column"
        )


def _is_view(kind: Any) -> bool:
    return str(kind) == "string_view"


def arrow_rows(
    batches: Iterable[Any], text_column: str, label_column: str, names: tuple[str, ...] = ()
) -> Iterator[Row]:
    """Yield the documents of Arrow batches; with ``names``, labels are numbers of label names."""
    line = 0
    for batch in batches:
        texts = batch.column(text_column).to_pylist()
        labels = batch.column(label_column).to_pylist()
        for text, value in zip(texts, labels, strict=True):
            line += 1
            if names:
                is_name = isinstance(value, int) and 0 <= value < len(names)
                yield Row(line, text, names[value] if is_name else None)
                continue
            try:
                yield Row(line, text, label_text(value))
            except TypeError as error:
                yield Row(line, None, None, str(error))
