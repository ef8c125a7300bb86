"""What strangers wrote reaches a terminal as text: no colour, no title, no line that is turned."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from calibkit.cli import main, notes, output, progress
from calibkit.cli.text import one_line, printable
from calibkit.errors import BadInput
from calibkit.store import Store, insert

Run = Callable[..., Result]
EVIL = "\x1b[31m\x1b]0;title\x07\x1b]52;c;cHduZWQ=\x07\x9b2J\u202eevil\u2066\x08\x7f\x85"
BAD = "\x1b\x07\x08\x7f\x85\x9b\u202e\u2066"


def clean(text: str) -> bool:
    return not any(c in BAD or (c < " " and c not in "\n\t") for c in text)


@pytest.fixture
def evil_store(toy_store: Store, fill: Callable[..., None]) -> Store:
    """A store in which every text that commands print has control sequences in it."""
    fill(toy_store, failed=True)
    with toy_store.writing() as con:
        con.execute("UPDATE documents SET text = text || ?", [EVIL])
        con.execute("UPDATE labels SET label = label || ?", [EVIL])
        con.execute("UPDATE corpora SET provenance = ?", [EVIL])
        con.execute("UPDATE runs SET host = ?, command = ?, recipe_text = ?", [EVIL, EVIL, EVIL])
        con.execute("UPDATE failures SET message = ?, traceback = ?", [EVIL, EVIL])
        insert(con, "conflicts", [
            dict(fragment=EVIL, table_name="cells", key=EVIL, stored=json.dumps(EVIL), offered="{}",
                 seen_at="2026-01-01 00:00:00")
        ])  # fmt: skip
    return toy_store


COMMANDS = [
    *(("list", kind) for kind in ("corpora", "subsets", "models", "policies", "recipes", "runs")),
    *(("show", thing) for thing in ("toy", "mini", "n1-", "m1-", "x1-0000000000000000")),
    *(("sql", f"FROM {view}") for view in ("documents", "labels", "failed", "conflicts", "runs")),
    *(("info",), ("gc",), ("recipe", "x1-0000000000000000"), ("ask",), ("ask", "best")),
    *(("show", f"no{EVIL}"), ("sql", f"SELECT '{EVIL}' AS \"{EVIL}\""), ("sql", EVIL), (EVIL,)),
    *((f"--{EVIL}",), ("list", EVIL), ("list", f"--{EVIL}"), ("show", "toy", EVIL)),
    *(("evaluate", EVIL), ("sql", f"SELECT error('{EVIL}')"), ("compare", EVIL, "random")),
    ("build-subset", "toy", "--policy", "random", "--size", EVIL, "--seed", 0),
    ("build-subset", "toy", "--policy", "random", "--size", 4, "--seed", 0),
    ("build-subset", "toy", "--policy", EVIL, "--size", 4, "--seed", 0),
]


@pytest.mark.parametrize(("terminal", "debug"), [(False, ["--debug"]), (True, [])])
def test_no_command_passes_control_sequences_on(
    run: Run,
    evil_store: Store,
    monkeypatch: pytest.MonkeyPatch,
    *,
    terminal: bool,
    debug: list[str],
) -> None:
    monkeypatch.setattr("calibkit.cli.output.stdout_is_terminal", lambda: terminal)
    for command in COMMANDS:
        result = run("--store", evil_store.path, *debug, *command)
        assert clean(result.output), (command, result.output)
        if command[0] in ("list", "show", "sql") and result.exit_code == 0 and not debug:
            for form in ("csv", "jsonl", "markdown"):
                shown = run("--store", evil_store.path, *command, "--format", form)
                assert clean(shown.output), (command, form)
    logging.getLogger("calibkit").handlers = []
    logging.getLogger("calibkit").setLevel(logging.NOTSET)


def test_a_document_of_control_characters_is_shown_at_once(
    run: Run, toy_store: Store, tmp_path: Path
) -> None:
    units = ["\x9d", "\x90a", "\x1b]", "\x1b[", "\x9b1", "a\x9d", "\x1b ", "\u202e"]
    rows = [
        {"text": unit * (300_000 // len(unit)), "label": "xy"[n % 2]}
        for n, unit in enumerate(units)
    ]
    rows += [{"text": f"text {n}", "label": "xy"[n % 2]} for n in range(20)]
    path = tmp_path / "t.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert run("--store", toy_store.path, "ingest", "evil", "--train", path).exit_code == 0
    began = time.process_time()
    result = run("--store", toy_store.path, "sql", "SELECT text FROM documents WHERE tokens > 1000")
    assert result.exit_code == 0 and clean(result.stdout)
    assert time.process_time() - began < 20


def test_progress_lines_and_the_live_display(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    said: list[str] = []
    monkeypatch.setattr(click, "echo", lambda text, err: said.append(text))
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, color_system=None, width=100)
    live = progress.Live(console)
    for watcher in (progress.Lines(clock=lambda: 0.0), live):
        watcher.phase("cells", 2)
        watcher.step(EVIL)
        watcher.step(EVIL, failed=True)
        watcher.note(f"{EVIL} :warning: [bold]")
        watcher.close()
    assert all(clean(text) for text in said)
    assert "evil" in " ".join(said)
    drawn = file.getvalue()
    assert "title" not in drawn and "\x1b]" not in drawn and "\x9b" not in drawn
    assert "\u202e" not in drawn and "\x1b[31m\x1b" not in drawn
    assert ":warning: [bold]" in drawn  # neither an emoji nor a style


def test_unexpected_errors_and_errors_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    @click.option("--how")
    def broken(how: str) -> None:
        raise {"ours": BadInput, "other": ValueError}[how](EVIL)

    monkeypatch.setitem(main.COMMANDS, "broken", "made_up:broken")
    monkeypatch.setattr(
        main.importlib, "import_module", lambda name: SimpleNamespace(broken=broken)
    )
    for debug in ([], ["--debug"]):
        for how in ("ours", "other"):
            result = CliRunner().invoke(main.cli, [*debug, "broken", "--how", how])
            assert result.exit_code in (1, 2) and "evil" in result.stderr
            assert clean(result.stderr), (debug, how)


@given(
    st.text(
        st.sampled_from(
            ["\x1b", "\x9b", "\x9d", "[", "]", "0", ";", "m", "\x07", "\\", "a", "\u202e"]
        ),
        max_size=60,
    )
)
def test_no_sequence_survives_or_is_made_by_taking_others_out(text: str) -> None:
    for shown in (printable(text), one_line(text)):
        assert clean(shown)
        assert printable(shown) == shown


def test_one_function_stands_before_every_way_to_the_terminal() -> None:
    """Whoever writes to a terminal goes through the modules that clean: nobody else may."""
    folder = Path(main.__file__).parent.parent
    allowed = {Path(module.__file__).name for module in (notes, output, progress)} | {"watch.py"}
    ways = (
        "click.echo(",
        "click.secho(",
        " print(",
        "sys.stdout.",
        "sys.stderr.",
        "Console(",
        "print_exc(",
    )
    for path in folder.rglob("*.py"):
        if path.name in allowed or path.name == "confined.py" or "bench" in path.parts:
            continue
        used = [way for way in ways if way in path.read_text(encoding="utf-8")]
        assert not used, f"{path}: {used}"


def test_commands_are_counted(told: Callable[[str], None]) -> None:
    told(f"control sequences in every text that is stored or typed: {len(COMMANDS)} commands")
