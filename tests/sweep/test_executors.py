import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

import psutil
import pytest
from asked_of_executors import runs, tasks, told

from calibkit.sweep.executors import Limits, Outcome, Progress, Serial, Task, next_task
from calibkit.sweep.local import Local

WORK = "tasks_for_executors:work"


@pytest.fixture(autouse=True)
def importable_here_and_in_workers(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def test_workers_give_the_outcomes_of_the_serial_executor(tmp_path):
    todo = {f"{'ab'[i % 2]}{i}": "fail" if i % 3 == 0 else "work" for i in range(9)}
    found = []
    for name, executor in (("serial", Serial(WORK)), ("two", Local(WORK, 2))):
        (tmp_path / name).mkdir()
        with executor:
            found.append(list(executor.run(tasks(tmp_path / name, **todo))))
    assert told(found[0]) == told(found[1])
    assert len([e for e in found[1] if isinstance(e, Outcome)]) == 9
    for key in todo:
        assert runs(tmp_path / "two", key) == 1


def test_a_worker_goes_on_with_its_affinity_and_leaves_others_theirs():
    waiting = deque(Task(key, None, key[0]) for key in ("a1", "a2", "b1", "a3", "b2", "c1"))
    assert next_task(waiting, "", set()).key == "a1"
    assert next_task(waiting, "", {"a"}).key == "b1"
    assert next_task(waiting, "a", {"b"}).key == "a2"
    assert next_task(waiting, "b", {"a"}).key == "b2"
    assert next_task(waiting, "b", {"a"}).key == "c1"
    assert next_task(waiting, "c", {"a"}).key == "a3"  # nothing else is left
    assert not waiting


def test_tasks_without_affinity_come_in_their_order():
    waiting = deque(Task(str(number), None) for number in range(3))
    assert [next_task(waiting, "", {""}).key for _ in range(3)] == ["0", "1", "2"]


def test_two_workers_share_groups_of_tasks_and_not_every_group(tmp_path):
    """What a worker makes for a group, it makes once: not each of them for every group."""
    todo = {f"{group}{i}": "nap" for group in "abcd" for i in range(3)}
    with Local(WORK, 2) as pool:
        list(pool.run(tasks(tmp_path, **todo)))
    seen = {(path.name[0], path.name.rpartition(".")[2]) for path in tmp_path.iterdir()}
    assert len(list(tmp_path.iterdir())) == 12
    assert len(seen) <= 5, sorted(seen)


@pytest.mark.parametrize("executor", [Serial, lambda fn: Local(fn, 1)])
def test_a_failure_carries_type_message_and_traceback(tmp_path, executor):
    with executor(WORK) as pool:
        events = list(pool.run(tasks(tmp_path, bad="fail", good="work")))
    bad, good = (e for e in events if isinstance(e, Outcome))
    assert good.failure is None
    assert bad.failure.error_type == "KeyError"
    assert bad.failure.message == "'no such thing: bad'"
    assert "in work" in bad.failure.traceback
    assert "raise KeyError" in bad.failure.traceback
    assert bad.seconds >= 0


def test_a_killed_worker_costs_its_task_a_retry_and_the_run_nothing(tmp_path):
    todo = {"a1": "work", "a2": "die once", "b1": "work", "b2": "work"}
    with Local(WORK, 2) as pool:
        outcomes, _ = told(list(pool.run(tasks(tmp_path, **todo))))
    assert outcomes == dict.fromkeys(todo)
    assert [runs(tmp_path, key) for key in todo] == [1, 2, 1, 1]


def test_a_task_that_always_kills_its_worker_fails_after_its_retries(tmp_path):
    with Local(WORK, 1) as pool:
        events = list(
            pool.run(tasks(tmp_path, deadly="die", fine="work"), limits=Limits(retries=1))
        )
    outcomes, _ = told(events)
    assert outcomes["fine"] is None
    kind, message = outcomes["deadly"]
    assert kind == "WorkerDied"
    assert "exit code -9" in message
    assert runs(tmp_path, "deadly") == 2


def test_a_worker_that_dies_idle_costs_no_task_anything(tmp_path):
    with Local(WORK, 1) as pool:
        list(pool.run(tasks(tmp_path, first="work")))
        (child,) = multiprocessing.active_children()
        child.kill()
        child.join(5)
        outcomes, _ = told(list(pool.run(tasks(tmp_path, second="work"), limits=Limits(retries=0))))
    assert outcomes == {"second": None}


def test_workers_live_from_one_run_to_the_next_and_end_with_the_executor(tmp_path):
    with Local(WORK, 2) as pool:
        list(pool.run(tasks(tmp_path, a="work", b="work")))
        crew = {child.pid for child in multiprocessing.active_children()}
        list(pool.run(tasks(tmp_path, c="work", d="work")))
        assert {child.pid for child in multiprocessing.active_children()} == crew
        assert 1 <= len(crew) <= 2
    assert not multiprocessing.active_children()


def test_leaving_early_ends_a_busy_worker(tmp_path):
    start = time.monotonic()
    with Local(WORK, 1) as pool:
        for event in pool.run(tasks(tmp_path, slow="sleep")):
            assert isinstance(event, Progress)
            break
    assert not multiprocessing.active_children()
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("executor", [Serial, lambda fn: Local(fn, 1)])
def test_nothing_is_started_once_told_to_stop(tmp_path, executor):
    done: list[str] = []
    with executor(WORK) as pool:
        listed = tasks(tmp_path, a="work", b="work", c="work")
        for event in pool.run(listed, stop=lambda: len(done) >= 2):
            if isinstance(event, Outcome):
                done.append(event.task.key)
    assert done == ["a", "b"]
    assert runs(tmp_path, "c") == 0


def test_a_worker_computes_with_one_thread_and_the_parent_keeps_its_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with Local(WORK, 1) as pool:
        events = list(pool.run(tasks(tmp_path, t="threads")))
    assert events[1].facts == {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


def test_a_function_that_cannot_be_imported_is_a_failure_that_says_so(tmp_path):
    with Local("no_such_module_here:work", 1) as pool:
        outcomes, _ = told(list(pool.run(tasks(tmp_path, a="work"))))
    assert outcomes["a"][0] == "ModuleNotFoundError"
    assert "no_such_module_here" in outcomes["a"][1]


def test_at_least_one_worker_is_needed():
    with pytest.raises(ValueError, match="at least one worker"):
        Local(WORK, 0)


PARENT = """
import sys
from calibkit.sweep.executors import Task
from calibkit.sweep.local import Local
if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    busy = Task("slow", {"name": "slow", "do": "sleep", "folder": sys.argv[2]})
    with Local("tasks_for_executors:work", 1) as pool:
        for event in pool.run([busy]):
            print("busy", flush=True)
"""


def test_a_busy_worker_ends_when_its_parent_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    here = str(Path(__file__).parent)
    parent = subprocess.Popen(
        [sys.executable, str(script), here, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "busy\n"
        (mark,) = tmp_path.glob("slow.*")
        worker = psutil.Process(int(mark.name.rsplit(".", 1)[1]))
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait(10)
    gone, alive = psutil.wait_procs([worker], timeout=10)
    assert gone and not alive
