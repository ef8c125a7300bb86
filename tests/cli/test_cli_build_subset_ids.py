"""build-subset with a file of document ids in the place of a policy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from calibkit.store import Store

Run = Callable[..., Result]


@pytest.fixture
def ids(toy_store: Store) -> list[str]:
    """Documents of the pool, in no particular order."""
    with toy_store.reading() as con:
        rows = con.execute(
            "SELECT doc_id FROM documents WHERE split = 'train' AND NOT in_test"
            " ORDER BY md5(doc_id)"
        )
        return [doc_id for (doc_id,) in rows.fetchall()]


@pytest.fixture
def file(tmp_path: Path, ids: list[str]) -> Path:
    """Five of them, with a comment."""
    path = tmp_path / "chosen.txt"
    path.write_text("# mine\n\n" + "\n".join(ids[:5]) + "\n")
    return path


def test_the_id_alone_goes_to_stdout_and_the_store_says_where_it_is_from(
    run: Run, toy_store: Store, file: Path, ids: list[str]
) -> None:
    line = ("--store", toy_store.path, "build-subset", "toy", "--ids", file)
    first = run(*line)
    assert first.exit_code == 0, first.stderr
    subset_id = first.stdout.removesuffix("\n")
    assert subset_id.startswith("s1-") and len(subset_id) == 19
    assert first.stderr.startswith("built and stored\n  documents     5, ")
    again = run(*line)
    assert again.stdout == first.stdout and again.stderr.startswith("found in the store")
    shown = json.loads(run("--store", toy_store.path, "show", subset_id, "--json").stdout)
    (asked,) = shown["asked_for"]
    digest = hashlib.sha256("".join(f"{i}\n" for i in ids[:5]).encode()).hexdigest()
    assert (asked["policy"], asked["params"]) == ("ids", {"sha256": digest})
    assert shown["policies"] == "ids"
    assert [document["doc_id"] for document in shown["first_documents"]] == ids[:5]


def test_ids_come_from_stdin_too(run: Run, toy_store: Store, file: Path) -> None:
    line = ("--store", toy_store.path, "build-subset", "toy", "--ids")
    piped = run(*line, "-", input=file.read_text())
    assert piped.exit_code == 0, piped.stderr
    assert piped.stdout == run(*line, file).stdout
    bad = run(*line, "-", input="d1-none\n")
    assert bad.exit_code == 2 and "Error: <stdin>:1: corpus 'toy'" in bad.stderr


def test_problems_have_file_and_line_and_store_nothing(
    run: Run, toy_store: Store, file: Path, ids: list[str]
) -> None:
    with file.open("a") as more:
        more.write(f"d1-none\n{ids[1]}\n")
    before = toy_store.path.read_bytes()
    result = run("--store", toy_store.path, "build-subset", "toy", "--ids", file)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{file}:9: document {ids[1]!r} is on line 4 already" in result.stderr
    file.write_text("\n".join([*ids[:2], "d1-none"]))
    result = run("--store", toy_store.path, "build-subset", "toy", "--ids", file)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{file}:3: corpus 'toy', version 1, has no document 'd1-none'" in result.stderr
    assert toy_store.path.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--policy", "random"], "so --policy cannot be given"),
        (["--size", "4"], "so --size cannot be given"),
        (["--seed", "0"], "so --seed cannot be given"),
        (["--param", "mix=equal"], "so --param cannot be given"),
        (["--model", "m1-0"], "so --model cannot be given"),
        (
            ["--policy", "random", "--size", "4", "--seed", "0"],
            "so --policy, --size and --seed cannot be given",
        ),
    ],
)
def test_what_belongs_to_a_policy_is_refused_by_name(
    run: Run, toy_store: Store, file: Path, options: list[str], said: str
) -> None:
    result = run("--store", toy_store.path, "build-subset", "toy", "--ids", file, *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "--policy, --size and --seed are missing"),
        (["--policy", "random"], "--size and --seed are missing"),
        (["--policy", "random", "--size", "4"], "--seed is missing"),
        (["--size", "4", "--seed", "0"], "--policy is missing"),
    ],
)
def test_without_ids_policy_size_and_seed_are_required(
    run: Run, toy_store: Store, options: list[str], said: str
) -> None:
    result = run("--store", toy_store.path, "build-subset", "toy", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    told = " ".join(result.stderr.split())
    assert said in told and "or name the documents with --ids FILE" in told


def test_a_file_that_is_not_there_is_a_usage_error(run: Run, toy_store: Store) -> None:
    result = run("--store", toy_store.path, "build-subset", "toy", "--ids", "nowhere.txt")
    assert result.exit_code == 2 and "'nowhere.txt' does not exist" in result.stderr


def test_a_pool_of_another_split_can_be_named(run: Run, toy_store: Store, tmp_path: Path) -> None:
    with toy_store.reading() as con:
        rows = con.execute(
            "SELECT doc_id FROM documents WHERE split = 'valid' AND NOT in_test LIMIT 3"
        ).fetchall()
    path = tmp_path / "valid.txt"
    path.write_text("\n".join(doc_id for (doc_id,) in rows))
    line = ("--store", toy_store.path, "build-subset", "toy", "--ids", path)
    refused = run(*line)
    assert refused.exit_code == 2 and "in the split 'valid', the pool is 'train'" in refused.stderr
    assert run(*line, "--pool", "valid").exit_code == 0
