"""Data for machines: csv, JSON, JSON lines, Markdown and Parquet, every number in full."""

from __future__ import annotations

import base64
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from calibkit.cli.table import Tabular, distinct_names
from calibkit.cli.text import one_line

_UNSAFE = re.compile(r"[\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NEEDS_QUOTES = re.compile(r'[",\r\n]|^\s|\s$')


def as_csv(table: Tabular) -> bytes:
    """Return RFC 4180 lines with a header; NULL is empty, an empty text is ``""``.

    In a table of one column NULL is ``""`` too, since readers skip empty lines.
    """
    lines = [",".join(map(_csv_field, line)) or '""' for line in (table.columns, *table.rows)]
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")


def as_json(table: Tabular) -> bytes:
    """Return one JSON array with an object per row."""
    rows = _objects(table)
    body = ",\n".join(f"  {row}" for row in rows)
    return f"[\n{body}\n]\n".encode() if rows else b"[]\n"


def as_jsonl(table: Tabular) -> bytes:
    """Return one JSON object per row and line."""
    return "".join(f"{row}\n" for row in _objects(table)).encode()


def as_markdown(table: Tabular) -> bytes:
    """Return a Markdown table; numbers are aligned right."""
    numeric = [
        any(row[place] is not None for row in table.rows)
        and all(
            row[place] is None
            or (isinstance(row[place], int | float | Decimal) and not isinstance(row[place], bool))
            for row in table.rows
        )
        for place in range(len(table.columns))
    ]
    lines = [[_markdown_cell(name) for name in table.columns]]
    lines.append(["---:" if right else "---" for right in numeric])
    lines += [[_markdown_cell(value) for value in row] for row in table.rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines).encode(
        "utf-8", "backslashreplace"
    )


def as_parquet(table: Tabular) -> bytes:
    """Return a Parquet file with the columns' own types where Parquet has them."""
    import pyarrow as pa
    from pyarrow import parquet

    names = distinct_names(table.columns)
    arrays = []
    for place in range(len(names)):
        values = [row[place] for row in table.rows]
        kind = str(table.types[place]) if place < len(table.types) else ""
        arrays.append(_arrow_array(pa, values, kind))
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_arrays(arrays, names=names), file)
    return file.getvalue()


def plain(value: Any, kind: str = "") -> Any:
    """Return a value as JSON can say it.

    Times are ISO 8601, bytes are base64, NaN and infinities are null; JSON columns are objects.
    """
    if isinstance(value, str):
        return json.loads(value) if kind == "JSON" else value
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


def _objects(table: Tabular) -> list[str]:
    names = distinct_names(table.columns)
    kinds: Sequence[str] = [str(kind) for kind in table.types] or [""] * len(names)
    return [
        json_text({name: plain(x, kind) for name, x, kind in zip(names, row, kinds, strict=True)})
        for row in table.rows
    ]


def _csv_field(value: Any) -> str:
    if value is None:
        return ""
    text = _as_text(value)
    if text == "" or _NEEDS_QUOTES.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping | list | tuple):
        return json_text(value)
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode("ascii")
    return str(value)


def _markdown_cell(value: Any) -> str:
    if value is None:
        return ""
    return one_line(_as_text(value)).replace("\\", "\\\\").replace("|", "\\|")


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


def _arrow_array(pa: Any, values: list[Any], kind: str) -> Any:
    if kind.endswith("[]") and kind[:-2] in _ARROW:
        return pa.array(values, type=pa.list_(getattr(pa, _ARROW[kind[:-2]])()))
    if kind in _ARROW:
        return pa.array(values, type=getattr(pa, _ARROW[kind])())
    if kind == "TIMESTAMP":
        return pa.array(values, type=pa.timestamp("us"))
    if kind in ("HUGEINT", "UHUGEINT"):  # sums of integers; Parquet has no integer that wide
        fits = all(value is None or -(2**63) <= value < 2**63 for value in values)
        return pa.array(values, type=pa.int64() if fits else pa.decimal128(38, 0))
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # mixed or unknown to Arrow: its text
        return pa.array([None if value is None else _as_text(value) for value in values])
