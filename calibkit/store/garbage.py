"""What lies in a store's folder and is needed by nothing: found, told with the reason, removed."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibkit.errors import StoreError
from calibkit.store.connection import Store
from calibkit.store.drafts import abandoned
from calibkit.store.opening import wal_of

GRACE_SECONDS = 3600.0
"""What is younger may be in the making."""


@dataclass(frozen=True)
class Waste:
    """A file (or a folder in quarantine) that may go: what it is, its bytes, and why."""

    what: str
    path: Path
    bytes: int  # noqa: A003 - what it is
    why: str


@dataclass(frozen=True)
class Note:
    """The note of an artefact: what its tensors are, and in which file."""

    kind: str
    key: str
    config: dict[str, Any]
    path: Path
    tensors: Path


Judge = Callable[[Note], str]
"""Says why an artefact may go; nothing if it stays."""


def leftovers(store: Store) -> Iterator[Waste]:
    """Yield what killed processes left half-written, if it is older than an hour."""
    for path in sorted(store.folder.rglob(".*.tmp")):
        if path.is_file() and is_old(path):
            yield _waste("leftover", path, "a writer was killed while it wrote this")
    spilled = store.folder / "tmp"
    for path in sorted(spilled.rglob("*")):
        if path.is_file() and is_old(path):
            yield _waste("leftover", path, "DuckDB spilled this in a process that was killed")
    for path in abandoned(store):
        if is_old(path):
            yield _waste("leftover", path, "a backup or an export was killed while it was made")
    fresh = store.folder / "fresh.duckdb"
    for path in (fresh, wal_of(fresh)):
        if path.exists() and is_old(path):
            yield _waste("leftover", path, "a process was killed while it made the store")


def artefact_waste(root: Path, judge: Judge) -> tuple[list[Waste], list[str]]:
    """Return artefacts that may go, with the tensors that no key refers to then.

    The second value has a line for every folder that is left alone since a note in it cannot be
    read: which tensors that one names is unknown.
    """
    found: list[Waste] = []
    told: list[str] = []
    for folder in sorted(path for path in root.glob("*") if path.is_dir()):
        going, staying, damaged = _sorted_notes(folder, judge)
        found += [_waste(note.kind, note.path, why) for note, why in going]
        needed = {note.tensors for note in staying}
        leaving = {note.tensors: why for note, why in going}
        if damaged:
            told.append(
                f"left all tensors in {folder}: the note {damaged[0].name} cannot be read, so it is"
                " unknown which tensors are its; the command that needs it puts it aside"
            )
            continue
        for tensors in sorted(folder.glob("*.safetensors")):
            if tensors in needed:
                continue
            if tensors in leaving:
                found.append(_waste(folder.name, tensors, leaving[tensors]))
            elif is_old(tensors):
                found.append(_waste("tensors", tensors, "no key refers to it"))
    return found, told


def quarantined(store: Store) -> Iterator[Waste]:
    """Yield everything in quarantine."""
    for path in sorted(store.quarantine.glob("*")):
        yield _waste("quarantine", path, "it was damaged, or its numbers were in conflict")


def remove(waste: Iterable[Waste]) -> int:
    """Remove what was found and return the bytes that this frees; what is gone already is fine.

    Notes go before the tensors that they name, so that a note never lacks them. Raises StoreError
    for what may not be removed; the rest is tried again the next time.
    """
    freed = 0
    for one in sorted(waste, key=lambda w: w.path.suffix == ".safetensors"):
        try:
            if one.path.is_dir() and not one.path.is_symlink():
                shutil.rmtree(one.path)
            else:
                one.path.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StoreError(
                f"cannot remove {one.path}: {error.strerror}; {freed / 1e6:,.1f} MB were removed"
                " before it. Make its folder writable and run the same command again"
            ) from error
        freed += one.bytes
    return freed


def _sorted_notes(
    folder: Path, judge: Judge
) -> tuple[list[tuple[Note, str]], list[Note], list[Path]]:
    """Return the notes that may go with the reason, those that stay, and what is no note."""
    going: list[tuple[Note, str]] = []
    staying: list[Note] = []
    damaged: list[Path] = []
    for path in sorted(folder.glob("[!.]*.json")):
        try:
            content = json.loads(path.read_bytes())
            file, config = str(content["file"]), dict(content["config"])
        except FileNotFoundError:  # gone since the folder was read
            continue
        except (ValueError, KeyError, TypeError):
            damaged.append(path)
            continue
        note = Note(folder.name, path.stem, config, path, folder / Path(file).name)
        why = judge(note)
        if why:
            going.append((note, why))
        else:
            staying.append(note)
    return going, staying, damaged


def _waste(what: str, path: Path, why: str) -> Waste:
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    size = 0
    for file in files:
        with suppress(FileNotFoundError):
            size += file.stat().st_size
    return Waste(what, path, size, why)


def is_old(path: Path) -> bool:
    """Say whether a file was last changed so long ago that nobody is making it."""
    try:
        return time.time() - path.stat().st_mtime > GRACE_SECONDS
    except FileNotFoundError:
        return False
