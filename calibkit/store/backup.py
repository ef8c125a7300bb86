"""A copy of a store and of what belongs to it, made while others go on reading and measuring."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb

from calibkit.errors import BadInput, StoreDamaged, StoreError
from calibkit.store.connection import Store
from calibkit.store.drafts import drafted, parts_of
from calibkit.store.files import renamed_if_free, sync_folder
from calibkit.store.opening import (
    LOCKED_DOWN,
    STORAGE_VERSION,
    attached,
    folder_of,
    text_literal,
    wal_of,
)

SPARE = 64 << 20
"""So many bytes are left free on the disk."""


@dataclass(frozen=True)
class Copied:
    """One part of a backup: database, fragments, merged or artefacts."""

    what: str
    files: int
    bytes: int  # noqa: A003 - what it is


def backup(store: Store, target: Path, *, artefacts: bool = True) -> tuple[Copied, ...]:
    """Copy the store to the file ``target``, and its fragments and artefacts to ``target.d``.

    The database is copied as it is at one moment, by DuckDB; whatever fragments were written until
    then are there as well. Both are written under other names and renamed, the file last: if it is
    there, the backup is whole. Quarantine and former backups stay behind.

    A killed backup leaves hidden drafts beside ``target``, which collecting garbage removes
    (`calibkit.store.drafts`). Raises BadInput where there is no store or ``target`` cannot be used,
    StoreError for a full disk, and what a store raises.
    """
    target = _checked(store, target)
    with store.reading():  # brings an older store up to date
        pass
    parts = [store.fragments, store.merged, *([store.artefacts] if artefacts else [])]
    with _disk_told(target), drafted(store, target) as draft:
        _require_space(store, target, parts)
        _clear(draft)  # of a killed process that had our number
        try:
            return _made(store, draft, target, parts)
        finally:
            _clear(draft)


def _clear(draft: Path) -> None:
    *files, folder = parts_of(draft)
    for file in files:
        file.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _made(store: Store, draft: Path, target: Path, parts: Sequence[Path]) -> tuple[Copied, ...]:
    """Copy everything to the draft and its folder, then give both their names, the file last."""
    draft_folder = folder_of(draft)
    with store.locked():
        copied = [_copy_database(store, draft)]
        for part in parts[:2]:
            copied.append(_copy(_files(part), part, draft_folder / part.name))
    for part in parts[2:]:  # artefacts never change, and go only where nobody needs them
        copied.append(_copy(_in_safe_order(part), part, draft_folder / part.name))
    draft_folder.mkdir(exist_ok=True)
    os.sync()
    draft_folder.rename(folder_of(target))
    try:
        if not renamed_if_free(draft, target):
            raise _exists(target)
    except (OSError, BadInput):
        folder_of(target).rename(draft_folder)
        raise
    sync_folder(target.parent)
    return tuple(copied)


def _checked(store: Store, target: Path) -> Path:
    """Return the real path of a file that may be written; raise BadInput for any other."""
    store.require()
    target = Path(os.path.realpath(target.expanduser()))
    for part in (target, folder_of(target), wal_of(target)):
        if part.exists():
            raise _exists(part)
    if not target.parent.is_dir():
        raise BadInput(f"there is no folder {target.parent} for the backup; make it first")
    if not os.access(target.parent, os.W_OK):
        raise BadInput(f"the folder {target.parent} cannot be written; choose another place")
    if target.is_relative_to(store.folder):
        raise BadInput(f"{target} is in the store's own folder; choose a place outside of it")
    return target


def _exists(part: Path) -> BadInput:
    return BadInput(f"{part} is there already, and a backup overwrites nothing; choose a new name")


def _require_space(store: Store, target: Path, parts: Iterable[Path]) -> None:
    files = [store.path, wal_of(store.path), *(file for part in parts for file in _files(part))]
    needed = sum(file.stat().st_size for file in files if file.exists()) + SPARE
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        raise StoreError(
            f"the disk of {target} has {free / 1e6:,.0f} MB free, and the backup needs about"
            f" {needed / 1e6:,.0f} MB; nothing was written. Make room, or choose another place"
        )


def _copy_database(store: Store, draft: Path) -> Copied:
    """Copy tables, views, macros and comments, and count the rows on both sides."""
    settings = {
        "memory_limit": store.memory,
        "threads": str(store.threads),
        "temp_directory": str(store.folder / "tmp"),
    }
    with duckdb.connect(config={**LOCKED_DOWN, **settings}) as con:
        con.execute(
            f"ATTACH {text_literal(str(draft))} AS copy (STORAGE_VERSION '{STORAGE_VERSION}')"
        )
        with attached(con, store.path, patience=store.patience):
            con.execute("COPY FROM DATABASE store TO copy")
            there, here = (_row_counts(con, name) for name in ("store", "copy"))
        con.execute("DETACH copy")
    if there != here:
        raise StoreDamaged(
            f"the copy of {store.path} does not have the rows of the store (by table: {there} there"
            f" and {here} in the copy); nothing was kept of it"
        )
    with draft.open("rb") as file:  # nobody holds it any more
        os.fsync(file.fileno())
    return Copied("database", 1, draft.stat().st_size)


def _row_counts(con: duckdb.DuckDBPyConnection, database: str) -> dict[str, int]:
    names = con.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = ? ORDER BY ALL",
        [database],
    ).fetchall()
    counts = {}
    for schema, table in names:
        row = con.execute(f'SELECT count(*) FROM "{database}"."{schema}"."{table}"').fetchone()
        counts[table] = int(row[0]) if row else 0
    return counts


@contextmanager
def _disk_told(target: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, duckdb.Error) as error:
        said = " ".join(str(error).split())
        raise StoreError(
            f"cannot write {target}: {said}; nothing is left of the backup. Make room on its disk,"
            " or choose another place, and run the same command again"
        ) from error


def _files(folder: Path) -> list[Path]:
    """Return the files below a folder that a backup takes: no locks, nothing half-written."""
    return sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))


def _in_safe_order(folder: Path) -> list[Path]:
    """Return tensors, then the notes that name them: nothing is copied without what it needs.

    Notes are looked for first, so that of an artefact that is being saved there is all or no note.
    """
    notes = [file for file in _files(folder) if file.suffix == ".json"]
    return [*(file for file in _files(folder) if file.suffix != ".json"), *notes]


def _copy(files: Iterable[Path], source: Path, target: Path) -> Copied:
    """Copy files of a folder; one that is gone meanwhile was needed by nothing, or is merged."""
    count = size = 0
    for file in files:
        place = target / file.relative_to(source)
        with suppress(FileNotFoundError):
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, place)
            count, size = count + 1, size + place.stat().st_size
    return Copied(source.name, count, size)
