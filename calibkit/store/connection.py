"""The store: one DuckDB file, opened for milliseconds at a time.

``Store.reading`` and ``Store.writing`` are the only ways to a trusted connection. Workers never
open the store at all; they write fragments (see ``calibkit.store.fragments``).
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

from calibkit.errors import BadInput, StoreBusy, StoreDamaged, StoreError
from calibkit.store import migrations
from calibkit.store.files import copy_whole, disk_told, is_draft, sync_folder
from calibkit.store.opening import (
    LOCKED_DOWN,
    STORAGE_VERSION,
    first_line,
    folder_of,
    opened,
    wal_of,
)
from calibkit.table import Table

log = logging.getLogger(__name__)

DEFAULT_PATH = Path("store/calibkit.duckdb")
PATH_VARIABLE = "CALIBKIT_STORE"


def store_path(option: str | Path | None = None) -> Path:
    """Return the store file: ``option``, else $CALIBKIT_STORE, else store/calibkit.duckdb."""
    chosen = option or os.environ.get(PATH_VARIABLE) or DEFAULT_PATH
    return Path(chosen).expanduser()


@dataclass(frozen=True)
class Store:
    """A store file and what belongs to it: the folder ``FILE.d`` and the lock ``FILE.lock``.

    patience: seconds to wait for a store that another process holds. memory, threads: limits of
    each connection. Belongs to the process that made it; a pickled copy belongs to its reader.
    """

    path: Path
    patience: float = 10.0
    memory: str = "2GB"
    threads: int = min(4, os.cpu_count() or 1)
    pid: int = field(default_factory=os.getpid, repr=False, compare=False)

    def __post_init__(self) -> None:
        path = Path(os.path.realpath(Path(self.path).expanduser()))
        if path.is_dir():
            raise BadInput(f"{path} is a folder; --store and CALIBKIT_STORE name a file")
        if path.exists() and not path.is_file():
            raise BadInput(f"{path} is a pipe or a device; --store and CALIBKIT_STORE name a file")
        if "?" in str(path):  # DuckDB would put the write-ahead log elsewhere
            raise BadInput(f"{path}: the path of a store must not have a '?'; choose another")
        if is_draft(path):
            raise BadInput(
                f"{path} is what a backup leaves that was killed, and no store; name another file"
                " with --store or CALIBKIT_STORE (`calibkit gc` of the store that was copied"
                " removes this one)"
            )
        object.__setattr__(self, "path", path)

    def __reduce__(self) -> tuple[type[Store], tuple[Path, float, str, int]]:
        return Store, (self.path, self.patience, self.memory, self.threads)

    @property
    def folder(self) -> Path:
        """``FILE.d``: everything else that belongs to the store."""
        return folder_of(self.path)

    @property
    def fragments(self) -> Path:
        """Where workers put results that are not merged yet."""
        return self.folder / "fragments"

    @property
    def merged(self) -> Path:
        """Where merged fragments are kept; the store can be filled again from them."""
        return self.folder / "merged"

    @property
    def artefacts(self) -> Path:
        """Where checkpoints and other arrays are kept."""
        return self.folder / "artefacts"

    @property
    def quarantine(self) -> Path:
        """Where damaged files go; nothing is read from there."""
        return self.folder / "quarantine"

    def exists(self) -> bool:
        """Say whether the store file is there."""
        return self.path.exists()

    def sql(self, text: str, *, timeout_s: float = 30.0, limit: int | None = None) -> Table:
        """Return the result of one SQL statement, which can change nothing and reach no file.

        Its ``df()`` and ``arrow()`` are for pandas and Arrow. limit: fetch at most so many rows.
        Raises BadInput for SQL that fails, is not allowed or takes too long, and what ``reading``
        raises.
        """
        from calibkit.store.sandbox import query

        return query(self, text, timeout_s=timeout_s, limit=limit)

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a read-only connection; fetch everything before leaving.

        Raises BadInput if there is no store, StoreBusy, StoreNewer, StoreDamaged.
        """
        self._check_process()
        self.require()
        with opened(self.path, "read", self._limits(), patience=self.patience) as con:
            if migrations.schema_version(con, self.path) == migrations.current_version():
                yield con
                return
        self.upgrade()
        with opened(self.path, "read", self._limits(), patience=self.patience) as con:
            yield con

    @contextmanager
    def writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield one transaction on a connection that is closed straight afterwards.

        Makes the store when it is missing, and brings an older one up to date. An exception rolls
        everything back. A commit can be ambiguous (a full disk), so make every write one that may
        be repeated.

        Raises StoreBusy, StoreNewer, StoreDamaged.
        """
        with self.locked(), self.transaction() as con:
            yield con

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold ``FILE.lock``: no other calibkit process writes meanwhile. Not reentrant."""
        self._check_process()
        self._make_folder()
        lock = FileLock(self.path.with_name(self.path.name + ".lock"))
        note = self.folder / "writer.pid"
        try:
            lock.acquire(timeout=self.patience)
        except Timeout as error:
            raise StoreBusy(
                f"another process{_pid_in(note)} is writing to the store {self.path}; tried for"
                f" {self.patience:g} s: wait for it or stop it, then run the same command again"
            ) from error
        except OSError as error:
            raise StoreError(f"cannot lock the store {self.path}: {error.strerror}") from error
        try:
            with suppress(OSError):  # for messages of others; on a full disk, `gc` must still lock
                note.write_text(f"{os.getpid()}\n")
            yield
        finally:
            with suppress(OSError):
                note.unlink(missing_ok=True)
            lock.release()

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield one transaction; the caller holds ``locked()``. See ``writing``."""
        self._check_process()
        if not self.exists():
            self._create()
        self._upgrade_if_older()
        with opened(self.path, "write", self._limits(), patience=self.patience) as con:
            con.execute("BEGIN TRANSACTION")
            try:
                yield con
            except BaseException:
                _roll_back(con)
                raise
            _commit(con, self.path)
            _bring_in(con, self.path)

    def upgrade(self) -> None:
        """Bring an older store to this version's tables, after a backup in ``FILE.d/backups``."""
        with self.locked():
            self._upgrade_if_older()

    def require(self) -> None:
        """Raise BadInput, with the commands that make a store, when there is none."""
        if not self.exists():
            raise BadInput(
                f"there is no store at {self.path} yet; `calibkit ingest NAME --train FILE` or"
                " `calibkit evaluate RECIPE` makes one, and --store or CALIBKIT_STORE names another"
            )

    def require_space(self, needed: int) -> None:
        """Raise StoreError unless the disk has ``needed`` bytes and 64 MiB besides."""
        self._make_folder()
        free = shutil.disk_usage(self.folder).free
        needed += 64 << 20
        if free < needed:
            raise StoreError(
                f"the disk of {self.path} has {free / 1e6:,.0f} MB free and this needs about"
                f" {needed / 1e6:,.0f} MB; nothing was written. Make room and run it again"
            )

    def _limits(self) -> dict[str, str]:
        return {
            "memory_limit": self.memory,
            "threads": str(self.threads),
            "temp_directory": str(self.folder / "tmp"),
        }

    def _check_process(self) -> None:
        if os.getpid() != self.pid:
            raise StoreError(
                f"this store object belongs to process {self.pid}, and this is process"
                f" {os.getpid()}; a forked process must not use it. Start workers with the 'spawn'"
                " method, and let them write fragments"
            )

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"cannot make the folder {self.folder} beside the store: {error.strerror}"
            ) from error

    def _create(self) -> None:
        """Make the store under another name and rename it: there is never half a store."""
        if wal_of(self.path).exists():
            raise StoreDamaged(
                f"the store {self.path} is gone but its write-ahead log {wal_of(self.path)} is"
                " there; put the store back beside it, or move the log away"
            )
        fresh = self.folder / "fresh.duckdb"
        config = {**self._limits(), "storage_compatibility_version": STORAGE_VERSION}
        with disk_told(f"make the store {self.path}"):
            for part in (fresh, wal_of(fresh)):
                part.unlink(missing_ok=True)
            try:
                with duckdb.connect(str(fresh), config={**LOCKED_DOWN, **config}) as con:
                    migrations.create_schema(con)
            except duckdb.Error as error:
                raise StoreError(
                    f"cannot make the store {self.path}: {first_line(error)} There is none; make"
                    " room on its disk and run the same command again"
                ) from error
            fresh.replace(self.path)
            sync_folder(self.path.parent)
        log.info("made the store %s", self.path)

    def _version(self) -> int:
        with opened(self.path, "read", self._limits(), patience=self.patience) as con:
            return migrations.schema_version(con, self.path)

    def _upgrade_if_older(self) -> None:
        """Run the missing migrations; the caller holds ``locked()``."""
        version = self._version()
        if version == migrations.current_version():
            return
        backup = self._copy(f"before-version-{migrations.current_version()}")
        log.info("bringing %s to version %d", self.path, migrations.current_version())
        try:
            with opened(self.path, "write", self._limits(), patience=self.patience) as con:
                migrations.migrate(con, version)
        except (duckdb.Error, StoreError) as error:
            raise StoreError(
                f"the store {self.path} could not be brought from version {version} to"
                f" {migrations.current_version()}: {error}. It is as it was; a copy is {backup}"
            ) from error

    def _copy(self, why: str) -> Path:
        """Copy the file and its log; nobody in this process holds it, and the lock is ours."""
        self.require_space(self.path.stat().st_size)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        target = self.folder / "backups" / f"{self.path.stem}-{why}-{stamp}.duckdb"
        with disk_told(f"copy {self.path} to {target}"):
            target.parent.mkdir(parents=True, exist_ok=True)
            for source, copy in ((wal_of(self.path), wal_of(target)), (self.path, target)):
                if source.exists():
                    copy_whole(source, copy)
        return target


def _pid_in(note: Path) -> str:
    try:
        return f" (PID {int(note.read_text())})"
    except (OSError, ValueError):  # it ended just now, or has only just begun
        return ""


def _roll_back(con: duckdb.DuckDBPyConnection) -> None:
    try:
        con.execute("ROLLBACK")
    except duckdb.Error as error:  # the connection is dead; closing it rolls back as well
        log.debug("rollback: %s", error)


def _commit(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    try:
        con.execute("COMMIT")
    except duckdb.Error as error:
        raise StoreError(
            f"writing to the store {path} ended with: {first_line(error)} It may or may not have"
            " been written; run the same command again, nothing is doubled"
        ) from error


def _bring_in(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Bring what the write-ahead log has into the file; closing would do so, and fail in silence.

    It also clears away the torn end of the log of a killed process.
    """
    if not wal_of(path).exists():
        return
    try:
        con.execute("CHECKPOINT")
    except duckdb.Error as error:
        raise StoreError(
            f"what was written to the store {path} is safe, but only in its write-ahead log"
            f" {wal_of(path)}, since the file could not take it: {first_line(error)} Make room on"
            " its disk, leave both as they are, and run the same command again"
        ) from error
