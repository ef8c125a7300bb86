"""The executor ray: the promises of the other executors, kept by a real cluster of this machine."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from asked_of_executors import runs, tasks, told

from calibkit.errors import BadInput, Infeasible, MissingExtra, StoreError
from calibkit.sweep import on_ray, provenance
from calibkit.sweep.executors import Limits, Outcome, Progress, Serial
from calibkit.sweep.on_ray import OnRay

WORK = "tasks_for_executors:work"
HERE = str(Path(__file__).parent)

with_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None,
    reason="the package ray is not installed (pip install 'calibkit[ray]')",
)


@pytest.fixture(autouse=True)
def importable_here_and_in_workers(monkeypatch):
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.setenv("PYTHONPATH", HERE)  # of the cluster that a test starts


def test_without_the_package_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"pip install 'calibkit\[ray\]'") as error:
        OnRay(WORK, 1, folder=Path())
    assert error.value.exit_code == 4


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A cluster that the tests of this module share; executors join it and leave it running."""
    ray = pytest.importorskip("ray", reason="the package ray is not installed")
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = HERE
    with OnRay(WORK, 2, folder=tmp_path_factory.mktemp("own")) as first:
        yield first.ray
    assert not ray.is_initialized()
    os.environ.pop("PYTHONPATH")
    if before is not None:
        os.environ["PYTHONPATH"] = before


@with_ray
def test_workers_give_the_outcomes_of_the_serial_executor(cluster, tmp_path):
    todo = {f"{'ab'[i % 2]}{i}": "fail" if i % 3 == 0 else "work" for i in range(9)}
    found = []
    for name, executor in (
        ("serial", Serial(WORK)),
        ("ray", OnRay(WORK, 2, folder=tmp_path / "store.d")),
    ):
        (tmp_path / name).mkdir()
        with executor:
            found.append(list(executor.run(tasks(tmp_path / name, **todo))))
    assert told(found[0]) == told(found[1])
    assert all(runs(tmp_path / "ray", key) == 1 for key in todo)
    assert cluster.is_initialized()  # it was there before
    failed = next(e.failure for e in found[1] if isinstance(e, Outcome) and e.failure)
    assert "raise KeyError" in failed.traceback and "in work" in failed.traceback
    assert not list((tmp_path / "store.d" / "in-use").iterdir())


@with_ray
def test_limits_and_retries_are_those_of_local_workers(cluster, tmp_path):
    todo = {"slow": "sleep", "hungry": "hog", "once": "die once", "bad": "die", "fine": "work"}
    limits = Limits(seconds=6.0, megabytes=600, retries=1)
    with OnRay(WORK, 2, folder=tmp_path) as pool:
        outcomes, _ = told(list(pool.run(tasks(tmp_path, **todo), limits=limits)))
    assert outcomes["fine"] is None and outcomes["once"] is None
    assert outcomes["slow"][0] == "TimedOut"
    assert outcomes["slow"][1].endswith("the limit is --timeout 6")
    assert outcomes["hungry"][0] == "TooMuchMemory"
    assert outcomes["hungry"][1].endswith("the limit is --memory-limit 600")
    assert outcomes["bad"][0] == "WorkerDied"
    assert [runs(tmp_path, key) for key in todo] == [1, 1, 2, 2, 1]


@with_ray
def test_nothing_is_started_once_told_to_stop(cluster, tmp_path):
    done: list[str] = []
    with OnRay(WORK, 1, folder=tmp_path) as pool:
        listed = tasks(tmp_path, a="work", b="work", c="work")
        for event in pool.run(listed, stop=lambda: len(done) >= 2):
            if isinstance(event, Outcome):
                done.append(event.task.key)
    assert done == ["a", "b"] and runs(tmp_path, "c") == 0


@with_ray
def test_a_worker_computes_with_one_thread(cluster, tmp_path):
    with OnRay(WORK, 1, folder=tmp_path) as pool:
        events = list(pool.run(tasks(tmp_path, t="threads")))
    facts = [e.facts for e in events if isinstance(e, Progress)]
    assert facts[1] == {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@with_ray
def test_a_node_that_cannot_do_the_same_is_refused(cluster, tmp_path, monkeypatch):
    with OnRay(WORK, 1, folder=tmp_path) as pool:
        assert pool._mark is not None
        pool._mark.write_text("another disk")
        with pytest.raises(StoreError, match="does not see .* put the store where every node"):
            list(pool.run(tasks(tmp_path, a="work")))
    versions = {**provenance.versions(), "torch": "0.0"}
    monkeypatch.setattr(on_ray.provenance, "versions", lambda: versions)
    with (
        OnRay(WORK, 1, folder=tmp_path) as pool,
        pytest.raises(StoreError, match=r"other packages.*torch .* \(here 0.0\)"),
    ):
        list(pool.run(tasks(tmp_path, a="work")))
    assert runs(tmp_path, "a") == 0


@with_ray
def test_more_workers_than_cores_would_wait_for_ever(cluster, tmp_path):
    with (
        pytest.raises(Infeasible, match="--workers 99: the Ray cluster has 2 cores"),
        OnRay(WORK, 99, folder=tmp_path),
    ):
        pass
    assert not list(tmp_path.rglob("ray-*"))


@with_ray
def test_a_study_on_ray_has_the_numbers_of_one_in_this_process(
    cluster, fresh, finished, everything_measured, watched
):
    report = fresh.run(executor="ray", workers=2, watcher=watched)
    assert (report.measured, report.done, report.failed) == (8, 8, 0)
    assert everything_measured(fresh) == everything_measured(finished)
    assert any(text.startswith("generative 0: epoch 3 of 3") for text in watched.steps)


COMMAND = [sys.executable, "-m", "calibkit.cli"]


@with_ray
@pytest.mark.timeout(240)
def test_interrupted_on_ray_goes_on_anywhere(ingested, finished, tmp_path, everything_measured):
    """Ctrl-C in a terminal: every process of the group gets it."""
    study = ingested.copy(tmp_path / "study")
    recipe = study.recipe_file()
    options = ["--store", str(study.store.path), "evaluate", str(recipe), "--workers", "1"]
    log = tmp_path / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [*COMMAND, *options, "--executor", "ray"],
            stdout=subprocess.DEVNULL, stderr=file, start_new_session=True, cwd=tmp_path,
        )  # fmt: skip
    end = time.monotonic() + 150
    while not list(study.store.fragments.glob("*.json")) or not _cells(study):
        assert process.poll() is None and time.monotonic() < end, log.read_text()
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) == 130, log.read_text()
    said = log.read_text()
    assert "of 8 cells are done" in said and "the same command goes on from here" in said
    done = study.one("SELECT done FROM progress")
    assert 0 < done < 8
    report = study.run()
    # the cell that was being measured may have been finished after the last merge
    assert report.done == 8 and report.measured in (8 - done, 8 - done - 1)
    assert everything_measured(study) == everything_measured(finished)


def _cells(study):
    return any(
        '"kind": "cell"' in path.read_text() for path in study.store.fragments.glob("*.json")
    )


@with_ray
@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:1", "--address 127.0.0.1:1: no Ray cluster answers there"),
        ("nonsense", "'nonsense' is none of a cluster; write HOST:PORT"),
        ("ray://head:10001", "is none of a cluster"),
    ],
)
def test_an_address_where_nothing_answers_is_told_at_once(tmp_path, address, said):
    start = time.monotonic()
    with pytest.raises(BadInput, match=said), OnRay(WORK, 1, folder=tmp_path, address=address):
        pass
    assert time.monotonic() - start < 20
    assert not list(tmp_path.iterdir())
