"""A run says how it goes in a file that others read without opening the store."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from calibkit.store import Store
from calibkit.sweep.live import Broadcast, Phase, broadcasting, live_runs


class Told:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.calls: list[tuple] = []

    def phase(self, name, total):
        self.calls.append(("phase", name, total))

    def step(self, text, *, failed=False):
        self.calls.append(("step", text, failed))

    def note(self, text):
        self.calls.append(("note", text))


class Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def place(tmp_path):
    return Store(tmp_path / "s.duckdb")


def test_what_a_run_is_told_can_be_read_and_is_handed_on(place):
    told, time = Told(), Time()
    broadcast = Broadcast(told, place, "study", "r1-1", 2, clock=time)
    broadcast.phase("models", 3)
    time.now += 10
    broadcast.step("one")
    broadcast.phase("cells", 8)
    time.now += 20
    broadcast.step("a")
    broadcast.step("b: bad", failed=True)
    broadcast.note("mind this")
    (run,) = live_runs(place)
    assert (run.recipe, run.recipe_id, run.workers, run.is_alive()) == ("study", "r1-1", 2, True)
    models, cells = run.phases
    assert (models.done, models.total, models.seconds(time.now)) == (1, 3, 10.0)
    assert models.seconds_left(time.now) is None
    assert (cells.done, cells.failed, cells.text, cells.ended) == (2, 1, "b: bad", None)
    assert cells.seconds_left(time.now) == pytest.approx(60.0)
    assert (run.failures, run.notes) == (("b: bad",), ("mind this",))
    assert [call[0] for call in told.calls] == ["phase", "step", "phase", "step", "step", "note"]
    assert ("step", "b: bad", True) in told.calls
    assert not place.exists()


def test_quick_steps_are_written_now_and_then_and_the_last_state_at_the_end(place):
    time = Time()
    broadcast = Broadcast(Told(), place, "study", "r1-1", 1, clock=time)
    broadcast.phase("cells", 100)
    for number in range(100):
        time.now += 0.01
        broadcast.step(str(number))
    (run,) = live_runs(place)
    assert 0 < run.phases[-1].done < 100
    broadcast.end()
    (run,) = live_runs(place)
    assert run.phases[-1].done == 100
    assert run.ended
    assert not run.is_alive()


def test_an_exception_ends_the_run_too_and_the_next_run_removes_it(place):
    with pytest.raises(KeyError), broadcasting(Told(), place, "study", "r1-1", 1) as watcher:
        watcher.phase("cells", 1)
        raise KeyError
    (run,) = live_runs(place)
    assert run.ended
    with broadcasting(Told(), place, "other", "r1-2", 1):
        (run,) = live_runs(place)
        assert run.recipe == "other"


def test_a_killed_run_is_not_alive_and_two_at_once_are_both_seen(place):
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from calibkit.store import Store; from calibkit.sweep.live import Broadcast\n"
        "class Quiet:\n"
        "    phase = step = note = lambda self, *a, **k: None\n"
        "b = Broadcast(Quiet(), Store(Path(sys.argv[1])), 'study', 'r1-1', 1)\n"
        "b.phase('cells', 4); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    Broadcast(Told(), place, "study", "r1-1", 1)
    subprocess.run([sys.executable, "-c", script, str(place.path)], check=False)
    assert [run.is_alive() for run in live_runs(place)] == [True, False]


def test_what_is_no_report_of_a_run_is_passed_over(place):
    Broadcast(Told(), place, "study", "r1-1", 1)
    folder = place.folder / "live"
    (folder / "torn.json").write_text('{"recipe": "x"')
    (folder / "other.json").write_text(json.dumps({"recipe": "x", "phases": [], "unknown": 1}))
    (folder / "list.json").write_text("[]")
    assert [run.recipe for run in live_runs(place)] == ["study"]


def test_a_place_that_cannot_be_written_is_said_once_and_the_run_goes_on(place):
    place.folder.mkdir()
    (place.folder / "live").write_text("a file")
    told = Told()
    broadcast = Broadcast(told, place, "study", "r1-1", 1)
    broadcast.phase("cells", 2)
    broadcast.step("one")
    broadcast.end()
    said = [call for call in told.calls if call[0] == "note"]
    assert len(said) == 1
    assert "calibkit watch" in said[0][1]
    assert ("step", "one", False) in told.calls


def test_time_left_of_a_phase():
    assert Phase("cells", 4, 0.0).seconds_left(10.0) is None
    assert Phase("cells", 4, 0.0, done=1).seconds_left(10.0) == 30.0
    assert Phase("cells", 4, 0.0, done=6).seconds_left(10.0) == 0.0
