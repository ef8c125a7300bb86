"""Results travel as one file per cell; one short-lived writer merges them into the store.

A fragment is JSON: ``{"fragment": 1, "kind": "cell", "rows": {table: [{column: value}, ...]}}``
and the sha256 of that.
Writing is atomic and merging is repeatable, so a worker or the merger may be killed at any moment:
merging again gives the same tables.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from calibkit.errors import BadInput
from calibkit.identity import sha256_hex
from calibkit.store.comparison import Conflict, compare_with_stored, record
from calibkit.store.connection import Store
from calibkit.store.files import disk_told, safe_name, sync_folder, write_whole
from calibkit.store.payloads import (
    Fragment,
    check_payload,
    fragment_shapes,
    in_batches,
    read_fragment,
    sealed,
)
from calibkit.store.rows import TableShape, quoted, typed_rows

log = logging.getLogger(__name__)

_BYTES_AT_ONCE = 64 << 20
_MOST_BYTES = 512 << 20


@dataclass(frozen=True)
class MergeReport:
    """What a merge did.

    cells, evaluations: rows that are new in these tables. conflicts: measurements that came back
    different, which means non-determinism. quarantined: fragments that could not be read, with the
    reason; of a folder that is merged, also those that are too large, and links out of it.
    fragments: files that were merged, those with conflicts included. rows: new rows by table,
    without those that gained none.
    """

    cells: int = 0
    evaluations: int = 0
    conflicts: tuple[str, ...] = ()
    quarantined: tuple[str, ...] = ()
    fragments: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)

    @property
    def problems(self) -> tuple[str, ...]:
        """What somebody has to be told: conflicts and quarantined fragments."""
        return self.conflicts + self.quarantined

    def __add__(self, other: MergeReport) -> MergeReport:
        """Return what two merges did together."""
        return MergeReport(
            self.cells + other.cells,
            self.evaluations + other.evaluations,
            self.conflicts + other.conflicts,
            self.quarantined + other.quarantined,
            self.fragments + other.fragments,
            {t: self.rows.get(t, 0) + other.rows.get(t, 0) for t in {**self.rows, **other.rows}},
        )


def write_fragment(folder: Path, name: str, payload: Mapping[str, Any]) -> Path:
    """Write ``folder/<name>.json`` atomically and return its path.

    Nothing is overwritten: if a fragment of that name with other content waits there (two planned
    cells that became the same cell), the hash of its content stands behind this one's name.

    Numpy values, datetimes and paths in ``payload`` are converted; predictions travel packed (see
    ``pack_predictions``). Raises BadInput for an unsafe name or a payload of another form, and
    StoreError where the disk does not take it.
    """
    check_payload(name, payload)
    try:
        data = sealed(payload)
    except TypeError as error:
        raise BadInput(f"fragment {name!r}: {error}") from error
    return _put(folder, safe_name("fragment", name), data)


def _put(folder: Path, stem: str, data: bytes) -> Path:
    path = folder / f"{stem}.json"
    if write_whole(path, data, replace=False):
        return path
    with disk_told(f"read {path}"), suppress(FileNotFoundError):  # merged away in this moment
        if path.read_bytes() == data:
            return path
    path = folder / f"{stem}.{sha256_hex(data)[:8]}.json"
    write_whole(path, data)
    return path


def merge(store: Store, folder: Path | None = None) -> MergeReport:
    """Merge the store's fragments into its tables, then move them to ``merged/``.

    With ``folder``, copy the fragments of that folder in first (it is left as it is). Rows whose
    key is there already are left out; if their measured numbers differ, that is a row in
    ``conflicts``, an error in the log and in the report, and the fragment goes to quarantine, like
    one that cannot be read.

    Raises StoreBusy and what else a store raises. Whatever ends a merge, the next completes it.
    """
    with disk_told(f"merge into {store.path}"):
        return _merged(store, folder)


def _merged(store: Store, folder: Path | None) -> MergeReport:
    report = MergeReport()
    if folder is not None and folder.resolve() != store.fragments:
        report = _copied_in(store, folder)
    if not _waiting(store.fragments):
        return report
    with store.locked():
        waiting = _waiting(store.fragments)
        store.require_space(2 * sum(path.stat().st_size for path in waiting))
        with store.transaction() as con:
            shapes = fragment_shapes(con)
        for paths in in_batches(waiting, _BYTES_AT_ONCE):
            report += _merge_batch(store, shapes, paths)
        for place in (store.merged, store.quarantine, store.fragments):
            if place.exists():
                sync_folder(place)
    return report


def _copied_in(store: Store, folder: Path) -> MergeReport:
    """Copy the fragments of a folder to the waiting ones; say which ones stay where they are."""
    found = {path: size for path in _waiting(folder) if (size := _size(path)) is not None}
    store.require_space(sum(size for size in found.values() if size <= _MOST_BYTES))
    top = folder.resolve()
    left = []
    for path, size in found.items():
        why = ""
        if size > _MOST_BYTES:
            why = f"{size >> 20:,} MiB, and no fragment has more than {_MOST_BYTES >> 20:,} MiB"
        elif not path.resolve().is_relative_to(top):  # what a stranger's folder may point at
            why = "a link that leads out of the folder; if it is a fragment, copy it there"
        if why:
            left.append(f"{path.name if path.name.isprintable() else repr(path.name)}: {why}")
            log.error("left in %s: %s", folder, left[-1])
            continue
        with suppress(FileNotFoundError):  # merged away there, where it is found as well
            data = path.read_bytes()
            _put(store.fragments, _foreign_stem(path.stem, data), data)
    return MergeReport(quarantined=tuple(left))


def _foreign_stem(stem: str, data: bytes) -> str:
    """Return the name of a fragment from elsewhere if a file may be called so, else one of ours."""
    try:
        return safe_name("fragment", stem)
    except BadInput:
        return f"foreign-{sha256_hex(data)[:16]}"


def _size(path: Path) -> int | None:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return None


def _waiting(folder: Path) -> list[Path]:
    files = (p for p in folder.glob("*.json") if not p.name.startswith("."))
    return sorted(p for p in files if p.is_file())


def _merge_batch(
    store: Store, shapes: Mapping[str, TableShape], paths: Sequence[Path]
) -> MergeReport:
    report = MergeReport()
    good: list[Fragment] = []
    for path in paths:
        try:
            good.append(read_fragment(path, shapes))
        except BadInput as error:
            report += _set_aside(store, path, str(error))
    return report + _insert_all(store, shapes, good)


def _insert_all(
    store: Store, shapes: Mapping[str, TableShape], fragments: Sequence[Fragment]
) -> MergeReport:
    """Insert in one transaction and move the files; a fragment that does not fit is set aside."""
    if not fragments:
        return MergeReport()
    new: dict[str, int] = {}
    conflicts: list[Conflict] = []
    try:
        with store.transaction() as con:
            for table in sorted({table for f in fragments for table in f.rows}):
                new[table], found = _insert_table(con, shapes[table], fragments)
                conflicts += found
    except (duckdb.DataError, duckdb.IntegrityError, duckdb.InvalidInputException) as error:
        if len(fragments) == 1:
            return _set_aside(store, fragments[0].path, str(error))
        half = len(fragments) // 2
        first = _insert_all(store, shapes, fragments[:half])
        return first + _insert_all(store, shapes, fragments[half:])
    disputed = {conflict.fragment for conflict in conflicts}
    for conflict in conflicts:
        log.error("%s", conflict)
    for fragment in fragments:
        if fragment.path.stem in disputed:
            reason = "\n".join(str(c) for c in conflicts if c.fragment == fragment.path.stem)
            _move(fragment.path, store.quarantine, reason=reason)
        else:
            _move(fragment.path, store.merged)
    return MergeReport(
        cells=new.get("cells", 0),
        evaluations=new.get("evaluations", 0),
        conflicts=tuple(str(conflict) for conflict in conflicts),
        fragments=len(fragments),
        rows={table: count for table, count in new.items() if count},
    )


def _insert_table(
    con: duckdb.DuckDBPyConnection, shape: TableShape, fragments: Sequence[Fragment]
) -> tuple[int, list[Conflict]]:
    """Insert the fragments' rows of one table; return how many are new, and which differ."""
    rows: list[dict[str, str | None]] = []
    for fragment in fragments:
        for row in fragment.rows.get(shape.name, []):
            rows.append({**row, "offered_by": fragment.path.stem, "offered_at": str(len(rows))})
    if not rows:
        return 0, []
    types = {**shape.types, "offered_by": "VARCHAR", "offered_at": "BIGINT"}
    source, present, values = typed_rows(types, rows)
    con.execute(f"CREATE OR REPLACE TEMP TABLE offered AS {source}", values)
    columns = ", ".join(quoted(c) for c in present if c in shape.types)
    key = ", ".join(map(quoted, shape.key))
    lacking, ignoring = "", "ON CONFLICT DO NOTHING"
    if shape.name == "documents":  # no primary key, so no conflict to do nothing about
        lacking, ignoring = f"ANTI JOIN documents USING ({key})", ""
    done = con.execute(
        f"INSERT INTO {quoted(shape.name)} ({columns}) SELECT {columns} FROM offered {lacking}"
        f" QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY offered_at) = 1 {ignoring}"
    ).fetchone()
    conflicts = compare_with_stored(con, shape, present)
    record(con, conflicts)
    con.execute("DROP TABLE offered")
    return (int(done[0]) if done else 0), conflicts


def _set_aside(store: Store, path: Path, reason: str) -> MergeReport:
    text = f"{path.name}: {reason}"
    log.error("quarantined %s", text)
    _move(path, store.quarantine, reason=text)
    return MergeReport(quarantined=(text,))


def _move(path: Path, folder: Path, *, reason: str = "") -> None:
    """Move a file; one that is there already under the same name and differs is kept beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / path.name
    if target.exists():
        data = path.read_bytes()
        if target.read_bytes() != data:
            target = folder / f"{path.stem}.{sha256_hex(data)[:8]}.json"
    path.replace(target)
    if reason:
        write_whole(target.with_suffix(".reason.txt"), f"{reason}\n".encode())
