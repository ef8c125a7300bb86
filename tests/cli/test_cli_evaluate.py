"""evaluate: the plan, the summary, what is said about failures, and the exit code."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import Result
from mini_recipe import MINI

from calibkit.store import Store
from calibkit.sweep.executors import Limits

Run = Callable[..., Result]


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Put something in the place of the sweep, which reports what it is told to."""

    def install(
        error: BaseException | None = None, cards: tuple[int, int, int] = (0, 0, 0), **report: Any
    ) -> dict[str, Any]:
        calls: dict[str, Any] = {}

        def run(store: Store, recipe: Any, *, watcher: Any, **options: Any) -> Any:
            calls.update(options, recipe=recipe.name, store=store.path)
            watcher.phase("cells", 1)
            watcher.step("a cell")
            if error is not None:
                raise error
            counts = {"measured": 8, "done": 8, "failed": 0, "missing": 0, "planned": 8}
            counts |= {"conflicts": 0, "asked": 8, "asked_missing": 0, "failed_keys": ()} | report
            told = dict(zip(("made", "failed", "missing"), cards, strict=True))
            return SimpleNamespace(seconds=75.0, cards=SimpleNamespace(**told), **counts)

        import sys

        module = SimpleNamespace(run=run)
        monkeypatch.setitem(sys.modules, "calibkit.sweep.run", module)
        return calls

    return install


SUMMARY = """\
model       policy      bits  float  acc@0     ±  draws  drop  @0.05  @0.10   ks w  ks act  ks nll
──────────  ──────────  ────  ─────  ─────  ────  ─────  ────  ─────  ─────  ─────  ──────  ──────
generative  (float)        —   92.0   92.0     —      —     —   87.0   82.0      —       —       —
generative  random         8   92.0   89.0  12.7      2   3.0   84.0   79.0  0.012   0.200   0.046
generative  stratified     8   92.0   89.0  12.7      2   3.0   84.0   79.0  0.012   0.200   0.046
generative  random         4   92.0   79.0  12.7      2  13.0   74.0   69.0  0.012   0.200   0.046
generative  stratified     4   92.0   79.0  12.7      2  13.0   74.0   69.0  0.012   0.200   0.046

mini on toy: size 16; rounding nearest; @ = accuracy under keyboard noise of that level
"""


def test_evaluate_prints_the_summary_and_what_comes_next(
    run: Run, study_store: Store, recipe: Path, pretend: Callable[..., dict[str, Any]]
) -> None:
    calls = pretend()
    result = run("--store", study_store.path, "evaluate", recipe, "--workers", 3, "--max-time", 2)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(SUMMARY)
    assert all(len(line) <= 120 for line in result.stdout.splitlines())
    assert "8 cells measured in 1:15; 8 of 8 done" in result.stderr
    assert calls == {
        "workers": 3, "executor": "local", "address": None, "engine": "auto", "where": None,
        "max_time": 2.0,
        "limit_documents": None, "recipe": "mini", "store": study_store.path,
        "limits": Limits(retries=1), "fail_fast": False, "shard": None, "train": True,
        "again": False,
    }  # fmt: skip
    following = result.stderr.partition("Next:\n")[2].splitlines()
    assert len(following) == 3
    for line in following:
        words = shlex.split(line)
        assert words[0] == "calibkit"
        again = run(*words[1:])
        assert again.exit_code == 0, (line, again.stderr)
        assert len(again.stdout.splitlines()) > 2


def test_the_default_number_of_workers_is_that_of_the_cores(
    run: Run, study_store: Store, recipe: Path, pretend: Callable[..., dict[str, Any]]
) -> None:
    from calibkit.cli.evaluate import cores

    calls = pretend()
    run("--store", study_store.path, "evaluate", recipe)
    assert calls["workers"] == cores() >= 1


def test_the_summary_in_full(
    run: Run, study_store: Store, recipe: Path, pretend: Callable[..., dict[str, Any]]
) -> None:
    pretend()
    result = run("--store", study_store.path, "evaluate", recipe, "--json")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(rows) == 4
    first = rows[0]
    assert list(first)[:8] == [
        "corpus", "recipe", "model", "policy", "size", "bits", "rounding", "scheme_id",
    ]  # fmt: skip
    assert first["accuracy"] == pytest.approx(0.89) and first["draws"] == 2
    assert first["float_accuracy"] == pytest.approx(0.92)
    assert first["accuracy_drop"] == pytest.approx(0.03)
    assert first["ci_low"] < first["accuracy"] < first["ci_high"]
    assert first["accuracy_keyboard_0.1"] == pytest.approx(0.79)
    assert first["ci_low_keyboard_0.1"] < 0.79 < first["ci_high_keyboard_0.1"]
    assert first["noise_drop_keyboard_0.1"] == pytest.approx(0.1)
    assert first["ks_token_nll"] == 0.0456


def test_numbers_that_came_back_different_are_no_success(
    run: Run, study_store: Store, recipe: Path, pretend: Callable[..., dict[str, Any]]
) -> None:
    pretend(conflicts=2)
    result = run("--store", study_store.path, "evaluate", recipe)
    assert result.exit_code == 1
    assert result.stdout.startswith("model ")
    assert "2 numbers came back different" in result.stderr and "FROM conflicts" in result.stderr


def test_cards_that_could_not_be_made_are_no_success(
    run: Run, study_store: Store, recipe: Path, pretend: Callable[..., dict[str, Any]]
) -> None:
    pretend(cards=(3, 2, 1))
    result = run("--store", study_store.path, "evaluate", recipe)
    assert result.exit_code == 1
    assert result.stdout.startswith("model ")
    assert "3 coverage cards made" in result.stderr
    assert "2 coverage cards failed and 1 is missing" in result.stderr
    assert "FROM failures WHERE stage = 'card'" in result.stderr
    pretend(cards=(3, 0, 0))
    assert run("--store", study_store.path, "evaluate", recipe).exit_code == 0


def test_failed_cells_are_listed_and_the_exit_code_is_1(
    run: Run, toy_store: Store, recipe: Path, pretend: Callable[..., dict[str, Any]], fill: Any
) -> None:
    fill(toy_store, failed=True)
    pretend(done=7, failed=1, measured=7, failed_keys=("p1-0000000000000007",))
    result = run("--store", toy_store.path, "evaluate", recipe)
    assert result.exit_code == 1
    assert result.stdout.startswith("model ")
    assert (
        "FAILED generative 0, stratified, size 16, seed 1, 4 bits, brevitas-default, nearest: cell:"
        " no luck at all\n" in result.stderr
    )
    assert "Error: 1 cell failed and 0 are missing of 8" in result.stderr


def test_missing_cells_are_exit_code_1(
    run: Run, study_store: Store, recipe: Path, pretend: Callable[..., dict[str, Any]]
) -> None:
    pretend(done=5, missing=3, asked_missing=3, measured=0)
    result = run("--store", study_store.path, "evaluate", recipe)
    assert result.exit_code == 1
    assert "Error: 0 cells failed and 3 are missing of 8; run the same" in result.stderr


def test_a_part_that_is_done_is_exit_code_0(
    run: Run, toy_store: Store, recipe: Path, pretend: Callable[..., dict[str, Any]], fill: Any
) -> None:
    fill(toy_store, failed=True)
    command = ("--store", toy_store.path, "evaluate", recipe)
    pretend(done=4, missing=3, failed=1, measured=4, asked=4)
    result = run(*command, "--shard", "1/2")
    assert result.exit_code == 0, result.stderr
    assert (
        "all 4 cells that --shard selects are done; beside them, 1 cell failed and 3 are missing"
        " of the recipe's 8\n" in result.stderr
    )
    assert "FAILED" not in result.stderr  # the one that failed is in the other part
    assert "no number differs" not in result.stderr
    again = run(*command, "--again", "--where", "seed = 0")
    assert again.exit_code == 0 and "no number differs from a stored one" in again.stderr


def test_a_part_that_is_not_done_is_exit_code_1(
    run: Run, study_store: Store, recipe: Path, pretend: Callable[..., dict[str, Any]]
) -> None:
    pretend(done=3, missing=5, asked=4, asked_missing=1)
    command = ("--store", study_store.path, "evaluate", recipe)
    result = run(*command, "--shard", "1/2", "--where", "seed = 0")
    assert result.exit_code == 1
    assert "1 is missing of 4 that --where and --shard select; run the same" in result.stderr


def test_a_condition_that_no_cell_meets_is_no_success(
    run: Run, study_store: Store, recipe: Path, pretend: Callable[..., dict[str, Any]]
) -> None:
    command = ("--store", study_store.path, "evaluate", recipe, "--where", "policy = 'randm'")
    pretend(done=5, missing=3, measured=0, asked=0)
    result = run(*command)
    assert result.exit_code == 1
    assert "no cell is one that --where selects, and 0 cells failed and 3 are" in result.stderr
    pretend(asked=0, measured=0)
    assert run(*command).exit_code == 0  # state = 'missing', say, when all is done


def test_an_interrupted_run_ends_with_130(
    run: Run, study_store: Store, recipe: Path, pretend: Callable[..., dict[str, Any]]
) -> None:
    pretend(KeyboardInterrupt())
    result = run("--store", study_store.path, "evaluate", recipe)
    assert (result.exit_code, result.stdout) == (130, "")
    # none of the recipe's own cells is in this store
    assert "0 of 8 cells are done, 8 remain; the same command goes on from here\n" in result.stderr
    part = run("--store", study_store.path, "evaluate", recipe, "--where", "seed=0 AND bits=4")
    assert "0 of 2 cells are done, 2 remain" in part.stderr
    again = run("--store", study_store.path, "evaluate", recipe, "--again")
    assert (again.exit_code, "--again, the same command starts over" in again.stderr) == (130, True)


def test_a_dry_run_works_without_a_store(run: Run, tmp_path: Path, recipe: Path) -> None:
    path = tmp_path / "none.duckdb"
    result = run("--store", path, "evaluate", recipe, "--dry-run")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.count("\nmissing") == 8
    assert "8 cells planned: 0 done, 0 failed, 8 missing" in result.stderr
    assert "8 cells at 3 noise levels each = 24 evaluations, from 1 float model and 4 subsets" in (
        result.stderr
    )
    rows = [
        json.loads(line)
        for line in run(
            "--store", path, "evaluate", recipe, "-n", "--json", "--where", "bits = 4"
        ).stdout.splitlines()
    ]
    assert len(rows) == 4 and {row["bits"] for row in rows} == {4}
    assert rows[0]["state"] == "missing" and rows[0]["scheme_id"].startswith("q1-")
    assert not path.exists()


BAD = [
    (MINI + "polices: {}\n", [], "did you mean"),
    (MINI.replace("use: stratified", "use: stratifed"), [], "did you mean 'stratified'?"),
    (MINI.replace(", from: docstrings", "").replace("toy", "other"), [], "other"),
    (MINI, ["--where", "bitz = 4"], "bitz"),
    (MINI, ["--workers", "0"], "--workers"),
    (MINI, ["--limit-documents", "0"], "--limit-documents"),
    (MINI, ["--max-time", "0"], "--max-time"),
    (MINI, ["--executor", "dask"], "--executor"),
    (MINI, ["--address", "auto"], "--address goes with --executor ray"),
    (MINI, ["--executor", "ray", "--address", "auto"], "with --workers N"),
]


@pytest.mark.parametrize(("text", "options", "said"), BAD)
@pytest.mark.parametrize("dry", [True, False])
def test_what_cannot_be_evaluated(
    run: Run, toy_store: Store, recipe: Path, text: str, options: list[str], said: str, *, dry: bool
) -> None:
    recipe.write_text(text)
    before = toy_store.path.read_bytes()
    result = run(
        "--store", toy_store.path, "evaluate", recipe, *options, *(["--dry-run"] if dry else [])
    )
    assert (result.exit_code, result.stdout) == (2, ""), result.stderr
    assert said in result.stderr and "Traceback" not in result.stderr
    assert toy_store.path.read_bytes() == before


def test_a_recipe_that_is_not_there(run: Run, toy_store: Store, recipe: Path) -> None:
    result = run("--store", toy_store.path, "evaluate", recipe.with_name("mina.yaml"))
    assert result.exit_code == 2 and "did you mean" in result.stderr


def test_schemes_that_only_their_id_tells_apart_keep_it() -> None:
    from calibkit.cli.summary import Line, Summary

    def line(scheme: str, size: int) -> Line:
        group = {
            "corpus": "c", "recipe": "r", "model": "m", "policy": "p", "size": size, "bits": 4,
            "rounding": "nearest", "scheme_id": scheme,
        }  # fmt: skip
        return Line(group, {"accuracy": 0.5, "draws": 1}, {}, {})

    same = Summary((line("q1-a", 16), line("q1-b", 16)), {}, ())
    assert "scheme_id" in same.for_people().columns and "size" not in same.for_people().columns
    other = Summary((line("q1-a", 16), line("q1-a", 64)), {}, ())
    assert "scheme_id" not in other.for_people().columns and "size" in other.for_people().columns
    assert Summary((), {}, ()).for_people().rows == () and Summary((), {}, ()).caption() == ""


def test_presets_of_a_grid_are_told_by_name(
    run: Run, study_store: Store, recipe: Path, pretend: Callable[..., dict[str, Any]]
) -> None:
    """Half of the cells, seed 1, are made another preset; at 8 bits it is the same scheme."""
    with study_store.writing() as con:
        con.execute(
            "UPDATE recipe_cells SET preset = 'robust', scheme_id = 'q1-00000000000000cc'"
            " WHERE seed = 1 AND bits = 4"
        )
        con.execute("UPDATE recipe_cells SET preset = 'robust' WHERE seed = 1 AND bits = 8")
    pretend()
    result = run("--store", study_store.path, "evaluate", recipe)
    shown = [line.split() for line in result.stdout.splitlines() if line.startswith("generative")]
    assert "scheme_id" not in result.stdout
    assert [row[2:4] for row in shown[1:]] == [
        ["8", "brevitas-default+robust"],
        ["8", "brevitas-default+robust"],
        ["4", "brevitas-default"],
        ["4", "brevitas-default"],
        ["4", "robust"],
        ["4", "robust"],
    ]
    full = run("--store", study_store.path, "evaluate", recipe, "--json")
    rows = [json.loads(line) for line in full.stdout.splitlines()]
    assert {row["preset"] for row in rows} == {
        "brevitas-default+robust", "brevitas-default", "robust",
    }  # fmt: skip


def test_flags_stand_in_the_summary_with_their_share_of_the_cells(
    run: Run, study_store: Store, recipe: Path, pretend: Callable[..., dict[str, Any]]
) -> None:
    pretend()
    assert "flags" not in run("--store", study_store.path, "evaluate", recipe).stdout
    with study_store.writing() as con:
        for flags, policy, seed, noise in (
            ("dead-lstm,nll-explodes", "random", 0, 0.0),
            ("dead-lstm", "random", 0, 0.1),  # the same cell: counts once
            ("dead-lstm", "random", 1, 0.05),
            ("one-label", "stratified", 1, 0.0),
        ):
            con.execute(
                "UPDATE evaluations SET flags = ? WHERE noise = ? AND cell_id IN"
                " (SELECT cell_id FROM results WHERE policy = ? AND seed = ? AND bits = 4)",
                [flags, noise, policy, seed],
            )
    result = run("--store", study_store.path, "evaluate", recipe)
    shown = {
        (line.split()[1], line.split()[2]): line
        for line in result.stdout.splitlines()
        if line.startswith("generative")
    }
    assert shown["random", "4"].endswith("  dead-lstm 2/2, nll-explodes 1/2")
    assert shown["stratified", "4"].endswith("  one-label 1/2")
    assert "/" not in shown["random", "8"]
    assert "flags = signs that a network no longer works" in result.stdout
    full = run("--store", study_store.path, "evaluate", recipe, "--json")
    rows = [json.loads(line) for line in full.stdout.splitlines()]
    told = {(row["policy"], row["bits"]): row["flags"] for row in rows}
    assert told["random", 4] == "dead-lstm 2/2, nll-explodes 1/2"
    assert told["random", 8] == ""
