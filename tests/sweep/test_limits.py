"""What ends a task or a run early, and which part of a plan a shard is."""

import copy
import time
from pathlib import Path

import pytest
from recipe_parts import ONE_CELL

from calibkit.errors import Incomplete
from calibkit.sweep.executors import Limits, Outcome, Task
from calibkit.sweep.local import Local
from calibkit.sweep.plan import Shard, plan

WORK = "tasks_for_executors:work"


@pytest.fixture(autouse=True)
def importable_here_and_in_workers(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def outcomes(folder, limits, **todo):
    tasks = [Task(n, {"name": n, "do": do, "folder": str(folder)}) for n, do in todo.items()]
    with Local(WORK, 1) as pool:
        return {e.task.key: e for e in pool.run(tasks, limits=limits) if isinstance(e, Outcome)}


def test_a_task_over_its_time_is_ended_once_and_the_others_go_on(tmp_path):
    start = time.monotonic()
    found = outcomes(tmp_path, Limits(seconds=2.0), slow="sleep", quick="work")
    assert time.monotonic() - start < 30
    assert found["quick"].failure is None
    assert found["slow"].failure.error_type == "TimedOut"
    assert found["slow"].failure.message.endswith("the limit is --timeout 2")
    assert 2.0 <= found["slow"].seconds < 5
    assert len(list(tmp_path.glob("slow.*"))) == 1  # not tried again: it would take as long


def test_a_worker_over_its_memory_is_ended_and_the_others_go_on(tmp_path):
    found = outcomes(tmp_path, Limits(megabytes=400), hungry="hog", modest="work")
    assert found["modest"].failure is None
    assert found["hungry"].failure.error_type == "TooMuchMemory"
    assert found["hungry"].failure.message.endswith("the limit is --memory-limit 400")
    assert len(list(tmp_path.glob("hungry.*"))) == 1


def test_retries_are_counted(tmp_path):
    found = outcomes(tmp_path, Limits(retries=3), bad="die")
    assert found["bad"].failure.error_type == "WorkerDied"
    assert len(list(tmp_path.glob("bad.*"))) == 4


def test_shards_part_the_plan_into_whole_calibration_sets(study):
    recipe = study.recipe()
    whole = plan(study.store, recipe)
    parts = [plan(study.store, recipe, shard=Shard(i, 3)).wanted for i in (1, 2, 3)]
    assert sorted(n for part in parts for n in part) == sorted(whole.wanted)
    assert max(map(len, parts)) - min(map(len, parts)) <= 2  # two bit widths each
    for part in parts:
        points = [cell.point for cell in whole.cells if cell.ordinal in part]
        others = [cell.point for cell in whole.cells if cell.ordinal not in part]
        sets = {(p.model, p.policy, p.size, p.seed) for p in points}
        assert sets.isdisjoint((p.model, p.policy, p.size, p.seed) for p in others)


def test_a_shard_trains_no_model_of_its_own(fresh, watched):
    before = fresh.store.path.read_bytes()
    said = "^1 float model is not in the store: discriminative 0; .* or say --train"
    for change in ({}, {"corpus": {"name": "docstrings", "from": "docstrings"}}):
        with pytest.raises(Incomplete, match=said) as error:
            fresh.run(ONE_CELL, change, shard=Shard(1, 1), train=False, watcher=watched)
        assert error.value.exit_code == 1
    assert fresh.store.path.read_bytes() == before and watched.phases == []
    assert not fresh.store.fragments.exists()
    # the way that the message tells: models and nothing else
    trained = fresh.run(ONE_CELL, max_time=1e-9)
    assert (trained.measured, fresh.one("SELECT count(*) FROM models")) == (0, 1)
    assert fresh.run(ONE_CELL, shard=Shard(1, 1), train=False).done == 1


def test_again_measures_what_is_there_and_finds_it_the_same(study, everything_measured):
    before = everything_measured(study)
    report = study.run(again=True)
    assert (report.measured, report.done, report.conflicts) == (8, 8, 0)
    assert everything_measured(study) == before


def test_again_finds_a_number_that_is_different(study):
    with study.store.writing() as con:
        con.execute("UPDATE evaluations SET accuracy = accuracy / 2 WHERE noise = 0")
    report = study.run(again=True)
    assert report.conflicts >= 8
    table, stored, offered = study.rows("SELECT table_name, stored, offered FROM conflicts")[0]
    assert table == "evaluations" and stored != offered


def test_fail_fast_starts_no_further_cell(fresh, watched, monkeypatch):
    from calibkit.sweep import quantized

    def broken(*_, **__):
        raise RuntimeError("no luck")

    monkeypatch.setattr(quantized, "calibrate", broken)
    many = copy.deepcopy(ONE_CELL)
    many["grid"]["bits"] = [8, 4, 3]
    report = fresh.run(many, fail_fast=True, watcher=watched)
    assert (report.failed, report.missing) == (1, 2)
    assert "--fail-fast: a cell failed: 2 cells are not measured" in watched.notes
