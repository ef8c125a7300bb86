"""evaluate --profile: the stages that cells noted, added up."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import Result

from calibkit.cli.profiling import read_profile
from calibkit.store import Store

Run = Callable[..., Result]


@pytest.fixture
def timed_store(study_store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The study, whose 8 cells of 1.5 s each were all measured earlier."""
    import sys

    from calibkit.sweep.run import RunReport

    with study_store.writing() as con:
        con.execute("UPDATE cells SET stages = ?", [json.dumps({"calibrate": 0.25, "evaluate": 1})])

    def nothing_to_do(*args: Any, **options: Any) -> Any:
        return RunReport(measured=0, done=8, failed=0, missing=0, planned=8, asked=8, seconds=0.1)

    monkeypatch.setitem(sys.modules, "calibkit.sweep.run", SimpleNamespace(run=nothing_to_do))
    return study_store


def test_the_profile_adds_up_to_the_seconds_of_the_cells(timed_store: Store) -> None:
    with timed_store.reading() as con:
        records = read_profile(con, "mini").records()
    assert [one["stage"] for one in records] == ["calibrate", "evaluate", "(else)"]
    assert [one["seconds"] for one in records] == [2.0, 8.0, 2.0]
    assert [one["per_cell"] for one in records] == [0.25, 1.0, 0.25]
    assert sum(one["share"] for one in records) == pytest.approx(1)
    assert {(one["model"], one["cells"]) for one in records} == {("generative", 8)}


def test_a_cell_that_two_policies_share_counts_once(timed_store: Store) -> None:
    with timed_store.writing() as con:
        con.execute("UPDATE plan_cells SET cell_id = 'x1-0000000000000000'")
    with timed_store.reading() as con:
        assert read_profile(con, "mini").records()[0]["cells"] == 1


def test_it_stands_below_the_summary(run: Run, timed_store: Store, recipe: Path) -> None:
    result = run("--store", timed_store.path, "evaluate", recipe, "--profile")
    assert result.exit_code == 0, result.stderr
    summary, _, profile = result.stdout.partition("token likelihoods\n")
    assert "acc@0" in summary and "stage" not in summary
    lines = [line.split() for line in profile.splitlines()]
    assert ["generative", "evaluate", "8", "8.0", "1.000", "66.7"] in lines
    assert ["generative", "(else)", "8", "2.0", "0.250", "16.7"] in lines
    plainly = run("--store", timed_store.path, "evaluate", recipe)
    assert "stage" not in plainly.stdout


def test_for_machines_stdout_stays_one_table(run: Run, timed_store: Store, recipe: Path) -> None:
    result = run("--store", timed_store.path, "evaluate", recipe, "--profile", "--json")
    assert all("accuracy" in json.loads(line) for line in result.stdout.splitlines())
    assert "calibrate" in result.stderr


def test_without_cells_it_says_so(run: Run, timed_store: Store, recipe: Path) -> None:
    with timed_store.writing() as con:
        con.execute("DELETE FROM plan_cells")
    result = run("--store", timed_store.path, "evaluate", recipe, "--profile")
    assert "no cell of mini has been measured" in result.stdout


def test_a_dry_run_has_no_profile(run: Run, timed_store: Store, recipe: Path) -> None:
    result = run("--store", timed_store.path, "evaluate", recipe, "--profile", "--dry-run")
    assert result.exit_code == 2 and "--dry-run or --profile" in result.stderr
