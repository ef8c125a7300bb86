"""Open a store file without ever harming it: who may hold it, and what a failed open means.

DuckDB lets a file have one writing process or many reading ones. On top of that, this process
must not open(), hash or copy a file that it holds itself: closing that descriptor would drop
DuckDB's POSIX lock and let a second writer in. So every open goes through here.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import duckdb

from calibkit.errors import StoreBusy, StoreDamaged, StoreError, StoreNewer
from calibkit.store.files import draft_name

Purpose = Literal["read", "write", "sandbox"]

LOCKED_DOWN: dict[str, str] = {
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_unsigned_extensions": "false",
    "python_enable_replacements": "false",
}
"""For every connection: nothing is loaded or fetched behind our back (offline that hangs for
seconds), and no Python variable stands in for a table name."""

STORAGE_VERSION = "v1.5.0"
"""File format of fresh stores, so that DuckDB 1.5 and 2.0 both read them."""


@dataclass
class _Held:
    purpose: Purpose
    threads: list[int] = field(default_factory=list)


_guard = threading.RLock()
_held: dict[Path, _Held] = {}
_checked: set[tuple[str, int, int]] = set()
_forked_from: int | None = None


def _after_fork() -> None:
    global _guard, _forked_from
    _guard = threading.RLock()
    if _held:
        _forked_from = os.getppid()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def opened(
    path: Path, purpose: Purpose, config: dict[str, str], *, patience: float
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection to the existing store file ``path``; it is closed afterwards.

    Readers share the file; a writer or a sandbox is alone in this process. A file that is held
    is tried again with backoff for ``patience`` seconds.

    Raises StoreBusy, StoreNewer, StoreDamaged, StoreError; the last two also for what the block
    meets: content that is not what was written, a disk that is full or fails.
    """

    def connect() -> duckdb.DuckDBPyConnection:
        every = {**LOCKED_DOWN, **config}
        return duckdb.connect(str(path), read_only=purpose != "write", config={**every})

    con = _patiently(path, purpose, connect, patience)
    try:
        try:
            yield con
        finally:
            con.close()
            _release(path)
    except duckdb.Error as error:
        told = _failed_use(path, error)
        if told is None:
            raise
        raise told from error


@contextmanager
def attached(con: duckdb.DuckDBPyConnection, path: Path, *, patience: float) -> Iterator[None]:
    """Attach the existing store file ``path`` to a connection of another database.

    It is called ``store`` there, and read-only; other processes may read it meanwhile, and no
    other thread of this one. Raises like ``opened``.
    """
    statement = f"ATTACH {text_literal(str(path))} AS store (READ_ONLY)"
    _patiently(path, "sandbox", lambda: con.execute(statement), patience)
    try:
        yield
    finally:
        try:
            con.execute("DETACH store")
        finally:
            _release(path)


def text_literal(text: str) -> str:
    """Return ``text`` as an SQL string, for statements that take no parameters."""
    return "'" + text.replace("'", "''") + "'"


def _patiently(
    path: Path,
    purpose: Purpose,
    connect: Callable[[], duckdb.DuckDBPyConnection],
    patience: float,
) -> duckdb.DuckDBPyConnection:
    deadline = time.monotonic() + patience
    delay = 0.01
    while True:
        con, holder = _attempt(path, purpose, connect)
        if con is not None:
            return con
        if time.monotonic() + delay > deadline:
            raise StoreBusy(
                f"the store {path} is held by {holder}; one process may write or several may read,"
                f" never both. Tried for {patience:g} s: wait for it or stop it, then run the same"
                " command again"
            )
        time.sleep(delay * random.uniform(0.5, 1.0))
        delay = min(delay * 1.7, 0.5)


def _attempt(
    path: Path, purpose: Purpose, connect: Callable[[], duckdb.DuckDBPyConnection]
) -> tuple[duckdb.DuckDBPyConnection | None, str]:
    """Return a connection, or None and who holds the store."""
    me = threading.get_ident()
    with _guard:
        if _forked_from is not None:
            raise StoreError(
                f"this process {os.getpid()} was forked from process {_forked_from} while that had"
                " the store open; DuckDB would lose its writes. Start workers with the 'spawn'"
                " method"
            )
        held = _held.get(path)
        if held is not None and not (held.purpose == purpose == "read"):
            if me in held.threads:
                raise StoreError(
                    f"the store {path} is already open to {held.purpose} here; close that"
                    f" connection before opening it to {purpose}"
                )
            return None, f"another thread of this process (PID {os.getpid()})"
        if held is None:
            _check_file(path)
        try:
            con = connect()
        except duckdb.Error as error:
            holder = _holder(str(error))
            if holder is None:
                raise _failed_open(path, error) from error
            return None, holder
        _held.setdefault(path, _Held(purpose)).threads.append(me)
        return con, ""


def _release(path: Path) -> None:
    me = threading.get_ident()
    with _guard:
        held = _held.get(path)
        if held is None:
            return
        if me in held.threads:
            held.threads.remove(me)
        else:  # closed by another thread than the one that opened it
            held.threads.pop()
        if not held.threads:
            del _held[path]


def _check_file(path: Path) -> None:
    """Refuse what is no DuckDB file, before DuckDB guesses at it.

    A SQLite file makes it try a download. Done once per file and process, and never while this
    process holds the file.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise StoreError(f"cannot look at the store {path}: {error.strerror}") from error
    identity = (str(path), status.st_dev, status.st_ino)
    if identity in _checked:
        return
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise StoreError(f"cannot read the store {path}: {error.strerror}") from error
    if head[8:12] != b"DUCK":
        what = "empty" if not head else "no DuckDB database"
        if head.startswith(b"SQLite format 3"):
            what = "a SQLite database, no DuckDB one"
        raise StoreDamaged(
            f"{path} is {what}, so it is no calibkit store; it was left as it is. Name another file"
            " with --store or CALIBKIT_STORE"
        )
    _checked.add(identity)


def _holder(message: str) -> str | None:
    """Return who holds the file if ``message`` is DuckDB's way of saying so."""
    busy = ("Could not set lock on file", "being used by another process", "already open in")
    if not any(text in message for text in busy):
        return None
    pid = re.search(r"PID (\d+)", message)
    return f"another process (PID {pid[1]})" if pid else "another process"


_DAMAGE = ("Corrupt database file", "Could not read enough bytes")
_DISK = (
    "No space left on device",
    "File too large",
    "Disk quota exceeded",
    "Input/output error",
    "Read-only file system",
)
"""What the operating system says, in DuckDB's messages."""


def _failed_use(path: Path, error: duckdb.Error) -> StoreError | None:
    """Return what an error amid reading or writing means; None if it is about the SQL."""
    first = first_line(error)
    damage = any(text in first for text in _DAMAGE)
    if damage and not isinstance(error, duckdb.InvalidInputException):
        return StoreDamaged(
            f"the store {path} is damaged: {first} Nothing was changed. {_way_back(path)}"
        )
    disk = any(text in first for text in _DISK)
    if isinstance(error, duckdb.FatalException) or (
        disk and isinstance(error, (duckdb.OperationalError, duckdb.TransactionException))
    ):
        return StoreError(
            f"the store {path} could not be read or written: {first} Whatever was not told as done"
            " is as it was; make room on its disk, then run the same command again"
        )
    return None


def first_line(error: duckdb.Error) -> str:
    """Return what DuckDB says, without its hints and traces, as a sentence."""
    text = str(error).strip()
    line = text.splitlines()[0] if text else type(error).__name__
    return line if line.endswith((".", "!")) else f"{line}."


def _way_back(path: Path) -> str:
    folder = folder_of(path)
    return (
        f"Results are safe in {folder}/merged and {folder}/fragments: move the file and its .wal"
        " away (or put a backup in their place), run the recipe again, and merge those folders."
        " What was ingested or built since the last backup must be redone"
    )


def _failed_open(path: Path, error: duckdb.Error) -> StoreError:
    text = str(error).strip()
    first = first_line(error)
    if "newer version of DuckDB" in text or "with version number" in text:
        return StoreNewer(
            f"the store {path} was written by a newer DuckDB than this one ({duckdb.__version__}):"
            f" {first} Upgrade with: pip install -U duckdb"
        )
    if "Permission denied" in text:
        return StoreError(f"cannot open the store {path}: {first}")
    if any(said in text for said in _DISK):
        return StoreError(
            f"cannot open the store {path}: {first} Nothing was changed; make room on its disk and"
            " run the same command again"
        )
    try:
        kept = f"the file and its write-ahead log were copied to {_copy_aside(path)}"
    except OSError as trouble:
        kept = f"a copy of the file could not be made ({trouble.strerror})"
    return StoreDamaged(
        f"the store {path} cannot be opened: {first} Nothing was deleted; {kept}. {_way_back(path)}"
    )


def _copy_aside(path: Path) -> Path:
    """Copy the store file and its write-ahead log into quarantine, once per state of the file."""
    place = folder_of(path) / "quarantine" / f"{path.name}-{path.stat().st_mtime_ns}"
    if not place.exists():
        draft = place.with_name(draft_name(place))
        try:
            draft.mkdir(parents=True, exist_ok=True)
            for part in (path, wal_of(path)):
                if part.exists():
                    shutil.copy2(part, draft / part.name)
            draft.rename(place)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return place


def folder_of(path: Path) -> Path:
    """Return the folder of everything else that belongs to the store file: ``FILE.d``."""
    return path.with_name(path.name + ".d")


def wal_of(path: Path) -> Path:
    """Return DuckDB's write-ahead log of the store file."""
    return path.with_name(path.name + ".wal")
