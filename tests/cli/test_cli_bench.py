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


def chosen(**changes: Any) -> dict[str, Any]:
    base = row(
        what="k-center from 100,000", engine="two-stage", rows_per_s=51_234.5, loss=0.0712,
        documents=100_000, targets=[], met=None,
    )  # fmt: skip
    return base | changes


def test_select_takes_sizes_and_policies(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    def rows(sizes: Any, choices: Any, *, quick: bool, tell: Callable[[str], None]) -> Any:
        asked.update(sizes=sizes, names=[choice.policy for choice in choices], quick=quick)
        tell("making them up")
        yield chosen()

    monkeypatch.setattr("calibkit.bench.select.rows", rows)
    result = run(
        "bench", "select", "--documents", "1e5, 2000000", "--policies", "k-center,random", "--json"
    )
    assert result.exit_code == 0, result.stderr
    assert (asked["sizes"].documents, asked["quick"]) == ([100_000, 2_000_000], False)
    assert asked["names"] == ["k-center", "random"]
    assert json.loads(result.stdout)["rows_per_s"] == 51_234.5
    shown = run("bench", "select", "--quick").stdout
    assert asked["sizes"].documents[-1] == 100_000 and asked["quick"]
    assert "51,234" in shown and "+7.1%" in shown and "rows/s" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("select", "--documents", "1e3"), "a whole number of documents from 5,000"),
        (("select", "--documents", "many"), "'many' is not a whole number"),
        (("select", "--documents", "10000.5"), "'10000.5' is not a whole number"),
        (("select", "--documents", ","), "the list is empty"),
        (("select", "--policies", ""), "the list is empty"),
        (("select", "--policies", "randm"), "did you mean 'random'"),
        (("ks", "--documents", "1e5"), "--documents and --policies are for"),
    ],
)
def test_select_says_what_it_cannot_measure(
    run: Run, arguments: tuple[str, ...], message: str
) -> None:
    result = run("bench", *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_select_end_to_end(run: Run) -> None:
    asked = ("bench", "select", "--quick", "--documents", "5e3", "--policies", "random", "--json")
    result = run(*asked)
    assert result.exit_code == 0, result.stderr
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [one["what"] for one in found] == ["ingest csv", "ingest parquet", "random from 5,000"]
    assert all(one["exact"] is True and one["peak_mb"] > 30 for one in found)


def test_sweep_is_a_kind_of_its_own(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from calibkit.bench import sweep

    asked = []

    def rows(sizes: Any, *, quick: bool, tell: Callable[[str], None]) -> Any:
        asked.append((sizes, quick))
        yield row(what="sweep, two workers", engine="local", cells=8, targets=[], met=None)

    monkeypatch.setattr(sweep, "rows", rows)
    result = run("bench", "sweep", "--quick")
    assert result.exit_code == 0 and "sweep, two workers" in result.stdout, result.stderr
    run("bench", "sweep")
    assert asked == [(sweep.QUICK, True), (sweep.FULL, False)]
    assert run("bench", "sweep", "--policies", "random").exit_code == 2
