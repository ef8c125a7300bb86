"""verify on the command line: the table, the exit codes, and what is said beside."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from calibkit.errors import StoreDamaged
from calibkit.store import Store
from calibkit.sweep import verify as module

Run = Callable[..., Result]
CELL = "x1-0000000000000000"


class Origin:
    cell_id = CELL
    host = "there (x86_64, 2 cores)"


def outcome(*, same: bool) -> module.Verification:
    lines = (
        module.Comparison("evaluations, clean: nll", 1, 0.5, 0.5 if same else 0.25, same),
        module.Comparison("predictions, clean", 60, "ab", "ab", True),
    )
    origin: Any = Origin()
    changed = {"torch": ("2.6.0", "2.13.0")}
    return module.Verification(origin, lines, 61, 0 if same else 1, changed)


@pytest.mark.parametrize("same", [True, False])
def test_it_prints_the_numbers_and_exits_by_them(
    run: Run, study_store: Store, monkeypatch: pytest.MonkeyPatch, same: bool
) -> None:
    monkeypatch.setattr(module, "verify", lambda *_, **__: outcome(same=same))
    result = run("--store", study_store.path, "verify", CELL, "--json")
    assert result.exit_code == (0 if same else 1)
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert rows[0] == {
        "what": "evaluations, clean: nll", "numbers": 1, "stored": 0.5,
        "measured": 0.5 if same else 0.25, "same": same,
    }  # fmt: skip
    assert "was measured on there (x86_64, 2 cores)" in result.stderr
    assert "torch was 2.6.0 then and is 2.13.0 now" in result.stderr
    said = "all 61 numbers are the same" if same else f"1 of 61 numbers of the cell {CELL} came"
    assert said in result.stderr
    for_people = run("--store", study_store.path, "verify", CELL).stdout.splitlines()
    assert for_people[0].split() == ["what", "numbers", "stored", "measured", "same"]


def test_errors_have_their_exit_codes(
    run: Run, study_store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = ("--store", study_store.path, "verify")
    assert run(*place, "x1-9").exit_code == 2
    assert run(*place, CELL).exit_code == 4  # its row names no harness
    assert run("--store", tmp_path / "none.duckdb", "verify", CELL).exit_code == 2

    def lost(*_: Any, **__: Any) -> None:
        raise StoreDamaged("the weights are lost")

    monkeypatch.setattr(module, "verify", lost)
    result = run(*place, CELL)
    assert (result.exit_code, result.stdout) == (3, "")
    assert "the weights are lost" in result.stderr
