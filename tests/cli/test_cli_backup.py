"""backup on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from calibkit.store import Store

Run = Callable[..., Result]


def test_it_prints_what_was_copied(run: Run, study_store: Store, tmp_path: Path) -> None:
    target = tmp_path / "copy.duckdb"
    result = run("--store", study_store.path, "backup", target, "--json")
    assert result.exit_code == 0, result.stderr
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["what"] for row in rows] == ["database", "fragments", "merged", "artefacts"]
    assert rows[0]["files"] == 1 and rows[0]["bytes"] == target.stat().st_size
    assert f"is copied to {target}" in result.stderr
    for store in (study_store.path, target):
        shown = run("--store", store, "sql", "FROM summary", "--format", "csv").stdout
        assert shown.count("\n") > 4
        assert shown == run("--store", target, "sql", "FROM summary", "--format", "csv").stdout


def test_a_file_that_is_there_is_kept(run: Run, study_store: Store, tmp_path: Path) -> None:
    (tmp_path / "copy.duckdb").write_text("mine")
    result = run("--store", study_store.path, "backup", tmp_path / "copy.duckdb")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "overwrites nothing" in result.stderr
    assert (tmp_path / "copy.duckdb").read_text() == "mine"


def test_artefacts_may_stay_behind(run: Run, study_store: Store, tmp_path: Path) -> None:
    result = run("--store", study_store.path, "backup", tmp_path / "c.duckdb", "--no-artefacts")
    assert result.exit_code == 0 and "artefacts" not in result.stdout


def test_without_a_store(run: Run, tmp_path: Path) -> None:
    result = run("--store", tmp_path / "none.duckdb", "backup", tmp_path / "copy.duckdb")
    assert result.exit_code == 2 and "there is no store" in result.stderr
