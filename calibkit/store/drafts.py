"""Backups and exports in the making: where drafts stand, so that those of killed ones can go.

Both may go to any folder. While one is being made, a note in ``FILE.d/drafts`` says where, and a
lock beside the note, which ends with the process, says that it is still being made.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from calibkit.store.connection import Store
from calibkit.store.files import disk_told, draft_name, is_draft, write_whole
from calibkit.store.opening import folder_of, wal_of

_counter = itertools.count()


def parts_of(draft: Path) -> tuple[Path, Path, Path]:
    """Return the file of a draft, its write-ahead log and its folder."""
    return draft, wal_of(draft), folder_of(draft)


@contextmanager
def drafted(store: Store, target: Path) -> Iterator[Path]:
    """Yield the hidden file under which ``target`` may be made, noted until the block ends."""
    draft = target.with_name(draft_name(target))
    note = _folder(store) / f"{socket.gethostname()}.{os.getpid()}.{next(_counter)}.json"
    lock = FileLock(note.with_suffix(".lock"))
    with disk_told(f"note the draft in {note.parent}"):
        note.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    try:
        write_whole(note, json.dumps({"draft": str(draft)}).encode())
        yield draft
    finally:
        if not any(part.exists() for part in parts_of(draft)):
            with suppress(OSError):  # `abandoned` finds them
                note.unlink(missing_ok=True)
                Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def abandoned(store: Store) -> list[Path]:
    """Return what killed processes left of their drafts, and the notes that say so, notes last."""
    found = []
    for note in sorted(_folder(store).glob("[!.]*.json")):
        mark = FileLock(note.with_suffix(".lock"))
        try:
            mark.acquire(timeout=0)
        except Timeout:  # it is being made
            continue
        mark.release()
        draft = _draft_in(note)
        parts = parts_of(draft) if draft is not None else ()
        found += [part for part in parts if part.exists()]
        found += [note, Path(mark.lock_file)]
    return found


def _draft_in(note: Path) -> Path | None:
    """Return the draft that a note names; none where it names anything else."""
    try:
        draft = Path(json.loads(note.read_bytes())["draft"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return draft if draft.is_absolute() and is_draft(draft) else None


def _folder(store: Store) -> Path:
    return store.folder / "drafts"
