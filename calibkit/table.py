"""A query's result in memory, and the shapes that people want it in."""

from __future__ import annotations

import base64
import html
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

MOST_SHOWN = 50
"""Rows that a notebook shows; all of them are there."""

_UNSAFE = re.compile(
    r"[\x7f-\x9f\u2028\u2029\ud800-\udfff"
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]"  # what turns the direction of a line
)
"""What JSON text has as escapes alone, besides what it must."""
_ARROW = {
    "BOOLEAN": "bool_",
    "TINYINT": "int8",
    "SMALLINT": "int16",
    "INTEGER": "int32",
    "BIGINT": "int64",
    "UTINYINT": "uint8",
    "USMALLINT": "uint16",
    "UINTEGER": "uint32",
    "UBIGINT": "uint64",
    "FLOAT": "float32",
    "DOUBLE": "float64",
    "VARCHAR": "string",
    "JSON": "string",
    "BLOB": "binary",
    "DATE": "date32",
}


@dataclass(frozen=True)
class Table:
    """A query's result: column names, their DuckDB types, rows of Python values."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows)

    def arrow(self) -> Any:
        """Return a ``pyarrow.Table``."""
        return arrow_table(self.columns, self.types, self.rows)

    def df(self) -> Any:
        """Return a ``pandas.DataFrame``."""
        return self.arrow().to_pandas()

    def _repr_html_(self) -> str:
        """Return the first rows as HTML, for notebooks."""
        head = "".join(f"<th>{html.escape(name)}</th>" for name in self.columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{_shown(value)}</td>" for value in row) + "</tr>"
            for row in self.rows[:MOST_SHOWN]
        )
        more = len(self.rows) - MOST_SHOWN
        below = f"<p>and {more:,} more rows</p>" if more > 0 else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}"


def arrow_table(columns: Sequence[str], types: Sequence[str], rows: Sequence[Sequence[Any]]) -> Any:
    """Return a ``pyarrow.Table`` with the columns' own types, where Arrow has them.

    types: one DuckDB type per column, or none. Names that repeat are numbered: ``n``, ``n_1``.
    """
    import pyarrow as pa

    arrays = [
        _arrow_array(pa, [row[place] for row in rows], str(types[place]) if types else "")
        for place in range(len(columns))
    ]
    return pa.Table.from_arrays(arrays, names=distinct_names(columns))


def distinct_names(columns: Sequence[str]) -> list[str]:
    """Return the column names with ``_1``, ``_2``, ... after those that occurred before."""
    taken: set[str] = set()
    names = []
    for column in columns:
        name, number = column, 0
        while name in taken or (number and name in columns):
            number += 1
            name = f"{column}_{number}"
        taken.add(name)
        names.append(name)
    return names


def meant(text: str) -> Any:
    """Return what JSON text means, or the text where it is nested deeper than Python reads."""
    try:
        return json.loads(text)
    except (RecursionError, ValueError):
        return text


def plain(value: Any, kind: str = "") -> Any:
    """Return a value as JSON can say it.

    Times are ISO 8601, bytes are base64, NaN and infinities are null; JSON columns are objects.
    """
    if isinstance(value, str):
        return meant(value) if kind == "JSON" else value
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        whole = value == value.to_integral_value()
        return int(value) if whole else float(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return str(value)


def json_text(value: Any) -> str:
    """Return ``value`` as JSON on one line; control characters are always escaped."""
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def as_text(value: Any) -> str:
    """Return a value as a csv file says it: JSON for what is nested, base64 for bytes."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping | list | tuple):
        return json_text(value)
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode("ascii")
    return str(value)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return html.escape(as_text(value))


def _arrow_array(pa: Any, values: list[Any], kind: str) -> Any:
    try:
        return pa.array(values, type=_arrow_type(pa, values, kind))
    except (pa.ArrowException, OverflowError):  # mixed, unknown to Arrow, beyond it: its text
        return pa.array([None if value is None else as_text(value) for value in values])


def _arrow_type(pa: Any, values: list[Any], kind: str) -> Any:
    """Return the type of a column; None where Arrow finds it out."""
    if kind.endswith("[]") and kind[:-2] in _ARROW:
        return pa.list_(getattr(pa, _ARROW[kind[:-2]])())
    if kind in _ARROW:
        return getattr(pa, _ARROW[kind])()
    if kind == "TIMESTAMP":
        return pa.timestamp("us")
    if kind in ("HUGEINT", "UHUGEINT"):  # sums of integers; Parquet has no integer that wide
        fits = all(value is None or -(2**63) <= value < 2**63 for value in values)
        return pa.int64() if fits else pa.decimal128(38, 0)
    return None
