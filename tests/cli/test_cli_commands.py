"""ingest, build-subset, sql, list, show and info on small real stores."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import Result

from calibkit.policies import policy_names
from calibkit.store import Store

Run = Callable[..., Result]


def digest(store: Store) -> str:
    return hashlib.sha256(store.path.read_bytes()).hexdigest()


def objects(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


# ---------------------------------------------------------------------------------------- ingest


def test_ingest_tells_counts_on_stderr_only(
    run: Run, tmp_path: Path, toy_files: Mapping[str, Path]
) -> None:
    line = ("--store", tmp_path / "s.duckdb", "ingest", "toy", "--train", toy_files["train"])
    result = run(*line, "--test", toy_files["test"])
    assert (result.exit_code, result.stdout) == (0, "")
    assert "toy version 1 (c1-" in result.stderr and "150 documents, 2 labels" in result.stderr
    assert "\n  train  108\n  valid  12\n  test  30\n" in result.stderr
    again = run(*line, "--test", toy_files["test"])
    assert again.exit_code == 0 and again.stderr.startswith("already in the store")


def test_vectors_are_told_and_can_be_measured_between(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "news.csv"
    rows = [f'text number {n},{"ab"[n % 2]},"[{n}, 0.5]"' for n in range(60)]
    file.write_text("\n".join(["text,label,emb", *rows, ""]))
    store = ("--store", tmp_path / "s.duckdb")
    result = run(*store, "ingest", "news", "--train", file, "--vectors", "emb")
    assert result.exit_code == 0
    assert "\n  a vector of 2 numbers with each document\n" in result.stderr
    asked = ("--policy", "k-center", "--param", "features=given", "--size", 5, "--seed", 0)
    assert run(*store, "build-subset", "news", *asked).exit_code == 0
    result = run(*store, "ingest", "more", "--train", file, "--vectors", "embedding")
    assert result.exit_code == 2
    assert "no column is called 'embedding'" in result.stderr
    assert "columns: text, label, emb; choose one with --vectors" in result.stderr
    result = run(*store, "ingest", "more", "--train", file, "--vectors", "emv")
    assert "'emv' (did you mean 'emb'?); columns: text, label, emb; choose" in result.stderr
    result = run(*store, "build-subset", "newz", *asked)
    assert "did you mean 'news'? (`calibkit ingest newz --train" in result.stderr


def test_skipped_rows_are_listed(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    good = "".join(f"some words here {i},{'ab'[i % 2]}\n" for i in range(40))
    file.write_text(f"text,label\n{good},a\n")
    line = ("--store", tmp_path / "s.duckdb", "ingest", "toy", "--train", file)
    assert run(*line).exit_code == 2
    skipped = run(*line, "--on-error", "skip")
    assert skipped.exit_code == 0
    assert "skipped 1 row that could not be used:" in skipped.stderr
    assert "t.csv:42" in skipped.stderr


INGEST_USAGE = [
    ([], "no documents are named"),
    (["--test", "{test}"], "--test without --train"),
    (["--train", "{train}", "--from", "docstrings"], "leave out the files, or it"),
    (["--train", "nowhere.csv"], "'nowhere.csv' does not exist"),
    (["--train", "{folder}"], "is a directory"),
    (["--from", "elsewhere"], "no source is called 'elsewhere'"),
    (["--train", "{train}", "--text-column", "body"], "'body'"),
    (["--train", "{empty}"], "empty"),
    (["--train", "{latin}"], "UTF-8"),
    (["--train", "{single}"], "label"),
    (["--train", "{train}", "--test", "{unseen}"], "Chess"),
    (["--train", "{train}", "--max-rejects", "-1"], "-1"),
]


@pytest.mark.parametrize(("options", "said"), INGEST_USAGE)
def test_what_cannot_be_ingested_is_one_clear_error(
    run: Run, toy_store: Store, toy_files: Mapping[str, Path], options: list[str], said: str
) -> None:
    folder = toy_store.path.parent
    files = {"folder": folder, **toy_files}
    for name, content in {
        "empty": b"",
        "latin": "text,label\nün mot,a\nother,b\n".encode("latin-1"),
        "single": b"text,label\none text,a\nanother text,a\n",
        "unseen": b"text,label\nknight takes,Chess\n",
    }.items():
        files[name] = folder / f"{name}.csv"
        files[name].write_bytes(content)
    before = digest(toy_store)
    filled = [option.format(**files) for option in options]
    result = run("--store", toy_store.path, "ingest", "new", *filled)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr and "Traceback" not in result.stderr
    assert result.stderr.count("Error:") == 1
    assert digest(toy_store) == before


# ---------------------------------------------------------------------------------- build-subset


def test_build_subset_prints_the_id_alone(run: Run, toy_store: Store) -> None:
    line = ("--store", toy_store.path, "build-subset", "toy", "--policy", "skewed")
    line += ("--param", "weights={World: 3, Sports: 1}", "--size", 8, "--seed", 0)
    first = run(*line)
    assert first.exit_code == 0, first.stderr
    subset_id = first.stdout.removesuffix("\n")
    assert subset_id.startswith("s1-") and len(subset_id) == 19 and "\n" not in subset_id
    assert "Sports 25.0%, World 75.0%" in first.stderr
    again = run(*line)
    assert again.stdout == first.stdout
    assert "found in the store" in again.stderr
    shown = objects(run("--store", toy_store.path, "show", subset_id[:9], "--json"))[0]
    assert shown["label_mix"] == {"Sports": 0.25, "World": 0.75}
    assert shown["asked_for"][0]["params"]["weights"] == {"Sports": 1, "World": 3}
    assert [document["position"] for document in shown["first_documents"]] == [0, 1, 2, 3, 4]
    assert all(document["text"] for document in shown["first_documents"])


BAD_SUBSETS = [
    (["--policy", "k-centre", "--size", "4"], 2, "did you mean 'k-center'?"),
    (["--policy", "stratified", "--param", "mixx=equal", "--size", "4"], 2, "'mix'"),
    (["--policy", "stratified", "--param", "mix=all", "--size", "4"], 2, "mix"),
    (["--policy", "random", "--param", "mix", "--size", "4"], 2, "KEY=VALUE"),
    (["--policy", "skewed", "--param", "weights={a: [", "--size", "4"], 2, "not YAML"),
    (["--policy", "skewed", "--param", "weights=1\nalpha: 2", "--size", "4"], 2, "one value"),
    (["--policy", "skewed", "--param", "alpha=1", "--param", "alpha=2", "--size", "4"], 2, "twice"),
    (["--policy", "random", "--size", "5000"], 4, "5,000"),
    (["--policy", "random", "--size", "0"], 2, "--size"),
    (["--policy", "random", "--size", "4", "--share", "0"], 2, "--share"),
    (["--policy", "random", "--size", "4", "--pool", "dev"], 2, "--pool"),
    (["--policy", "k-center", "--param", "features=hidden", "--size", "4"], 2, "--model"),
    (["--policy", "random", "--size", "4", "--model", "m1-0"], 2, "leave --model out"),
    (
        ["--policy", "k-center", "--param", "features=hidden", "--size", "4", "--model", "m1-0"],
        2,
        "m1-0",
    ),
]


@pytest.mark.parametrize(("options", "code", "said"), BAD_SUBSETS)
def test_subsets_that_cannot_be_built(
    run: Run, toy_store: Store, options: list[str], code: int, said: str
) -> None:
    before = digest(toy_store)
    line = ("--store", toy_store.path, "build-subset", "toy", "--seed", 0)
    result = run(*line, *options)
    assert (result.exit_code, result.stdout) == (code, ""), result.stderr
    assert said in result.stderr and "Traceback" not in result.stderr
    assert digest(toy_store) == before


def test_an_unknown_corpus_is_bad_input(run: Run, toy_store: Store) -> None:
    line = ("--store", toy_store.path, "build-subset", "toi", "--policy", "random")
    result = run(*line, "--size", 4, "--seed", 0)
    assert result.exit_code == 2 and "did you mean 'toy'?" in result.stderr


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


# -------------------------------------------------------------------- stores that cannot be used


COMMANDS = [
    ["list", "corpora"],
    ["sql", "FROM progress"],
    ["sql"],
    ["show", "toy"],
    ["info"],
    ["build-subset", "toy", "--policy", "random", "--size", "4", "--seed", "0"],
    ["ingest", "toy", "--train", "{train}"],
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("kind", ["text", "sqlite", "empty", "newer"])
def test_a_file_that_is_no_store_of_ours_is_left_alone(
    run: Run, study_store: Store, toy_files: Mapping[str, Path], kind: str, arguments: list[str]
) -> None:
    path = study_store.path.with_name("other.duckdb")
    if kind == "sqlite":
        con = sqlite3.connect(path)
        con.execute("CREATE TABLE x (y)")
        con.commit()
        con.close()
    elif kind == "newer":
        path.write_bytes(study_store.path.read_bytes())
        with duckdb.connect(str(path)) as newer:
            newer.execute("UPDATE meta SET value = '999' WHERE key = 'schema_version'")
    else:
        path.write_bytes(b"" if kind == "empty" else b"hello, I am a text\n" * 100)
    before = path.read_bytes()
    result = run("--store", path, *(part.format(**toy_files) for part in arguments))
    assert result.exit_code == 3, result.stderr
    assert result.stderr.startswith("Error: ") and str(path) in result.stderr
    assert result.stdout == "" or arguments == ["info"]
    assert path.read_bytes() == before


def test_a_store_that_another_process_holds(
    run: Run, study_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    import subprocess
    import sys

    program = (
        f"import duckdb, sys; con = duckdb.connect({str(study_store.path)!r});"
        " print('held', flush=True); sys.stdin.read()"
    )
    original = Store.__init__

    def impatient(self: Store, path: Path, **options: Any) -> None:
        original(self, path, **{"patience": 0.2, **options})

    monkeypatch.setattr(Store, "__init__", impatient)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        for arguments in (["list", "corpora"], ["sql", "FROM progress"], ["show", "toy"]):
            result = run("--store", study_store.path, *arguments)
            assert (result.exit_code, result.stdout) == (3, "")
            assert f"PID {holder.pid}" in result.stderr
        holder.communicate()
    assert run("--store", study_store.path, "list", "corpora").exit_code == 0
