"""Who is at work in a store is known as long as it is, and no longer."""

from __future__ import annotations

import os
import threading

import pytest

from calibkit.errors import StoreBusy
from calibkit.store.presence import in_use, users

AT_WORK = """
import sys, time
from pathlib import Path
from calibkit.store import Store
from calibkit.store.presence import in_use
with in_use(Store(Path(sys.argv[1]))):
    print("at work", flush=True)
    time.sleep(60)
"""


def now(store):
    with store.locked():
        return users(store)


def test_nobody_is_at_work_in_a_fresh_store(fresh_store):
    assert now(fresh_store) == []


def test_a_process_is_seen_while_its_block_lasts(fresh_store):
    with in_use(fresh_store):
        (seen,) = now(fresh_store)
        assert seen.startswith(f"PID {os.getpid()} on ")
        with in_use(fresh_store):
            assert len(now(fresh_store)) == 2
    assert now(fresh_store) == []
    assert list((fresh_store.folder / "in-use").iterdir()) == []


def test_a_block_that_fails_ends(fresh_store):
    with pytest.raises(ZeroDivisionError), in_use(fresh_store):
        raise ZeroDivisionError
    assert now(fresh_store) == []


def test_other_processes_are_seen_and_not_those_that_were_killed(fresh_store, python):
    first, second = (python(AT_WORK, fresh_store.path) for _ in range(2))
    for process in (first, second):
        assert process.stdout.readline() == "at work\n"
    assert sorted(text.split()[1] for text in now(fresh_store)) == sorted(
        str(process.pid) for process in (first, second)
    )
    first.kill()
    first.wait()
    assert [text.split()[1] for text in now(fresh_store)] == [str(second.pid)]
    assert len(list((fresh_store.folder / "in-use").iterdir())) == 1
    second.kill()
    second.wait()
    assert now(fresh_store) == []


def test_nobody_begins_while_the_store_is_locked(fresh_store):
    result = []

    def begin():
        try:
            with in_use(fresh_store):
                result.append("began")
        except StoreBusy as error:
            result.append(str(error))

    with fresh_store.locked():
        thread = threading.Thread(target=begin)
        thread.start()
        thread.join()
    assert "is writing to the store" in result[0]
