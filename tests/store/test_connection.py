from __future__ import annotations

import os
import pickle
import shutil
import sqlite3
import threading
from pathlib import Path

import duckdb
import pytest

from calibkit.errors import BadInput, ExitCode, StoreBusy, StoreDamaged, StoreError, StoreNewer
from calibkit.store import Store, insert, query, store_path

HOLD = """
import sys, time, duckdb
con = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "read")
print("held", flush=True)
time.sleep(float(sys.argv[3]))
"""
HOLD_LOCK = """
import sys, time
from calibkit.store import Store
with Store(sys.argv[1]).locked():
    print("held", flush=True)
    time.sleep(60)
"""


def test_path_by_option_then_variable_then_default(monkeypatch):
    monkeypatch.delenv("CALIBKIT_STORE", raising=False)
    assert store_path() == Path("store/calibkit.duckdb")
    monkeypatch.setenv("CALIBKIT_STORE", "elsewhere.duckdb")
    assert store_path() == Path("elsewhere.duckdb")
    assert store_path("mine.duckdb") == Path("mine.duckdb")


def test_everything_else_belongs_to_the_file(tmp_path):
    a, b = Store(tmp_path / "a.duckdb"), Store(tmp_path / "b.duckdb")
    assert a.fragments == tmp_path / "a.duckdb.d" / "fragments"
    assert not {a.fragments, a.merged, a.artefacts, a.quarantine} & {
        b.fragments,
        b.merged,
        b.artefacts,
        b.quarantine,
    }


@pytest.mark.smoke
def test_writing_makes_the_store_and_reading_sees_it(store):
    assert not store.exists()
    with store.writing() as con:
        assert insert(con, "corpora", [{"corpus_id": "c1", "name": "news"}]) == 1
    assert store.exists()
    with store.reading() as con:
        assert con.execute("SELECT name FROM corpora").fetchall() == [("news",)]
        with pytest.raises(duckdb.Error, match="read-only"):
            con.execute("DELETE FROM corpora")


def test_the_file_format_is_one_that_both_majors_read(fresh_store):
    with fresh_store.reading() as con:
        tags = con.execute(
            "SELECT tags FROM duckdb_databases() WHERE NOT internal AND path IS NOT NULL"
        ).fetchall()
    assert "v1.5.0" in str(tags)


def test_an_exception_rolls_everything_back(fresh_store):
    with pytest.raises(ZeroDivisionError), fresh_store.writing() as con:
        insert(con, "corpora", [{"corpus_id": "c1", "name": "news"}])
        raise ZeroDivisionError
    with fresh_store.reading() as con:
        assert con.execute("SELECT count(*) FROM corpora").fetchone() == (0,)


def test_reading_no_store_says_what_makes_one(store):
    with pytest.raises(BadInput, match=r"calibkit ingest.*calibkit evaluate"), store.reading():
        pass
    assert not store.exists()
    assert not store.folder.exists()


def test_a_folder_is_no_store(tmp_path):
    with pytest.raises(BadInput, match="is a folder"):
        Store(tmp_path)


@pytest.mark.parametrize("mode", ["read", "write"])
def test_a_held_store_is_busy_and_names_the_process(fresh_store, python, mode):
    holder = python(HOLD, fresh_store.path, mode, 60)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(StoreBusy, match=rf"PID {holder.pid}\b") as busy, fresh_store.writing():
        pass
    assert busy.value.exit_code == ExitCode.STORE == 3
    if mode == "write":
        with pytest.raises(StoreBusy, match=f"PID {holder.pid}"), fresh_store.reading():
            pass
        with pytest.raises(StoreBusy, match=f"PID {holder.pid}"):
            query(fresh_store, "SELECT 1")
    else:
        with fresh_store.reading() as con:
            assert con.execute("SELECT count(*) FROM meta").fetchone() == (3,)


def test_a_store_that_is_released_in_time_is_waited_for(fresh_store, python):
    holder = python(HOLD, fresh_store.path, "write", 0.7)
    assert holder.stdout.readline() == "held\n"
    patient = Store(fresh_store.path, patience=20)
    with patient.reading() as con:
        assert con.execute("SELECT 1").fetchone() == (1,)


def test_a_locked_store_is_busy_and_names_the_process(fresh_store, python):
    holder = python(HOLD_LOCK, fresh_store.path)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(StoreBusy, match=f"PID {holder.pid}"), fresh_store.writing():
        pass
    holder.kill()
    holder.wait()
    with fresh_store.writing():  # a killed holder leaves nothing behind that blocks
        pass


def test_readers_in_threads_share_and_a_writer_waits(fresh_store):
    patient = Store(fresh_store.path, patience=20)
    started, seen = threading.Event(), []

    def read() -> None:
        with patient.reading() as con:
            started.set()
            seen.append(con.execute("SELECT count(*) FROM range(20_000_000)").fetchone())

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    started.wait()
    with patient.writing() as con:
        insert(con, "corpora", [{"corpus_id": "c1", "name": "news"}])
    for thread in threads:
        thread.join()
    assert len(seen) == 3


def test_opening_twice_in_one_thread_is_refused_at_once(fresh_store):
    with fresh_store.reading(), fresh_store.reading() as con:
        assert con.execute("SELECT 1").fetchone() == (1,)
        assert query(fresh_store, "SELECT 1").rows == [(1,)]  # in a process of its own
        with pytest.raises(StoreError, match="already open"), fresh_store.writing():
            pass
    with fresh_store.writing(), pytest.raises(StoreError, match="already open to write"):
        query(fresh_store, "SELECT 1")


@pytest.mark.parametrize("content", ["sqlite", "text", "empty", "short"])
def test_what_is_no_duckdb_file_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "store.duckdb"
    if content == "sqlite":
        con = sqlite3.connect(path)
        con.execute("CREATE TABLE meta (key TEXT, value TEXT)")
        con.commit()
        con.close()
    else:
        path.write_bytes({"text": b"label,text\n" * 999, "empty": b"", "short": b"DUCK"}[content])
    before = path.read_bytes()
    store = Store(path, patience=0.5)
    for use in (store.reading, store.writing):
        with pytest.raises(StoreDamaged, match=r"no calibkit store") as error, use():
            pass
        assert error.value.exit_code == ExitCode.STORE
    with pytest.raises(StoreDamaged):
        query(store, "SELECT 1")
    assert path.read_bytes() == before


def test_another_duckdb_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "other.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute("CREATE TABLE shop (item VARCHAR)")
    before = path.read_bytes()
    for use in (Store(path).reading, Store(path).writing):
        with pytest.raises(StoreDamaged, match="no calibkit store"), use():
            pass
    assert path.read_bytes() == before


def test_a_newer_store_is_refused_and_left_alone(fresh_store):
    with duckdb.connect(str(fresh_store.path)) as con:
        con.execute("UPDATE meta SET value = '999' WHERE key = 'schema_version'")
    before = fresh_store.path.read_bytes()
    for use in (fresh_store.reading, fresh_store.writing):
        with pytest.raises(StoreNewer, match=r"version 999.*pip install -U") as error, use():
            pass
        assert error.value.exit_code == ExitCode.STORE
    with pytest.raises(StoreNewer):
        query(fresh_store, "SELECT 1")
    assert fresh_store.path.read_bytes() == before


def test_a_damaged_file_is_copied_aside_and_nothing_deleted(fresh_store):
    raw = bytearray(fresh_store.path.read_bytes())
    raw[16:12288] = bytes(12288 - 16)
    fresh_store.path.write_bytes(raw)
    store = Store(fresh_store.path, patience=0.3)
    with pytest.raises(StoreDamaged, match=r"merged") as error, store.reading():
        pass
    assert str(store.quarantine) in str(error.value)
    copies = list(store.quarantine.glob("*/calibkit.duckdb"))
    assert [copy.read_bytes() for copy in copies] == [bytes(raw)]
    assert store.path.read_bytes() == bytes(raw)


def test_a_log_without_its_store_is_not_ignored(store):
    store.path.with_name(store.path.name + ".wal").write_bytes(b"log")
    with pytest.raises(StoreDamaged, match="write-ahead log"), store.writing():
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_forked_child_is_refused(fresh_store):
    def refusal(use) -> str:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                with use():
                    text = "opened"
            except StoreError as error:
                text = str(error)
            except BaseException as error:
                text = repr(error)
            os.write(writing, text.encode())
            os._exit(0)
        os.close(writing)
        os.waitpid(pid, 0)
        with os.fdopen(reading) as pipe:
            return pipe.read()

    assert "spawn" in refusal(fresh_store.reading)  # the object belongs to its process
    with fresh_store.reading():  # and with a connection open, a new object is no way round it
        assert "forked" in refusal(lambda: Store(fresh_store.path).writing())
    assert refusal(lambda: Store(fresh_store.path).writing()) == "opened"


def test_a_pickled_store_belongs_to_its_reader(fresh_store):
    copy = pickle.loads(pickle.dumps(Store(fresh_store.path, patience=3, memory="512MB")))
    assert (copy.path, copy.patience, copy.memory) == (fresh_store.path, 3, "512MB")
    assert copy.pid == os.getpid()


def test_a_link_and_its_target_are_one_store(fresh_store, tmp_path):
    link = tmp_path / "link.duckdb"
    link.symlink_to(fresh_store.path)
    assert Store(link).path == fresh_store.path
    assert Store(link).fragments == fresh_store.fragments


def test_limits_are_set_on_every_connection(fresh_store):
    store = Store(fresh_store.path, memory="256MB", threads=1)
    for use in (store.reading, store.writing):
        with use() as con:
            settings = con.execute(
                "SELECT current_setting('memory_limit'), current_setting('threads'),"
                " current_setting('autoload_known_extensions'),"
                " current_setting('autoinstall_known_extensions')"
            ).fetchone()
        assert settings[0].startswith("244")  # MiB
        assert settings[1:] == (1, False, False)


def test_a_full_disk_is_noticed_before_writing(fresh_store, monkeypatch):
    usage = shutil.disk_usage(fresh_store.folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10))
    with pytest.raises(StoreError, match="free"):
        fresh_store.require_space(1)


def test_killed_while_making_the_store_leaves_none_or_a_whole_one(store, python):
    script = """
import sys
from calibkit.store import Store
print("go", flush=True)
with Store(sys.argv[1]).writing():
    pass
"""
    import time

    for delay in (0.0, 0.02, 0.05, 0.1, 0.2):
        process = python(script, store.path)
        process.stdout.readline()
        time.sleep(delay)
        process.kill()
        process.wait()
        if store.exists():
            with store.reading() as con:
                assert con.execute("SELECT count(*) FROM t_quantiles").fetchone() == (1000,)
    with store.writing():
        pass
