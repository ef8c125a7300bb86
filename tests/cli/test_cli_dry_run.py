"""evaluate --dry-run: what people and machines are shown of a plan."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from mini_recipe import MINI

from calibkit.store import Store

Run = Callable[..., Result]

HARD = MINI.replace(
    "stratified: {use: stratified}",
    "stratified: {use: stratified}, gone: {use: subset, id: s1-none}, missed: {use: miss-pmf}",
).replace("policy: [random, stratified]", "policy: [random, stratified, gone, missed]")


@pytest.fixture
def hard(recipe: Path) -> Path:
    recipe.write_text(HARD.replace("size: [16]", "size: [16, 106]"))
    return recipe


def rows_of(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_people_see_which_cells_cannot_be_had_and_why(
    run: Run, toy_store: Store, hard: Path
) -> None:
    result = run("--store", toy_store.path, "evaluate", hard, "--dry-run", "--workers", 2)
    assert result.exit_code == 0, result.stderr
    head, _, *lines = result.stdout.splitlines()
    assert head.split()[-1] == "feasible"
    assert len(lines) == 32
    shown = {(line.split()[3], line.split()[4]): line.split()[-1] for line in lines}
    assert shown["random", "16"] == shown["stratified", "16"] == "yes"
    assert shown["gone", "16"] == "NO" and shown["stratified", "106"] == "NO"
    assert shown["missed", "16"] == "open"
    told = result.stderr
    assert "32 cells planned: 0 done, 0 failed, 32 missing\n" in told
    assert "32 cells at 3 noise levels each = 96 evaluations, from 1 float model and 16" in told
    assert "6 subsets cannot be had, so 12 cells would fail:\n" in told
    assert "  stratified, size 106, seed 0: stratified: asked for 53 '" in told
    assert "  gone, size 16, seed 0: the store has no subset 's1-none'" in told
    assert "whether 4 subsets can be had is not known yet:\n" in told
    assert "  missed, 4 subsets: miss-pmf goes by misses:8,4,2, which is not known yet\n" in told
    assert "estimated time: unknown, this host has not timed cells of a kind" in told
    assert "--probe times small ones" in told and "estimated memory: unknown" in told
    assert "already there" not in told


def test_where_everything_can_be_had_no_column_says_so(
    run: Run, toy_store: Store, recipe: Path
) -> None:
    result = run("--store", toy_store.path, "evaluate", recipe, "--dry-run", "--where", "seed = 0")
    assert "feasible" not in result.stdout and "cannot be had" not in result.stderr
    assert "a run would measure 4 cells" in result.stderr


def test_machines_get_one_row_per_cell(run: Run, toy_store: Store, hard: Path) -> None:
    command = ("--store", toy_store.path, "evaluate", hard, "-n")
    rows = rows_of(run(*command, "--json"))
    assert len(rows) == 32
    assert list(rows[0]) == [
        "corpus", "recipe", "model", "model_kind", "model_seed", "policy", "policy_kind", "size",
        "seed", "bits", "rounding", "preset", "scheme_id", "state", "feasible", "reason", "seconds",
        "peak_mb", "basis", "cell_id", "subset_id",
    ]  # fmt: skip
    told = {(row["policy"], row["size"]): row["feasible"] for row in rows}
    assert told["random", 106] is True and told["gone", 106] is False and told["missed", 16] is None
    assert {row["basis"] for row in rows} == {"unknown"}
    where = "bits = 4 and policy = 'gone' and corpus = 'toy' and preset = 'brevitas-default'"
    part = rows_of(run(*command, "--json", "--where", where))
    assert part == [row for row in rows if row["bits"] == 4 and row["policy"] == "gone"]
    shard = rows_of(run(*command, "--json", "--shard", "2/2"))
    assert 0 < len(shard) < 32 and all(row in rows for row in shard)
    csv = run(*command, "--format", "csv").stdout.splitlines()
    assert csv[0].startswith("corpus,recipe,model,") and len(csv) == 33


def test_a_parquet_file_has_the_types_also_where_nothing_is_known(
    run: Run, toy_store: Store, recipe: Path, tmp_path: Path
) -> None:
    import pyarrow.parquet as pq

    file = tmp_path / "plan.parquet"
    result = run("--store", toy_store.path, "evaluate", recipe, "-n", "-o", file)
    assert result.exit_code == 0, result.stderr
    types = {field.name: str(field.type) for field in pq.read_schema(file)}
    assert types["bits"] == "int64" and types["feasible"] == "bool"
    assert types["seconds"] == "double" and types["cell_id"] == "string"


def test_what_is_there_is_told(run: Run, toy_store: Store, recipe: Path) -> None:
    build = ("build-subset", "toy", "--policy", "random", "--size", 16, "--seed", 1)
    subset = run("--store", toy_store.path, *build).stdout.strip()
    assert subset.startswith("s1-")
    result = run("--store", toy_store.path, "evaluate", recipe, "-n", "--json")
    assert "already there: 1 of the 4 subsets\n" in result.stderr
    there = {row["subset_id"] for row in rows_of(result) if row["policy"] == "random"}
    assert there == {None, subset}


def test_one_is_one(run: Run, toy_store: Store, recipe: Path) -> None:
    where = "bits = 4 AND seed = 0 AND policy = 'random'"
    recipe.write_text(MINI.replace("[0.05, 0.1]", "[0.05]").replace("noise:", "noise:"))
    result = run("--store", toy_store.path, "evaluate", recipe, "-n", "--where", where)
    assert "a run would measure 1 cell at 2 noise levels each = 2 evaluations" in result.stderr
    assert "from 1 float model and 1 subset\n" in result.stderr


def test_a_probe_goes_with_a_dry_run(run: Run, toy_store: Store, recipe: Path) -> None:
    result = run("--store", toy_store.path, "evaluate", recipe, "--probe")
    assert result.exit_code == 2 and "--probe goes with --dry-run" in result.stderr


def test_a_probe_gives_the_estimate_and_says_what_it_is(
    run: Run, toy_store: Store, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from calibkit.sweep import probe
    from calibkit.sweep.estimate import Probed
    from calibkit.sweep.pace import CellPace, ModelPace

    pace = Probed(CellPace(0.0, 0.01, 0.0, 1.0, 321.0), ModelPace(2.0, 0.0))
    monkeypatch.setattr(probe, "probe", lambda *_: {"generative": pace})
    command = ("--store", toy_store.path, "evaluate", recipe, "-n", "--probe", "--workers", 2)
    result = run(*command)
    assert "probing: timing a small cell of generative models" in result.stderr
    # 5 epochs of 2 s, then eight cells of 1 s + 30 documents x 3 levels x 0.01 s on two cores
    assert "estimated time: 0:18 with 2 workers, from a probe of few documents, scaled" in (
        result.stderr
    )
    assert "estimated memory: 321 MB in each of 2 workers" in result.stderr
    alone = run(*command[:-2], "--executor", "serial")
    assert "estimated time: 0:25 with 1 worker, from a probe" in alone.stderr
    assert "321 MB in the one worker" in alone.stderr


def test_nothing_can_be_probed_without_documents(run: Run, tmp_path: Path, recipe: Path) -> None:
    recipe.write_text(MINI.replace("name: toy", "name: docstrings"))
    result = run("--store", tmp_path / "none.duckdb", "evaluate", recipe, "-n", "--probe")
    assert result.exit_code == 0, result.stderr
    assert "nothing to probe: its corpus is not in the store yet" in result.stderr
    assert "whether its subsets can be had is known when the corpus is in the store" in (
        result.stderr
    )
    assert not (tmp_path / "none.duckdb").exists()


def test_without_another_tool_s_extra_a_dry_run_says_what_to_install(
    run: Run, toy_store: Store, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib.metadata import PackageNotFoundError

    from calibkit.onnx import packages

    def missing(package: str) -> str:
        raise PackageNotFoundError(package)

    packages.runtime_version.cache_clear()
    monkeypatch.setattr(packages, "version", missing)
    text = MINI.replace("bits: [8, 4]", "bits: [8], preset: [robust, onnx-dynamic]")
    recipe.write_text(text)
    for command in (["--dry-run"], []):
        result = run("--store", toy_store.path, "evaluate", recipe, *command)
        assert result.exit_code == 4, result.stderr
        assert "`pip install 'calibkit[onnx]'` brings it" in result.stderr
    packages.runtime_version.cache_clear()
