"""The group: help, errors and their exit codes, the cold start."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from calibkit.cli.main import COMMANDS, cli
from calibkit.errors import BadInput, ExitCode, Infeasible, StoreBusy
from calibkit.store import Store

Run = Callable[..., Result]
HEAVY = ("torch", "brevitas", "sklearn", "scipy", "datasets", "pandas", "pyarrow", "matplotlib")
RECIPE = """\
calibkit: 1
name: small
corpus: {name: docstrings, from: docstrings}
models: {generative: {}}
policies: {random: {use: random}}
grid: {model: [generative], policy: [random], size: [4], seed: [0], bits: [8, 4]}
"""


def command(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_summary_details_and_examples(run: Run, name: str) -> None:
    text = command(name).help or ""
    summary, _, rest = text.partition("\n\n")
    assert summary.endswith(".") and "\n" not in summary
    details, _, examples = rest.partition("Examples:\n")
    assert details.strip(" \n\b")
    assert f"  calibkit {name}" in examples or f"calibkit {name} " in examples
    result = run(name, "--help")
    assert result.exit_code == 0 and result.stderr == ""
    assert f"  Examples:\n    {examples.splitlines()[0].strip()}" in result.stdout
    assert f"{summary}\n" in run("--help").stdout.replace("  ", " ") or summary.rstrip(".")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_documented(name: str) -> None:
    for parameter in command(name).params:
        if isinstance(parameter, click.Option):
            assert parameter.help and parameter.help.endswith((".", "]")), parameter.opts


def test_the_summaries_fit_into_the_list_of_commands(run: Run) -> None:
    listed = run("--help").stdout
    assert "..." not in listed.partition("Commands:")[2]
    assert list(COMMANDS) == [
        line.split()[0] for line in listed.partition("Commands:\n")[2].splitlines()
    ]


@pytest.mark.parametrize("name", ["evaluate", "sql", "list", "show", "compare-reference", "info"])
def test_every_command_that_prints_data_takes_the_output_options(name: str) -> None:
    options = {opt for parameter in command(name).params for opt in parameter.opts}
    assert {"--format", "--json", "-o", "--output"} <= options


def test_version_is_the_package_s(run: Run) -> None:
    from calibkit import __version__

    assert run("--version").stdout.split()[-1] == __version__


def test_an_unknown_command_says_which_was_meant(run: Run) -> None:
    result = run("evalute")
    assert result.exit_code == 2 and result.stdout == ""
    assert "did you mean 'evaluate'?" in result.stderr


def test_a_group_option_behind_the_command_says_where_it_stands(run: Run) -> None:
    result = run("sql", "--store", "x.duckdb", "FROM progress")
    assert result.exit_code == 2
    assert "--store stands before the command: calibkit --store ... sql ..." in result.stderr


def failing(error: BaseException) -> click.Command:
    @click.command()
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadInput("the message\nof two lines"), ExitCode.USAGE),
        (StoreBusy("held by PID 7"), ExitCode.STORE),
        (Infeasible("asked for 9"), ExitCode.INFEASIBLE),
    ],
)
def test_errors_of_calibkit_are_their_message_and_exit_code(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception, code: ExitCode
) -> None:
    monkeypatch.setattr("calibkit.cli.info.info", failing(error))
    result = run("info")
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr == f"Error: {error}\n"
    traced = run("--debug", "info")
    assert traced.exit_code == code and "Traceback" in traced.stderr


def test_unexpected_errors_are_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calibkit.cli.info.info", failing(RuntimeError("a\nb\x1b[31m")))
    result = run("info")
    assert result.exit_code == 1 and result.stdout == ""
    assert result.stderr.splitlines() == [
        "Error: unexpected RuntimeError: a b; run it again with `calibkit --debug ...` for the"
        " traceback"
    ]
    assert "Traceback" in run("--debug", "info").stderr


def test_an_interrupt_is_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calibkit.cli.info.info", failing(KeyboardInterrupt()))
    result = run("info")
    assert result.exit_code == 130
    assert result.stderr == "interrupted; what was finished is kept\n"


def test_the_store_may_come_from_the_environment(run: Run, tmp_path: Path) -> None:
    wanted = tmp_path / "other.duckdb"
    result = run("info", "--json", env={"CALIBKIT_STORE": str(wanted)})
    assert json.loads(result.stdout)["store"] == str(wanted.resolve())
    also = run("--store", "mine.duckdb", "info", "--json", env={"CALIBKIT_STORE": str(wanted)})
    assert json.loads(also.stdout)["store"] == str((tmp_path / "mine.duckdb").resolve())


def test_options_may_come_from_the_environment(run: Run, study_store: Store) -> None:
    result = run(
        "--store", study_store.path, "sql", "SELECT 1 AS x", env={"CALIBKIT_SQL_FORMAT": "csv"}
    )
    assert result.stdout == "x\n1\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_ask_calibkit(run: Run, shell: str) -> None:
    result = run("completion", shell)
    assert result.exit_code == 0 and result.stderr == ""
    assert f"_CALIBKIT_COMPLETE={shell}_complete" in result.stdout.replace("env ", "")


def test_completion_offers_commands_and_choices() -> None:
    environment = {
        "_CALIBKIT_COMPLETE": "bash_complete", "COMP_WORDS": "calibkit list co", "COMP_CWORD": "2",
    }  # fmt: skip
    result = CliRunner(env=environment).invoke(cli, [], prog_name="calibkit")
    assert result.stdout == "plain,corpora\n"


def cold(arguments: list[str], folder: Path) -> tuple[subprocess.CompletedProcess[str], set[str]]:
    """Run a command in a fresh process; return it and which heavy modules it imported."""
    program = (
        "import sys\n"
        "from calibkit.cli.main import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        f"    print('loaded', *(m for m in {HEAVY!r} if m in sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return done, set(done.stderr.splitlines()[-1].split()[1:])


def test_light_commands_import_nothing_heavy(study_store: Store) -> None:
    folder = study_store.path.parent
    (folder / "small.yaml").write_text(RECIPE)
    for arguments in (
        ["--help"],
        ["evaluate", "--help"],
        ["info"],
        ["list", "corpora"],
        ["list", "policies"],
        ["sql", "FROM summary"],
        ["show", "toy"],
        ["evaluate", "small.yaml", "--dry-run"],
    ):
        done, loaded = cold(["--store", str(study_store.path), *arguments], folder)
        assert (done.returncode, loaded) == (0, set()), (arguments, done.stderr)


def test_help_answers_within_half_a_second_of_cpu(tmp_path: Path) -> None:
    spent = []
    for _ in range(3):  # the best of three: other processes share the caches
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done, loaded = cold(["--help"], tmp_path)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0 and not loaded
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) < 0.6, spent


def test_a_reader_that_leaves_is_no_error(study_store: Store) -> None:
    line = (
        f"{sys.executable} -m calibkit.cli --store {study_store.path}"
        ' sql "SELECT range AS x FROM range(300000)" --format csv | head -n 2'
    )
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "x\n0\n", "")
