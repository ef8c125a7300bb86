"""Stores that no command can use: each says why, and leaves them alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import Result

from calibkit.store import Store

Run = Callable[..., Result]


# -------------------------------------------------------------------- stores that cannot be used


COMMANDS = [
    ["list", "corpora"],
    ["sql", "FROM progress"],
    ["sql"],
    ["show", "toy"],
    ["info"],
    ["build-subset", "toy", "--policy", "random", "--size", "4", "--seed", "0"],
    ["ingest", "toy", "--train", "{train}"],
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("kind", ["text", "sqlite", "empty", "newer"])
def test_a_file_that_is_no_store_of_ours_is_left_alone(
    run: Run, study_store: Store, toy_files: Mapping[str, Path], kind: str, arguments: list[str]
) -> None:
    path = study_store.path.with_name("other.duckdb")
    if kind == "sqlite":
        con = sqlite3.connect(path)
        con.execute("CREATE TABLE x (y)")
        con.commit()
        con.close()
    elif kind == "newer":
        path.write_bytes(study_store.path.read_bytes())
        with duckdb.connect(str(path)) as newer:
            newer.execute("UPDATE meta SET value = '999' WHERE key = 'schema_version'")
    else:
        path.write_bytes(b"" if kind == "empty" else b"hello, I am a text\n" * 100)
    before = path.read_bytes()
    result = run("--store", path, *(part.format(**toy_files) for part in arguments))
    assert result.exit_code == 3, result.stderr
    assert result.stderr.startswith("Error: ") and str(path) in result.stderr
    assert result.stdout == "" or arguments == ["info"]
    assert path.read_bytes() == before


def test_a_store_that_another_process_holds(
    run: Run, study_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    import subprocess
    import sys

    program = (
        f"import duckdb, sys; con = duckdb.connect({str(study_store.path)!r});"
        " print('held', flush=True); sys.stdin.read()"
    )
    original = Store.__init__

    def impatient(self: Store, path: Path, **options: Any) -> None:
        original(self, path, **{"patience": 0.2, **options})

    monkeypatch.setattr(Store, "__init__", impatient)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        for arguments in (["list", "corpora"], ["sql", "FROM progress"], ["show", "toy"]):
            result = run("--store", study_store.path, *arguments)
            assert (result.exit_code, result.stdout) == (3, "")
            assert f"PID {holder.pid}" in result.stderr
        holder.communicate()
    assert run("--store", study_store.path, "list", "corpora").exit_code == 0
