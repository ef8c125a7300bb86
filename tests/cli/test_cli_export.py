"""``calibkit export``: what is written, what is said, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from calibkit.errors import ExitCode
from calibkit.export.kinds import kinds_of
from calibkit.store import Store

Run = Callable[..., Result]


@pytest.fixture
def subset(run: Run, toy_store: Store) -> str:
    done = run(
        "--store", toy_store.path, "build-subset", "toy", "--policy", "random", "--size", 6,
        "--seed", 0,
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("kind", kinds_of("subset"))
def test_a_subset_is_exported(
    run: Run, toy_store: Store, subset: str, kind: str, tmp_path: Path
) -> None:
    line = ("--store", toy_store.path, "export", subset[:10], "--to", kind, "-o", "out")
    done = run(*line)
    assert (done.exit_code, done.stdout) == (ExitCode.DONE, ""), done.stderr
    assert f"wrote out: 6 documents of {subset}; " in done.stderr
    found = json.loads((tmp_path / "out" / "subset.json").read_text())
    assert (found["subset_id"], found["export"], found["size"]) == (subset, kind, 6)
    assert all(name in done.stderr for name in found["files"])
    again = run(*line)
    assert (again.exit_code, again.stderr) == (0, "out holds this export already\n")


def test_what_the_module_needs_is_told_where_it_is_missing(
    run: Run, toy_store: Store, subset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = run("--store", toy_store.path, "export", subset, "--to", "onnxruntime", "-o", "out")
    assert done.exit_code == 0
    assert "calibration_reader.py needs onnxruntime" in done.stderr
    assert "`pip install onnxruntime`" in done.stderr


def test_a_missing_package_ends_with_4(
    run: Run, toy_store: Store, subset: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    done = run("--store", toy_store.path, "export", subset, "--to", "hf-dataset", "-o", "out")
    assert done.exit_code == ExitCode.INFEASIBLE
    assert "`pip install datasets`" in done.stderr and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("s1-ffff", "--to", "jsonl", "-o", "out"), "an id that starts with 's1-ffff'"),
        (
            ("toy", "--to", "jsonl", "-o", "out"),
            "'toy' is a corpus, and cells and subsets are exported",
        ),
        (("random", "--to", "jsonl", "-o", "out"), "'random' is a policy"),
        (("{}", "--to", "pickle", "-o", "out"), "'pickle' is not one of"),
        (("{}", "--to", "c", "-o", "out"), "is a subset, and --to c is for a cell"),
        (("{}", "--to", "jsonl", "-o", "out", "--no-text"), "--no-text and --opset are for cells"),
        (("{}", "--to", "numpy", "-o", "out", "--opset", "21"), "are for cells"),
        (("{}", "--to", "jsonl"), "Missing option '-o'"),
        (("{}", "-o", "out"), "Missing option '--to'"),
        (("{}", "--to", "jsonl", "-o", "toy.duckdb"), "this is a file"),
        (("{}", "--to", "jsonl", "-o", "no/out"), "there is no folder"),
        (("{}", "--to", "jsonl", "-o", "x" * 5000), "too long"),
        (("{}", "--to", "jsonl", "-o", "."), "name one inside of it"),
        (("{}", "--to", "parquet", "-o", "out", "--model", "m1-1"), "parquet has texts"),
        (("{}", "--to", "numpy", "-o", "out", "--model", "m1-1"), "no model with an id"),
    ],
)
def test_what_cannot_be_exported_is_an_error_of_usage(
    run: Run, toy_store: Store, subset: str, words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    before = {path.name for path in tmp_path.iterdir()}
    given = [subset if word == "{}" else word for word in words]
    done = run("--store", toy_store.path, "export", *given)
    assert (done.exit_code, done.stdout) == (ExitCode.USAGE, ""), done.stderr
    assert said in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == before


def test_without_a_store_it_says_how_to_make_one(run: Run) -> None:
    done = run("export", "s1-1", "--to", "jsonl", "-o", "out")
    assert done.exit_code == ExitCode.USAGE and "there is no store" in done.stderr


def test_a_folder_with_other_things_is_refused(
    run: Run, toy_store: Store, subset: str, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    done = run("--store", toy_store.path, "export", subset, "--to", "jsonl", "-o", "out")
    assert done.exit_code == ExitCode.USAGE and "overwrites nothing" in done.stderr
    assert (tmp_path / "out" / "thesis.txt").read_text() == "mine"


def test_texts_and_token_ids_are_written_without_torch(
    toy_store: Store, subset: str, tmp_path: Path
) -> None:
    for kind in ("jsonl", "numpy", "torch", "litert"):
        program = (
            "import sys\n"
            "from calibkit.cli.main import cli\n"
            "cli(sys.argv[1:], standalone_mode=False)\n"
            "assert not {'torch', 'brevitas', 'sklearn', 'datasets'} & set(sys.modules)\n"
        )
        line = ["--store", toy_store.path, "export", subset, "--to", kind, "-o", kind]
        done = subprocess.run(
            [sys.executable, "-c", program, *map(str, line)],
            cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
