"""Who is at work in a store: what takes long says so, and what would disturb it asks first."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from calibkit.store.connection import Store
from calibkit.store.files import disk_told, safe_name

_counter = itertools.count()


@contextmanager
def in_use(store: Store) -> Iterator[None]:
    """Be seen by ``users`` until the block ends or the process does, however it ends.

    Several processes may be at work at once; they do not wait for each other. Waits for one that
    holds ``store.locked()``, and raises StoreBusy like it, and BadInput where there is no store.
    """
    store.require()
    name = f"{socket.gethostname()}.{os.getpid()}.{next(_counter)}.lock"
    path = _folder(store) / name
    with store.locked(), disk_told(f"mark {store.folder} as being in use"):
        path.parent.mkdir(exist_ok=True)
        lock = FileLock(path)
        lock.acquire(timeout=0)
    try:
        yield
    finally:
        lock.release()
        with suppress(OSError):  # `users` removes it
            path.unlink(missing_ok=True)


@contextmanager
def claimed(fragments: Path, name: str, *, wait: bool) -> Iterator[bool]:
    """Hold the only right, of all processes, to measure what the fragment ``name`` will hold.

    fragments: the folder where that will be. Gives False where another process has the right, or
    with ``wait`` waits for it. It ends with the block, or with the process.
    """
    path = fragments.parent / "in-use" / "measuring" / f"{safe_name('fragment', name)}.lock"
    lock = FileLock(path)
    try:
        with disk_told(f"claim {path}", but=(Timeout,)):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        path.unlink(missing_ok=True)  # first: nobody may find it free and still there
        lock.release()


def users(store: Store) -> list[str]:
    """Return who is at work in the store, as in ``PID 12 on here``; the caller holds its lock.

    Nobody can begin while the caller holds it. Marks of processes that were killed are removed.
    """
    found = []
    for path in sorted(_folder(store).glob("*.lock")):
        mark = FileLock(path)
        try:
            mark.acquire(timeout=0)
        except Timeout:
            host, pid, _ = path.name.rsplit(".", 3)[:3]
            found.append(f"PID {pid} on {host}")
            continue
        mark.release()
        path.unlink(missing_ok=True)
    return found


def _folder(store: Store) -> Path:
    return store.folder / "in-use"
