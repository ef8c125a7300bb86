"""A backup is a whole store or it is not there, and nothing is ever overwritten."""

from __future__ import annotations

import errno
import shutil
from collections import namedtuple

import duckdb
import pytest

from calibkit.errors import BadInput, StoreBusy, StoreError
from calibkit.store import Artefacts, Store, query, row_counts, tables, views, write_fragment
from calibkit.store import backup as module
from calibkit.store.backup import backup

RESULTS = "SELECT * FROM results ORDER BY ALL"
COMPARED = "SELECT * FROM compare('random', 'k-center') ORDER BY ALL"


@pytest.fixture
def store(fresh_store, made):
    """Measured cells, a fragment that waits, an artefact, and what is left behind."""
    policies = ("random", "k-center")
    made.fill(
        fresh_store,
        [made.cell(p, s, f"s1-{p}{s}", 0.8 + s / 100, 0.7) for p in policies for s in (0, 1)],
    )
    waiting = made.cell("random", 7, "s1-late", 0.5)
    write_fragment(fresh_store.fragments, waiting.cell_id, made.payload(waiting))
    (fresh_store.fragments / ".f1.json.host.1.0.tmp").write_text("half")
    Artefacts(fresh_store.artefacts).save("model", "k1-a", {}, {"a": 1})
    fresh_store.quarantine.mkdir()
    (fresh_store.quarantine / "bad.json").write_text("{")
    return fresh_store


def left_of(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.smoke
def test_the_copy_answers_every_query_like_the_store(store, tmp_path):
    (tmp_path / "out").mkdir()
    copied = backup(store, tmp_path / "out" / "copy.duckdb")
    assert [part.what for part in copied] == ["database", "fragments", "merged", "artefacts"]
    assert [part.files for part in copied] == [1, 1, 5, 2]
    assert all(part.bytes > 0 for part in copied)
    copy = Store(tmp_path / "out" / "copy.duckdb")
    with store.reading() as one, copy.reading() as other:
        assert row_counts(other) == row_counts(one)
        assert views(other) == views(one)  # columns and comments included
        assert tables(other) == tables(one)
        for text in (RESULTS, COMPARED, "FROM progress", "FROM meta ORDER BY key"):
            assert other.execute(text).fetchall() == one.execute(text).fetchall()
        keys = "SELECT table_name, constraint_text FROM duckdb_constraints() ORDER BY ALL"
        assert other.execute(keys).fetchall() == one.execute(keys).fetchall()
    assert len(query(copy, COMPARED).rows) > 0
    assert left_of(copy.folder) == ["artefacts", "fragments", "merged"]
    assert left_of(copy.fragments) == left_of(store.fragments)[1:]  # without the half
    assert Artefacts(copy.artefacts).load("model", "k1-a").config == {"a": 1}
    assert left_of(tmp_path / "out") == ["copy.duckdb", "copy.duckdb.d"]


@pytest.mark.smoke
def test_the_copy_is_a_store_of_its_own(store, made, tmp_path):
    from calibkit.store import merge

    backup(store, tmp_path / "copy.duckdb")
    copy = Store(tmp_path / "copy.duckdb")
    assert merge(copy).cells == 1
    assert query(copy, "SELECT count(*) FROM cells").rows == [(5,)]
    assert query(store, "SELECT count(*) FROM cells").rows == [(4,)]
    with copy.reading() as con:
        tags = con.execute("SELECT tags FROM duckdb_databases() WHERE NOT internal").fetchall()
    assert "v1.5.0" in str(tags)


def test_without_artefacts(store, tmp_path):
    copied = backup(store, tmp_path / "copy.duckdb", artefacts=False)
    assert [part.what for part in copied] == ["database", "fragments", "merged"]
    assert left_of(tmp_path / "copy.duckdb.d") == ["fragments", "merged"]


def test_a_store_that_has_only_a_file(fresh_store, tmp_path):
    shutil.rmtree(fresh_store.folder)
    backup(fresh_store, tmp_path / "copy.duckdb")
    assert left_of(tmp_path / "copy.duckdb.d") == []


@pytest.mark.parametrize("name", ["copy.duckdb", "copy.duckdb.d", "copy.duckdb.wal"])
def test_nothing_is_overwritten(store, tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(BadInput, match=f"{name} is there already"):
        backup(store, tmp_path / "copy.duckdb")
    assert (tmp_path / name).read_text() == "mine"


def test_a_file_that_appears_meanwhile_is_not_overwritten_either(store, tmp_path, monkeypatch):
    target = tmp_path / "copy.duckdb"
    monkeypatch.setattr(module.os, "sync", lambda: target.write_text("mine"))
    before = set(left_of(tmp_path))
    with pytest.raises(BadInput, match="is there already"):
        backup(store, target)
    assert target.read_text() == "mine"
    assert set(left_of(tmp_path)) - before == {"copy.duckdb"}


@pytest.mark.parametrize(
    ("place", "told"),
    [("no/such/folder/x.duckdb", "make it first"), ("calibkit.duckdb.d/x.duckdb", "own folder")],
)
def test_places_that_cannot_be_are_refused(store, tmp_path, place, told):
    with pytest.raises(BadInput, match=told):
        backup(store, tmp_path / place)


def test_no_store_no_backup(tmp_path):
    with pytest.raises(BadInput, match="there is no store"):
        backup(Store(tmp_path / "none.duckdb"), tmp_path / "copy.duckdb")


def test_a_full_disk_is_told_before_anything_is_written(store, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage(10**9, 10**9, 10**6))
    before = left_of(tmp_path)
    with pytest.raises(StoreError, match="has 1 MB free, and the backup needs about"):
        backup(store, tmp_path / "copy.duckdb")
    assert left_of(tmp_path) == before


def test_a_disk_that_fills_up_leaves_nothing_behind(store, tmp_path, monkeypatch):
    real, calls = shutil.copy2, []

    def full(source, target):
        calls.append(source)
        if len(calls) == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(source, target)

    monkeypatch.setattr(module.shutil, "copy2", full)
    before = left_of(tmp_path)
    with pytest.raises(StoreError, match="No space left on device; nothing is left of the backup"):
        backup(store, tmp_path / "copy.duckdb")
    assert left_of(tmp_path) == before
    monkeypatch.undo()
    backup(store, tmp_path / "copy.duckdb")


LIMITED = """
import resource, signal, sys
from pathlib import Path
from calibkit.errors import StoreError
from calibkit.store import Store
from calibkit.store.backup import backup
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    backup(Store(Path(sys.argv[1])), Path(sys.argv[2]))
except StoreError as error:
    print("refused:", error)
"""


def test_files_that_may_not_grow_leave_nothing_behind(store, tmp_path, python):
    before = left_of(tmp_path)
    output, errors = python(LIMITED, store.path, tmp_path / "copy.duckdb").communicate()
    assert output.startswith("refused: cannot write"), errors
    assert left_of(tmp_path) == before
    with store.reading() as con:
        assert con.execute("SELECT count(*) FROM cells").fetchone() == (4,)


def test_a_killed_backup_leaves_only_drafts_and_the_next_one_is_whole(store, tmp_path, python):
    script = LIMITED.partition("signal.signal")[0] + (
        "import os\nfrom calibkit.store import backup as module\n"
        "module.os.sync = lambda: os.kill(os.getpid(), 9)\n"
        "backup(Store(Path(sys.argv[1])), Path(sys.argv[2]))\n"
    )
    process = python(script, store.path, tmp_path / "copy.duckdb")
    process.communicate()
    assert process.returncode == -9
    assert not (tmp_path / "copy.duckdb").exists()
    assert not (tmp_path / "copy.duckdb.d").exists()
    backup(store, tmp_path / "copy.duckdb")
    assert query(Store(tmp_path / "copy.duckdb"), "SELECT count(*) FROM cells").rows == [(4,)]


HOLD = """
import sys, time
from calibkit.store import Store
with Store(sys.argv[1]).%s() as con:
    print("held", flush=True)
    time.sleep(60)
"""


def test_readers_are_no_hindrance_and_writers_are_waited_for(store, tmp_path, python):
    reader = python(HOLD % "reading", store.path)
    assert reader.stdout.readline() == "held\n"
    backup(store, tmp_path / "one.duckdb")
    reader.kill()
    writer = python(HOLD % "writing", store.path)
    assert writer.stdout.readline() == "held\n"
    with pytest.raises(StoreBusy, match=rf"PID {writer.pid}"):
        backup(store, tmp_path / "two.duckdb")
    assert not any(name.startswith("two") for name in left_of(tmp_path))


def test_the_store_may_be_read_and_written_right_after_it(store, tmp_path):
    backup(store, tmp_path / "copy.duckdb")
    with store.writing() as con:
        con.execute("DELETE FROM cells")
    assert query(store, "SELECT count(*) FROM cells").rows == [(0,)]
    assert query(Store(tmp_path / "copy.duckdb"), "SELECT count(*) FROM cells").rows == [(4,)]


def test_an_artefact_that_is_collected_meanwhile_is_left_out(store, tmp_path, monkeypatch):
    real = shutil.copy2

    def vanishing(source, target):
        if source.suffix == ".safetensors" and source.exists():
            source.unlink()
            source.with_name("k1-a.json").unlink()
        return real(source, target)

    monkeypatch.setattr(module.shutil, "copy2", vanishing)
    copied = backup(store, tmp_path / "copy.duckdb")
    assert copied[-1].files == 0
    assert (tmp_path / "copy.duckdb").exists()


def test_a_name_with_quotes_is_a_name(store, tmp_path):
    backup(store, tmp_path / "it's a copy.duckdb")
    with duckdb.connect(str(tmp_path / "it's a copy.duckdb"), read_only=True) as con:
        assert con.execute("SELECT count(*) FROM cells").fetchone() == (4,)
