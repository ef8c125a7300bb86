"""SQL from outside, run where it can read the store and do nothing else.

Read-only is not enough: in DuckDB 2.0 a COPY may still write to the store file itself. So external
access and the file system are off, no extension can be loaded, no setting can be changed, and the
query runs in a process of its own, where time, memory and the size of the result are bounded.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

import duckdb

from calibkit.errors import BadInput
from calibkit.store.confined import Refused
from calibkit.store.confinement import Failed, answered
from calibkit.store.connection import Store
from calibkit.store.opening import LOCKED_DOWN
from calibkit.table import Table

MOST_VALUES = 20_000_000
"""A result with more values than this is refused; about 2 GB of Python objects."""
MOST_BYTES = 512 << 20
"""A result that is larger than this is refused."""
MOST_SQL_BYTES = 4 << 20
"""What is longer is no query."""

Value = str | int | float | None
"""What a parameter of a query may be."""

_MOST_SAID = 1_500
"""DuckDB repeats the statement in its errors; longer ones are cut."""
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9}


def query(
    store: Store,
    sql: str,
    *,
    parameters: Mapping[str, Value] | None = None,
    timeout_s: float = 30.0,
    memory: str = "1GB",
    limit: int | None = None,
) -> Table:
    """Return the result of one SQL statement over the store, which it cannot change.

    parameters: values of ``$name`` in the statement, which takes each of them; they are bound, and
    never become SQL. memory: a whole number of KB, MB or GB. limit: fetch at most so many rows.
    Raises BadInput with DuckDB's message for SQL that fails, is not allowed, takes longer than
    ``timeout_s`` or more than ``memory``; StoreBusy and what else a store raises.
    """
    store.require()
    if timeout_s <= 0:
        raise BadInput(f"the timeout is {timeout_s:g} s; it must be positive")
    try:
        size = len(sql.encode())
    except UnicodeEncodeError as error:
        raise BadInput(f"the query is no valid text: {error}") from error
    if size > MOST_SQL_BYTES:
        raise BadInput(f"the query is longer than {MOST_SQL_BYTES >> 20} MiB; shorten it")
    request = {
        "path": str(store.path),
        "config": closed_off(memory, threads=min(4, os.cpu_count() or 1)),
        "table": None,
        "sql": sql,
        "parameters": dict(parameters) if parameters else None,
        "timeout_s": timeout_s,
        "memory_bytes": bytes_of(memory),
        "limit": limit,
        "most_values": MOST_VALUES,
        "most_bytes": MOST_BYTES,
    }
    try:
        with store.reading():  # up to date, and nobody writes to it meanwhile
            try:
                answer = answered(request)
            except Failed as failed:
                raise _as_raised(failed) from None
    except Refused as refused:
        raise BadInput(_refusal(refused, timeout_s, memory)) from None
    except duckdb.Error as error:
        raise BadInput(_explained(str(error).strip())) from error
    return Table(answer.columns, answer.types, answer.rows)


def closed_off(memory: str, threads: int) -> dict[str, str]:
    """Return the settings of a connection for SQL from outside."""
    return {
        **LOCKED_DOWN,
        "enable_external_access": "false",
        "allow_persistent_secrets": "false",
        "memory_limit": memory,
        "threads": str(threads),
        "temp_directory": "",
    }


def bytes_of(memory: str) -> int:
    """Return the bytes of a text such as 500MB; BadInput if it is none."""
    found = re.fullmatch(r"([0-9]+)(KB|MB|GB)", memory)
    if found is None:
        raise BadInput(f"{memory!r} is no amount of memory; write a whole number of KB, MB or GB")
    return int(found[1]) * _UNITS[found[2]]


def _as_raised(failed: Failed) -> Exception:
    """Return DuckDB's error as it was raised in the other process."""
    kind = getattr(duckdb, failed.name, None)
    if isinstance(kind, type) and issubclass(kind, duckdb.Error):
        return kind(failed.text)
    return BadInput(f"the result cannot be read: {failed.text or failed.name}")


def _refusal(refused: Refused, timeout_s: float, memory: str) -> str:
    what = {
        "nothing": "there is no SQL statement in the query; try: FROM summary",
        "several": f"one SQL statement at a time; the query has {refused.detail}",
        "time": f"the query took longer than {timeout_s:g} s and was stopped; narrow it, or give it"
        " more time with --timeout",
        "memory": f"the query needs more than {memory} of memory; group, filter or LIMIT it:"
        f" {_explained(refused.detail)}",
        "values": f"the result has more than {MOST_VALUES:,} values; group it, or add LIMIT",
        "bytes": f"the result has more than {MOST_BYTES >> 20:,} MiB; group it, or add LIMIT",
        "ended": f"the query ended the process that ran it ({refused.detail}): it needs too much"
        " memory, or is nested too deep; simplify it",
    }
    return what[refused.kind]


def _explained(text: str) -> str:
    if "pytz" in text:
        return (
            "a TIMESTAMP WITH TIME ZONE cannot be shown; the store's timestamps are UTC without"
            " zone, cast yours: now()::TIMESTAMP"
        )
    text = text.strip()
    return text if len(text) <= _MOST_SAID else f"{text[:_MOST_SAID]}..."
