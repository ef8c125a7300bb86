"""stream: the plan, the table, what is said about what is left, and the exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from click.testing import Result
from made_streams import WHEN, Trajectory, make_streams, trajectories
from tiny_models import TINY

from calibkit.store import Store, insert
from calibkit.sweep.executors import Limits

Run = Callable[..., Result]

RECIPE: dict[str, Any] = {
    "calibkit": 1,
    "name": "stream-made",
    "corpus": {"name": "made"},
    "models": {"discriminative": dict(TINY)},
    "policies": {"start": {"use": "random"}},
    "quantize": {"preset": "robust"},
    "stream": {
        "batch": 6,
        "hold_out": 20,
        "phases": [
            {"name": "calm", "batches": 1},
            {"name": "typos", "batches": 2, "noise": {"keyboard": 0.2}},
        ],
    },
    "methods": {
        "frozen": {"subset": "frozen", "model": "frozen"},
        "ranges": {"subset": "fifo", "model": "ranges"},
        "again": {"subset": "everything", "model": "recalibrate"},
    },
    "grid": {
        "model": ["discriminative"], "method": ["frozen", "ranges", "again"], "policy": ["start"],
        "size": [8], "seed": [0, 1], "bits": [4],
    },
}  # fmt: skip


def accuracy(one: Trajectory, step: int, phase: int) -> float:
    gains = {"frozen": 0.0, "gpfq": -0.03, "flips": 0.04, "recalibrated": 0.05}
    wiggle = (one.seed % 2 - 0.5) / 500 if one.method == "recalibrated" else 0.0
    return 0.7 + 0.01 * one.seed + (gains[one.method] + wiggle) * (step > 0)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "stream.yaml"
    path.write_text(yaml.safe_dump(RECIPE, sort_keys=False))
    return path


@pytest.fixture
def made(tmp_path: Path) -> Store:
    """A store with trajectories of a recipe of that name; nothing else is in it."""
    store = Store(tmp_path / "made.duckdb")
    make_streams(store, trajectories(), accuracy)
    return store


@pytest.fixture
def corpus(tmp_path: Path, make_corpus_files: Callable[..., dict[str, Path]]) -> Store:
    """A store with the corpus made."""
    from calibkit.corpora.ingest import ingest

    store = Store(tmp_path / "corpus.duckdb")
    files = make_corpus_files(tmp_path / "files", {"train": 120, "valid": 40, "test": 40})
    ingest(store, "made", **files)
    return store


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Put something in the place of the run, which reports what it is told to."""

    def install(error: BaseException | None = None, **report: Any) -> dict[str, Any]:
        calls: dict[str, Any] = {}

        def run_stream(store: Store, recipe: Any, *, watcher: Any, **options: Any) -> Any:
            calls.update(options, recipe=recipe.name, store=store.path)
            watcher.phase("batches", 1)
            watcher.step("a batch")
            if error is not None:
                raise error
            counts = {"followed": 24, "done": 24, "failed": 0, "missing": 0, "planned": 24}
            counts |= {"conflicts": 0, "asked": 24, "asked_missing": 0, "failed_ids": ()} | report
            return SimpleNamespace(seconds=75.0, **counts)

        monkeypatch.setitem(
            sys.modules, "calibkit.stream.run", SimpleNamespace(run_stream=run_stream)
        )
        return calls

    return install


GPFQ = (
    "discriminative gpfq 90.0 69.5 2.0 69.5 -3.0 [-3.0, -3.0] 0/6 0.094 2.3 calm -3.0* 3.0 -60"
    " [-61, -59] 10.4 2.75 400.0"
)
COLUMNS = "model method float online ± final gain 95 % wins p holm floor worst phase forgot share"
COLUMNS += " of 95 % macs s MB"


def test_the_table_stands_on_stdout_and_says_what_its_columns_are(run, made, recipe, pretend):
    calls = pretend()
    done = run("--store", made.path, "stream", recipe, "--workers", 3)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert " ".join(lines[0].split()) == COLUMNS
    assert " ".join(lines[3].split()) == GPFQ
    assert lines[2].split()[:6] == ["discriminative", "frozen", "90.0", "72.5", "2.0", "72.5"]
    assert lines[4].split()[:2] == ["discriminative", "flips"] and "+4.0  [+4.0, +4.0]" in lines[4]
    assert lines[5].split()[-3:] == ["100.0", "2.75", "400.0"]
    assert "\nstream-made: policy start; size 64; bits 4; preset robust; 4 batches; 6 draws\n" in (
        done.stdout
    )
    for word in ("float", "online", "final", "gain", "floor", "worst phase", "forgot", "share",
                 "macs", "s, MB"):  # fmt: skip
        assert word in done.stdout.partition("6 draws\n")[2], word
    assert calls == {
        "recipe": "stream-made", "store": made.path, "workers": 3, "executor": "local",
        "address": None, "engine": "auto", "where": None, "max_time": None,
        "limits": Limits(None, None, 1), "fail_fast": False,
    }  # fmt: skip
    assert "24 trajectories followed in 1:15; 24 of 24 done" in done.stderr
    assert f"ask keeps-up --recipe {RECIPE['name']}" in done.stderr


def test_the_caption_says_how_small_an_adjusted_p_can_be(run, made, recipe, pretend):
    """Six draws and three methods: 3 * 2 / 2^6, which the best of them comes to."""
    pretend()
    done = run("--store", made.path, "stream", recipe)
    assert "with so few draws and so many methods it is never below 0.094" in done.stdout


def test_what_is_next_can_be_run(run, made, recipe, pretend):
    pretend()
    done = run("--store", made.path, "stream", recipe)
    lines = [line.strip() for line in done.stderr.partition("Next:")[2].splitlines() if line]
    asked = run("--store", made.path, *lines[0].split()[3:])
    assert asked.exit_code == 0 and "gpfq" in asked.stdout
    import shlex

    queried = run("--store", made.path, *shlex.split(lines[1])[3:])
    assert queried.exit_code == 0 and "phase_name" in queried.stdout


def test_machines_get_fractions_and_every_phase(run, made, recipe, pretend):
    pretend()
    done = run("--store", made.path, "stream", recipe, "--json")
    rows = {row["method"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert list(rows) == ["frozen", "gpfq", "flips", "recalibrated"]
    flips = rows["flips"]
    assert flips["gain"] == pytest.approx(0.04) and flips["p"] == pytest.approx(2 / 64)
    assert flips["share"] == pytest.approx(0.8, abs=0.001)
    assert flips["share_low"] < flips["share"] < flips["share_high"]
    assert [phase["name"] for phase in flips["phases"]] == ["calm", "typos", "rare"]
    assert flips["phases"][1]["gain"] == pytest.approx(0.04)
    assert rows["frozen"]["gain"] is None and rows["frozen"]["phases"] == []
    assert rows["recalibrated"]["share_why"] == "it is the reference itself"
    assert (flips["macs"], flips["steps"], flips["seconds"]) == (48, 4, 11)


@pytest.mark.parametrize("form", ["csv", "json", "markdown", "parquet"])
def test_every_format_is_written(run, made, recipe, pretend, tmp_path, form):
    pretend()
    file = tmp_path / f"out.{form}"
    done = run("--store", made.path, "stream", recipe, "--format", form, "-o", file)
    assert done.exit_code == 0 and file.stat().st_size > 100


@pytest.mark.parametrize(
    ("report", "code", "said"),
    [
        ({"asked_missing": 2, "missing": 2, "done": 22}, 1,
         "0 trajectories failed and 2 are missing of 24; run the same command again"),
        ({"conflicts": 1}, 1, "1 number came back different from those stored"),
        ({"missing": 9, "asked": 15, "done": 15}, 0,
         "all 15 trajectories that --where selects are done; beside them, 0 trajectories failed"
         " and 9 are missing of the recipe's 24"),
        ({"missing": 9, "asked": 0, "done": 15}, 1, "no trajectory is one that --where selects"),
    ],
)  # fmt: skip
def test_the_exit_code_means_completeness(run, made, recipe, pretend, report, code, said):
    pretend(**report)
    where = ["--where", "seed < 4"] if "asked" in report else []
    done = run("--store", made.path, "stream", recipe, *where)
    assert done.exit_code == code
    assert said in done.stderr
    assert done.stdout.startswith("model ")


def test_failures_are_told_with_their_reason(run, made, recipe, pretend):
    one = trajectories()[2]
    failure = dict(failure_id="f1-a", run_id="n1-y1-stream", recipe_id="y1-stream", host="here",
                   plan_key=one.id, stage="stream", error_type="Infeasible",
                   message="too few\ndocuments", failed_at=WHEN)  # fmt: skip
    with made.writing() as con:
        con.execute("DELETE FROM stream_steps WHERE trajectory_id = ? AND step = 4", [one.id])
        insert(con, "failures", [failure])
    pretend(failed=1, done=23, failed_ids=(one.id,))
    done = run("--store", made.path, "stream", recipe)
    assert done.exit_code == 1
    assert "FAILED discriminative 0, flips, start, size 64, seed 0, 4 bits: stream: too few" in (
        done.stderr
    )
    assert "1 trajectory failed and 0 are missing of 24" in done.stderr
    assert "5 to 6 draws" in done.stdout


def test_options_reach_the_run(run, made, recipe, pretend):
    calls = pretend()
    options = ["--executor", "ray", "--address", "auto", "--workers", "2", "--engine", "torch",
               "--max-time", "5", "--timeout", "60", "--memory-limit", "500", "--retries", "3",
               "--fail-fast"]  # fmt: skip
    assert run("--store", made.path, "stream", recipe, *options).exit_code == 0
    assert (calls["executor"], calls["address"], calls["engine"]) == ("ray", "auto", "torch")
    assert (calls["max_time"], calls["fail_fast"]) == (5, True)
    assert calls["limits"] == Limits(60, 500, 3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--executor", "serial", "--timeout", "5"], "--executor serial has none"),
        (["--address", "auto"], "--address goes with --executor ray"),
        (["--executor", "ray", "--address", "auto"], "and with --workers N"),
    ],
)
def test_options_that_do_not_go_together(run, recipe, options, said):
    done = run("stream", recipe, *options)
    assert done.exit_code == 2 and said in done.stderr


def test_interrupted_it_says_what_is_left(run, corpus, recipe, pretend):
    pretend(KeyboardInterrupt())
    done = run("--store", corpus.path, "stream", recipe)
    assert done.exit_code == 130
    assert "0 of 6 trajectories are done, 6 remain; the same command goes on from the last" in (
        done.stderr
    )


def test_an_ordinary_recipe_is_refused_by_name(run, tmp_path, recipe):
    plain = tmp_path / "plain.yaml"
    content = {k: v for k, v in RECIPE.items() if k not in ("stream", "methods")}
    content["grid"] = {k: v for k, v in RECIPE["grid"].items() if k != "method"}
    plain.write_text(yaml.safe_dump(content, sort_keys=False))
    done = run("stream", plain)
    assert done.exit_code == 2 and "calibkit evaluate" in done.stderr
    done = run("evaluate", recipe)
    assert done.exit_code == 2 and "calibkit stream" in done.stderr


def test_a_dry_run_shows_the_trajectories_and_runs_nothing(run, corpus, recipe):
    done = run("--store", corpus.path, "stream", recipe, "--dry-run")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].split()[:4] == ["state", "steps_done", "steps", "model"]
    assert len(lines) == 2 + 6
    assert "3 batches of 6 documents in the phases calm (1), typos (2)" in done.stderr
    assert "6 trajectories planned: 0 done, 0 failed, 6 missing" in done.stderr
    assert "a run would follow 6 trajectories = 18 batches, from 1 float model" in done.stderr
    assert "every phase has the documents that it asks for" in done.stderr
    assert "estimated time: unknown" in done.stderr
    rows = run("--store", corpus.path, "stream", recipe, "-n", "--json", "--where", "seed = 1")
    found = [json.loads(line) for line in rows.stdout.splitlines()]
    assert [row["method"] for row in found] == ["frozen", "ranges", "again"]
    assert {row["seed"] for row in found} == {1}
    with corpus.reading() as con:
        assert con.execute("SELECT count(*) FROM stream_trajectories").fetchone() == (0,)


def test_a_dry_run_works_without_a_store(run, tmp_path):
    content = RECIPE | {"corpus": {"name": "docstrings", "from": "docstrings"}}
    path = tmp_path / "docstrings.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    done = run("--store", tmp_path / "none.duckdb", "stream", path, "-n")
    assert done.exit_code == 0, done.output
    assert "is known when the corpus is in the store" in done.stderr
    assert not (tmp_path / "none.duckdb").exists()


def test_a_stream_that_cannot_be_had_is_infeasible(run, corpus, tmp_path):
    content = RECIPE | {"stream": RECIPE["stream"] | {"batch": 5000}}
    path = tmp_path / "large.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    for options in (["-n"], []):
        done = run("--store", corpus.path, "stream", path, *options)
        assert done.exit_code == 4, done.output
        assert "5,000" in done.stderr


def test_a_whole_stream_goes_through_and_is_there_the_next_time(run, corpus, recipe):
    first = run("--store", corpus.path, "stream", recipe, "--executor", "serial")
    assert first.exit_code == 0, first.output
    assert "6 trajectories followed" in first.stderr and "6 of 6 done" in first.stderr
    lines = first.stdout.splitlines()
    assert [line.split()[1] for line in lines[2:5]] == ["frozen", "ranges", "again"]
    again = run("--store", corpus.path, "stream", recipe, "--executor", "serial")
    assert again.exit_code == 0 and "0 trajectories followed" in again.stderr
    assert again.stdout == first.stdout
    planned = run("--store", corpus.path, "stream", recipe, "--dry-run")
    assert "6 trajectories planned: 6 done" in planned.stderr
    listed = run("--store", corpus.path, "list", "streams", "--json")
    (row,) = map(json.loads, listed.stdout.splitlines())
    assert (row["recipe"], row["planned"], row["done"], row["draws"]) == ("stream-made", 6, 6, 2)
    assert (row["phases"], row["batches"]) == (["calm", "typos"], 3)
    assert row["methods"] == ["again", "frozen", "ranges"]
    shown = run("--store", corpus.path, "show", "stream-made", "--json")
    told = json.loads(shown.stdout)
    assert (told["planned"], told["done"], told["missing"]) == (6, 6, 0)
    with corpus.reading() as con:
        (one, *_) = con.execute("SELECT trajectory_id FROM stream_progress").fetchone()
    told = json.loads(run("--store", corpus.path, "show", one, "--json").stdout)
    assert [step["step"] for step in told["steps"]] == [0, 1, 2, 3]
    assert len(told["evaluations"]) == 4 * 2 and told["planned_as"][0]["method"] == "frozen"


def test_the_page_of_a_stream_is_written(run, made, recipe, tmp_path):
    page = tmp_path / "page.html"
    done = run("--store", made.path, "report", recipe, "-o", page)
    assert done.exit_code == 0, done.output
    assert "Gain over frozen" in page.read_text()
    assert "is not what was measured last as stream-made" in done.stderr
    content = yaml.safe_load(recipe.read_text()) | {"name": "other"}
    recipe.write_text(yaml.safe_dump(content, sort_keys=False))
    missing = run("--store", made.path, "report", recipe, "-o", page)
    assert missing.exit_code == 4 and "calibkit stream" in missing.stderr


def test_watch_takes_a_stream_recipe(run, made, recipe):
    done = run("--store", made.path, "watch", recipe, "--once")
    assert "no run of 'stream-made' is under way" in done.stderr
    assert "calibkit stream RECIPE" in done.stderr


def test_flips_at_random_are_what_to_compare_with_next(run, made, recipe, pretend):
    content = yaml.safe_load(recipe.read_text())
    content["methods"]["chance"] = {"subset": "reservoir", "model": "random-flips"}
    content["grid"]["method"].append("chance")
    recipe.write_text(yaml.safe_dump(content, sort_keys=False))
    pretend()
    done = run("--store", made.path, "stream", recipe)
    assert "--set than=chance" in done.stderr
