"""Files that are there whole or not at all."""

from __future__ import annotations

import itertools
import os
import re
import socket
from pathlib import Path

from calibkit.errors import BadInput

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,159}")
_HOST = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:40] or "host"
_counter = itertools.count()


def safe_name(what: str, name: str) -> str:
    """Return ``name`` if it can be a file name anywhere; raise BadInput if not."""
    if not _SAFE.fullmatch(name) or name.endswith("."):
        raise BadInput(
            f"{what} {name!r} cannot be a file name: letters, digits, '.', '_', '+' and '-' only,"
            " beginning with a letter or digit, 160 characters at most"
        )
    return name


def write_whole(path: Path, data: bytes, *, mode: int = 0o644, replace: bool = True) -> bool:
    """Write ``data`` to ``path`` so that a reader sees all of it or the former file.

    Written under a hidden name with the host and process, flushed to the disk, then renamed.
    Without ``replace``, a file that is there already stays; return whether ours was written.
    """
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
