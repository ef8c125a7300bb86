"""SQL from outside, run where it can read the store and do nothing else.

Read-only is not enough: in DuckDB 2.0 a COPY may still write to the store file itself. So external
access and the file system are off, no extension can be loaded, no setting can be changed, and
time, memory and the size of the result are bounded.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import duckdb

from calibkit.errors import BadInput
from calibkit.store import migrations
from calibkit.store.connection import Store
from calibkit.store.opening import opened
from calibkit.table import Table

MOST_VALUES = 20_000_000
"""A result with more values than this is refused; about 2 GB of Python objects."""
_AT_ONCE = 20_000


def query(
    store: Store,
    sql: str,
    *,
    timeout_s: float = 30.0,
    memory: str = "1GB",
    limit: int | None = None,
) -> Table:
    """Return the result of one SQL statement over the store, which it cannot change.

    limit: fetch at most so many rows. Raises BadInput with DuckDB's message for SQL that fails, is
    not allowed, takes longer than ``timeout_s`` or more than ``memory``; StoreBusy and what else a
    store raises.
    """
    store.require()
    if timeout_s <= 0:
        raise BadInput(f"the timeout is {timeout_s:g} s; it must be positive")
    try:
        sql.encode()
    except UnicodeEncodeError as error:
        raise BadInput(f"the query is no valid text: {error}") from error
    config = {
        "enable_external_access": "false",
        "allow_persistent_secrets": "false",
        "memory_limit": memory,
        "threads": str(min(4, os.cpu_count() or 1)),
        "temp_directory": "",
    }
    try:
        with opened(store.path, "sandbox", config, patience=store.patience) as con:
            is_current = migrations.schema_version(con, store.path) == migrations.current_version()
            if is_current:
                return _run(con, sql, timeout_s, memory, limit)
    except duckdb.Error as error:
        raise BadInput(_explained(error)) from error
    store.upgrade()
    return query(store, sql, timeout_s=timeout_s, memory=memory, limit=limit)


def _run(
    con: duckdb.DuckDBPyConnection, sql: str, timeout_s: float, memory: str, limit: int | None
) -> Table:
    con.execute("SET disabled_filesystems = 'LocalFileSystem'")
    con.execute("SET lock_configuration = true")
    _check_single(con, sql)
    deadline = time.monotonic() + timeout_s
    expired = threading.Event()

    def stop() -> None:
        expired.set()
        con.interrupt()

    timer = threading.Timer(timeout_s, stop)
    timer.daemon = True
    timer.start()
    try:
        con.execute(sql)
        described = con.description or []
        rows = _fetch(con, len(described), deadline, timeout_s, limit) if described else []
    except duckdb.OutOfMemoryException as error:
        raise BadInput(
            f"the query needs more than {memory} of memory; group, filter or LIMIT it:"
            f" {_explained(error)}"
        ) from error
    except duckdb.Error:
        if expired.is_set():
            raise _too_slow(timeout_s) from None
        raise
    finally:
        timer.cancel()
        timer.join()
    columns = tuple(str(column[0]) for column in described)
    return Table(columns, tuple(str(column[1]) for column in described), rows)


def _check_single(con: duckdb.DuckDBPyConnection, sql: str) -> None:
    statements = con.extract_statements(sql)
    # DuckDB 1.5 takes a PIVOT apart into statements without a text of their own
    count = sum(1 for statement in statements if statement.query.strip()) or len(statements)
    if not statements:
        raise BadInput("there is no SQL statement in the query; try: FROM summary")
    if count > 1 and any(statement.query.strip() for statement in statements):
        raise BadInput(f"one SQL statement at a time; the query has {count}")


def _fetch(
    con: duckdb.DuckDBPyConnection,
    width: int,
    deadline: float,
    timeout_s: float,
    limit: int | None,
) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    while limit is None or len(rows) < limit:
        some = con.fetchmany(_AT_ONCE if limit is None else min(_AT_ONCE, limit - len(rows)))
        if not some:
            break
        rows += some
        if time.monotonic() > deadline:
            raise _too_slow(timeout_s)
        if len(rows) * width > MOST_VALUES:
            raise BadInput(
                f"the result has more than {MOST_VALUES:,} values; group it, or add LIMIT"
            )
    return rows


def _too_slow(timeout_s: float) -> BadInput:
    return BadInput(
        f"the query took longer than {timeout_s:g} s and was stopped; narrow it, or give it more"
        " time with --timeout"
    )


def _explained(error: duckdb.Error) -> str:
    text = str(error).strip()
    if "pytz" in text:
        return (
            "a TIMESTAMP WITH TIME ZONE cannot be shown; the store's timestamps are UTC without"
            " zone, cast yours: now()::TIMESTAMP"
        )
    return text
