"""gc on the command line: shows by default, deletes when told, refuses a store in use."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from calibkit.store import Store
from calibkit.store.presence import in_use

Run = Callable[..., Result]


@pytest.fixture
def waste(study_store: Store) -> list[Path]:
    """Two leftovers and something in quarantine."""
    store = study_store
    files = [store.fragments / f".f1-{n}.json.host.7.0.tmp" for n in (1, 2)]
    files.append(store.quarantine / "bad.json")
    then = time.time() - 7200
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"1234")
        os.utime(file, (then, then))
    return files


def test_without_delete_it_only_shows(run: Run, study_store: Store, waste: list[Path]) -> None:
    result = run("--store", study_store.path, "gc")
    assert result.exit_code == 0
    heading, _, *rows = result.stdout.splitlines()
    assert heading.split() == ["what", "files", "bytes", "why"]
    assert [row.split()[:3] for row in rows] == [["leftover", "2", "8"]]
    assert "nothing was removed; --delete removes 2 files, 0.0 MB" in result.stderr
    assert all(file.exists() for file in waste)
    listed = run("--store", study_store.path, "gc", "--quarantine", "--json").stdout.splitlines()
    assert {json.loads(line)["path"] for line in listed} == {str(file) for file in waste}
    assert sum(json.loads(line)["bytes"] for line in listed) == 12


def test_with_delete_it_removes(run: Run, study_store: Store, waste: list[Path]) -> None:
    result = run("--store", study_store.path, "gc", "--delete", "--format", "csv")
    assert result.exit_code == 0 and result.stdout.count("\n") == 3
    assert "removed 2 files" in result.stderr
    assert [file.exists() for file in waste] == [False, False, True]
    again = run("--store", study_store.path, "gc", "--delete", "--json")
    assert (again.exit_code, again.stdout) == (0, "")
    assert "there is nothing to remove" in run("--store", study_store.path, "gc").stderr


def test_a_store_in_use_is_left_alone(run: Run, study_store: Store, waste: list[Path]) -> None:
    with in_use(study_store):
        result = run("--store", study_store.path, "gc", "--delete")
        shown = run("--store", study_store.path, "gc", "--json")
    assert (result.exit_code, result.stdout) == (3, "")
    assert f"PID {os.getpid()} on" in result.stderr and "is at work in the store" in result.stderr
    assert all(file.exists() for file in waste)
    assert shown.exit_code == 0 and shown.stdout.count("\n") == 2


def test_without_a_store(run: Run, tmp_path: Path) -> None:
    for options in ([], ["--delete"]):
        result = run("--store", tmp_path / "none.duckdb", "gc", *options)
        assert result.exit_code == 2 and "there is no store" in result.stderr
    assert not (tmp_path / "none.duckdb.d").exists()
