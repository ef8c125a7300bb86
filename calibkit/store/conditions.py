"""SQL conditions over rows that stand in no store: which of them meet one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from calibkit.errors import BadInput
from calibkit.store.confined import Refused
from calibkit.store.confinement import Failed, answered
from calibkit.store.sandbox import bytes_of, closed_off

TIMEOUT_S = 30.0
"""A condition that takes longer is stopped."""
_MEMORY = "500MB"
_BEYOND = {
    "time": f"it takes longer than {TIMEOUT_S:g} s",
    "memory": f"it needs more than {_MEMORY} of memory",
}


def meeting(
    records: Sequence[Mapping[str, Any]], types: Mapping[str, str], condition: str, option: str
) -> list[int]:
    """Return the places of the records that meet an SQL condition, in rising order.

    types: column -> DuckDB type, of the columns that the condition may speak of. option: what the
    condition was given by, for the message of BadInput, which says what is wrong with it. The
    condition is looked at where `query` runs: it reaches no file and is stopped when it is late.
    """
    lists = [list(range(len(records))), *([row[name] for row in records] for name in types)]
    request = {
        "path": ":memory:",
        "config": closed_off(_MEMORY, threads=1),
        "table": ({"ordinal": "BIGINT", **types}, lists),
        "sql": condition,
        "timeout_s": TIMEOUT_S,
        "memory_bytes": bytes_of(_MEMORY),
    }
    try:
        condition.encode()
        found = answered(request)
    except UnicodeEncodeError:
        what = "it is no valid text"
    except Failed as failed:
        what = failed.text.split("\n", 1)[0]
    except Refused as refused:
        what = _BEYOND.get(refused.kind, f"it cannot be looked at ({refused.detail})")
    else:
        return sorted(int(row[0]) for row in found.rows)
    columns = ", ".join(types)
    raise BadInput(f"{option} {condition!r}: {what}; it is an SQL condition over {columns}")
