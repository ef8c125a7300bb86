"""Arrays on disk, named by their content and checked when read; usable without DuckDB.

``<root>/<kind>/<sha256>.safetensors`` holds tensors; ``<root>/<kind>/<key>.json`` beside it says
which file belongs to a key, and the configuration. Both are written whole and are read-only.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from calibkit.errors import BadInput, StoreBusy, StoreDamaged, StoreError
from calibkit.identity import sha256_hex
from calibkit.store.files import disk_told, safe_name, write_whole
from calibkit.store.rows import plain

_READ_ONLY = 0o444
_verified: set[tuple[str, int, int]] = set()

_TYPES = {"BOOL": "?", "U8": "u1", "I8": "i1"} | {
    f"{name}{8 * size}": f"<{code}{size}"
    for name, code, sizes in (("F", "f", (2, 4, 8)), ("I", "i", (2, 4, 8)), ("U", "u", (2, 4, 8)))
    for size in sizes
}
"""What safetensors calls a type -> what numpy calls it."""


@dataclass(frozen=True)
class Artefact:
    """Named arrays with the configuration that says what they are."""

    config: dict[str, Any]
    tensors: dict[str, NDArray[Any]]
    sha256: str


@dataclass(frozen=True)
class Artefacts:
    """The artefacts below the folder ``root``."""

    root: Path

    def has(self, kind: str, key: str) -> bool:
        """Say whether there is an artefact of this key; its content is not looked at."""
        return self._note(kind, key).exists()

    def save(
        self, kind: str, key: str, tensors: Mapping[str, NDArray[Any]], config: Mapping[str, Any]
    ) -> Artefact:
        """Store arrays under a key and return them as they will be read.

        The same content again is fine; other content under a key that exists raises StoreError.
        ``config`` must be JSON: numpy scalars are converted, NaN raises BadInput.
        """
        with disk_told(f"keep the {kind} artefact {key}"):
            return self._saved(kind, key, tensors, config)

    def _saved(
        self, kind: str, key: str, tensors: Mapping[str, NDArray[Any]], config: Mapping[str, Any]
    ) -> Artefact:
        note = self._note(kind, key)
        data = save_tensors({name: np.asarray(t, order="C") for name, t in tensors.items()})
        digest = sha256_hex(data)
        settings = _json_form(config, f"{kind} {key}")
        content = {"config": settings, "config_sha256": _digest(settings), "sha256": digest}
        if note.exists():
            stored = self._read_note(kind, key)
            if {**content, "file": stored.get("file")} == stored:
                return self.load(kind, key)
            raise StoreError(
                f"the {kind} artefact {key} exists with other content ({note}); artefacts are never"
                " overwritten. If it was made by a run that is not deterministic, move it away"
            )
        file = note.with_name(f"{digest}.safetensors")
        if not file.exists():
            write_whole(file, data, mode=_READ_ONLY)
        text = json.dumps({**content, "file": file.name}, indent=1, sort_keys=True)
        write_whole(note, text.encode(), mode=_READ_ONLY)
        return self.load(kind, key)

    def load(self, kind: str, key: str) -> Artefact:
        """Return an artefact, its sha256 checked at the first read in this process.

        The arrays are writable and belong to the caller. Raises BadInput if there is none,
        StoreDamaged if it is not what was written: it is moved to quarantine then, and running the
        same command again makes it anew.
        """
        with disk_told(f"read the {kind} artefact {key}"):
            note, file = self._entry(kind, key)
            try:
                data = file.read_bytes()
                self._verify(kind, key, file, note, lambda: sha256_hex(data))
                tensors = load_tensors(data)
            except FileNotFoundError as error:
                raise self._damaged(kind, key, file, "its file is gone") from error
            except SafetensorError as error:
                raise self._damaged(kind, key, file, str(error)) from error
        owned = {name: t if t.flags.writeable else t.copy() for name, t in tensors.items()}
        return Artefact(note["config"], owned, note["sha256"])

    def mapped(self, kind: str, key: str) -> Artefact:
        """Return an artefact as `load` does, but leave its arrays on disk until they are used.

        The arrays are read-only, and take memory only where they are looked at.
        """
        with disk_told(f"read the {kind} artefact {key}"):
            note, file = self._entry(kind, key)
            try:
                self._verify(kind, key, file, note, lambda: file_sha256(file))
                tensors = mapped_tensors(file)
            except FileNotFoundError as error:
                raise self._damaged(kind, key, file, "its file is gone") from error
            except (ValueError, KeyError, TypeError) as error:
                raise self._damaged(kind, key, file, str(error)) from error
        return Artefact(note["config"], tensors, note["sha256"])

    def _entry(self, kind: str, key: str) -> tuple[dict[str, Any], Path]:
        """Return an artefact's note, and the file that it names; BadInput if there is none."""
        if not self.has(kind, key):
            raise BadInput(f"there is no {kind} artefact {key} in {self.root}")
        note = self._read_note(kind, key)
        return note, self._note(kind, key).with_name(str(note["file"]))

    def _verify(
        self, kind: str, key: str, file: Path, note: Mapping[str, Any], digest: Callable[[], str]
    ) -> None:
        """Check a file's sha256 at the first read in this process; StoreDamaged if it is wrong."""
        status = file.stat()
        seen = (str(file), status.st_size, status.st_mtime_ns)
        if seen in _verified:
            return
        if digest() != note["sha256"]:
            raise self._damaged(kind, key, file, "its sha256 is not what was written")
        _verified.add(seen)

    @contextmanager
    def lock(self, kind: str, key: str, *, patience: float = -1) -> Iterator[None]:
        """Hold the right to make this artefact; others wait, ``patience`` seconds or for ever."""
        path = self._note(kind, key).with_name(f".{key}.lock")
        lock = FileLock(path)
        with disk_told(f"lock the {kind} artefact {key}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=patience)
            except Timeout as error:
                raise StoreBusy(
                    f"another process is making the {kind} artefact {key}; waited {patience:g} s"
                ) from error
        try:
            yield
        finally:
            lock.release()

    def _note(self, kind: str, key: str) -> Path:
        return self.root / safe_name("artefact kind", kind) / f"{safe_name('artefact', key)}.json"

    def _read_note(self, kind: str, key: str) -> dict[str, Any]:
        path = self._note(kind, key)
        file = path.with_name("none")
        try:
            note = json.loads(path.read_bytes())
            file = path.with_name(safe_name("artefact file", note["file"]))
            intact = _digest(note["config"]) == note["config_sha256"] and bool(note["sha256"])
        except (ValueError, KeyError, TypeError, BadInput) as error:
            raise self._damaged(kind, key, file, "its JSON is damaged") from error
        if not intact:
            raise self._damaged(kind, key, file, "its configuration is not what was written")
        return dict(note)

    def _damaged(self, kind: str, key: str, file: Path, why: str) -> StoreDamaged:
        """Move the artefact to quarantine and return the error that says so."""
        place = self.root.parent / "quarantine" / f"{kind}-{key}-{time.time_ns()}"
        with disk_told(f"move the damaged {kind} artefact {key} to {place}"):
            place.mkdir(parents=True)
            for part in (self._note(kind, key), file):
                if part.exists():
                    part.replace(place / part.name)
        return StoreDamaged(
            f"the {kind} artefact {key} is damaged: {why}. It was moved to {place}; run the same"
            " command again to make it anew"
        )


def file_sha256(file: Path) -> str:
    """Return the sha256 of a file's bytes as 64 hex digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def mapped_tensors(file: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a safetensors file as read-only maps of it.

    Raises ValueError, KeyError or TypeError for a file that is none, or arrays of another type.
    """
    with file.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        if size > file.stat().st_size:
            raise ValueError("its header is longer than the file")
        header = json.loads(stream.read(size))
    found: dict[str, NDArray[Any]] = {}
    for name, one in header.items():
        if name == "__metadata__":
            continue
        kind, shape = np.dtype(_TYPES[one["dtype"]]), tuple(one["shape"])
        if not math.prod(shape):
            found[name] = np.empty(shape, kind)
            found[name].flags.writeable = False
            continue
        start = 8 + size + one["data_offsets"][0]
        found[name] = np.asarray(np.memmap(file, kind, "r", start, shape))
    return found


def _json_form(config: Mapping[str, Any], what: str) -> dict[str, Any]:
    try:
        form: dict[str, Any] = json.loads(json.dumps(plain(config), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise BadInput(f"the configuration of {what} cannot be JSON: {error}") from error
    return form


def _digest(settings: Any) -> str:
    return sha256_hex(json.dumps(settings, sort_keys=True).encode())
