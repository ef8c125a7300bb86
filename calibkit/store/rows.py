"""Rows of Python values into the store's append-only tables, fast and repeatable.

Values travel as text and are cast by DuckDB to the column's type, one statement for any number of
rows; row-by-row inserts cost about a millisecond each.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import ArrayLike

from calibkit.errors import BadInput, UnknownName

_INTEGERS = {"INTEGER", "BIGINT", "SMALLINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT"}
_ROWS_AT_ONCE = 50_000


@dataclass(frozen=True)
class TableShape:
    """A table's columns with their types, in order, and its primary key (empty if it has none)."""

    name: str
    types: dict[str, str]
    key: tuple[str, ...]

    def texts(self, row: Mapping[str, Any]) -> dict[str, str | None]:
        """Return the row's values as texts that cast to the column types.

        Raises UnknownName for a column that the table lacks, BadInput for a missing key column or
        a value of the wrong kind.
        """
        for column in row:
            if column not in self.types:
                raise UnknownName(f"column of the table {self.name}", column, self.types)
        for column in self.key:
            if row.get(column) is None:
                raise BadInput(f"a row of {self.name} has no {column}, part of the table's key")
        texts: dict[str, str | None] = {}
        for column, value in row.items():
            try:
                texts[column] = as_text(value, self.types[column])
            except (ValueError, TypeError) as error:
                raise BadInput(f"{self.name}.{column}: {error}") from error
        return texts


def table_shapes(con: duckdb.DuckDBPyConnection) -> dict[str, TableShape]:
    """Return the shape of every table of the store."""
    types: dict[str, dict[str, str]] = {}
    for table, column, kind in con.execute(
        "SELECT c.table_name, column_name, data_type FROM duckdb_columns() AS c"
        " JOIN duckdb_tables() AS t USING (table_oid, database_oid)"
        " WHERE c.schema_name = 'main' AND NOT t.temporary AND NOT t.internal"
        " ORDER BY c.table_name, column_index"
    ).fetchall():
        types.setdefault(table, {})[column] = kind
    keys = dict(
        con.execute(
            "SELECT table_name, constraint_column_names FROM duckdb_constraints()"
            " WHERE constraint_type = 'PRIMARY KEY' AND schema_name = 'main'"
        ).fetchall()
    )
    return {name: TableShape(name, cols, tuple(keys.get(name, ()))) for name, cols in types.items()}


def insert(con: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert ``rows``, leaving out those whose primary key is there already; return the new ones.

    A row maps columns to values; an absent column is NULL. Numpy scalars and arrays, dicts (to
    JSON), lists, datetimes (to UTC) and paths are converted.

    Raises UnknownName for a table or column, BadInput for a value that does not fit.
    """
    shapes = table_shapes(con)
    if table not in shapes:
        raise UnknownName("table", table, shapes)
    shape = shapes[table]
    new = 0
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        texts = [shape.texts(row) for row in rows[start : start + _ROWS_AT_ONCE]]
        if shape.key:  # the first of equal keys stays
            first = {tuple(row[c] for c in shape.key): row for row in reversed(texts)}
            texts = list(reversed(first.values()))
        source, present, values = typed_rows(shape.types, texts)
        columns = ", ".join(map(quoted, present))
        ignore = "ON CONFLICT DO NOTHING" if shape.key else ""
        try:
            done = con.execute(
                f"INSERT INTO {quoted(table)} ({columns}) {source} {ignore}", values
            ).fetchone()
        except (duckdb.DataError, duckdb.IntegrityError, duckdb.InvalidInputException) as error:
            raise BadInput(f"rows for the table {table} do not fit: {error}") from error
        new += int(done[0]) if done else 0
    return new


def typed_rows(
    types: Mapping[str, str], rows: Sequence[Mapping[str, str | None]]
) -> tuple[str, list[str], list[list[str | None]]]:
    """Return a SELECT that yields ``rows`` with these column types, its columns, its parameters."""
    present = [c for c in types if any(c in row for row in rows)]
    casts = ", ".join(f"{_cast(types[c], f'c{i}')} AS {quoted(c)}" for i, c in enumerate(present))
    unnested = ", ".join(f"unnest(?::VARCHAR[]) AS c{i}" for i in range(len(present)))
    values = [[row.get(column) for row in rows] for column in present]
    return f"SELECT {casts} FROM (SELECT {unnested})", present, values


def _cast(kind: str, expression: str) -> str:
    if kind.endswith("[]"):
        return f"CAST(CAST({expression} AS JSON) AS {kind})"
    return f"CAST({expression} AS {kind})"


def quoted(identifier: str) -> str:
    """Return ``identifier`` as a quoted SQL name."""
    return '"' + identifier.replace('"', '""') + '"'


def as_text(value: Any, kind: str) -> str | None:
    """Return ``value`` as text that DuckDB casts to ``kind``; None stays None.

    Raises ValueError or TypeError when it would not survive the cast unchanged.
    """
    value = plain(value)
    if value is None:
        return None
    if kind.endswith("[]"):
        if isinstance(value, str) and not value.startswith("["):
            value = unpack_predictions(value)
        return value if isinstance(value, str) else json.dumps(value, allow_nan=False)
    if isinstance(value, (dict, list)):
        if kind == "VARCHAR" and isinstance(value, list):
            return ", ".join(map(str, value))
        if kind not in ("JSON", "VARCHAR"):
            raise TypeError(f"a {type(value).__name__} is no {kind}")
        return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    if kind == "JSON" and not isinstance(value, str):
        return json.dumps(value, allow_nan=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if kind in _INTEGERS:
            if not value.is_integer():
                raise ValueError(f"{value!r} is no whole number")
            return str(int(value))
        return repr(value)
    return str(value)


def plain(value: Any) -> Any:
    """Return ``value`` as None, bool, int, float, str, list or dict, as JSON knows them."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, datetime):
        utc = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
        return utc.isoformat(" ")
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a {type(value).__name__} cannot be stored")


def pack_predictions(label_ids: ArrayLike) -> str:
    """Return label ids as base64 of little-endian uint16, the way they travel in fragments."""
    array = np.asarray(label_ids)
    if array.size and (array.min() < 0 or array.max() > 0xFFFF):
        raise ValueError("label ids must be in 0..65535")
    return base64.b64encode(array.astype("<u2").tobytes()).decode("ascii")


def unpack_predictions(text: str) -> list[int]:
    """Return the label ids that ``pack_predictions`` packed; raise ValueError if it did not."""
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from error
    if len(raw) % 2:
        raise ValueError(f"{len(raw)} bytes are no whole number of 16-bit label ids")
    ids: list[int] = np.frombuffer(raw, dtype="<u2").tolist()
    return ids
