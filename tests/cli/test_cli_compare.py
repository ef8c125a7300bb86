"""`calibkit compare` as a user meets it: rows, sentences, exit codes."""

import json
import shutil
from pathlib import Path

import pytest
from noisy_study import TEXT, make_study, study

from calibkit.cli.compare import AXES, MEASURES
from calibkit.decide.evidence_rows import AXES as KNOWN_AXES
from calibkit.decide.measures import MEASURES as KNOWN
from calibkit.store import Store


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Store(tmp_path_factory.mktemp("compare") / "made.duckdb")
    make_study(made, study())
    return made.path


@pytest.fixture
def compare(run, filled):
    def call(*arguments):
        return run("--store", filled, "compare", *arguments)

    return call


def test_names_are_those_that_can_be_compared():
    assert set(MEASURES) == set(KNOWN)
    assert set(AXES) == set(KNOWN_AXES)


def test_people_get_points_an_interval_and_what_it_decides(compare):
    done = compare("even", "random", "--where", "bits = 4 AND noise = 0")
    assert done.exit_code == 0, done.output
    table = done.stdout
    for heading in ("even", "random", "gain", "95 %", "p bh", "wins", "draws", "floor", "verdict"):
        assert heading in table.splitlines()[0]
    row = next(line for line in table.splitlines() if line.startswith("generative"))
    assert "+2.00" in row and "2.00 to 2.00" in row and "8/8" in row and " 4 " in row
    assert "2 more draws" in row  # 2 / 2^4 > .05, whatever the interval says
    assert "bits 4" in table and "same: inside ±0.50" in table
    said = done.stderr
    assert "even against random, accuracy, 2 comparisons: 2 undecided" in said
    assert "2 more would" in said


def test_machines_get_every_number(compare):
    done = compare("even", "random", "--where", "noise = 0", "--format", "json")
    rows = json.loads(done.stdout)
    assert [(row["model"], row["bits"]) for row in rows] == [
        (model, bits) for model in ("discriminative", "generative") for bits in (8, 4)
    ]
    row = rows[3]
    assert row["gain"] == pytest.approx(0.02) and row["mean_b"] == pytest.approx(0.8155)
    assert (row["p_sign_flip"], row["p_holm"], row["bca_low"]) == (0.125, None, None)
    assert row["p_bh"] >= row["p"] == 0.125
    assert (row["draws"], row["models"], row["pairs"], row["wins"]) == (4, 2, 8, 8)
    assert row["verdict"] == "undecided" and row["draws_needed"] == 7  # 2 of 4 rows
    assert rows[0]["verdict"] == "same" and rows[0]["equivalent"] is True  # equal at 8 bits
    assert {"detectable", "floor", "margin", "draws_a", "draws_b", "left_out"} <= row.keys()
    header = compare("even", "random", "--format", "csv").stdout.splitlines()[0]
    assert header.split(",")[:5] == ["corpus", "recipe", "model", "size", "bits"]


def test_a_margin_of_ones_own(compare):
    done = compare("even", "random", "--where", "noise = 0", "--margin", "2.5", "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row["verdict"] for row in rows} == {"same"} and rows[0]["margin"] == 0.025
    assert compare("even", "random", "--margin", "0").exit_code == 2


def test_shifts_by_site_with_the_largest_first(compare):
    done = compare("4", "8", "--axis", "bits", "--measure", "ks_weights", "--by", "site", "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["site"] for row in rows[:2]] == ["cell", "input"]
    assert rows[0]["gain"] == pytest.approx(0.09) and rows[0]["margin"] is None
    assert "4 against 8, ks_weights" in done.stderr


def test_two_cells_are_compared_document_by_document(run, filled):
    store = Store(filled)
    with store.reading() as con:
        found = con.execute(
            "SELECT policy, cell_id FROM results WHERE model = 'discriminative' AND seed = 0"
            " AND bits = 4 AND noise = 0 ORDER BY policy"
        ).fetchall()
    cells = [cell for _, cell in found]
    done = run("--store", filled, "compare", *cells, "--format", "json")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert [row["noise"] for row in rows] == [0.0, 0.05, 0.1]
    # .82 and .80 of 40 documents are 33 and 32 right; under noise .72 and .60 are 29 and 24
    assert (rows[0]["gained"], rows[0]["lost"], rows[0]["p"]) == (1, 0, 1.0)
    assert (rows[2]["gained"], rows[2]["lost"]) == (5, 0)
    assert rows[2]["p"] == pytest.approx(2 / 2**5)
    assert rows[2]["p_bh"] == pytest.approx(3 * 2 / 2**5)
    assert 0 < rows[2]["detectable"] <= rows[2]["discordance"] == 5 / 40
    people = run("--store", filled, "compare", *cells)
    assert "McNemar's exact test" in people.stdout
    assert "are not shown to differ on clean documents: +2.50 points" in people.stderr


def test_what_cannot_be_compared_names_what_there_is(run, compare, filled, tmp_path):
    done = compare("evn", "random")
    assert done.exit_code == 2 and "did you mean 'even'" in done.stderr and not done.stdout
    assert compare("even", "random", "--where", "no = 1").exit_code == 2
    done = compare("x1-00000000", "x1-00000000")
    assert done.exit_code == 2 and "compared with itself" in done.stderr
    done = compare("x1-00000000", "x1-ffffffff")
    assert done.exit_code == 2 and "nothing in the store has an id" in done.stderr
    done = run("--store", tmp_path / "none.duckdb", "compare", "even", "random")
    assert done.exit_code != 0 and "none.duckdb" in done.stderr


def test_thin_evidence_is_no_error(run, tmp_path, filled):
    store = Store(tmp_path / "one.duckdb")
    one = study(TEXT.replace("seed: [0, 1, 2, 3]", "seed: [0]"))
    make_study(store, one)
    done = run("--store", store.path, "compare", "even", "random", "--where", "noise = 0")
    assert done.exit_code == 0
    assert "5 more draws" in done.stdout and "undecided" in done.stderr


def test_a_policy_with_one_set_for_all_seeds_is_told(run, tmp_path, filled):
    path = tmp_path / "fixed.duckdb"
    shutil.copy(filled, path)
    store = Store(path)
    with store.writing() as con:
        con.execute(
            "UPDATE cells SET subset_id = 's1-fixed' WHERE starts_with(subset_id, 's1-even')"
        )
    done = run("--store", path, "compare", "even", "random", "--where", "noise = 0")
    assert "even has one calibration set for all seeds in 4 rows" in done.stderr
