"""recipe on the command line: the text alone on stdout, or one row for machines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from calibkit.recipe import parse_recipe
from calibkit.store import Store
from calibkit.sweep import cell_recipe as module

Run = Callable[..., Result]
CELL = "x1-0000000000000000"
DOCUMENT = {
    "calibkit": 1,
    "name": "cell-0",
    "corpus": {"name": "toy"},
    "models": {"generative": {}},
    "policies": {"random": {"use": "random"}},
    "grid": {"model": ["generative"], "policy": ["random"], "size": [4], "seed": [0], "bits": [8]},
}


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> None:
    made = module.CellRecipe(CELL, DOCUMENT, ("The cell.", "Another line."))
    monkeypatch.setattr(module, "cell_recipe", lambda *_: made)


@pytest.mark.usefixtures("found")
def test_people_get_the_recipe_and_nothing_else(run: Run, study_store: Store) -> None:
    result = run("--store", study_store.path, "recipe", CELL)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("# The cell.\n# Another line.\ncalibkit: 1\nname: cell-0\n")
    assert len(list(parse_recipe(result.stdout).cells())) == 1


@pytest.mark.usefixtures("found")
def test_it_goes_to_a_file_that_is_a_recipe(run: Run, study_store: Store, tmp_path: Path) -> None:
    file = tmp_path / "one.yaml"
    result = run("--store", study_store.path, "recipe", CELL, "-o", file)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"wrote {file}\n"
    assert parse_recipe(file.read_text()).name == "cell-0"


@pytest.mark.usefixtures("found")
def test_machines_get_its_content(run: Run, study_store: Store) -> None:
    result = run("--store", study_store.path, "recipe", CELL, "--json")
    row = json.loads(result.stdout)
    assert row["cell_id"] == CELL and row["recipe"] == DOCUMENT
    assert parse_recipe(row["text"]).name == "cell-0"


def test_errors_have_their_exit_codes(run: Run, study_store: Store, tmp_path: Path) -> None:
    assert run("--store", study_store.path, "recipe", "x1-9").exit_code == 2
    assert run("--store", study_store.path, "recipe", CELL).exit_code == 4  # no harness
    assert run("--store", tmp_path / "none.duckdb", "recipe", CELL).exit_code == 2
