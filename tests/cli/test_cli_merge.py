"""merge: what it prints, what it refuses, and its exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from calibkit.store import Store, write_fragment

Run = Callable[..., Result]


def cell(accuracy: float = 0.9) -> dict[str, Any]:
    level = {"cell_id": "x1-1", "noise_kind": "none", "noise": 0.0, "noise_seed": 0}
    rows = {"cells": [{"cell_id": "x1-1"}], "evaluations": [level | {"accuracy": accuracy}]}
    return {"fragment": 1, "kind": "cell", "rows": rows}


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """The folder of another store, with one fragment."""
    folder = tmp_path / "shard.duckdb.d"
    write_fragment(folder / "merged", "f1-1", cell())
    return folder


def test_it_prints_what_came_in(run: Run, tmp_path: Path, shard: Path) -> None:
    store = Store(tmp_path / "main.duckdb")
    result = run("--store", store.path, "merge", shard, "--json")
    assert result.exit_code == 0, result.stderr
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert rows == [{"table": "cells", "new_rows": 1}, {"table": "evaluations", "new_rows": 1}]
    assert "1 fragment read in" in result.stderr and "1 cell is new" in result.stderr
    assert "of 1 cell in the store no recipe is known that asks for it" in result.stderr
    again = run("--store", store.path, "merge", shard, "--json")
    assert (again.exit_code, again.stdout) == (0, "")
    assert "0 cells are new" in again.stderr


def test_other_numbers_are_a_conflict(run: Run, tmp_path: Path, shard: Path) -> None:
    place = ("--store", tmp_path / "main.duckdb", "merge")
    run(*place, shard)
    write_fragment(tmp_path / "differing", "f1-2", cell(0.5))
    result = run(*place, tmp_path / "differing")
    assert result.exit_code == 1
    assert "f1-2: evaluations x1-1 none 0.0 0 was measured before" in result.stderr
    assert "1 number came back different" in result.stderr
    shown = run("--store", tmp_path / "main.duckdb", "sql", "FROM conflicts", "--json")
    assert json.loads(shown.stdout)["offered"] == {"accuracy": 0.5}


def test_what_cannot_be_read_is_told_by_name(run: Run, tmp_path: Path, shard: Path) -> None:
    (shard / "merged" / "f1-torn.json").write_text('{"fragment": 1, "ki')
    result = run("--store", tmp_path / "main.duckdb", "merge", shard, "--format", "csv")
    assert result.exit_code == 1
    assert result.stdout == "table,new_rows\ncells,1\nevaluations,1\n"
    assert "f1-torn.json: no complete JSON" in result.stderr
    assert "1 fragment could not be read" in result.stderr


@pytest.mark.parametrize("there", [True, False])
def test_nothing_to_merge_is_a_usage_error(run: Run, tmp_path: Path, there: bool) -> None:  # noqa: FBT001
    place = tmp_path / "place"
    if there:
        place.mkdir()
    result = run("--store", tmp_path / "main.duckdb", "merge", place)
    assert result.exit_code == 2 and str(place) in result.stderr
    assert not (tmp_path / "main.duckdb").exists()
