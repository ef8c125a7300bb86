"""list, show and info on small real stores."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import Result

from calibkit.policies import policy_names
from calibkit.store import Store

Run = Callable[..., Result]


def objects(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


# ---------------------------------------------------------------------------- list, show and info


FIRST = {
    "corpora": ("name", ["toy"]),
    "subsets": ("subset_id", []),
    "models": ("model_id", ["m1-00000000000000ff"]),
    "recipes": ("recipe", ["mini"]),
    "runs": ("run_id", ["n1-00000000000000bb"]),
    "policies": ("policy", [name for name in policy_names() if "of-tests" not in name]),
}


@pytest.mark.parametrize("kind", FIRST)
def test_list_gives_the_name_or_id_first(run: Run, study_store: Store, kind: str) -> None:
    column, expected = FIRST[kind]
    line = ("--store", study_store.path, "list", kind)
    rows = objects(run(*line, "--json"))
    # other tests register policies of their own
    assert [row[column] for row in rows if "of-tests" not in row[column]] == expected
    assert run(*line).stdout.split()[0] == column
    assert all(next(iter(row)) == column for row in rows)


def test_list_corpora_counts_splits(run: Run, study_store: Store) -> None:
    (row,) = objects(run("--store", study_store.path, "list", "corpora", "--json"))
    assert (row["train"], row["valid"], row["test"], row["documents"]) == (108, 12, 30, 150)


def test_list_recipes_says_how_far_they_are(run: Run, study_store: Store) -> None:
    (row,) = objects(run("--store", study_store.path, "list", "recipes", "--json"))
    assert (row["planned"], row["done"], row["failed"], row["missing"]) == (8, 8, 0, 0)


@pytest.mark.parametrize("kind", FIRST)
def test_list_on_a_store_that_is_not_there_is_empty(run: Run, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "none.duckdb"
    result = run("--store", path, "list", kind, "--format", "csv")
    assert result.exit_code == 0
    assert result.stdout.split(",")[0] == FIRST[kind][0]
    if kind != "policies":
        assert len(result.stdout.splitlines()) == 1
        assert "to make some: calibkit " in result.stderr
    assert not path.exists()


def test_an_unknown_kind_is_a_usage_error(run: Run) -> None:
    result = run("list", "corpuses")
    assert result.exit_code == 2 and "corpora" in result.stderr


SHOWN = [
    ("toy", {"name": "toy", "documents": 150}),
    ("mini", {"recipe": "mini", "planned": 8, "done": 8}),
    ("y1-0", {"recipe": "mini", "recipe_text": "calibkit: 1\nname: mini\n"}),
    ("m1-", {"kind": "generative", "model_key": "k1-00000000000000ee"}),
    ("k1-00", {"model_id": "m1-00000000000000ff"}),
    ("x1-0000000000000003", {"cell_id": "x1-0000000000000003", "scheme": {"bits": 1}}),
    ("n1-0", {"recipe": "mini", "versions": {"numpy": "2"}}),
    ("skewed", {"policy": "skewed", "defined_in": "calibkit.policies.skewed.Skewed"}),
    ("union", {"policy": "union", "nested": "depends on the parameters"}),
]


@pytest.mark.parametrize(("thing", "facts"), SHOWN)
def test_show_finds_names_and_starts_of_ids(
    run: Run, study_store: Store, thing: str, facts: dict[str, Any]
) -> None:
    (record,) = objects(run("--store", study_store.path, "show", thing, "--json"))
    assert facts.items() <= record.items()
    people = run("--store", study_store.path, "show", thing)
    assert people.exit_code == 0
    assert all(name in people.stdout for name in record)


@pytest.mark.parametrize(
    ("policy", "parameter", "type_"),
    [
        ("union", "parts", "list[Policy]"),
        ("skewed", "weights", "dict[str, float] | None"),
        ("length-stratified", "mix", "Literal['proportional', 'equal']"),
        ("shuffle", "of_seed", "int"),
        ("random", "filters.near_duplicates", "float | None"),
        ("mixture", "parts[].share", "float"),
    ],
)
def test_show_writes_types_without_modules_and_validators(
    run: Run, policy: str, parameter: str, type_: str
) -> None:
    (record,) = objects(run("show", policy, "--json"))
    types = {one["parameter"]: one["type"] for one in record["parameters"]}
    assert types[parameter] == type_


def test_show_tells_the_keys_inside_a_parameter_but_not_those_of_a_nested_policy(run: Run) -> None:
    (record,) = objects(run("show", "mixture", "--json"))
    assert [one["parameter"] for one in record["parameters"]] == [
        "filters", "filters.min_tokens", "filters.max_tokens", "filters.near_test",
        "filters.duplicates", "filters.near_duplicates", "parts", "parts[].policy", "parts[].share",
    ]  # fmt: skip
    assert "``filters``: What is left out of the pool" in record["about"]


def test_show_of_a_cell_has_its_evaluations_and_its_place_in_the_recipe(
    run: Run, study_store: Store
) -> None:
    (cell,) = objects(run("--store", study_store.path, "show", "x1-0000000000000001", "--json"))
    assert [e["noise"] for e in cell["evaluations"]] == [0.0, 0.05, 0.1]
    assert cell["planned_as"][0]["policy"] == "random" and cell["planned_as"][0]["bits"] == 4
    assert {s["quantity"]: s["mean_ks"] for s in cell["shifts"]} == {
        "activations": 0.2, "token-nll": 0.0456, "weights": 0.0123,
    }  # fmt: skip


def test_show_of_a_corpus_counts_labels_by_split(run: Run, study_store: Store) -> None:
    (corpus,) = objects(run("--store", study_store.path, "show", "toy", "--json"))
    counts = corpus["label_counts"]
    assert [row["label"] for row in counts] == ["Sports", "World"]
    assert sum(row["train"] + row["valid"] + row["test"] for row in counts) == 150


@pytest.mark.parametrize(
    ("thing", "said"),
    [
        ("x1-", "may be cell x1-0000000000000000, cell x1-0000000000000001"),
        ("x1-ffff", "nothing in the store has an id that starts with 'x1-ffff'"),
        ("k-centre", "did you mean 'k-center'?"),
        ("' OR 1=1 --", "no corpus, recipe or policy is called"),
    ],
)
def test_show_of_many_or_nothing(run: Run, study_store: Store, thing: str, said: str) -> None:
    result = run("--store", study_store.path, "show", thing)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_show_without_a_store_knows_policies(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "none.duckdb"
    assert run("--store", path, "show", "random").exit_code == 0
    other = run("--store", path, "show", "toy")
    assert other.exit_code == 2 and "there is no store" in other.stderr
    assert not path.exists()


def test_info_has_versions_store_and_host(run: Run, study_store: Store) -> None:
    (facts,) = objects(run("--store", study_store.path, "info", "--json"))
    assert facts["duckdb"] == duckdb.__version__
    assert facts["torch"].startswith("2.")
    assert facts["store_rows"]["documents"] == 150 and facts["store_meta"]["schema_version"]
    assert facts["usable_cores"] >= 1 and facts["memory_gb"] > 0


def test_info_on_a_store_that_cannot_be_opened_says_the_rest_first(
    run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "bad.duckdb"
    path.write_bytes(b"x" * 4096)
    result = run("--store", path, "info", "--json")
    assert result.exit_code == 3 and json.loads(result.stdout)["store_exists"] is True
    assert "no DuckDB database" in result.stderr
