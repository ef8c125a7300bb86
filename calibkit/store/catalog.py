"""What there is to query: views, the macro and tables, with their comments and sizes."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from calibkit.errors import UnknownName
from calibkit.store.rows import quoted


@dataclass(frozen=True)
class Column:
    """A column with its DuckDB type and what it means (unit and sign)."""

    name: str
    type: str
    comment: str


@dataclass(frozen=True)
class Relation:
    """A view, table or table macro; ``name`` of a macro has its parameters: compare(a, b)."""

    name: str
    kind: str
    comment: str
    columns: tuple[Column, ...]


def views(con: duckdb.DuckDBPyConnection) -> list[Relation]:
    """Return the views in the order in which schema.sql makes them, then the macro compare."""
    found = con.execute(
        "SELECT view_name, coalesce(comment, '') FROM duckdb_views()"
        " WHERE schema_name = 'main' AND NOT internal AND NOT temporary ORDER BY view_oid"
    ).fetchall()
    result = [Relation(name, "view", text, _columns(con, name)) for name, text in found]
    macros = con.execute(
        "SELECT function_name, parameters, coalesce(comment, '') FROM duckdb_functions()"
        " WHERE function_type = 'table_macro' AND schema_name = 'main' AND NOT internal"
        " ORDER BY function_name"
    ).fetchall()
    for name, parameters, text in macros:
        empty = ", ".join("''" for _ in parameters)
        described = con.execute(f"SELECT * FROM {quoted(name)}({empty}) LIMIT 0").description or []
        columns = tuple(Column(str(c[0]), str(c[1]), "") for c in described)
        result.append(Relation(f"{name}({', '.join(parameters)})", "macro", text, columns))
    return result


def tables(con: duckdb.DuckDBPyConnection) -> list[Relation]:
    """Return the tables in the order in which schema.sql makes them."""
    found = con.execute(
        "SELECT table_name, coalesce(comment, '') FROM duckdb_tables()"
        " WHERE schema_name = 'main' AND NOT internal AND NOT temporary ORDER BY table_oid"
    ).fetchall()
    return [Relation(name, "table", text, _columns(con, name)) for name, text in found]


def relation(con: duckdb.DuckDBPyConnection, name: str) -> Relation:
    """Return the view, macro or table of this name; raise UnknownName if there is none."""
    every = {r.name.partition("(")[0]: r for r in [*tables(con), *views(con)]}
    if name not in every:
        raise UnknownName("view or table", name, every)
    return every[name]


def row_counts(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Return the exact number of rows of every table."""
    counts: dict[str, int] = {}
    for table in tables(con):
        row = con.execute(f"SELECT count(*) FROM {quoted(table.name)}").fetchone()
        counts[table.name] = int(row[0]) if row else 0
    return counts


def _columns(con: duckdb.DuckDBPyConnection, name: str) -> tuple[Column, ...]:
    rows = con.execute(
        "SELECT column_name, data_type, coalesce(comment, '') FROM duckdb_columns()"
        " WHERE table_name = ? AND schema_name = 'main' ORDER BY column_index",
        [name],
    ).fetchall()
    return tuple(Column(*row) for row in rows)
