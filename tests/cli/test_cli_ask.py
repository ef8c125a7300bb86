"""``calibkit ask`` and ``calibkit plot``: named questions on the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from asked_store import full_store

from calibkit.decide.questions import questions


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return full_store(tmp_path_factory.mktemp("full") / "full.duckdb").path


def test_without_a_question_it_lists_them_and_needs_no_store(run):
    listed = run("ask")
    assert listed.exit_code == 0
    assert all(f"{q.name} " in listed.stdout and q.asks in listed.stdout for q in questions())
    rows = [json.loads(line) for line in run("ask", "--json").stdout.splitlines()]
    assert [row["question"] for row in rows] == [q.name for q in questions()]
    assert len(rows) >= 18
    assert "bits" in rows[0]["parameters"] and rows[0]["plot"] == "intervals"


def test_an_answer_goes_to_stdout_and_what_was_asked_to_stderr(run, full):
    done = run("--store", full, "ask", "best", "--bits", "4", "--size", "8", "--json")
    assert done.exit_code == 0
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {(row["bits"], row["size"]) for row in rows} == {(4, 8)}
    assert {"ci_low", "ci_high", "behind_low"} <= rows[0].keys()
    assert done.stderr == "recipe study\n"
    table = run("--store", full, "ask", "best", "--format", "markdown", "--set", "top=1")
    assert len(table.stdout.splitlines()) == 2 + 8


def test_what_is_shown_can_be_run(run, full):
    asked = ("ask", "beats-random", "--policy", "even", "--set", "margin=0.1")
    shown = run("--store", full, *asked, "--show")
    assert "r.recipe = 'study'" in shown.stdout and "-0.1" in shown.stdout
    assert shown.stdout.startswith("-- beats-random: Which policies are better than random")
    again = run("--store", full, "sql", "-", "--json", input=shown.stdout)
    assert again.exit_code == 0, again.stderr
    assert again.stdout == run("--store", full, *asked, "--json").stdout != ""


def test_without_a_store_the_sql_can_be_shown_with_its_parameters(run):
    shown = run("ask", "best", "--show")
    assert (shown.exit_code, "$recipe" in shown.stdout) == (0, True)
    assert "there is no store yet" in shown.stderr
    assert run("ask", "best").exit_code == 2
    assert "no parameter of the question" in run("ask", "best", "--set", "x=1", "--show").stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["bestt"], "no question is called 'bestt'; did you mean 'best'?"),
        (["best", "--set", "topp=1"], "did you mean 'top'?"),
        (["best", "--set", "top"], "--set top: write KEY=VALUE"),
        (["best", "--set", "top=1", "--set", "top=2"], "--set top is given twice"),
        (["best", "--bits", "4", "--set", "bits=4"], "bits is given twice, by --bits and --set"),
        (["best", "--policy", "even"], "no parameter of the question 'best' is called 'policy'"),
        (["best", "--model", "discriminative"], "has no model 'discriminative'; it has generative"),
        (["best", "--set", "top=many"], "top is 'many'; it takes a whole number"),
        (["--show"], "name a question"),
    ],
)
def test_mistakes_say_what_is_allowed(run, full, arguments, says):
    done = run("--store", full, "ask", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert says in done.stderr


def test_no_rows_say_why(run, full):
    done = run("--store", full, "ask", "cheapest", "--set", "loss=0", "--json")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr.startswith("no rows: nothing that is measured stays within the loss")


def test_a_plot_is_a_file_and_its_gist_is_said(run, full):
    asked = ("--store", full, "plot", "beats-random", "--bits", "4", "--size", "8")
    done = run(*asked, "-o", "gains.svg")
    assert (done.exit_code, done.stdout) == (0, "")
    svg = Path("gains.svg").read_text()
    root = ET.fromstring(svg)
    assert root.tag.endswith("svg") and "var(" not in svg
    assert "Forest plot of gain in accuracy" in done.stderr
    assert done.stderr.endswith("wrote gains.svg\n")
    run(*asked, "-o", "again.SVG")
    assert Path("again.SVG").read_text() == svg
    assert run(*asked, "-o", "gains.png").exit_code == 0
    assert Path("gains.png").read_bytes().startswith(b"\x89PNG\r\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["best", "-o", "x.pdf"], "a plot is written as .svg or .png"),
        (["best", "-o", "nowhere/x.svg"], "there is no folder"),
        (["bestt", "-o", "x.svg"], "did you mean 'best'?"),
        (["cheapest", "-o", "x.svg"], "cheapest is not drawn"),
        (["best"], "Missing option '-o'"),
    ],
)
def test_what_cannot_be_drawn_is_said_before_anything_is_written(run, full, arguments, says):
    done = run("--store", full, "plot", *arguments)
    assert done.exit_code == 2
    assert says in done.stderr
    assert not Path("x.svg").exists()


def test_a_plot_never_overwrites_the_store(run, full):
    target = full.with_name(full.name + ".d") / "x.svg"
    done = run("--store", full, "plot", "best", "-o", target)
    assert done.exit_code == 2 and "belongs to the store" in done.stderr


def test_without_matplotlib_a_plot_says_what_to_install(run, full, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "matplotlib.style", raising=False)
    done = run("--store", full, "plot", "best", "-o", "x.svg")
    assert done.exit_code == 4
    assert "pip install 'calibkit[report]'" in done.stderr
    assert not Path("x.svg").exists()
