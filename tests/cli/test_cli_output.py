"""Where data goes: stdout, a file, and what is refused before any work."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from calibkit.store import Store

Run = Callable[..., Result]
QUERY = "SELECT policy, bits, accuracy FROM summary WHERE noise = 0 ORDER BY ALL"


@pytest.fixture
def ask(run: Run, study_store: Store) -> Run:
    return lambda *args, **options: run("--store", study_store.path, "sql", *args, **options)


GOLDEN = {
    "table": (
        "policy      bits  accuracy\n"
        "──────────  ────  ────────\n"
        "random         4      0.79\n"
        "random         8      0.89\n"
        "stratified     4      0.79\n"
        "stratified     8      0.89\n"
    ),
    "csv": "policy,bits,accuracy\nrandom,4,0.79\nrandom,8,0.89\nstratified,4,0.79\n"
    "stratified,8,0.89\n",
    "jsonl": '{"policy": "random", "bits": 4, "accuracy": 0.79}\n'
    '{"policy": "random", "bits": 8, "accuracy": 0.89}\n'
    '{"policy": "stratified", "bits": 4, "accuracy": 0.79}\n'
    '{"policy": "stratified", "bits": 8, "accuracy": 0.89}\n',
    "json": '[\n  {"policy": "random", "bits": 4, "accuracy": 0.79},\n'
    '  {"policy": "random", "bits": 8, "accuracy": 0.89},\n'
    '  {"policy": "stratified", "bits": 4, "accuracy": 0.79},\n'
    '  {"policy": "stratified", "bits": 8, "accuracy": 0.89}\n]\n',
    "markdown": "| policy | bits | accuracy |\n| --- | ---: | ---: |\n| random | 4 | 0.79 |\n"
    "| random | 8 | 0.89 |\n| stratified | 4 | 0.79 |\n| stratified | 8 | 0.89 |\n",
}
ROUNDED = QUERY.replace("accuracy FROM", "round(accuracy, 4) AS accuracy FROM")


@pytest.mark.parametrize("form", GOLDEN)
def test_formats_on_stdout_and_nothing_on_stderr(ask: Run, form: str) -> None:
    result = ask(ROUNDED, "--format", form)
    assert (result.exit_code, result.stdout, result.stderr) == (0, GOLDEN[form], "")


def test_json_is_short_for_jsonl(ask: Run) -> None:
    assert ask(ROUNDED, "--json").stdout == GOLDEN["jsonl"]
    clash = ask(ROUNDED, "--json", "--format", "csv")
    assert clash.exit_code == 2 and clash.stdout == ""


@pytest.mark.parametrize(("suffix", "form"), [("csv", "csv"), ("md", "markdown"), ("txt", "table")])
def test_a_file_s_suffix_says_the_format(ask: Run, tmp_path: Path, suffix: str, form: str) -> None:
    file = tmp_path / f"out.{suffix}"
    result = ask(ROUNDED, "-o", file)
    assert (result.exit_code, result.stdout) == (0, "")
    assert file.read_text() == GOLDEN[form]
    assert result.stderr == f"wrote 4 rows to {file}\n"
    assert file.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    import os

    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_the_format_wins_over_the_suffix(ask: Run, tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    ask(ROUNDED, "-o", file, "--json")
    assert file.read_text() == GOLDEN["jsonl"]


def test_parquet_goes_to_pipes_and_files_but_not_to_terminals(
    ask: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    piped = ask(QUERY, "--format", "parquet")
    assert piped.stdout_bytes[:4] == piped.stdout_bytes[-4:] == b"PAR1"
    monkeypatch.setattr("calibkit.cli.output.stdout_is_terminal", lambda: True)
    shown = ask(QUERY, "--format", "parquet")
    assert shown.exit_code == 2 and shown.stdout == "" and "-o FILE" in shown.stderr
    assert ask(QUERY, "-o", tmp_path / "x.parquet").exit_code == 0
    assert (tmp_path / "x.parquet").read_bytes()[:4] == b"PAR1"


def test_csv_on_a_terminal_has_no_control_sequences(
    ask: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = "SELECT 'a' || chr(27) || '[31mb' AS x"
    assert ask(query, "--format", "csv").stdout == "x\na\x1b[31mb\n"
    monkeypatch.setattr("calibkit.cli.output.stdout_is_terminal", lambda: True)
    assert ask(query, "--format", "csv").stdout == "x\nab\n"


def test_files_that_belong_to_the_store_are_refused(ask: Run, study_store: Store) -> None:
    path = study_store.path
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    link = path.parent / "link.csv"
    link.symlink_to(path)
    wal = path.with_name(path.name + ".wal")
    for target in (path, link, wal, study_store.folder / "merged" / "x.csv"):
        (study_store.folder / "merged").mkdir(parents=True, exist_ok=True)
        result = ask(QUERY, "-o", target)
        assert result.exit_code == 2 and "belongs to the store" in result.stderr
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert not wal.exists()


def test_bad_targets_are_refused_before_any_work(ask: Run, tmp_path: Path) -> None:
    folder = ask("SELECT error('worked')", "-o", tmp_path)
    assert folder.exit_code == 2 and "is a folder" in folder.stderr
    nowhere = ask("SELECT error('worked')", "-o", tmp_path / "no" / "x.csv")
    assert nowhere.exit_code == 2 and "there is no folder" in nowhere.stderr


def test_a_query_that_fails_leaves_the_file_as_it_was(ask: Run, tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("precious")
    assert ask("SELECT nothing FROM nowhere", "-o", file).exit_code == 2
    assert file.read_text() == "precious"
    assert ask(QUERY, "-o", file).exit_code == 0
    assert file.read_text().startswith("policy,bits")
    assert [p.name for p in tmp_path.glob(".x.csv*")] == []


def test_devices_are_written_straight(ask: Run) -> None:
    assert ask(QUERY, "-o", "/dev/null").exit_code == 0
    assert Path("/dev/null").is_char_device()


def test_a_wide_table_on_a_terminal_keeps_every_column(
    ask: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("calibkit.cli.output.stdout_is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    result = ask("FROM results")
    assert all(len(line) <= 100 for line in result.stdout.splitlines())
    names = {word for line in result.stdout.splitlines() for word in line.split()}
    wanted = json.loads(
        ask("SELECT list(column_name) AS names FROM (DESCRIBE results)", "--json").stdout
    )["names"]
    assert set(wanted) <= names
