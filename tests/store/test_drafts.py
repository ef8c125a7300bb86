"""What killed backups leave is found wherever it is, removed, and never taken for a store."""

from __future__ import annotations

import os
import time

import pytest

from calibkit.errors import BadInput
from calibkit.store import Store, query
from calibkit.store.backup import backup
from calibkit.store.drafts import abandoned
from calibkit.store.garbage import GRACE_SECONDS, leftovers
from calibkit.sweep.collect import collect, find_garbage

KILLED = """
import os, sys
from pathlib import Path
from calibkit.store import Store, backup as module
from calibkit.store.backup import backup
def die(*_):
    os.kill(os.getpid(), 9)
setattr(module, sys.argv[3], die)
backup(Store(Path(sys.argv[1])), Path(sys.argv[2]))
"""
MOMENTS = ["_copy_database", "_row_counts", "_copy", "_in_safe_order", "renamed_if_free"]
"""Functions at whose beginning a backup is killed."""


@pytest.fixture
def store(fresh_store, made):
    made.fill(fresh_store, [made.cell("random", seed, f"s1-{seed}", 0.8) for seed in (0, 1)])
    return fresh_store


@pytest.fixture
def elsewhere(tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


def age(paths):
    then = time.time() - 2 * GRACE_SECONDS
    for path in paths:
        os.utime(path, (then, then))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("moment", MOMENTS)
def test_what_a_killed_backup_left_is_collected(store, elsewhere, python, moment):
    target = elsewhere / "copy.duckdb"
    process = python(KILLED, store.path, target, moment)
    assert process.wait() == -9
    assert not target.exists()
    left = set(elsewhere.iterdir())
    if moment != "_copy_database":
        assert left
    hidden = {path for path in left if path.name.startswith(".")}
    assert {path.name for path in left - hidden} <= {"copy.duckdb.d"}
    assert list(leftovers(store)) == []  # it may be in the making
    age([*store.folder.rglob("*"), *left])
    waste = find_garbage(store).waste
    assert {one.path for one in waste} >= hidden
    assert collect(store).waste == waste
    assert not any(path.exists() for path in hidden)
    assert names(store.folder / "drafts") == []
    assert find_garbage(store).waste == ()
    assert query(store, "SELECT count(*) FROM cells").rows == [(2,)]


def test_a_draft_is_no_store(store, elsewhere, python):
    assert python(KILLED, store.path, elsewhere / "copy.duckdb", "_copy").wait() == -9
    (draft,) = elsewhere.glob(".copy.duckdb.*.tmp")
    with pytest.raises(BadInput, match="what a backup leaves that was killed, and no store"):
        Store(draft)
    link = elsewhere / "link.duckdb"
    link.symlink_to(draft)
    with pytest.raises(BadInput, match="and no store"):
        Store(link)


def test_what_is_being_made_stays(store, elsewhere, monkeypatch):
    seen = []

    def look():
        age([*elsewhere.iterdir(), *(store.folder / "drafts").iterdir()])
        seen.append((names(elsewhere), abandoned(store), list(leftovers(store))))

    monkeypatch.setattr("calibkit.store.backup.os.sync", look)
    backup(store, elsewhere / "copy.duckdb")
    ((made, left, waste),) = seen
    assert len(made) == 2 and left == waste == []
    assert names(elsewhere) == ["copy.duckdb", "copy.duckdb.d"]
    assert names(store.folder / "drafts") == []


def test_a_draft_of_the_same_process_number_is_no_hindrance(store, elsewhere):
    """In a container every process may have the same number."""
    old = elsewhere / f".copy.duckdb.{os.getpid()}.tmp"
    old.write_bytes(b"half")
    (elsewhere / f"{old.name}.d").mkdir()
    (elsewhere / f"{old.name}.d" / "old.json").write_text("{}")
    backup(store, elsewhere / "copy.duckdb")
    assert names(elsewhere) == ["copy.duckdb", "copy.duckdb.d"]
    assert not list((elsewhere / "copy.duckdb.d").rglob("old.json"))


@pytest.mark.parametrize("draft", ["precious.duckdb", "relative/.x.1.tmp", "", None, 7])
def test_a_note_that_names_anything_else_removes_nothing(store, tmp_path, draft):
    import json

    precious = tmp_path / "precious.duckdb"
    precious.write_text("mine")
    folder = store.folder / "drafts"
    folder.mkdir()
    named = str(precious) if draft == "precious.duckdb" else draft
    (folder / "host.1.0.json").write_text(json.dumps({"draft": named}))
    age([precious, *folder.iterdir()])
    assert {one.path.parent for one in leftovers(store)} <= {folder}
    collect(store)
    assert precious.read_text() == "mine"
