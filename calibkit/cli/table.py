"""The one shape in which commands hand data to the output: named columns and rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import duckdb


class Figure(str):
    """A number already written as people should read it; stands right-aligned in a table."""


class Tabular(Protocol):
    """Rows under column names; ``types`` has one DuckDB type name per column, or is empty."""

    @property
    def columns(self) -> Sequence[str]:
        """Column names; they may repeat."""
        ...

    @property
    def types(self) -> Sequence[str]:
        """DuckDB type names."""
        ...

    @property
    def rows(self) -> Sequence[Sequence[Any]]:
        """One value per column."""
        ...


@dataclass(frozen=True)
class Table:
    """A finished answer, in memory."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    types: tuple[str, ...] = ()

    @classmethod
    def fetched(cls, result: duckdb.DuckDBPyConnection) -> Table:
        """Return everything that an executed statement gives."""
        described = result.description or []
        return cls(
            tuple(str(column[0]) for column in described),
            tuple(tuple(row) for row in result.fetchall()),
            tuple(str(column[1]) for column in described),
        )

    @classmethod
    def of(cls, records: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> Table:
        """Return mappings as rows, under ``columns`` or all keys in the order they first occur."""
        names = tuple(columns) or tuple(dict.fromkeys(key for record in records for key in record))
        return cls(names, tuple(tuple(record.get(name) for name in names) for record in records))

    def records(self) -> list[dict[str, Any]]:
        """Return the rows as dictionaries."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]
