"""Every door that takes SQL from people, with conditions and queries that want more."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from made_results import make_results
from seen_from_outside import Outside

from calibkit.recipe import parse_recipe
from calibkit.store import Store

Run = Callable[..., Result]
SECRET = "the-content-that-nobody-may-read"
RECIPE = """\
calibkit: 1
name: study
corpus: {name: toy}
models: {generative: {}}
policies: {balanced: {use: stratified}, random: {use: random}}
grid: {model: [generative], policy: [balanced, random], size: [8], seed: [0, 1], bits: [8, 4]}
"""
REFERENCE = """\
source,corpus,model,calibration_mix,policy,rounding,bits,accuracy
then,toy,generative,even,balanced,nearest,4,0.91
"""
INJECTIONS = (
    "1=1); COPY (SELECT 1) TO '{made}' (USE_TMP_FILE false); --",
    "1=1); DELETE FROM corpora; --",
    "1=1; DROP TABLE cells",
    "1=1) UNION SELECT content FROM read_text('{secret}') --",
    "EXISTS (FROM read_text('{secret}'))",
    "policy = (SELECT content FROM read_text('{secret}'))",
    "EXISTS (FROM '{secret}')",
    "EXISTS (FROM glob('/*'))",
    "EXISTS (WITH x AS (COPY (SELECT 1) TO '{store}' (USE_TMP_FILE false)) FROM x)",
    "bits = 4 THEN true ELSE false END OR EXISTS (FROM read_text('{secret}')) --",
    "bits = 4 END; ATTACH '{store}' AS again; --",
    "getenv('HOME') <> ''",
    "bits = 4 /*",
    "length(repeat('x', 4000000000)) > 0",
)
DOORS: dict[str, tuple[str, ...]] = {
    "evaluate": ("evaluate", "{recipe}", "--dry-run", "--where"),
    "compare-reference": ("compare-reference", "{recipe}", "--where"),
    "compare": ("compare", "balanced", "random", "--where"),
    "recommend": (
        "recommend",
        "--corpus",
        "toy",
        "--model",
        "generative",
        "--bits",
        "4",
        "--where",
    ),
}


@pytest.fixture(scope="module")
def eye() -> Iterator[Outside]:
    with Outside() as eye:
        yield eye


@pytest.fixture
def study(tmp_path: Path, toy_store: Store) -> dict[str, Path]:
    """A store with results, a recipe with a reference, a file with a secret."""
    make_results(toy_store, parse_recipe(RECIPE), lambda point: 0.5 + point.bits / 100)
    paths = {name: tmp_path / name for name in ("recipe", "secret", "made")}
    paths["recipe"].write_text(RECIPE)
    (tmp_path / "paper-reference.csv").write_text(REFERENCE)
    paths["secret"].write_text(SECRET)
    return {**paths, "store": toy_store.path}


@pytest.mark.parametrize("door", DOORS)
def test_conditions_reach_nothing_but_rows(
    door: str, run: Run, study: dict[str, Path], tmp_path: Path, eye: Outside
) -> None:
    call = ["--store", study["store"], *(word.format(**study) for word in DOORS[door])]
    fine = run(*call, "size = 8")
    assert fine.exit_code in (0, 4), fine.stderr
    before = eye.files(tmp_path)
    for injection in INJECTIONS if door in ("evaluate", "compare") else INJECTIONS[::3]:
        result = run(*call, injection.format(**study))
        assert (result.exit_code, result.stdout) == (2, ""), injection
        assert "--where" in result.stderr and "SQL condition" in result.stderr, injection
        assert SECRET not in result.output and "unexpected" not in result.stderr, injection
        assert eye.files(tmp_path) == before, injection


def test_parameters_of_questions_are_values(
    run: Run, study: dict[str, Path], tmp_path: Path, eye: Outside
) -> None:
    asked = ("--store", study["store"], "ask", "best")
    assert run(*asked, "--recipe", "study").exit_code == 0
    before = eye.files(tmp_path)
    for injection in (
        "x' OR true --",
        "x'; DELETE FROM corpora; --",
        "$recipe",
        "'||getenv('HOME')",
    ):
        result = run(*asked, "--recipe", injection)
        assert result.exit_code in (0, 2, 4) and "unexpected" not in result.stderr
        assert "balanced" not in result.stdout
    assert eye.files(tmp_path) == before


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT 1; DELETE FROM corpora", "one SQL statement at a time"),
        ("FROM read_text('{secret}')", "disabled"),
        ("COPY (SELECT 1) TO '{store}' (USE_TMP_FILE false)", "Error"),
        ("SELECT length(repeat('x', 4000000000))", "more than 1GB of memory"),
        ("SELECT count(*) FROM range(100000000000000)", "longer than 0.3 s"),
    ],
)
def test_what_sql_refuses_is_an_error_of_usage(
    run: Run, study: dict[str, Path], tmp_path: Path, eye: Outside, query: str, said: str
) -> None:
    before = eye.files(tmp_path)
    call = ("--store", study["store"], "sql", "--timeout", "0.3")
    for result in (run(*call, query.format(**study)), run(*call, "-", input=query.format(**study))):
        assert (result.exit_code, result.stdout) == (2, "")
        assert said in result.stderr and SECRET not in result.stderr
    assert eye.files(tmp_path) == before


def test_a_stream_without_end_is_no_query(run: Run, study: dict[str, Path]) -> None:
    result = run("--store", study["store"], "sql", "-", input="SELECT 1 --" + "x" * (5 << 20))
    assert result.exit_code == 2 and "longer than 4 MiB" in result.stderr


@pytest.mark.parametrize("form", ["table", "csv", "json", "jsonl", "markdown", "parquet"])
def test_odd_values_have_a_form_everywhere(run: Run, study: dict[str, Path], form: str) -> None:
    odd = (
        "SELECT 'nan'::DOUBLE AS a, '-infinity'::TIMESTAMP AS b, '290000-01-01'::TIMESTAMP AS c,"
        " (repeat('[', 90000) || repeat(']', 90000))::JSON AS d, chr(0) AS e, [[NULL]] AS f,"
        " 170141183460469231731687303715884105727::HUGEINT AS g, '\\xFF'::BLOB AS h, '1e999'::JSON"
        " AS i, MAP {[1]: 2} AS j, '290000-01-01'::DATE AS k, INTERVAL 900000 YEAR AS l, '' AS m"
    )
    result = run("--store", study["store"], "sql", odd, "--format", form)
    assert result.exit_code == 0, result.stderr
    if form in ("json", "jsonl"):
        found = json.loads(result.stdout)
        assert (found[0] if form == "json" else found)["a"] is None


def test_cases_are_counted(told: Callable[[str], None]) -> None:
    told(f"hostile SQL conditions: up to {len(INJECTIONS)} through each of {len(DOORS)} commands")
