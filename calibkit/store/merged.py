"""Merged fragments that the store no longer needs, since it has every one of their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb

from calibkit.errors import BadInput
from calibkit.store.comparison import compare_with_stored
from calibkit.store.connection import Store
from calibkit.store.garbage import Waste
from calibkit.store.payloads import Fragment, fragment_shapes, in_batches, read_fragment
from calibkit.store.rows import TableShape, quoted, typed_rows

_BYTES_AT_ONCE = 32 << 20
WHY = "all its rows are in the store"


def merged_waste(store: Store) -> tuple[list[Waste], list[str]]:
    """Return the merged fragments all of whose rows are in the store, their numbers being equal.

    The second value says of each of the others why it stays.
    """
    found: list[Waste] = []
    told: list[str] = []
    with store.reading() as con:
        shapes = fragment_shapes(con)
        for paths in in_batches(sorted(store.merged.glob("[!.]*.json")), _BYTES_AT_ONCE):
            whole: list[Fragment] = []
            for path in paths:
                try:
                    whole.append(read_fragment(path, shapes))
                except BadInput as error:
                    told.append(f"left {path}: {error}")
            lacking = _lacking(con, shapes, whole)
            for fragment in whole:
                why = lacking.get(fragment.path.stem)
                if why is None:
                    size = fragment.path.stat().st_size
                    found.append(Waste("merged", fragment.path, size, WHY))
                else:
                    told.append(f"left {fragment.path}: {why}")
    return found, told


def _lacking(
    con: duckdb.DuckDBPyConnection,
    shapes: Mapping[str, TableShape],
    fragments: Sequence[Fragment],
) -> dict[str, str]:
    """Return, by fragment, what the store has not of it."""
    lacking: dict[str, str] = {}
    for table in sorted({table for fragment in fragments for table in fragment.rows}):
        rows: list[dict[str, str | None]] = [
            {**row, "offered_by": fragment.path.stem, "offered_at": "0"}
            for fragment in fragments
            for row in fragment.rows.get(table, [])
        ]
        if not rows:
            continue
        shape = shapes[table]
        types = {**shape.types, "offered_by": "VARCHAR", "offered_at": "BIGINT"}
        source, present, values = typed_rows(types, rows)
        con.execute(f"CREATE OR REPLACE TEMP TABLE offered AS {source}", values)
        key = ", ".join(map(quoted, shape.key))
        absent = con.execute(
            "SELECT offered_by, count(*) FROM offered"
            f" ANTI JOIN {quoted(table)} USING ({key}) GROUP BY offered_by"
        ).fetchall()
        for stem, count in absent:
            lacking.setdefault(stem, f"the store lacks {count:,} of its rows of {table}")
        for conflict in compare_with_stored(con, shape, present):
            lacking.setdefault(conflict.fragment, f"the store has other numbers of {table}")
    return lacking
