"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import itertools
import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calibkit.errors import BadInput, StoreError

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,159}")
_HOST = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:40] or "host"
_DRAFT = re.compile(r"\..+\.\d+\.tmp")
_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_counter = itertools.count()


def safe_name(what: str, name: str) -> str:
    """Return ``name`` if it can be a file name anywhere; raise BadInput if not."""
    if not _SAFE.fullmatch(name) or name.endswith("."):
        raise BadInput(
            f"{what} {name!r} cannot be a file name: letters, digits, '.', '_', '+' and '-' only,"
            " beginning with a letter or digit, 160 characters at most"
        )
    return name


@contextmanager
def disk_told(doing: str, *, but: tuple[type[OSError], ...] = ()) -> Iterator[None]:
    """Turn an error of the file system into a StoreError: what could not be done, why, what next.

    doing: what it prevented, as in "write /a/b.json". but: errors that pass as they are.
    """
    try:
        yield
    except but:
        raise
    except OSError as error:
        why = error.strerror or str(error)
        name = str(error.filename or "")
        where = f" ({name})" if name not in doing else ""
        next_step = "make room" if error.errno in _FULL else "make sure that it can be used"
        raise StoreError(
            f"cannot {doing}: {why}{where}; nothing half-written counts. On its disk, {next_step},"
            " then run the same command again"
        ) from error


def draft_name(target: Path) -> str:
    """Return the hidden name under which this process makes ``target``."""
    return f".{target.name}.{os.getpid()}.tmp"


def is_draft(path: Path) -> bool:
    """Say whether a file is named like something in the making (see ``draft_name``)."""
    return _DRAFT.fullmatch(path.name) is not None


def write_whole(path: Path, data: bytes, *, mode: int = 0o644, replace: bool = True) -> bool:
    """Write ``data`` to ``path`` so that a reader sees all of it or the former file.

    Written under a hidden name with the host and process, flushed to the disk, then renamed.
    Without ``replace``, a file that is there already stays; return whether ours was written.
    Raises StoreError where the disk does not take it; then ``path`` is as before or as after.
    """
    with disk_told(f"write {path}"):
        return _written(path, data, mode=mode, replace=replace)


def _written(path: Path, data: bytes, *, mode: int, replace: bool) -> bool:
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.name}.{_HOST}.{os.getpid()}.{next(_counter)}.tmp")
    try:
        with hidden.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        hidden.chmod(mode)
        if replace:
            hidden.replace(path)
        elif not renamed_if_free(hidden, path):
            return False
    finally:
        hidden.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True


def renamed_if_free(hidden: Path, path: Path) -> bool:
    """Give a file its name unless a file of that name is there; return whether it got it."""
    try:
        path.hardlink_to(hidden)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        if path.exists():
            return False
        hidden.replace(path)
    return True


def sync_folder(folder: Path) -> None:
    """Make renames in ``folder`` durable, where the platform can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file with its times so that ``target`` is there whole or not at all."""
    draft = target.with_name(draft_name(target))
    try:
        shutil.copy2(source, draft)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(target.parent)
