"""Folders that are there whole or not at all, and that are never written over."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from calibkit.errors import BadInput
from calibkit.identity import sha256_hex
from calibkit.store.connection import Store
from calibkit.store.drafts import drafted
from calibkit.store.files import disk_told, sync_folder
from calibkit.store.opening import folder_of

SUBSET_MANIFEST = "subset.json"
CELL_MANIFEST = "cell.json"
"""What an export is: its facts, and the sha256 of each other file of it."""
MANIFESTS = (SUBSET_MANIFEST, CELL_MANIFEST)
MOST_NAME = 200
"""Longest name of a folder in bytes, so that its draft's name fits as well."""


def checked_folder(store: Store, folder: Path) -> Path:
    """Return the real path of a folder that may be made; raise BadInput for any other.

    An empty folder may be made anew, and one that is not empty may turn out to hold the same.
    """
    target = Path(os.path.realpath(folder.expanduser()))
    if len(os.fsencode(target.name)) > MOST_NAME:
        raise BadInput(
            f"-o: {target.name[:40]}... is {len(os.fsencode(target.name))} bytes, too long for a"
            f" folder; {MOST_NAME} at most"
        )
    if target.exists() and not target.is_dir():
        raise BadInput(f"-o {folder}: this is a file; name a folder, which is made")
    if not target.parent.is_dir():
        raise BadInput(f"-o {folder}: there is no folder {target.parent}; make it first")
    if target == Path.cwd() or target.parent == target:
        raise BadInput(f"-o {folder}: this folder cannot be made anew; name one inside of it")
    if target.is_relative_to(store.folder):
        raise BadInput(f"-o {folder}: this belongs to the store {store.path}; choose another place")
    if not os.access(target.parent, os.W_OK):
        raise BadInput(f"-o {folder}: {target.parent} cannot be written; choose another place")
    return target


def holds(target: Path, facts: Mapping[str, Any]) -> bool:
    """Say whether a folder holds the export of these facts, with every file as it was written.

    Files that are no part of it do not matter. Raises BadInput for a folder that has other things.
    """
    if not target.exists() or not any(target.iterdir()):
        return False
    refusal = f"-o {target}: the folder is not empty, and an export overwrites nothing: "
    found = _manifest(target)
    if found is None:
        raise BadInput(f"{refusal}choose a new name")
    files = found.pop("files", None)
    if found != json.loads(json.dumps(dict(facts))):
        raise BadInput(f"{refusal}it holds {_called(found)}; choose a new name")
    changed = _changed(target, files)
    if changed is not None:
        raise BadInput(
            f"{refusal}it holds this very export, but {changed} is not as it was written; move the"
            " folder away, or choose a new name"
        )
    return True


@contextmanager
def made_whole(
    store: Store, target: Path, facts: Mapping[str, Any], *, manifest: str = SUBSET_MANIFEST
) -> Iterator[Path]:
    """Yield a hidden folder to be filled; it gets ``target``'s name when the block has ended well.

    Then it also has the manifest, under one of the names `MANIFESTS`. What a killed process leaves
    is noted in the store, and `calibkit gc` removes it. Raises StoreError where the disk does not
    take it.
    """
    with drafted(store, target) as noted:
        draft = folder_of(noted)
        try:
            with disk_told(f"write {target}"):
                shutil.rmtree(draft, ignore_errors=True)  # of a killed process that had our number
                draft.mkdir()
                yield draft
                _finish(draft, target, facts, manifest)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def files_of(target: Path) -> tuple[str, ...]:
    """Return the names of the files that an export's manifest lists."""
    found = _manifest(target) or {}
    return tuple(found.get("files", ()))


def _finish(draft: Path, target: Path, facts: Mapping[str, Any], manifest: str) -> None:
    """Write the manifest, flush everything to the disk, and give the draft its name."""
    files = {path.name: sha256_hex(path.read_bytes()) for path in sorted(draft.iterdir())}
    told = json.dumps({**facts, "files": files}, indent=2, allow_nan=False)
    (draft / manifest).write_bytes(f"{told}\n".encode())
    for path in draft.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    sync_folder(draft)
    if target.is_dir():
        target.rmdir()  # refuses one that is not empty any more
    draft.rename(target)
    sync_folder(target.parent)


def _manifest(target: Path) -> dict[str, Any] | None:
    """Return the manifest of a folder, or None where it has none."""
    for name in MANIFESTS:
        try:
            found = json.loads((target / name).read_bytes())
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            return found
    return None


def _changed(target: Path, files: Any) -> str | None:
    """Return the first file of an export that is not as its manifest says, or None."""
    if not isinstance(files, dict) or not files:
        return "its list of files"
    for name, digest in files.items():
        path = target / Path(name).name
        if not path.is_file() or sha256_hex(path.read_bytes()) != digest:
            return str(name)
    return None


def _called(found: Mapping[str, Any]) -> str:
    """Return what a manifest says about the export that it belongs to."""
    kind, exported = found.get("export"), found.get("cell_id") or found.get("subset_id")
    return f"another export ({kind} of {exported})" if kind and exported else "something else"
