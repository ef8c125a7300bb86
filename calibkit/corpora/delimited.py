"""Rows of csv and tsv files, read strictly.

Python's csv module in strict mode is used rather than an auto-detecting reader: nothing about the
file is guessed, an unclosed quote is an error, and every problem has its line.
"""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterator

from calibkit.corpora.files import SourceFile, text_lines
from calibkit.corpora.validation import FileProblem, Limits, Row
from calibkit.errors import unknown_name

_DELIMITERS = {"csv": ",", "tsv": "\t"}
_field_limit = threading.Lock()  # csv.field_size_limit is a setting of the whole process


def delimited_rows(
    source: SourceFile,
    text_column: str,
    label_column: str,
    limits: Limits,
    vectors: str | None = None,
) -> Iterator[Row]:
    """Yield the documents of a file with a header line; ragged rows as problems.

    vectors: the column of vectors, if any; a vector is the text of a list, ``[0.1, 0.2]``.
    Raises FileProblem for a missing column, a header alone, or quotes that do not match.
    """
    with _field_limit:
        csv.field_size_limit(max(csv.field_size_limit(), limits.line_bytes))
    delimiter = _DELIMITERS[source.format]
    reader = csv.reader(text_lines(source, limits), delimiter=delimiter, strict=True)
    records = _records(reader, source.place)
    _, header = next(records, (1, []))
    if not header:
        raise FileProblem(f"{source.place}:1: there is no header line with the column names")
    text_at = _column(header, text_column, "--text-column", source, delimiter)
    label_at = _column(header, label_column, "--label-column", source, delimiter)
    vector_at = _column(header, vectors, "--vectors", source, delimiter) if vectors else None
    width = len(header)
    is_empty = True
    for line, record in records:
        is_empty = False
        if len(record) != width:
            yield Row(line, None, None, f"{len(record)} fields where the header has {width}")
        elif vector_at is None:
            yield Row(line, record[text_at], record[label_at])
        else:
            yield Row(line, record[text_at], record[label_at], "", record[vector_at])
    if is_empty:
        raise FileProblem(f"{source.place}: there is a header line but no document below it")


def _records(reader: csv._reader, place: str) -> Iterator[tuple[int, list[str]]]:  # type: ignore[name-defined]
    """Yield (first line, fields) of every record that is not a blank line."""
    line = 1
    try:
        for record in reader:
            if record:
                yield line, record
            line = reader.line_num + 1
    except csv.Error as error:
        raise FileProblem(f"{place}:{line}: {_meaning(str(error))}") from error


def _meaning(error: str) -> str:
    if "unexpected end of data" in error:
        return "a quote that opens in this row is never closed"
    if "field larger than" in error:
        return "a field without end; most likely a quote that opens in this row is never closed"
    if "expected after" in error:
        return (
            "a closing quote is followed by more text; most likely a quote that opens in this row"
            " is not closed there (a quote inside a quoted field is written twice)"
        )
    if "new-line character" in error:
        return "a carriage return outside quotes; the lines must end in LF or CRLF"
    return error


def _column(header: list[str], wanted: str, option: str, source: SourceFile, delimiter: str) -> int:
    found = [at for at, name in enumerate(header) if name == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        raise FileProblem(f"{source.place}:1: {len(found)} columns are called {wanted!r}")
    if len(header) == 1:
        for other, name in {"\t": "tabs", ",": "commas", ";": "semicolons"}.items():
            if other != delimiter and other in header[0]:
                raise FileProblem(
                    f"{source.place}:1: no column is called {wanted!r}; the header seems to be"
                    f" separated by {name}, and a .{source.format} file is not"
                )
    raise FileProblem(
        f"{source.place}:1: {unknown_name('column', wanted, header)}; columns:"
        f" {', '.join(header)[:300]}; choose one with {option}"
    )
