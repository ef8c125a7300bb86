"""ingest and build-subset on small real stores."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
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
