"""Measuring: rows by engine and stage, processes of their own, growth, workers."""

import os

import pytest
from measured_by_tests import Clock

from calibkit.bench import run
from calibkit.bench.isolation import MeasurementFailed, alone
from calibkit.bench.measuring import grow, measure
from calibkit.bench.plans import Growth, Job

STEPS = "measured_by_tests:steps"


@pytest.fixture(autouse=True)
def made_up_time(monkeypatch):
    monkeypatch.setattr("calibkit.bench.timing.time", Clock)


def test_a_row_per_engine_and_stage_with_the_whole_first():
    rows = measure(STEPS, {}, ["fast"], 2)
    assert [row.what for row in rows] == ["steps", "steps: first", "steps: second"]
    whole, first, second = rows
    assert [row.ratio for row in rows] == pytest.approx([0.21 / 0.02, 20.0, 1.0])
    assert whole.seconds == pytest.approx(0.02) and whole.plain_seconds == pytest.approx(0.21)
    assert all(row.exact and row.low <= row.ratio <= row.high for row in rows)
    assert whole.facts == {"size": 1} and first.facts["stage"] == "first"


def test_one_wrong_stage_makes_the_whole_wrong_and_no_other_stage():
    rows = measure(STEPS, {"right": False}, ["fast"], 1)
    assert [row.exact for row in rows] == [False, False, True]


def test_rows_say_what_a_case_tells_of_its_outcomes():
    (row,) = measure("measured_by_tests:telling", {}, ["fast"], 1)
    assert row.facts == {"size": 1, "sum": 6}


def test_growth_is_that_of_the_time():
    found = grow("measured_by_tests:together", {}, "torch", "size", [2, 4, 8], 2)
    assert found == pytest.approx(1.0)


def test_a_process_of_its_own_has_one_thread():
    pid, threads, of_torch = alone("measured_by_tests:environment", name="OMP_NUM_THREADS")
    assert pid != os.getpid() and threads == "1" and of_torch == 1


def test_memory_is_that_of_one_engine_alone():
    measuring = "calibkit.bench.measuring:peaks"
    fast, hungry = (
        alone(measuring, case=STEPS, options={}, engine=engine) for engine in ("fast", "hungry")
    )
    assert 140 < hungry[None] - fast[None] < 170
    assert hungry["first"] < hungry["second"] - 100


def test_errors_and_deaths_of_measurements_are_told():
    with pytest.raises(MeasurementFailed, match="ValueError: no luck"):
        alone("measured_by_tests:fails", word="luck")
    with pytest.raises(MeasurementFailed, match="ended from outside"):
        alone("measured_by_tests:dies")


def test_rows_of_a_job_have_memory_growth_and_the_share_of_the_first():
    job = Job(STEPS, {}, ["fast"], 1, growth=[Growth("size", [2, 8])], of_the_first=True)
    whole, first, _ = run._measured(job, ["fast"])
    assert whole.peak_mb >= first.peak_mb > 50 and set(whole.growth) == {"size"}
    assert not first.growth
    assert whole.facts["of_the_first"] == pytest.approx(whole.seconds / whole.plain_seconds)
    assert whole.facts["plain_peak_mb"] > 50


def test_two_workers_are_measured_by_the_wall():
    job = Job("measured_by_tests:together", {"size": 2}, ["torch"], 1, workers=True)
    (row,) = run._workers(job, ["torch"])
    assert row.exact and row.facts["clock"] == "wall" and row.ratio > 0


def test_an_engine_that_is_not_there_is_left_out_with_the_reason(monkeypatch):
    said = []
    monkeypatch.setattr(run, "why_not", lambda: "nobody built it")
    monkeypatch.setitem(run.KINDS, "made", lambda quick: [Job(STEPS, {}, ["native"])])
    assert list(run.rows("made", quick=True, tell=said.append)) == []
    assert said == ["the engine native is left out: nobody built it"]
