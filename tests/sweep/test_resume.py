"""Whatever ends a run, at whatever moment: the next one gives the tables of an undisturbed run.

Kills at random moments: test_kills.py.
"""

import os
import signal
import time

import psutil
import pytest

PAUSES = [
    "calibkit.curate.subsets:insert:2",  # in the transaction of the first subset
    "calibkit.models.training:_epoch:2",
    "calibkit.sweep.worker:kept:2",  # between two checkpoints
    "calibkit.sweep.worker:write_fragment:1",  # the model is there, its row is not
    "calibkit.store.fragments:_move:1",  # committed, and the fragment is still there
    "calibkit.sweep.phases:insert:2",  # in the transaction of a test set
    "calibkit.sweep.worker:float_evaluation:2",
    "calibkit.sweep.quantized:calibrate:2",
    "calibkit.store.files:sync_folder:1",
    "calibkit.sweep.worker:write_fragment:3",
    "calibkit.store.fragments:record:2",  # in the transaction of a merge
    "calibkit.store.fragments:_move:3",
]
"""Where runs are killed, one after the other, each going on where the last one was killed."""


def test_killed_at_twelve_exact_moments(
    fresh, finished, nursery, tmp_path, wait_for_line, everything_measured
):
    log = tmp_path / "log"
    for pause in PAUSES:
        pid = nursery.start(fresh, log, pause=pause)
        wait_for_line(log, "paused")
        os.kill(pid, signal.SIGKILL)
        assert nursery.wait(pid) == -signal.SIGKILL
    pid = nursery.start(fresh, log)
    assert nursery.wait(pid) == 0, log.read_text()
    assert "note" not in log.read_text()
    assert everything_measured(fresh) == everything_measured(finished)
    assert fresh.rows("FROM conflicts") == []


def test_an_interrupt_keeps_finished_cells(fresh, nursery, tmp_path, wait_for_line):
    log = tmp_path / "log"
    pid = nursery.start(fresh, log, pause="calibkit.sweep.quantized:calibrate:3")
    wait_for_line(log, "paused")
    os.kill(pid, signal.SIGINT)
    assert nursery.wait(pid) == 130
    assert fresh.one("SELECT count(*) FROM cells") == 2
    assert fresh.one("SELECT done, failed, missing FROM progress") == (2, 0, 6)
    assert list(fresh.store.fragments.glob("*.json")) == []


def test_two_sweeps_at_once_both_finish(fresh, finished, nursery, tmp_path, everything_measured):
    logs = [tmp_path / "first", tmp_path / "second"]
    pids = [nursery.start(fresh, log) for log in logs]
    assert [nursery.wait(pid) for pid in pids] == [0, 0], [log.read_text() for log in logs]
    assert everything_measured(fresh) == everything_measured(finished)
    assert fresh.rows("FROM conflicts") == []
    assert fresh.one("SELECT count(*) FROM runs") == 2


def test_two_workers_one_of_them_killed_measure_what_one_process_measures(
    fresh, finished, nursery, tmp_path, wait_for_line, everything_measured
):
    log = tmp_path / "log"
    pid = nursery.start(fresh, log, executor="local", workers=2)
    wait_for_line(log, "phase cells")
    crew = [
        child
        for child in psutil.Process(pid).children()
        if "resource_tracker" not in " ".join(child.cmdline())
    ]
    assert len(crew) == 2
    crew[0].kill()
    assert nursery.wait(pid) == 0, log.read_text()
    assert everything_measured(fresh) == everything_measured(finished)
    assert fresh.rows("FROM failures") == []


def test_a_busy_store_is_told_at_the_start(study, nursery, tmp_path):
    log = tmp_path / "log"
    with study.store.writing():
        pid = nursery.start(study, log, {"grid": {"bits": [4]}})
        time.sleep(0.2)
        assert psutil.Process(pid).is_running()
    assert nursery.wait(pid) == 0, log.read_text()


@pytest.mark.parametrize("how", ["artefacts kept", "artefacts and merged fragments kept"])
def test_a_lost_database_is_filled_again(study, finished, how, watched, everything_measured):
    from calibkit.corpora.ingest import ingest

    study.store.path.unlink()
    if "fragments" in how:
        for path in study.store.merged.glob("*.json"):
            path.rename(study.store.fragments / path.name)
    ingest(
        study.store,
        "made",
        **{s: study.folder / "files" / f"{s}.csv" for s in ("train", "valid", "test")},
    )
    report = study.run(watcher=watched)
    assert (report.done, report.failed) == (8, 0)
    assert report.measured == (0 if "fragments" in how else 8)
    assert not any(text.startswith("generative 0: epoch") for text in watched.steps)
    assert everything_measured(study) == everything_measured(finished)
