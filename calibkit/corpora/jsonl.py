"""Rows of files with one JSON object per line."""

from __future__ import annotations

import json
from collections.abc import Iterator

from calibkit.corpora.files import SourceFile, text_lines
from calibkit.corpora.validation import FileProblem, Limits, Row, label_text, no_column


def jsonl_rows(
    source: SourceFile,
    text_column: str,
    label_column: str,
    limits: Limits,
    vectors: str | None = None,
) -> Iterator[Row]:
    """Yield the documents; lines that are no object with all keys as problems.

    vectors: the key of vectors, if any; a vector is a list of numbers.
    Blank lines are passed over. Raises FileProblem when the first object lacks a key, since then
    all of them do, and when there is no object at all.
    """
    keys = {text_column: "--text-column", label_column: "--label-column"}
    if vectors is not None:
        keys[vectors] = "--vectors"
    is_first, is_empty = True, True
    line = 0
    for line, raw in enumerate(text_lines(source, limits), start=1):  # noqa: B007
        if not raw.strip():
            continue
        is_empty = False
        try:
            found = json.loads(raw)
        except json.JSONDecodeError as error:
            yield Row(line, None, None, f"no JSON: {error.msg} at character {error.colno}")
            continue
        except (RecursionError, ValueError) as error:
            yield Row(line, None, None, f"no usable JSON: {error}")
            continue
        if not isinstance(found, dict):
            yield Row(line, None, None, f"a JSON {type(found).__name__}, not an object")
            continue
        missing = [key for key in keys if key not in found]
        if missing and is_first:
            what = no_column("key", missing[0], found, keys[missing[0]])
            raise FileProblem(f"{source.place}:{line}: {what}")
        is_first = False
        if missing:
            yield Row(line, None, None, f"no key {missing[0]!r}")
            continue
        text = found[text_column]
        if text is not None and not isinstance(text, str):
            yield Row(line, None, None, f"{text_column!r} is no string: {text!r:.60}")
            continue
        try:
            label = label_text(found[label_column])
        except TypeError as error:
            yield Row(line, None, None, str(error))
            continue
        yield Row(line, text, label, "", None if vectors is None else found[vectors])
    if is_empty:
        raise FileProblem(f"{source.place}: there is no document in the file")
