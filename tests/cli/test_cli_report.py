"""``calibkit report``: the file, its replacement, exit codes."""

from __future__ import annotations

import sys

import pytest

from calibkit.errors import ExitCode


def test_a_page_is_written_and_an_older_one_replaced(run, study_store, recipe, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("old")
    before = page.stat().st_ino
    done = run("--store", study_store.path, "report", recipe, "-o", page)
    assert done.exit_code == ExitCode.DONE, done.stderr
    assert done.stdout == ""
    assert f"wrote {page} (0." in done.stderr
    text = page.read_text()
    assert text.startswith("<!doctype html>") and text.endswith("</html>\n")
    assert page.stat().st_ino != before  # another file took its place in one step
    assert [one.name for one in tmp_path.iterdir() if "page" in one.name] == ["page.html"]


def test_what_is_missing_is_told(run, toy_store, fill, recipe, tmp_path):
    fill(toy_store, failed=True)
    done = run("--store", toy_store.path, "report", recipe, "-o", tmp_path / "page.html")
    assert done.exit_code == ExitCode.DONE, done.stderr
    assert "7 of 8 cells are measured, 1 failed; the page says what is missing" in done.stderr


def test_without_matplotlib_it_says_what_to_install(
    run, study_store, recipe, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    page = tmp_path / "page.html"
    done = run("--store", study_store.path, "report", recipe, "-o", page)
    assert done.exit_code == ExitCode.INFEASIBLE
    assert "pip install 'calibkit[report]'" in done.stderr
    assert not page.exists()


@pytest.mark.parametrize("has_store", [False, True])
def test_without_results_there_is_no_page(has_store, run, toy_store, recipe, tmp_path):
    store = toy_store.path if has_store else tmp_path / "none.duckdb"
    done = run("--store", store, "report", recipe, "-o", tmp_path / "page.html")
    assert done.exit_code == ExitCode.INFEASIBLE
    assert "evaluate" in done.stderr and not (tmp_path / "page.html").exists()


def test_a_place_that_cannot_be_written_is_refused_before_any_work(run, study_store, recipe):
    done = run("--store", study_store.path, "report", recipe, "-o", study_store.path)
    assert done.exit_code == ExitCode.USAGE and "belongs to the store" in done.stderr
    done = run("--store", study_store.path, "report", recipe, "-o", "nowhere/page.html")
    assert done.exit_code == ExitCode.USAGE and "there is no folder" in done.stderr
    done = run("--store", study_store.path, "report", recipe)
    assert done.exit_code == ExitCode.USAGE and "-o" in done.stderr
