"""``calibkit info``: versions, store and host, for bug reports."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calibkit._version import __version__
from calibkit.cli.evaluate import cores
from calibkit.cli.output import Output, data_options
from calibkit.cli.session import Session, pass_session
from calibkit.cli.table import Table
from calibkit.errors import StoreError

if TYPE_CHECKING:
    from calibkit.store import Store


@click.command()
@data_options
@pass_session
def info(session: Session, *, output: Output) -> None:
    """Show versions, store and machine, for bug reports.

    Imports none of the packages it names. A store that cannot be opened is told after the rest,
    with its own exit code.

    \b
    Examples:
      calibkit info
      calibkit info --json
      calibkit --store other.duckdb info
    """
    record: dict[str, Any] = {"calibkit": __version__, "python": platform.python_version()}
    record |= versions()
    problem = None
    try:
        store = session.store
        record |= store_facts(store)
        if store.exists():
            record |= store_content(store)
    except StoreError as error:
        problem = error
    record["native_kernels"] = native_kernels()
    record |= host_facts()
    output.records(Table.of([record]))
    if problem is not None:
        raise problem


def versions() -> dict[str, str]:
    """Return package -> version for what calibkit needs, from the installed metadata."""
    found = {}
    for requirement in metadata.requires("calibkit") or []:
        name = re.match(r"[A-Za-z0-9._-]+", requirement)
        if name is None or "extra ==" in requirement:
            continue
        try:
            found[name[0]] = metadata.version(name[0])
        except metadata.PackageNotFoundError:
            found[name[0]] = "not installed"
    return found


def store_facts(store: Store) -> dict[str, Any]:
    """Return what can be said of a store without opening it."""
    there = store.exists()
    size = store.path.stat().st_size / 1e6 if there else None
    waiting = len(list(store.fragments.glob("*.json"))) if store.fragments.is_dir() else 0
    return {
        "store": str(store.path),
        "store_exists": there,
        "store_mb": size,
        "unmerged_fragments": waiting,
    }


def store_content(store: Store) -> dict[str, Any]:
    """Return a store's version and the number of rows of its tables."""
    from calibkit.store import row_counts

    with store.reading() as con:
        facts = dict(con.execute("SELECT key, value FROM meta ORDER BY key").fetchall())
        return {"store_meta": facts, "store_rows": row_counts(con)}


def native_kernels() -> str:
    """Return the instruction set of the native kernels, or why there are none."""
    from calibkit.engine.native import info as facts

    found = facts()
    return str(found.get("instructions") or f"none: {found['reason']}")


def host_facts() -> dict[str, Any]:
    """Return what kind of machine this is."""
    import psutil

    devices = sorted(Path("/dev").glob("nvidia[0-9]*"))
    return {
        "os": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "usable_cores": cores(),
        "memory_gb": psutil.virtual_memory().total / 1e9,
        "nvidia_devices": len(devices),
    }
