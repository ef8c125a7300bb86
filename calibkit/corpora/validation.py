"""What a corpus must be: limits, row by row checks, and the problems as ``place:line: what``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from calibkit.corpora.text import clean
from calibkit.errors import BadInput, CalibkitError, nearest

SHOWN = 20
"""How many problems an error lists."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Limits:
    """What one corpus may cost. Bytes are of UTF-8 text."""

    document_bytes: int = 1 << 20
    label_bytes: int = 256
    labels: int = 10_000
    vector_numbers: int = 65_536
    line_bytes: int = 16 << 20
    expanded_bytes: int = 16 << 30
    expansion: int = 100
    """A compressed file may grow by this factor..."""
    expansion_free_bytes: int = 8 << 20
    """...or to this size, whichever is more."""


class FileProblem(BadInput):
    """Something that makes the whole file unusable, whatever is done with bad rows."""


def no_column(what: str, wanted: str, found: Iterable[str], option: str) -> str:
    """Return the message for a file without the column (or key) that ``option`` chooses."""
    names = [str(name) for name in found]
    near = nearest(wanted, names)
    meant = f" (did you mean {near!r}?)" if near is not None else ""
    listed = ", ".join(name if name.isprintable() else repr(name) for name in names)
    return (
        f"no {what} is called {wanted!r}{meant}; {what}s: {listed[:300]}; choose one with {option}"
    )


def check_name(name: str) -> None:
    """Raise BadInput unless ``name`` can be the name of a corpus."""
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{name!r} cannot be the name of a corpus: use 1 to 64 letters (a-z, A-Z), digits,"
            " '_', '-' or '.', beginning with a letter or a digit, for example ag_news"
        )


class Row(NamedTuple):
    """One document as a source gives it: where it stands, its raw text, its label.

    problem: why the source cannot give it, as a sentence; empty where it can. vector: what stands
    in the column of vectors, if one is asked for.
    """

    line: int
    text: str | None
    label: str | None
    problem: str = ""
    vector: object = None


@dataclass(frozen=True)
class Block:
    """Many documents of a source at once, column by column, where reading them was no problem.

    lines, texts and labels of `Row`, none of which has a vector.
    """

    lines: Sequence[int]
    texts: Sequence[str | None]
    labels: Sequence[str | None]

    def rows(self) -> Iterator[Row]:
        """Yield the same documents one by one."""
        yield from map(Row, self.lines, self.texts, self.labels)


@dataclass
class Problems:
    """The bad rows of an ingest: the first 20 in words, and how many there are.

    most: how many may be left out before the ingest is given up; 0 means none.
    """

    most: int = 0
    count: int = 0
    listed: list[str] = field(default_factory=list)

    def add(self, place: str, line: int, what: str) -> None:
        """Note a bad row; raises BadInput as soon as there are more than may be left out."""
        self.count += 1
        if len(self.listed) < SHOWN:
            self.listed.append(f"{place}:{line}: {what}")
        if self.most and self.count > self.most:
            self.settle()

    def settle(self) -> None:
        """Raise BadInput with the list, unless every problem may be left out."""
        if self.count <= self.most:
            return
        more = self.count - len(self.listed)
        lines = list(self.listed)
        if more:
            lines.append(f"... and {more:,} more")
        if self.most:
            lines.append(
                f"more than {self.most:,} bad rows (--max-rejects): nothing was ingested. Repair"
                " the file, or allow more"
            )
        else:
            rows = "1 bad row" if self.count == 1 else f"{self.count:,} bad rows"
            lines.append(
                f"{rows}: nothing was ingested. Repair the file, or leave bad rows out on purpose"
                " with --on-error skip --max-rejects N"
            )
        raise BadInput("\n".join(lines))


def checked(row: Row, limits: Limits) -> tuple[str, str] | str:
    """Return the clean (text, label) of a row, or what is wrong with it, as a sentence."""
    raw, label = row.text, row.label
    if row.problem:
        return row.problem
    if raw is None or not raw:
        return "empty text"
    if label is None or not label:
        return "empty label"
    if len(raw) > limits.document_bytes or (
        len(raw) * 4 > limits.document_bytes
        and len(raw.encode(errors="replace")) > limits.document_bytes
    ):
        return f"a text of more than {limits.document_bytes:,} bytes, the limit for one document"
    if "\0" in raw or "\0" in label:
        return "a NUL character; remove it, or convert a file that is not UTF-8"
    if not (raw.isascii() and label.isascii()) and (_SURROGATE.search(raw + label)):
        return "half of a surrogate pair, which is no character"
    text, label = clean(raw), clean(label)
    if not text:
        return "empty text (white space only)"
    if not label:
        return "empty label (white space only)"
    if len(label.encode()) > limits.label_bytes:
        return (
            f"a label of more than {limits.label_bytes} bytes, starting {label[:40]!r}; are the"
            " text and label columns swapped (--text-column, --label-column)?"
        )
    return text, label


def label_text(value: object) -> str | None:
    """Return a label as text: class ids become their digits; None when there is none.

    Raises TypeError for what is no label: fractions, lists, objects.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    raise TypeError(f"a label must be text or a whole number, not {value!r:.60}")


@contextmanager
def naming(place: str) -> Iterator[None]:
    """Turn an operating system error about ``place`` into one clear sentence."""
    try:
        yield
    except CalibkitError:
        raise
    except OSError as error:
        raise FileProblem(f"{place}: cannot be read: {error.strerror or error}") from error
