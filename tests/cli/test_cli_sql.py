"""sql on small real stores."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from calibkit.store import Store

Run = Callable[..., Result]


def digest(store: Store) -> str:
    return hashlib.sha256(store.path.read_bytes()).hexdigest()


def objects(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


# ------------------------------------------------------------------------------------------- sql


@pytest.mark.parametrize("exists", [True, False])
def test_sql_alone_lists_the_views_and_three_examples(
    run: Run, study_store: Store, tmp_path: Path, *, exists: bool
) -> None:
    path = study_store.path if exists else tmp_path / "none.duckdb"
    result = run("--store", path, "sql")
    assert result.exit_code == 0
    for name in ("results", "baselines", "summary", "label_results", "weight_shift", "progress"):
        assert f"\n{name} " in f"\n{result.stdout}"
    examples = result.stdout.partition("\nExamples:\n")[2].splitlines()
    assert len(examples) == 3 and all(line.startswith("  calibkit sql ") for line in examples)
    rows = objects(run("--store", path, "sql", "--json"))
    assert all(row["about"] for row in rows)
    assert {"view": "progress"}.items() <= next(r for r in rows if r["view"] == "progress").items()
    assert path.exists() == exists


def test_the_examples_of_sql_work(run: Run, study_store: Store) -> None:
    import shlex

    from calibkit.cli.sql import EXAMPLES

    for example in EXAMPLES:
        result = run("--store", study_store.path, *shlex.split(example)[1:], "--json")
        assert objects(result), example


def test_sql_reads_stdin(run: Run, study_store: Store) -> None:
    result = run("--store", study_store.path, "sql", "-", "--json", input="SELECT 'ü' AS x")
    assert objects(result) == [{"x": "ü"}]
    bad = run("--store", study_store.path, "sql", "-", input=b"SELECT '\xff'")
    assert bad.exit_code == 2 and "no UTF-8" in bad.stderr


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELEC 1", "syntax error"),
        ("FROM sumary", "summary"),
        ("", "no SQL statement"),
        ("SELECT 1; SELECT 2", "one SQL statement"),
        ("CREATE TABLE x AS SELECT 1", "read-only"),
        ("DELETE FROM cells", "read-only"),
        ("FROM read_csv('/etc/passwd')", "disabled"),
        ("COPY (SELECT 1) TO 'x.csv'", "disabled"),
    ],
)
def test_sql_that_is_wrong_or_not_allowed(
    run: Run, study_store: Store, query: str, said: str
) -> None:
    before = digest(study_store)
    result = run("--store", study_store.path, "sql", query)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr and "Traceback" not in result.stderr
    assert digest(study_store) == before


def test_a_slow_query_is_stopped(run: Run, study_store: Store) -> None:
    query = "SELECT count(*) FROM range(10000000000) a, range(10000000000) b"
    result = run("--store", study_store.path, "sql", query, "--timeout", "0.3")
    assert result.exit_code == 2 and "--timeout" in result.stderr
