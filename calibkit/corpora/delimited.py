"""Rows of csv and tsv files, read strictly.

Python's csv module in strict mode is used rather than an auto-detecting reader: nothing about the
file is guessed, an unclosed quote is an error, and every problem has its line.
"""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from calibkit.corpora.files import SourceFile, line_blocks
from calibkit.corpora.validation import Block, FileProblem, Limits, Row, no_column

_DELIMITERS = {"csv": ",", "tsv": "\t"}
_IN_QUOTES = "unexpected end of data"
_HELD = 4
"""Blocks that are put together before a quote that stays open is looked at line by line."""

_field_limit = threading.Lock()  # csv.field_size_limit is a setting of the whole process


def delimited_rows(
    source: SourceFile,
    text_column: str,
    label_column: str,
    limits: Limits,
    vectors: str | None = None,
) -> Iterator[Row | Block]:
    """Yield the documents of a file with a header line; ragged rows as problems.

    vectors: the column of vectors, if any; a vector is the text of a list, ``[0.1, 0.2]``.
    Raises FileProblem for a missing column, a header alone, or quotes that do not match.
    """
    with _field_limit:
        csv.field_size_limit(max(csv.field_size_limit(), limits.line_bytes))
    delimiter = _DELIMITERS[source.format]
    parsed = _parsed(line_blocks(source, limits), delimiter, source.place)
    nothing: _Parsed = ([1], [[]])
    first, (header, *rest) = next(parsed, nothing)
    if not header:
        raise FileProblem(f"{source.place}:1: there is no header line with the column names")
    text_at = _column(header, text_column, "--text-column", source, delimiter)
    label_at = _column(header, label_column, "--label-column", source, delimiter)
    vector_at = _column(header, vectors, "--vectors", source, delimiter) if vectors else None
    width = len(header)
    is_empty = True
    for numbers, records in chain([(first[1:], rest)], parsed):
        is_empty = is_empty and not records
        if len(records) > 1 and vector_at is None and {*map(len, records)} == {width}:
            texts = [record[text_at] for record in records]
            yield Block(numbers, texts, [record[label_at] for record in records])
            continue
        for line, record in zip(numbers, records, strict=True):
            if len(record) != width:
                yield Row(line, None, None, f"{len(record)} fields where the header has {width}")
            elif vector_at is None:
                yield Row(line, record[text_at], record[label_at])
            else:
                yield Row(line, record[text_at], record[label_at], "", record[vector_at])
    if is_empty:
        raise FileProblem(f"{source.place}: there is a header line but no document below it")


_Parsed = tuple[Sequence[int], list[list[str]]]
"""First lines and fields of records, blank lines left out."""


def _parsed(blocks: Iterator[list[str]], delimiter: str, place: str) -> Iterator[_Parsed]:
    """Yield the records of lines that come in blocks, as many at once as there are in a block.

    A block ends where a line ends, and most often where a record does.
    """
    before, held = 0, 0
    lines: list[str] = []
    rest: Iterator[str] = iter(())
    while True:
        try:
            block = next(blocks, None)
        except FileProblem as error:
            rest = chain.from_iterable(map(_raise, [error]))
            break
        if block is None:
            break
        lines = lines + block
        try:
            records = list(csv.reader(lines, delimiter=delimiter, strict=True))
        except csv.Error as error:
            held += 1
            if held <= _HELD and _IN_QUOTES in str(error):
                continue
            rest = chain.from_iterable(blocks)
            break
        if len(records) == len(lines):
            numbers: Sequence[int] = range(before + 1, before + 1 + len(lines))
        else:
            numbers = _first_lines(lines, before, delimiter)
        if [] in records:
            numbers = [line for line, record in zip(numbers, records, strict=True) if record]
            records = [record for record in records if record]
        if records:
            yield numbers, records
        before += len(lines)
        lines, held = [], 0
    yield from _one_by_one(chain(lines, rest), before, delimiter, place)


def _first_lines(lines: Sequence[str], before: int, delimiter: str) -> list[int]:
    """Return the first line of every record; ``before`` lines are before them."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    ends = [before + reader.line_num for _ in reader]
    return [before + 1, *(end + 1 for end in ends[:-1])]


def _one_by_one(lines: Iterable[str], before: int, delimiter: str, place: str) -> Iterator[_Parsed]:
    """Yield the records of lines one at a time; ``before`` lines are before them."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    line = before + 1
    try:
        for record in reader:
            if record:
                yield [line], [record]
            line = before + reader.line_num + 1
    except csv.Error as error:
        raise FileProblem(f"{place}:{line}: {_meaning(str(error))}") from error


def _raise(error: FileProblem) -> Iterable[str]:
    raise error


def _meaning(error: str) -> str:
    if _IN_QUOTES in error:
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
    raise FileProblem(f"{source.place}:1: {no_column('column', wanted, header, option)}")
