"""SQL conditions over rows that stand in no store: which of them meet one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from calibkit.errors import BadInput
from calibkit.store.opening import LOCKED_DOWN

_CLOSED_OFF: dict[str, str | bool | int | float | list[str]] = {
    **LOCKED_DOWN,
    "enable_external_access": "false",
    "threads": "1",
    "memory_limit": "500MB",
}


def meeting(
    records: Sequence[Mapping[str, Any]], types: Mapping[str, str], condition: str, option: str
) -> list[int]:
    """Return the places of the records that meet an SQL condition, in rising order.

    types: column -> DuckDB type, of the columns that the condition may speak of. option: what the
    condition was given by, for the message of BadInput, which says what is wrong with it.
    """
    con = duckdb.connect(":memory:", config=_CLOSED_OFF)
    try:
        columns = ", ".join(f'"{name}" {kind}' for name, kind in types.items())
        con.execute(f"CREATE TABLE cells (ordinal BIGINT, {columns})")
        lists = [list(range(len(records))), *([row[name] for row in records] for name in types)]
        unnested = ", ".join(f"unnest(?::{kind}[])" for kind in ("BIGINT", *types.values()))
        con.execute(f"INSERT INTO cells SELECT {unnested}", lists)
        con.execute("SET lock_configuration = true")
        try:  # `filter` takes one expression and nothing else
            found = con.table("cells").filter(condition).project("ordinal").fetchall()
        except duckdb.Error as error:
            first = str(error).splitlines()[0]
            raise BadInput(
                f"{option} {condition!r}: {first}; it is an SQL condition over {', '.join(types)}"
            ) from None
    finally:
        con.close()
    return sorted(int(row[0]) for row in found)
