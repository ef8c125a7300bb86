"""Two measurements of the same thing must agree: find and record the ones that do not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import duckdb

from calibkit.store.rows import TableShape, quoted

_COMPARED_TABLES = {
    "baseline_evaluations",
    "cells",
    "distributions",
    "evaluations",
    "label_evaluations",
    "models",
    "noise_sets",
    "plan_cells",
    "predictions",
    "stream_documents",
    "stream_evaluations",
    "stream_phases",
    "stream_steps",
    "subset_documents",
    "subset_profiles",
    "subset_requests",
    "test_sets",
}
# What may differ between two honest measurements: time, memory and place, and how a thing was
# named or asked for.
_NEVER_COMPARED = {
    "seconds",
    "seconds_model",
    "seconds_subset",
    "stages",
    "peak_mb",
    "host",
    "run_id",
    "flags",
    "device",
    "policy",
    "policy_version",
}


@dataclass(frozen=True)
class Conflict:
    """A measurement that came back different: the stored and the offered values that differ."""

    fragment: str
    table: str
    key: str
    stored: str
    offered: str

    def __str__(self) -> str:
        return (
            f"{self.fragment}: {self.table} {self.key} was measured before with other numbers"
            f" (stored {_short(self.stored)}, offered {_short(self.offered)}); the stored ones were"
            " kept, both are in the table conflicts. The same cell must give the same numbers:"
            " look for what is not deterministic"
        )


def compared_columns(shape: TableShape) -> list[str]:
    """Return the columns of a table that must be equal whenever the key is; JSON never is one."""
    if shape.name not in _COMPARED_TABLES:
        return []
    return [
        column
        for column, kind in shape.types.items()
        if column not in shape.key
        and column not in _NEVER_COMPARED
        and not column.endswith("_at")
        and kind != "JSON"
    ]


def compare_with_stored(
    con: duckdb.DuckDBPyConnection, shape: TableShape, offered: Sequence[str]
) -> list[Conflict]:
    """Return the rows of the temporary table ``offered`` that differ from the stored ones.

    A value that is NULL on either side was not measured there and is no conflict.
    """
    columns = [c for c in compared_columns(shape) if c in offered]
    if not columns:
        return []
    same_key = " AND ".join(f"o.{quoted(c)} = s.{quoted(c)}" for c in shape.key)
    differs = " OR ".join(
        f"(o.{quoted(c)} IS DISTINCT FROM s.{quoted(c)}"
        f" AND o.{quoted(c)} IS NOT NULL AND s.{quoted(c)} IS NOT NULL)"
        for c in columns
    )
    wanted = [f"o.{quoted(c)}" for c in shape.key]
    wanted += [f"{side}.{quoted(c)}" for c in columns for side in ("s", "o")]
    found = con.execute(
        f"SELECT o.offered_by, {', '.join(wanted)}"
        f" FROM offered AS o JOIN {quoted(shape.name)} AS s ON {same_key}"
        f" WHERE {differs} ORDER BY o.offered_at"
    ).fetchall()
    conflicts = []
    for fragment, *rest in found:
        key, values = rest[: len(shape.key)], rest[len(shape.key) :]
        pairs = zip(columns, values[::2], values[1::2], strict=True)
        differing = [(c, s, o) for c, s, o in pairs if s is not None and o is not None and s != o]
        conflicts.append(
            Conflict(
                fragment=fragment,
                table=shape.name,
                key=" ".join(map(str, key)),
                stored=_json({c: s for c, s, _ in differing}),
                offered=_json({c: o for c, _, o in differing}),
            )
        )
    return conflicts


def record(con: duckdb.DuckDBPyConnection, conflicts: Sequence[Conflict]) -> None:
    """Add the conflicts that are not recorded yet to the table ``conflicts``."""
    now = datetime.now(UTC).replace(tzinfo=None)
    for c in conflicts:
        con.execute(
            "INSERT INTO conflicts SELECT $1, $2, $3, $4, $5, $6 WHERE NOT EXISTS ("
            " FROM conflicts WHERE fragment = $1 AND table_name = $2 AND key = $3"
            " AND offered::VARCHAR = $5)",
            [c.fragment, c.table, c.key, c.stored, c.offered, now],
        )


def _json(values: dict[str, Any]) -> str:
    """Return JSON without the NaN that it does not know; such numbers become strings."""
    return json.dumps({c: _said(v) for c, v in values.items()}, sort_keys=True)


def _said(value: Any) -> Any:
    if isinstance(value, float) and value - value != 0:  # nan, inf
        return repr(value)
    return value if isinstance(value, (bool, int, float, str, list)) else str(value)


def _short(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:117]}..."
