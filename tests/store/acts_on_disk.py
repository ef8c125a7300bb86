"""What writes to the disk, for tests of disks that fail: what is done, and what is seen of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from calibkit.corpora.ingest import ingest
from calibkit.errors import BadInput, StoreDamaged
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


def corpus_files(folder: Path, made: Any) -> None:
    empty_store(folder, made)
    lines = [f"{word} {number},{word}" for number in range(40) for word in ("sea", "sky")]
    (folder / "train.csv").write_text("\n".join(["text,label", *lines]))


def ingested(folder: Path, made: Any) -> None:
    ingest(store_in(folder), "news", train=folder / "train.csv")


def corpus_seen(folder: Path) -> Any:
    with store_in(folder).reading() as con:
        tables = ("SELECT name, version FROM corpora", "FROM labels", "FROM documents ORDER BY ALL")
        return [con.execute(sql).fetchall() for sql in tables]


CASES = {
    "ingest": Case(corpus_files, ingested, corpus_seen),
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
