"""Rows of files with one JSON object per line."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from calibkit.corpora.files import SourceFile, text_lines
from calibkit.corpora.validation import FileProblem, Limits, Row, label_text, no_column

_SIMPLE = re.compile(r"[A-Za-z0-9_ -]+").fullmatch
"""Keys that JSON can write in one way only, apart from \\u."""


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
    is_simple, quoted = all(map(_SIMPLE, keys)), [f'"{key}"' for key in keys]
    is_first, is_empty = True, True
    line = 0
    for line, raw in enumerate(text_lines(source, limits), start=1):  # noqa: B007
        if not raw.strip():
            continue
        is_empty = False
        try:
            found = json.loads(raw)
            may_repeat = not is_simple or "\\u" in raw or any(raw.count(q) > 1 for q in quoted)
            twice = _standing_twice(raw, keys) if may_repeat else None
        except json.JSONDecodeError as error:
            yield Row(line, None, None, f"no JSON: {error.msg} at character {error.colno}")
            continue
        except RecursionError:
            yield Row(line, None, None, "no usable JSON: lists or objects are nested too deep")
            continue
        except ValueError:  # Python reads no whole number of thousands of digits
            yield Row(line, None, None, "no usable JSON: a number has too many digits")
            continue
        if not isinstance(found, dict):
            yield Row(line, None, None, f"a JSON {type(found).__name__}, not an object")
            continue
        if twice is not None:
            yield Row(line, None, None, f"the key {twice!r} stands twice")
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


class _Noted(dict[str, object]):
    """An object whose keys that stand twice are in ``twice``."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        counts = Counter(key for key, _ in pairs) if len(pairs) > len(self) else {}
        self.twice = {key for key, count in counts.items() if count > 1}


def _standing_twice(raw: str, keys: Iterable[str]) -> str | None:
    """Return which of the keys stands twice in an object; Python would take the last."""
    found = json.loads(raw, object_pairs_hook=_Noted)
    if not isinstance(found, _Noted):
        return None
    return next((key for key in keys if key in found.twice), None)
