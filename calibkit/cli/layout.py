"""Tables for people: aligned by the width that characters have on a terminal, numbers rounded.

Nothing is left out: where columns do not fit side by side, they go on in a further block. Only
long texts are cut, with an ellipsis, and only when the width is limited.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from rich.cells import cell_len, chop_cells, set_cell_size

from calibkit.cli.table import Figure, Table, Tabular
from calibkit.cli.text import one_line
from calibkit.table import distinct_names, meant

NULL = "—"
GAP = "  "
LEAST = 24
"""Texts are cut to no less than this."""
LEAST_WORD = 40
"""Single words are cut to no less than this: ids and commits stay whole."""


def lay_out(table: Tabular, width: int | None = None) -> str:
    """Return the table as lines: names, a rule, one line per row.

    width: cells of a terminal line; None means that lines may be as long as they must.
    """
    columns = [
        _Column(name, [row[place] for row in table.rows], _type(table, place))
        for place, name in enumerate(table.columns)
    ]
    if width is None:
        return _block(columns, len(table.rows))
    _shrink(columns, width)
    blocks = _blocks(columns, width, len(table.rows))
    return "\n".join(_block(block, len(table.rows)) for block in blocks)


def lay_out_records(table: Tabular, width: int | None = None) -> str:
    """Return one line per value, ``name  value``; a blank line between rows."""
    names = distinct_names(table.columns)
    margin = max((cell_len(one_line(name)) for name in names), default=0)
    records = []
    for row in table.rows:
        lines = []
        for place, (name, value) in enumerate(zip(names, row, strict=True)):
            shown = _shown_record_value(_parsed(value, _type(table, place)), margin, width)
            lines.append(f"{set_cell_size(one_line(name), margin)}{GAP}{shown}")
        text = "\n".join(lines)
        records.append("".join(f"{line.rstrip()}\n" for line in text.split("\n")))
    return "\n".join(records)


def shown(value: Any) -> str:
    """Return one value on one line, as a table shows it."""
    if value is None:
        return NULL
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | Decimal):
        return _numbers([value])[0]
    if isinstance(value, datetime):
        return value.replace(microsecond=0).isoformat(" ")
    if isinstance(value, Mapping):
        return ", ".join(f"{one_line(str(key))}: {_inside(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_inside(item) for item in value)
    return one_line(str(value))


def _inside(value: Any) -> str:
    """Return a value that stands in another one, so that one can see where it ends."""
    if isinstance(value, Mapping):
        return f"{{{shown(value)}}}"
    return f"[{shown(value)}]" if isinstance(value, list | tuple) else shown(value)


class _Column:
    """A column as text."""

    def __init__(self, name: str, values: Sequence[Any], kind: str) -> None:
        self.name = one_line(name)
        present = [value for value in values if value is not None]
        self.right = bool(present) and all(_is_number(v) for v in present)
        fractions = any(isinstance(v, float | Decimal) for v in present)
        if fractions and not any(isinstance(v, Figure) for v in present) and self.right:
            texts = iter(_numbers(present))
            self.cells = [NULL if value is None else next(texts) for value in values]
        else:
            self.cells = [shown(_parsed(value, kind)) for value in values]
        self.width = max([cell_len(self.name), *map(cell_len, self.cells)])
        self.least = LEAST if any(" " in cell for cell in self.cells) else LEAST_WORD

    def limit(self, width: int) -> None:
        self.width = min(self.width, max(width, cell_len(self.name)))

    def fitted(self, text: str) -> str:
        size = cell_len(text)
        if size > self.width:
            return set_cell_size(text, self.width - 1) + "…"
        space = " " * (self.width - size)
        return space + text if self.right else text + space


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal | Figure) and not isinstance(value, bool)


def _type(table: Tabular, place: int) -> str:
    return str(table.types[place]) if place < len(table.types) else ""


def _parsed(value: Any, kind: str) -> Any:
    """Return what a JSON column means."""
    return meant(value) if kind == "JSON" and isinstance(value, str) else value


def _numbers(values: Sequence[Any]) -> list[str]:
    """Return numbers with as many decimals as about four significant digits of the largest need.

    The same number of decimals for all; zeros that all of them end in are left out; what would
    round to zero without being zero keeps two digits.
    """
    floats = [float(value) for value in values]
    largest = max((abs(x) for x in floats if math.isfinite(x)), default=0.0)
    if largest and not 1e-3 <= largest < 1e9:
        return [f"{x:.4g}" for x in floats]
    decimals = 4 if largest <= 1 else max(1, 4 - len(str(int(largest))))
    while decimals and all(
        not math.isfinite(x) or f"{x:.{decimals}f}".endswith("0") for x in floats
    ):
        decimals -= 1
    texts = [f"{x:.{decimals}f}" for x in floats]
    return [
        f"{x:.2g}" if x and not any(c in "123456789ain" for c in text) else text
        for x, text in zip(floats, texts, strict=True)
    ]


def _shrink(columns: Sequence[_Column], width: int) -> None:
    """Cut long texts, the longest first, until a line fits or texts are as short as they may be."""
    total = sum(column.width for column in columns) + len(GAP) * (len(columns) - 1)
    while total > width:
        long = [c for c in columns if not c.right and c.width > c.least]
        if not long:
            break
        longest = max(long, key=lambda c: c.width)
        before = longest.width
        longest.limit(max(longest.least, before - (total - width), _second(long, longest)))
        if longest.width == before:
            break
        total -= before - longest.width
    for column in columns:
        column.limit(width)


def _second(columns: Sequence[_Column], longest: _Column) -> int:
    """Return the width to which the longest text may be cut before it is another one's turn."""
    others = [c.width for c in columns if c is not longest]
    second = max(others, default=0)
    return second if second < longest.width else longest.width - 1


def _blocks(columns: list[_Column], width: int, rows: int) -> list[list[_Column]]:
    """Split the columns so that each block fits; from two blocks on, rows are numbered."""
    total = sum(column.width for column in columns) + len(GAP) * (len(columns) - 1)
    if total <= width:
        return [columns]
    number = _Column("#", list(range(1, rows + 1)), "")
    blocks: list[list[_Column]] = []
    used = width + 1
    for column in columns:
        used += len(GAP) + column.width
        if used > width:
            blocks.append([number])
            used = number.width + len(GAP) + column.width
        blocks[-1].append(column)
    return blocks


def _block(columns: Sequence[_Column], rows: int) -> str:
    if not columns:
        return ""
    lines = [[c.name for c in columns], ["─" * c.width for c in columns]]
    lines += [[c.cells[row] for c in columns] for row in range(rows)]
    return "".join(
        GAP.join(c.fitted(text) for c, text in zip(columns, line, strict=True)).rstrip() + "\n"
        for line in lines
    )


def _wrapped(line: str, width: int) -> list[str]:
    """Break a line between words, and within words that are longer than a line."""
    if cell_len(line) <= width:
        return [line]
    lines = [""]
    for word in line.split(" "):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if cell_len(joined) <= width:
            lines[-1] = joined
        else:
            lines += chop_cells(word, width) or [""]
    return [part for part in lines if part]


def _shown_record_value(value: Any, margin: int, width: int | None) -> str:
    """Return a value of a record: rows of its own below, or wrapped beside its name."""
    inner = None if width is None else max(LEAST, width - margin - len(GAP))
    indent = "\n" + " " * (margin + len(GAP))
    if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        inside = None if width is None else max(LEAST, width - 4)
        lines = lay_out(Table.of(value), inside).splitlines()
        return "\n" + "\n".join(f"    {line}" for line in lines)
    if isinstance(value, str) and "\n" in value.strip():
        lines = [one_line(line).rstrip() for line in value.strip().splitlines()]
    else:
        lines = [shown(value)]
    if inner is not None:
        lines = [part for line in lines for part in _wrapped(line, inner)]
    return indent.join(lines)
