"""Claims on the command line: the table, the formats, the words, the exit codes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from made_results import make_results

from calibkit.decide.claim_words import TYPES
from calibkit.recipe import GridPoint, load_recipe
from calibkit.store import Store

Run = Callable[..., Result]
RECIPE = """\
calibkit: 1
name: study
corpus: {name: toy}
models: {generative: {}}
policies: {balanced: {use: stratified}, one-label: {use: one-label}}
grid:
  model: [generative]
  policy: [balanced, one-label]
  size: [8]
  seed: [0, 1, 2, 3, 4, 5, 6, 7]
  bits: [8, 4]
claims:
  - id: costs
    says: One label costs accuracy at 4 bits.
    compare: {policy: [one-label, balanced]}
    where: {bits: 4}
    measure: accuracy
    expect: lower
    by: 1
  - id: spares
    says: At 8 bits it costs nothing.
    compare: {policy: [one-label, balanced]}
    where: {bits: 8}
    measure: accuracy
    expect: equal
  - id: gains
    says: At 8 bits one label gains accuracy.
    compare: {policy: [one-label, balanced]}
    where: {bits: 8}
    measure: accuracy
    expect: higher
    by: 2
  - id: near
    says: Four bits cost a point.
    compare: {bits: [4, 8]}
    where: {policy: balanced}
    measure: accuracy
    expect: lower
    by: 1
    family: other
"""


def accuracy(point: GridPoint) -> float:
    found = 0.9 + 0.0001 * point.seed
    if point.bits == 4:
        found -= 0.010 + 0.001 * (point.seed % 3)
        found -= 0.05 if point.policy == "one-label" else 0.0
    elif point.policy == "one-label":
        found += 0.0002 * (point.seed % 2)
    return found


@pytest.fixture
def study(tmp_path: Path) -> Path:
    recipe = tmp_path / "study.yaml"
    recipe.write_text(RECIPE)
    return recipe


@pytest.fixture
def store(tmp_path: Path, study: Path) -> Store:
    made = Store(tmp_path / "toy.duckdb")
    make_results(made, load_recipe(study), accuracy)
    return made


def test_verdicts_stand_in_a_table_and_in_sentences(run: Run, store, study):
    result = run("--store", store.path, "claims", study)
    assert result.exit_code == 0, result.stderr
    heading, _, *lines = result.stdout.partition("\n\n")[0].splitlines()
    assert heading.split()[:3] == ["claim", "family", "verdict"]
    assert [line.split()[:3] for line in lines] == [
        ["costs", "main", "supported"],
        ["spares", "main", "supported"],
        ["gains", "main", "contradicted"],
        ["near", "other", "undecided"],
    ]
    assert " -5.00  -5.00 to -5.00  -1.00 or less  points " in lines[0]
    assert " +0.01    0.00 to 0.02   within ±0.50  points " in lines[1]
    assert lines[3].endswith("draws in all would decide")
    assert "95 %: over new draws" in result.stdout
    told = result.stderr.splitlines()
    assert told[0].startswith("supported: One label costs accuracy at 4 bits: -5.00 points (")
    assert told[2].startswith("contradicted: At 8 bits one label gains accuracy: +0.01 points")
    assert "claimed: 2.00 or more; 8 draws of 1 float model" in told[2]
    assert told[-1] == "4 claims of study: 2 supported, 1 contradicted, 1 undecided"


def test_every_format_has_every_value(run: Run, store, study, tmp_path):
    asked = ("--store", store.path, "claims", study)
    result = run(*asked, "--json")
    full = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["claim"] for record in full] == ["costs", "spares", "gains", "near"]
    assert all(list(record) == list(TYPES) for record in full)
    assert full[0]["gain"] == pytest.approx(-0.05) and full[0]["claimed_high"] == -0.01
    p = [record["p"] for record in full]
    assert p[:3] == [2 / 2**8, 1 / 2**8, 2 / 2**8]  # between two bounds, each test is one-sided
    assert [record["p_holm"] for record in full] == [2 * p[0], 3 * p[1], 2 * p[2], p[3]]
    assert result.stderr == "4 claims of study: 2 supported, 1 contradicted, 1 undecided\n"
    assert json.loads(run(*asked, "--format", "json").stdout) == full
    rows = list(csv.DictReader(io.StringIO(run(*asked, "--format", "csv").stdout)))
    assert [row["verdict"] for row in rows] == [record["verdict"] for record in full]
    assert run(*asked, "--format", "markdown").stdout.count("\n") == len(full) + 2
    parquet = pytest.importorskip("pyarrow.parquet")
    assert run(*asked, "-o", "x.parquet").exit_code == 0
    assert parquet.read_table(tmp_path / "x.parquet").to_pylist() == full


def test_claims_that_are_measured_in_part_or_not_at_all_end_with_1(run: Run, tmp_path, study):
    made = Store(tmp_path / "part.duckdb")
    lacks = {("one-label", 8), ("balanced", 8)}
    make_results(
        made,
        load_recipe(study),
        lambda p: None if (p.policy, p.bits) in lacks or p.seed == 7 else accuracy(p),
    )
    result = run("--store", made.path, "claims", study)
    assert result.exit_code == 1
    rows = [line.split()[:3] for line in result.stdout.splitlines()[2:6]]
    assert rows == [
        ["costs", "main", "supported"], ["spares", "main", "undecided"],
        ["gains", "main", "undecided"], ["near", "other", "undecided"],
    ]  # fmt: skip
    evaluate = f"`calibkit --store {made.path} evaluate {study}`"
    assert f"3 claims: no pairs measured; run {evaluate}\n" in result.stderr
    assert f"1 claim judged on a part of the pairs, which is not final; {evaluate}" in result.stderr
    assert "measured in part, 7 of 8 pairs" in result.stderr
    assert result.stderr.count("supported: ") == 1


def test_without_a_store_everything_is_undecided_and_none_is_made(run: Run, study):
    result = run("claims", study, "--json")
    assert result.exit_code == 1
    assert {json.loads(line)["state"] for line in result.stdout.splitlines()} == {"missing"}
    assert f"4 claims: no pairs measured; run `calibkit evaluate {study}`" in result.stderr
    assert not Path("store").exists()


def test_dead_networks_are_pointed_out(run: Run, tmp_path, study):
    made = Store(tmp_path / "dead.duckdb")
    make_results(
        made, load_recipe(study), accuracy, flags=lambda p: "dead-lstm" if p.bits == 4 else ""
    )
    result = run("--store", made.path, "claims", study)
    assert result.stdout.splitlines()[2].endswith("dead-lstm 16/16")
    assert "claims with flags rest on networks that no longer work" in result.stderr


def test_results_of_another_recipe_are_pointed_out(run: Run, store, study):
    study.write_text(RECIPE.replace("6, 7]", "6, 7, 8]"))
    result = run("--store", store.path, "claims", study)
    assert result.exit_code == 1
    assert "the latest results of study are not of this file" in result.stderr
    study.write_text(RECIPE.replace("says: Four bits", "says: 4 bits"))
    assert "not of this file" not in run("--store", store.path, "claims", study).stderr


BAD = [
    (lambda text: text.partition("claims:")[0], "study declares no claims; add them under claims:"),
    (lambda text: text.replace("bits: 4}", "bits: 5}"), "16:13: claims[0].where.bits: grid.bits"),
    (lambda text: text.replace("measure: accuracy", "measure: beauty", 1), "'beauty' is not allo"),
]


@pytest.mark.parametrize("case", BAD, ids=lambda case: case[1])
def test_a_bad_recipe_ends_with_2(run: Run, store, study, case):
    change, said = case
    study.write_text(change(RECIPE))
    result = run("--store", store.path, "claims", study)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr and str(study) in result.stderr


def test_a_damaged_store_ends_with_3(run: Run, tmp_path, study):
    (tmp_path / "bad.duckdb").write_bytes(b"x" * 4096)
    result = run("--store", tmp_path / "bad.duckdb", "claims", study)
    assert (result.exit_code, result.stdout) == (3, "")
