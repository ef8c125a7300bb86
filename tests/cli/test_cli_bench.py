"""bench: rows for machines and people, and what the exit code means."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

Run = Callable[..., Result]


def row(**changes: Any) -> dict[str, Any]:
    base = {
        "what": "generative cell", "engine": "native", "ratio": 41.23, "low": 39.9, "high": 42.8,
        "exact": True, "peak_mb": 390.4, "seconds": 12.3, "plain_seconds": 500.0,
        "growth_documents": 0.98, "targets": ["ratio >= 40: met"], "met": True,
    }  # fmt: skip
    return base | changes


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def install(*found: dict[str, Any]) -> None:
        def rows(kind: str, *, quick: bool, tell: Callable[[str], None]) -> Any:
            tell(f"measuring {kind}, quick {quick}")
            yield from found

        monkeypatch.setattr("calibkit.bench.run.rows", rows)

    return install


def test_one_object_a_line_for_machines(run: Run, pretend: Callable[..., None]) -> None:
    pretend(row(), row(engine="torch", growth_documents=None))
    result = run("bench", "cell", "--json")
    assert result.exit_code == 0 and "measuring cell, quick False" in result.stderr
    first, second = [json.loads(line) for line in result.stdout.splitlines()]
    for key in ("what", "engine", "ratio", "low", "high", "exact", "peak_mb"):
        assert first[key] == row()[key]
    assert second["engine"] == "torch"


def test_a_table_with_targets_for_people(run: Run, pretend: Callable[..., None]) -> None:
    pretend(row(), row(what="train", ratio=1.5, targets=[], growth_documents=0.5))
    shown = run("bench", "cell").stdout.splitlines()
    assert shown[0].split() == [
        "what", "engine", "ratio", "low", "high", "exact", "seconds", "peak", "MB", "growth",
        "target",
    ]  # fmt: skip
    assert "41.2" in shown[2] and "documents 0.98" in shown[2] and "ratio >= 40: met" in shown[2]
    assert "1.50" in shown[3]


def test_quick_says_that_no_target_applies(run: Run, pretend: Callable[..., None]) -> None:
    pretend(row(targets=[]))
    assert "no target applies" in run("bench", "cell", "--quick").stdout
    assert "no target applies" not in run("bench", "cell").stdout


def test_what_is_not_right_ends_in_1(run: Run, pretend: Callable[..., None]) -> None:
    pretend(row(), row(engine="torch", exact=False))
    result = run("bench", "cell")
    assert result.exit_code == 1
    assert "not right: generative cell, torch" in result.stderr
    assert "NO" in result.stdout


def test_a_missed_target_is_no_failure(run: Run, pretend: Callable[..., None]) -> None:
    pretend(row(targets=["ratio >= 40: missed"], met=False))
    result = run("bench", "cell")
    assert result.exit_code == 0 and "missed" in result.stdout


def test_an_unknown_kind_is_a_usage_error(run: Run) -> None:
    result = run("bench", "everything")
    assert result.exit_code == 2 and "engine" in result.stderr


def test_ks_end_to_end(run: Run) -> None:
    result = run("bench", "ks", "--quick", "--json")
    assert result.exit_code == 0, result.stderr
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [one["what"] for one in found] == [
        "KS distance, 8 bits", "KS distance, 4 bits", "KS distance, 2 bits",
        "KS distance, 7 bit widths",
    ]  # fmt: skip
    assert all(one["exact"] is True and one["peak_mb"] > 50 for one in found)
    assert all(0 < one["low"] <= one["ratio"] <= one["high"] for one in found)
