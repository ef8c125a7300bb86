"""The n-th file operation fails, n = 1, 2, 3, ...: what is seen is before or after, never between.

Of each action every file operation fails once, with all others going well, and once with every
later one failing too that needs room, as when the disk is full.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from failing_files import failing

from calibkit.errors import BadInput, CalibkitError, StoreDamaged
from calibkit.store import Artefacts, Store, merge, write_fragment
from calibkit.store.backup import backup
from calibkit.store.presence import in_use

TABLES = ["cells", "evaluations", "predictions", "label_evaluations", "distributions", "plan_cells"]
TENSORS = {"weight": np.arange(600, dtype=np.float32)}


def store_in(folder: Path) -> Store:
    return Store(folder / "s.duckdb", patience=1.0)


def shelf_in(folder: Path) -> Artefacts:
    return Artefacts(store_in(folder).artefacts)


def rows_of(store: Store) -> dict[str, list[str]] | None:
    if not store.exists():
        return None
    with store.reading() as con:
        found = {table: con.execute(f"FROM {table}").fetchall() for table in TABLES}
        told = "SELECT * EXCLUDE (seen_at) FROM conflicts"
        found["conflicts"] = con.execute(told).fetchall()
    return {table: sorted(map(repr, rows)) for table, rows in found.items()}


def files_of(folder: Path) -> dict[str, bytes]:
    """Return what has a name: no drafts, and no notes of drafts."""
    found = {path.relative_to(folder): path for path in sorted(folder.rglob("*"))}
    return {
        str(place): path.read_bytes()
        for place, path in found.items()
        if path.is_file() and not any(p.startswith(".") or p == "drafts" for p in place.parts)
    }


@dataclass(frozen=True)
class Case:
    """prepare: leaves what is acted upon in a folder. act: does it. state: what is seen of it."""

    prepare: Callable[[Path, Any], object]
    act: Callable[[Path, Any], object]
    state: Callable[[Path], Any]


# ------------------------------------------------------------------------------------- the cases


def empty_store(folder: Path, made: Any) -> None:
    shutil.copy(made.empty, store_in(folder).path)


def fragment_written(folder: Path, made: Any) -> None:
    write_fragment(store_in(folder).fragments, "f1-a", made.payload(made.one))


def another_waits(folder: Path, made: Any) -> None:
    write_fragment(store_in(folder).fragments, "f1-a", made.payload(made.other))


def fragments_seen(folder: Path) -> dict[str, bytes]:
    return files_of(store_in(folder).fragments)


def fragments_wait(folder: Path, made: Any) -> None:
    """One that is merged already, one with other numbers, one torn, and two that are new."""
    empty_store(folder, made)
    store = store_in(folder)
    write_fragment(store.fragments, "f1-old", made.payload(made.one))
    merge(store)
    write_fragment(store.fragments, "f1-old", made.payload(made.one))
    write_fragment(store.fragments, "f1-other", made.payload(made.one, accuracy=0.1))
    (store.fragments / "f1-torn.json").write_bytes(b'{"fragment": 1')
    for number, cell in enumerate(made.more):
        write_fragment(store.fragments, f"f1-new{number}", made.payload(cell))


def merged(folder: Path, made: Any) -> None:
    merge(store_in(folder))


def merged_from_elsewhere(folder: Path, made: Any) -> None:
    merge(store_in(folder), folder / "shard")


def shard_beside(folder: Path, made: Any) -> None:
    empty_store(folder, made)
    for number, cell in enumerate(made.more):
        write_fragment(folder / "shard", f"f1-new{number}", made.payload(cell))


def saved(folder: Path, made: Any) -> None:
    shelf_in(folder).save("model", "k1-a", TENSORS, {"epochs": 5})


def nothing(folder: Path, made: Any) -> None:
    """Leave an empty folder."""


def damaged(folder: Path, made: Any) -> None:
    saved(folder, made)
    for path in (store_in(folder).artefacts / "model").glob("*.safetensors"):
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:-4])


def made_anew(folder: Path, made: Any) -> None:
    try:
        shelf_in(folder).load("model", "k1-a")
    except (StoreDamaged, BadInput):
        saved(folder, made)


def artefact_seen(folder: Path) -> Any:
    """Return the artefact, or None where there is none or a damaged one."""
    try:
        found = shelf_in(folder).load("model", "k1-a")
    except (BadInput, StoreDamaged):
        return None
    return found.config, found.tensors["weight"].tolist()


def first_write(folder: Path, made: Any) -> None:
    with store_in(folder).writing():
        pass


def older_store(folder: Path, made: Any) -> None:
    empty_store(folder, made)
    with store_in(folder).writing() as con:
        con.execute("UPDATE meta SET value = '2' WHERE key = 'schema_version'")


def backed_up(folder: Path, made: Any) -> None:
    backup(store_in(folder), folder / "copy.duckdb")


def to_back_up(folder: Path, made: Any) -> None:
    empty_store(folder, made)
    fragment_written(folder, made)
    saved(folder, made)


def backup_seen(folder: Path) -> Any:
    copy = Store(folder / "copy.duckdb")
    return (copy.exists(), rows_of(copy), sorted(files_of(copy.folder)) if copy.exists() else [])


def at_work(folder: Path, made: Any) -> None:
    with in_use(store_in(folder)):
        pass


def store_seen(folder: Path) -> Any:
    return rows_of(store_in(folder))


def version_seen(folder: Path) -> Any:
    """Look without bringing it up to date."""
    with duckdb.connect(str(store_in(folder).path), read_only=True) as con:
        version = con.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
        return version, con.execute("SELECT count(*) FROM t_quantiles").fetchone()


CASES = {
    "fragment": Case(nothing, fragment_written, fragments_seen),
    "fragment beside another": Case(another_waits, fragment_written, fragments_seen),
    "merge": Case(fragments_wait, merged, store_seen),
    "merge of a folder": Case(shard_beside, merged_from_elsewhere, store_seen),
    "artefact": Case(nothing, saved, artefact_seen),
    "damaged artefact": Case(damaged, made_anew, artefact_seen),
    "new store": Case(nothing, first_write, store_seen),
    "older store": Case(older_store, first_write, version_seen),
    "backup": Case(to_back_up, backed_up, backup_seen),
    "mark of a run": Case(empty_store, at_work, store_seen),
}


@dataclass
class Material:
    """What the cases are made of."""

    empty: Path
    payload: Callable[..., dict[str, Any]]
    one: Any
    other: Any
    more: list[Any]


@pytest.fixture
def material(template, made):
    cells = [made.cell("random", seed, f"s1-{seed}", 0.8 + seed / 100, 0.7) for seed in range(4)]
    return Material(template, made.payload, cells[0], cells[1], cells[2:])


STEPS = {"merge": 5, "merge of a folder": 10, "backup": 10, "older store": 5}
LASTING = pytest.mark.parametrize("lasting", [False, True], ids=["one fails", "the disk is full"])


@LASTING
@pytest.mark.parametrize("name", CASES)
def test_every_file_operation_may_fail(tmp_path, material, name, lasting, told):
    """Of what takes long, here only some."""
    step = STEPS.get(name, 1)
    told(fail_at(range(1, 400, step), name, tmp_path, material, lasting=lasting))


@pytest.mark.long
@LASTING
@pytest.mark.parametrize("name", STEPS)
def test_every_single_file_operation_may_fail(tmp_path, material, name, lasting, told):
    told(fail_at(range(1, 400), name, tmp_path, material, lasting=lasting))


def fail_at(numbers: range, name: str, tmp_path: Path, material: Material, *, lasting: bool) -> str:
    """Let the operations of these numbers fail, one at a time; return what was counted."""
    case = CASES[name]
    start, after = tmp_path / "start", tmp_path / "after"
    start.mkdir()
    case.prepare(start, material)
    shutil.copytree(start, after)
    before = case.state(start)
    case.act(after, material)
    expected = case.state(after)
    files = {Path(name).name for name in files_of(after)}
    refused = failed = 0
    for n in numbers:
        folder = tmp_path / "failing"
        shutil.copytree(start, folder)
        with failing(folder, n, lasting=lasting) as fault:
            try:
                case.act(folder, material)
            except CalibkitError as error:
                refused += 1
                assert len(str(error)) > 40  # a sentence with the next step
        seen = case.state(folder)
        assert seen in (before, expected), (n, fault.seen)
        if not fault.happened:
            break
        failed += 1
        left = {path.name for path in map(Path, files_of(folder)) if path.suffix == ".json"}
        assert left <= files, (n, fault.seen)  # nothing half-written has a name
        if name != "backup" or seen == before:  # a backup that is there is not made again
            case.act(folder, material)
        assert case.state(folder) == expected, (n, fault.seen)
        shutil.rmtree(folder)
    else:
        raise AssertionError("it never came to an end")
    assert refused
    how = "and all later ones that need room" if lasting else "alone"
    return (
        f"{name}: {failed} of {n - 1} file operations failed, each {how}; {refused} were told, the"
        f" others made up for; before or after each time, and right the next time"
    )
