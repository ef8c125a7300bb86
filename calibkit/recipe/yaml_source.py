"""Recipe text -> plain values, each with the line and column it stands at.

Recipes are data, so this reads a subset of YAML on which nobody can be surprised: words mean what
YAML 1.2 says (``no`` and ``on`` are text, ``5e-2`` is a number, ``1:0:0:0`` is text), keys are
always text, and anchors, aliases, tags, merge keys, directives and second documents are refused.
Without aliases, the result is never larger than the file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

MOST_BYTES = 256 * 1024
"""Largest recipe that is read."""

MOST_DEPTH = 16
"""Deepest nesting of lists and mappings that is read."""

Path = tuple[str | int, ...]
"""Where a value stands: keys and list positions from the top, as in ``('grid', 'size', 0)``."""

_WORDS = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(
    r"[-+]?(?:(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)"
)
_MOST_DIGITS = 18
_SIMPLE_KEY = re.compile(r"[^\s.\[\]:\"'][^\s.\[\]:\"']*")


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong with a recipe; line and column count from 1."""

    line: int
    column: int
    path: str
    message: str


@dataclass(frozen=True)
class Source:
    """The plain content of a recipe file and where each part of it stands."""

    file: str
    text: str
    value: Any
    """Nested dict, list, str, int, float, bool and None; None when nothing could be read."""
    places: Mapping[Path, tuple[int, int]]
    """Path -> (line, column) of the key, or of the list item, that the path ends in."""
    problems: tuple[Problem, ...]
    """What is wrong with the text itself."""
    unread: frozenset[Path] = frozenset()
    """Paths whose value was refused, so that nothing more can be said about it."""

    def problem(self, path: Path, message: str) -> Problem:
        """Return a problem at ``path``, or at the nearest part above it that exists."""
        known = path
        while known and known not in self.places:
            known = known[:-1]
        line, column = self.places.get(known, (1, 1))
        return Problem(line, column, path_text(path), message)

    def was_read(self, path: Path) -> bool:
        """Return False when the value at ``path`` or one above it was refused."""
        return not any(path[:length] in self.unread for length in range(len(path) + 1))


def path_text(path: Path) -> str:
    """Return a path as it is written in messages: ``grid.size[0]``; the top is ``recipe``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            shown = part if _SIMPLE_KEY.fullmatch(part) and part.isprintable() else repr(part)
            text += f".{shown}" if text else shown
    return text or "recipe"


def plain_value(text: str) -> Any:
    """Return what an unquoted word stands for: a number, true, false, nothing, or itself.

    Raises ValueError for numbers that no recipe can mean (over 18 digits, infinite).
    """
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        if len(text) > _MOST_DIGITS:
            raise ValueError(f"the number has more than {_MOST_DIGITS} digits")
        return int(text)
    if _DECIMAL.fullmatch(text):
        number = float(text)
        if not math.isfinite(number):
            raise ValueError(f"{text} is too large for a number")
        return number
    return text


def read_source(text: str, file: str) -> Source:
    """Read recipe text; never raises: what is wrong stands in ``Source.problems``."""
    reader = _Reader()
    if len(text.encode("utf-8", "surrogatepass")) > MOST_BYTES:
        reader.refuse(
            (1, 1), (), f"the file is larger than {MOST_BYTES // 1024} KiB; it is no recipe"
        )
        return Source(file, text, None, {}, tuple(reader.problems), frozenset({()}))
    value: Any = None
    try:
        value = reader.document(yaml.parse(text, Loader=yaml.SafeLoader))
    except _Unreadable:
        reader.unread.add(())
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
        reader.refuse(place, (), f"the character U+{ord(text[error.position]):04X} is not allowed")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        said = "; ".join(part for part in (error.context, error.problem) if part)
        reader.refuse(place, (), f"this is not YAML: {said}")
    return Source(
        file, text, value, reader.places, tuple(reader.problems), frozenset(reader.unread)
    )


class _Unreadable(Exception):
    """Reading cannot go on."""


@dataclass
class _Reader:
    """Builds plain values from YAML events, by hand so that nothing is resolved behind our back."""

    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    unread: set[Path] = field(default_factory=set)

    def refuse(self, place: tuple[int, int], path: Path, message: str) -> None:
        self.problems.append(Problem(*place, path_text(path), message))
        self.unread.add(path)

    def document(self, events: Iterator[Any]) -> Any:
        next(events)  # the start of the stream
        event = next(events)
        if isinstance(event, yaml.StreamEndEvent):
            self.refuse((1, 1), (), "the file is empty")
            return None
        if event.version or event.tags:
            self._note(event, (), "YAML directives (%YAML, %TAG) are not allowed in a recipe")
        value = self._node(next(events), events, ())
        next(events)  # the end of the document
        event = next(events)
        if not isinstance(event, yaml.StreamEndEvent):
            self._note(event, (), "a second document starts here; a recipe is one document")
        return value

    def _note(self, event: Any, path: Path, message: str) -> None:
        """Record a problem that leaves the value readable."""
        self.problems.append(Problem(*_place(event), path_text(path), message))

    def _node(self, event: Any, events: Iterator[Any], path: Path) -> Any:
        self.places.setdefault(path, _place(event))
        if isinstance(event, yaml.AliasEvent):
            self.refuse(
                _place(event),
                path,
                f"the alias *{event.anchor} is not allowed; write the value out",
            )
            return None
        if event.anchor is not None:
            self._note(event, path, f"the anchor &{event.anchor} is not allowed in a recipe")
        if event.tag is not None:
            message = f"the tag {event.tag!r} is not allowed in a recipe"
            self.refuse(_place(event), path, message)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        if len(path) >= MOST_DEPTH:
            self.refuse(_place(event), path[:2], f"nested deeper than {MOST_DEPTH} levels")
            raise _Unreadable
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(events, path)
        return self._mapping(events, path)

    def _scalar(self, event: Any, path: Path) -> Any:
        try:
            text = _paired(event.value)
            quoted = event.style is not None or event.tag is not None
            return text if quoted else plain_value(text)
        except ValueError as error:
            self.refuse(_place(event), path, str(error))
            return None

    def _sequence(self, events: Iterator[Any], path: Path) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(self._node(event, events, (*path, len(items))))
        return items

    def _mapping(self, events: Iterator[Any], path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._key(event, events, path)
            value_event = next(events)
            if key is None or key in found:
                if key is not None:
                    first = self.places[(*path, key)][0]
                    message = f"the key stands twice; first in line {first}"
                    self._note(event, (*path, key), message)
                self._skip(value_event, events, path)
                continue
            self.places[(*path, key)] = _place(event)
            found[key] = self._node(value_event, events, (*path, key))
        return found

    def _key(self, event: Any, events: Iterator[Any], path: Path) -> str | None:
        if not isinstance(event, yaml.ScalarEvent):
            if isinstance(event, yaml.AliasEvent):
                message = f"the alias *{event.anchor} is not allowed; write the value out"
            else:
                message = "a key must be one word or a text in quotes, not a list or mapping"
            self._note(event, path, message)
            self._skip(event, events, path)
            return None
        if event.value == "<<" and event.style is None:
            self._note(event, path, "merge keys (<<) are not allowed; write the keys out")
            return None
        if event.anchor is not None or event.tag is not None:
            self._note(event, path, "anchors and tags are not allowed in a recipe")
        try:
            return _paired(event.value)
        except ValueError as error:
            self._note(event, path, str(error))
            return None

    def _skip(self, event: Any, events: Iterator[Any], path: Path) -> None:
        """Pass over a value that nothing is read from."""
        depth = 0
        while True:
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth == 0:
                return
            if len(path) + depth > MOST_DEPTH:
                self.refuse(_place(event), path[:2], f"nested deeper than {MOST_DEPTH} levels")
                raise _Unreadable
            event = next(events)


def _paired(text: str) -> str:
    r"""Join characters that were escaped as two halves, as JSON does (``"\ud83d\ude00"``)."""
    try:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        raise ValueError("the text has half a character (a lone surrogate)") from None


def _place(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1
