"""Bring a store to this version's tables: numbered steps, each in its own transaction.

A fresh store is made by schema.sql alone. An older one runs the steps that it lacks, then
schema.sql again, which refreshes views, macros and comments. Steps are never changed once
released; a store that knows more steps than this calibkit is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import duckdb

from calibkit._version import __version__
from calibkit.errors import StoreDamaged, StoreNewer

FIRST_VERSION = 1
"""The schema version that schema.sql had when migrations began."""


@dataclass(frozen=True)
class Migration:
    """One step: from schema version ``to - 1`` to ``to``."""

    to: int
    about: str
    step: Callable[[duckdb.DuckDBPyConnection], None]


def new_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Change no table: schema.sql, which runs after the steps, makes those that are missing."""


MIGRATIONS: tuple[Migration, ...] = (
    Migration(2, "who made the documents of the split synthetic", new_tables),
    Migration(3, "coverage cards of subsets", new_tables),
    Migration(4, "vectors that came with documents", new_tables),
    Migration(5, "summary and compare: sums in a stated order", new_tables),
    Migration(6, "summary and compare: the name of the scheme", new_tables),
    Migration(7, "streams: trajectories, their steps, measurements and documents", new_tables),
    Migration(8, "deployments: what bench deploy measures", new_tables),
)
"""All steps, in order, ``to`` counting from ``FIRST_VERSION + 1`` without gaps."""


def current_version() -> int:
    """Return the schema version that this calibkit writes."""
    return MIGRATIONS[-1].to if MIGRATIONS else FIRST_VERSION


def create_schema(con: duckdb.DuckDBPyConnection) -> None:
    """Fill an empty database with the tables, views and macros of the current version."""
    con.execute("BEGIN")
    _run_schema(con)
    facts = {
        "schema_version": str(current_version()),
        "created_at": datetime.now(UTC).replace(tzinfo=None).isoformat(" ", "seconds"),
        "created_by": f"calibkit {__version__}, DuckDB {duckdb.__version__}",
    }
    for key, value in facts.items():
        con.execute("INSERT INTO meta VALUES (?, ?)", [key, value])
    con.execute("COMMIT")
    con.execute("CHECKPOINT")


def _run_schema(con: duckdb.DuckDBPyConnection) -> None:
    for name in ("schema.sql", "t_quantiles.sql"):
        con.execute(files("calibkit.store").joinpath(name).read_text(encoding="utf-8"))


def schema_version(con: duckdb.DuckDBPyConnection, path: Path) -> int:
    """Return the store's schema version.

    Raises StoreDamaged if the database is no calibkit store, StoreNewer if it is from a newer one.
    """
    try:
        row = con.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        raise _not_a_store(path) from error
    if row is None or not str(row[0]).isdecimal():
        raise _not_a_store(path)
    version = int(row[0])
    if version > current_version():
        raise StoreNewer(
            f"the store {path} has schema version {version}; calibkit {__version__} knows versions"
            f" up to {current_version()}. It was left as it is: upgrade with"
            " `pip install -U calibkit`, or name another file with --store"
        )
    return version


def _not_a_store(path: Path) -> StoreDamaged:
    return StoreDamaged(
        f"{path} is a DuckDB database but no calibkit store (its table meta has no"
        " schema_version); it was left as it is. Name another file with --store or CALIBKIT_STORE"
    )


def migrate(con: duckdb.DuckDBPyConnection, version: int) -> None:
    """Run the steps after ``version``: all or none of them, ended with a checkpoint.

    The caller holds the store's lock and has made a backup.
    """
    con.execute("BEGIN")
    try:
        for migration in MIGRATIONS:
            if migration.to > version:
                migration.step(con)
        _run_schema(con)
        con.execute(
            "UPDATE meta SET value = ? WHERE key = 'schema_version'", [str(current_version())]
        )
    except BaseException:
        con.execute("ROLLBACK")
        raise
    con.execute("COMMIT")
    con.execute("CHECKPOINT")
