"""Data for machines: csv, JSON, JSON lines, Markdown and Parquet, every number in full."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from calibkit.cli.table import Tabular
from calibkit.cli.text import one_line
from calibkit.table import arrow_table, as_text, distinct_names, json_text, plain

_NEEDS_QUOTES = re.compile(r'[",\r\n]|^\s|\s$')
_MARKUP = re.compile(
    r"[\\|<`*\[~]|&(?=[#A-Za-z])"  # cells, HTML, code, stress, links and images, entities
    r"|(?<![A-Za-z0-9_])_|_(?![A-Za-z0-9_])"  # stress; not that inside a name
)


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
    """Return a Markdown table that shows texts as they are; numbers are aligned right."""
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
    from pyarrow import parquet

    file = io.BytesIO()
    parquet.write_table(arrow_table(table.columns, table.types, table.rows), file)
    return file.getvalue()


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
    text = as_text(value)
    if text == "" or _NEEDS_QUOTES.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text


def _markdown_cell(value: Any) -> str:
    if value is None:
        return ""
    return _MARKUP.sub(r"\\\g<0>", one_line(as_text(value)))
