"""What a recipe measured beside published numbers: the table, the formats, the words on stderr."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from made_results import make_results

from calibkit.recipe import load_recipe
from calibkit.store import Store

Run = Callable[..., Result]
RECIPE = """\
calibkit: 1
name: study
corpus: {name: toy}
models: {generative: {}}
policies: {balanced: {use: stratified}, random: {use: random}}
grid:
  model: [generative]
  policy: [balanced, random]
  size: [8]
  seed: [0, 1]
  bits: [8, 4]
  rounding: [nearest]
  preset: [paper, robust]
"""
REFERENCE = """\
# protocol of then
#   corpus: all of it
source,corpus,model,calibration_mix,policy,rounding,bits,accuracy
then,toy,generative,,,none,32,0.92
then,toy,generative,even,balanced,nearest,8,0.91
then,toy,generative,even,balanced,nearest,4,0.80
then,toy,generative,even,balanced,nearest,16,0.92
then,toy,generative,any,random,nearest,4,0.70
then,mails,generative,any,random,nearest,4,0.60
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """The recipe, and published numbers where they are looked for."""
    (tmp_path / "paper-reference.csv").write_text(REFERENCE)
    recipe = tmp_path / "study.yaml"
    recipe.write_text(RECIPE)
    return recipe


@pytest.fixture
def store(toy_store: Store, study: Path) -> Store:
    """Everything is measured but `random` under robust; at 4 bits two cells of paper are dead."""
    make_results(
        toy_store,
        load_recipe(study),
        lambda p: (
            None
            if (p.policy, p.preset) == ("random", "robust")
            else 0.9 + 0.01 * p.seed - (0.2 if p.bits == 4 else 0)
        ),
        flags=lambda p: (
            "dead-lstm" if (p.bits, p.preset, p.policy) == (4, "paper", "balanced") else ""
        ),
        float_accuracy=lambda model, seed: 0.915,
        documents=30,
    )
    return toy_store


def records(result: Result) -> list[dict[str, object]]:
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_the_table_has_both_sides_with_interval_difference_and_drops(run: Run, store, study):
    result = run("--store", store.path, "compare-reference", study)
    assert result.exit_code == 0, result.stderr
    heading, _, *lines = result.stdout.partition("\n\n")[0].splitlines()
    assert heading.split("  ")[0].strip() == "model"  # one source, one size, one rounding: left out
    assert [line.split()[1:] for line in lines] == [
        ["—", "—", "float", "92.0", "91.5", "—", "-0.5", "—", "—", "—", "1"],
        ["even", "paper", "8", "91.0", "90.5", "6.4", "-0.5", "1.0", "1.0", "2", "1"],
        ["even", "robust", "8", "91.0", "90.5", "6.4", "-0.5", "1.0", "1.0", "2", "1"],
        ["even", "paper", "4", "80.0", "70.5", "6.4", "-9.5", "12.0", "21.0", "2", "1",
         "dead-lstm", "2/2"],
        ["even", "robust", "4", "80.0", "70.5", "6.4", "-9.5", "12.0", "21.0", "2", "1"],
        ["even", "—", "16", "92.0", "—", "—", "—", "0.0", "—", "—", "—", "not", "planned"],
        ["any", "paper", "4", "70.0", "70.5", "6.4", "0.5", "22.0", "21.0", "2", "1"],
        ["any", "robust", "4", "70.0", "—", "—", "—", "22.0", "—", "—", "—", "missing"],
    ]  # fmt: skip
    assert "95 % t interval over draws" in result.stdout


def test_the_rest_is_told_on_stderr(run: Run, store, study):
    told = run("--store", store.path, "compare-reference", study).stderr
    assert told.startswith("8 rows: 6 measured, 1 missing, 1 not planned\n")
    assert f"`calibkit --store {store.path} evaluate {study}` measures what is missing" in told
    assert "1 row with cells that no longer work, whatever their accuracy" in told
    assert "1 row of" in told and "left out, on another corpus: mails" in told
    after = told.partition("compare drops rather than accuracies:\n")[2]
    (here,) = [line for line in after.splitlines() if "documents, 2 labels" in line]
    assert here.startswith("    here  toy: ") and here.endswith("measured on 30 of test")
    assert "    then  all of it\n" in after
    assert "not of this file" not in told


def test_every_format_has_every_value(run: Run, store, study, tmp_path):
    full = records(run("--store", store.path, "compare-reference", study, "--json"))
    (dead,) = [r for r in full if r["flags"]]
    assert dead["reference_accuracy"] == 0.8 and dead["accuracy"] == pytest.approx(0.705)
    assert dead["difference"] == pytest.approx(-0.095)
    assert dead["reference_drop"] == pytest.approx(0.12)
    assert dead["accuracy_drop"] == pytest.approx(0.21)
    assert (dead["cells"], dead["planned"], dead["draws"], dead["models"]) == (2, 2, 2, 1)
    assert dead["ci_low"] < 0.705 < dead["ci_high"]
    asked = ("--store", store.path, "compare-reference", study, "--format")
    assert json.loads(run(*asked, "json").stdout) == full
    rows = list(csv.DictReader(io.StringIO(run(*asked, "csv").stdout)))
    assert [row["state"] for row in rows] == [r["state"] for r in full]
    assert list(rows[0]) == list(full[0])
    assert run(*asked, "markdown").stdout.count("\n") == len(full) + 2
    parquet = pytest.importorskip("pyarrow.parquet")
    assert run(*asked, "parquet", "-o", "x.parquet").exit_code == 0
    assert parquet.read_table(tmp_path / "x.parquet").to_pylist() == full


def test_where_chooses_rows(run: Run, store, study):
    call = ("--store", store.path, "compare-reference", study, "--json", "--where")
    chosen = records(run(*call, "bits = 4 AND difference < 0"))
    assert [(r["preset"], r["policy"]) for r in chosen] == [
        ("paper", "balanced"), ("robust", "balanced"),
    ]  # fmt: skip
    wrong = run(*call, "bit = 4")
    assert wrong.exit_code == 2 and "it is an SQL condition over source, corpus" in wrong.stderr
    none = run(*call, "bits = 5")
    assert none.exit_code == 2 and "none of the 8 rows meets it" in none.stderr
    unmeasured = run(*call, "state = 'missing'")
    assert unmeasured.exit_code == 4 and unmeasured.stdout == ""
    assert "none of these 1 cells of study is measured" in unmeasured.stderr


def test_results_of_a_changed_recipe_are_pointed_out(run: Run, store, study):
    study.write_text(RECIPE.replace("seed: [0, 1]", "seed: [0, 1, 2]"))
    result = run("--store", store.path, "compare-reference", study)
    assert result.exit_code == 0 and "2 of 3 cells" in result.stdout
    assert "the latest results of study are not of this file" in result.stderr


def test_nothing_measured_says_what_measures_it(run: Run, toy_store, study):
    result = run("--store", toy_store.path, "compare-reference", study)
    assert (result.exit_code, result.stdout) == (4, "")
    assert "none of these 8 cells of study is measured; `calibkit --store" in result.stderr
    assert f"evaluate {study}`" in result.stderr
    nowhere = run("compare-reference", study)
    assert (nowhere.exit_code, nowhere.stdout) == (4, "")
    assert f"there is no store at {Path.cwd() / 'store' / 'calibkit.duckdb'} yet" in nowhere.stderr


def test_a_bad_reference_is_told_with_file_and_line(run: Run, store, study, tmp_path):
    other = tmp_path / "mine.csv"
    other.write_text(REFERENCE.replace("policy,", "polcy,").replace("0.91", "91"))
    call = ("--store", store.path, "compare-reference", study, "--reference", other)
    result = run(*call)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{other}:3: unknown column 'polcy'; did you mean 'policy'?" in result.stderr
    other.write_text(REFERENCE.replace("0.91", "91"))
    assert f"{other}:5: accuracy: 91 is no fraction in [0, 1]" in run(*call).stderr
    other.write_text(REFERENCE.replace("toy", "letters"))
    result = run(*call)
    assert result.exit_code == 2 and "nothing on corpus 'toy'" in result.stderr
    other.unlink()
    assert "mine.csv: cannot be read" in run(*call).stderr


def test_what_a_store_says_can_be_the_reference(run: Run, store, study):
    query = (
        "SELECT 'before' AS source, corpus, model, policy AS calibration_mix, policy, rounding,"
        " bits, accuracy FROM summary WHERE recipe = 'study' AND noise = 0 AND policy = 'random'"
    )
    kept = run("--store", store.path, "sql", query, "-o", "before.csv")
    assert kept.exit_code == 0, kept.stderr
    call = ("--store", store.path, "compare-reference", study, "--reference", "before.csv")
    found = records(run(*call, "--json"))
    assert [(r["preset"], r["bits"], r["difference"]) for r in found] == [
        ("paper", 8, 0.0), ("robust", 8, None), ("paper", 4, 0.0), ("robust", 4, None),
    ]  # fmt: skip
    assert all(r["reference_drop"] is None for r in found)
    assert "  before: the reference does not tell\n" in run(*call).stderr


def test_it_imports_nothing_heavy(store, study):
    program = (
        "import sys\nfrom calibkit.cli.main import main\ntry:\n    main()\nfinally:\n"
        "    heavy = ('torch', 'brevitas', 'sklearn', 'scipy', 'datasets', 'matplotlib')\n"
        "    print('loaded', *(m for m in heavy if m in sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "--store", store.path, "compare-reference", study],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and done.stderr.splitlines()[-1] == "loaded"


def test_what_all_rows_share_is_told_below_them(run: Run, store, study):
    result = run("--store", store.path, "compare-reference", study, "--where", "preset = 'paper'")
    heading, *_ = result.stdout.splitlines()
    assert "preset" not in heading
    (told,) = [line for line in result.stdout.splitlines() if line.startswith("in every row: ")]
    assert "preset paper" in told and "size 8" in told and "rounding nearest" in told
