"""Names, paths and recipes from strangers: no code, no path but the named one, no noise."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from mini_recipe import MINI
from seen_from_outside import Outside

from calibkit.store import Store

Run = Callable[..., Result]

BOMB = "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9 if n else ['x'] * 9)}]\n" for n in range(12)
)
RECIPES = {
    "python object": ("name: mini", "name: !!python/object/apply:os.system ['touch {made}']"),
    "python name": ("about: x", "about: !!python/name:os.system"),
    "python module": ("about: x", "about: !!python/module:os"),
    "python tuple": ("size: [16]", "size: !!python/tuple [16]"),
    "python in a key": (
        "name: mini",
        "!!python/object/apply:os.system ['touch {made}']: 1\nname: mini",
    ),
    "own tag": ("about: x", "about: !include /etc/passwd"),
    "tag directive": ("calibkit: 1", "%TAG ! tag:yaml.org,2002:python/\n---\ncalibkit: 1"),
    "second document": (
        "about: x",
        "about: x\n---\n!!python/object/apply:os.system ['touch {made}']",
    ),
    "anchor": ("size: [16]", "size: &a [16]"),
    "billion laughs": ("about: x", BOMB),
    "merge key": ("seed: [0, 1]", "<<: {{seed: [0]}}, seed: [0, 1]"),
    "deep list": ("size: [16]", f"size: {'[' * 5_000}16{']' * 5_000}"),
    "deep mapping": ("about: x", "".join(f"{' ' * n}a:\n" for n in range(300))),
    "10 MB": ("about: x", f"about: {'x' * (10 << 20)}"),
    "two thousand keys": ("about: x", "".join(f"k{n}: 1\n" for n in range(2_000))),
    "many cells": ("seed: [0, 1]", f"seed: [{', '.join(map(str, range(40_000)))}]"),
    "huge numbers": ("size: [16]", f"size: [{'9' * 10_000}]"),
    "NUL": ("about: x", "about: x\0y"),
    "escape": ("about: x", "about: \x1b[31mx"),
    "name that climbs": ("name: mini", "name: ../../mini"),
    "absolute name": ("name: mini", "name: /tmp/mini"),
    "name of SQL": ("name: mini", 'name: "x\'; DROP TABLE cells; --"'),
    "corpus that climbs": ("name: toy", "name: ../../toy"),
    "corpus of another source": ("from: docstrings", "from: file:///etc/passwd"),
    "corpus with an escape": ("name: toy", 'name: "toy\\e[2J"'),
    "alias that climbs": ("random: {{use", "../random: {{use"),
    "alias with a break": ("random: {{use", '"ran\\ndom": {{use'),
    "policy of python": ("use: random", "use: os.system"),
    "policy that climbs": ("use: random", "use: ../../random"),
    "policy parameter": ("use: random", "use: random, __class__: x"),
    "model of python": ("generative: {}", "generative: {use: os.system}"),
}
YAML = MINI.replace("corpus:", "about: x\ncorpus:")


@pytest.fixture(scope="module")
def eye() -> Iterator[Outside]:
    with Outside() as eye:
        yield eye


def shown_well(text: str) -> bool:
    return all(c.isprintable() or c == "\n" for c in text)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_data(
    name: str, run: Run, toy_store: Store, tmp_path: Path, eye: Outside
) -> None:
    old, new = (part.replace("{{", "{").replace("}}", "}") for part in RECIPES[name])
    assert YAML.count(old) >= 1, old
    path = tmp_path / "bad.yaml"
    path.write_text(YAML.replace(old, new.replace("{made}", str(tmp_path / "made"))))
    before = eye.files(tmp_path)
    began = time.process_time()
    result = run("--store", toy_store.path, "evaluate", path, "--dry-run")
    assert time.process_time() - began < 20
    assert (result.exit_code, result.stdout) == (2, ""), result.stderr
    assert result.stderr.startswith(f"Error: {path}:"), result.stderr
    assert shown_well(result.stderr) and "unexpected" not in result.stderr
    assert eye.files(tmp_path) == before


PARAMETERS = [
    "weights=!!python/object/apply:os.system ['touch made']",
    "weights={a: &x 1, b: *x}",
    "weights={<<: {a: 1}}",
    "weights=" + "[" * 5_000,
    "weights={World: 1}\nsize: 3",
    "../weights={World: 1}",
    "weights;rm={World: 1}",
    "__init__={World: 1}",
    "weights={'\x1b[2J': 1}",
    f"weights={'x' * (1 << 20)}",
]


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_a_parameter_of_a_policy_is_data(
    parameter: str, run: Run, toy_store: Store, tmp_path: Path, eye: Outside
) -> None:
    before = eye.files(tmp_path)
    call = ["build-subset", "toy", "--policy", "skewed", "--size", 4, "--seed", 0, "--param"]
    result = run("--store", toy_store.path, *call, parameter)
    assert (result.exit_code, result.stdout) == (2, "")
    assert shown_well(result.stderr) and "unexpected" not in result.stderr
    assert eye.files(tmp_path) == before


NAMES = [
    *("../../etc/passwd", "/etc/passwd", "..", ".", "", " ", "a/b", "a\\b", "~root", "$(id)"),
    *("\x1b[31mred", "a\nb", "\u202etxt", "-rf", "😀", "%s%n", "{0}", "file:///etc/passwd"),
    *("x'; DROP TABLE cells; --", "s1-", "c1-%", "x1-'", "s1-" + "0" * 500),
]
MADE = ("build-subset", "toy", "--size", 4, "--seed", 0)
COMMANDS = [
    *(("show",), ("profile",), ("recipe",), ("verify",), ("list",), ("compare", "random")),
    *(("claims",), ("report", "-o", "page.html"), ("evaluate",), ("compare-reference",)),
    *(("merge",), ("ask",), ("build-subset",), ("build-subset", "toy", "--ids={}")),
    *((*MADE, "--policy={}"), (*MADE, "--policy", "misses", "--model={}")),
]
"""What takes a name as its last word, or in the place of {}."""


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(map(str, command)))
def test_no_name_leads_anywhere(
    command: tuple[object, ...], run: Run, study_store: Store, tmp_path: Path, eye: Outside
) -> None:
    (study_store.folder / "in-use").mkdir(parents=True)  # where commands say that they are at work
    before = eye.files(tmp_path)
    for name in NAMES if command[0] != "compare" else NAMES[::4]:  # which asks a lot
        *words, last = command
        named = (last.format(name),) if "{}" in str(last) else (last, "--", name)
        result = run("--store", study_store.path, *words, *named)
        assert result.exit_code in (1, 2, 4) or name in ("..", "."), (command, name)
        assert "unexpected" not in result.stderr, (command, name, result.stderr)
        assert shown_well(result.output), (command, name, result.output)
    assert eye.files(tmp_path) == before


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "a b", "é", "x'y", "a\nb", "-", ".x", "\x1b[2J", "a" * 65]
)
def test_names_of_corpora_are_plain(
    name: str, run: Run, toy_files: dict[str, Path], tmp_path: Path, eye: Outside
) -> None:
    before = eye.files(tmp_path)
    result = run(
        "--store", tmp_path / "s.duckdb", "ingest", f"--train={toy_files['train']}", "--", name
    )
    assert result.exit_code == 2 and "cannot be the name of a corpus" in result.stderr
    assert shown_well(result.stderr)
    assert eye.files(tmp_path) == before


def test_a_store_must_be_a_store(run: Run, tmp_path: Path, eye: Outside) -> None:
    (tmp_path / "text.duckdb").write_text("precious")
    (tmp_path / "link.duckdb").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.duckdb")
    (tmp_path / "sqlite.db").write_bytes(b"SQLite format 3\0" + b"\0" * 100)
    (tmp_path / "folder").mkdir()
    before = eye.files(tmp_path)
    for name in ("text.duckdb", "link.duckdb", "pipe.duckdb", "sqlite.db", "folder", "/dev/null"):
        for command in (["list", "corpora"], ["sql", "SELECT 1"], ["info"]):
            result = run("--store", tmp_path / name, *command)
            assert result.exit_code in (2, 3), (name, command, result.output)
            assert "unexpected" not in result.stderr, (name, result.stderr)
    assert eye.files(tmp_path) == before


@pytest.mark.parametrize("name", ["ü😀 b'c", "a\n\x1b[31m", "'; DROP TABLE x; --"])
def test_a_store_may_be_called_anything(
    name: str, run: Run, toy_files: dict[str, Path], tmp_path: Path
) -> None:
    place = tmp_path / f"{name}.duckdb"
    made = run("--store", place, "ingest", "toy", f"--train={toy_files['train']}")
    assert made.exit_code == 0, made.stderr
    told = run("--store", place, "sql", "SELECT count(*) AS n FROM documents", "--json")
    assert told.stdout == '{"n": 120}\n'
    backup = run("--store", place, "backup", tmp_path / f"{name}.copy")
    assert backup.exit_code == 0, backup.stderr
    assert {path.name.removeprefix(name) for path in tmp_path.iterdir()} <= {
        *(f".duckdb{end}" for end in ("", ".d", ".lock")),
        *(f".copy{end}" for end in ("", ".d", ".lock")),
    }
    assert shown_well(made.stderr + backup.stderr + run("--store", place, "info").output)


def test_a_store_that_would_lose_its_log_is_refused(
    run: Run, toy_files: dict[str, Path], tmp_path: Path
) -> None:
    made = run("--store", tmp_path / "a?b.duckdb", "ingest", "toy", f"--train={toy_files['train']}")
    assert made.exit_code == 2 and "must not have a '?'" in made.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "call",
    [
        ["--store", "{}", "list", "corpora"],
        ["sql", "SELECT 1", "-o", "{}"],
        ["merge", "{}"],
        ["backup", "{}"],
        ["evaluate", "{}"],
        ["report", "{}", "-o", "page.html"],
    ],
)
def test_a_path_that_is_too_long_is_an_error_of_usage(
    call: list[str], run: Run, toy_store: Store, tmp_path: Path, eye: Outside
) -> None:
    toy_store.folder.mkdir()
    before = eye.files(tmp_path)
    store = [] if "--store" in call else ["--store", toy_store.path]
    result = run(*store, *(word.format("x" * 5_000) for word in call))
    assert result.exit_code == 2 and "too long" in result.stderr, result.stderr
    assert eye.files(tmp_path) == before


def test_an_output_is_the_file_that_was_named(run: Run, study_store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    for name in ("a'b.csv", "ü.csv", "a\nb.csv", "\x1b[31m.csv", "$(id).csv", "-x.csv", "%s.csv"):
        done = run("--store", study_store.path, "sql", "SELECT 1 AS a", "-o", folder / name)
        assert done.exit_code == 0 and shown_well(done.stderr), done.stderr
        assert (folder / name).read_text() == "a\n1\n"
    assert len(list(folder.iterdir())) == 7


def test_cases_are_counted(told: Callable[[str], None]) -> None:
    told(
        f"hostile recipes: {len(RECIPES)}, parameters: {len(PARAMETERS)}; hostile names:"
        f" {len(NAMES)} in {len(COMMANDS)} commands"
    )
