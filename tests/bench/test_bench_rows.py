"""Rows, targets, growth exponents, and works that take turns."""

import pytest
from measured_by_tests import Clock, burn

from calibkit.bench.plans import KINDS
from calibkit.bench.rows import Row, Target, growth_words, wrong
from calibkit.bench.targets import TARGETS, targets_of
from calibkit.bench.timing import MOST_RUNS, Stages, exponent, ratios, take_turns, turn


def a_row(**changes):
    values = {"what": "generative cell", "engine": "native", "ratio": 45.0, "low": 44.0}
    values |= {"high": 46.0, "exact": True, "seconds": 2.0, "plain_seconds": 90.0}
    return Row(**(values | changes))


def test_a_row_says_which_of_its_targets_it_meets():
    targets = (Target("ratio", 40), Target("peak_mb", 700, at_most=True, unit=" MB"))
    found = a_row(peak_mb=701.0).as_dict(targets)
    assert found["targets"] == ["ratio >= 40: met", "peak_mb <= 700 MB: missed"]
    assert found["met"] is False
    assert a_row(peak_mb=700.0).as_dict(targets)["met"] is True
    assert a_row().as_dict()["met"] is None


def test_a_target_for_a_number_that_a_row_lacks_is_not_judged():
    found = a_row().as_dict((Target("growth_documents", 1.05, at_most=True),))
    assert found["targets"] == [] and found["met"] is None


def test_the_keys_of_the_contract_come_first():
    keys = ["what", "engine", "ratio", "low", "high", "exact", "peak_mb"]
    assert list(a_row().as_dict())[:7] == keys


def test_growth_and_facts_stand_in_the_dictionary():
    found = a_row(growth={"documents": 1.01, "labels": 0.2}, facts={"bits": 8}).as_dict()
    assert found["growth_documents"] == 1.01 and found["bits"] == 8
    assert growth_words(found) == "documents 1.01, labels 0.20"
    assert growth_words(a_row().as_dict()) is None


def test_what_is_not_exact_is_named():
    assert wrong([a_row().as_dict(), a_row(exact=False).as_dict()]) == ["generative cell, native"]


def test_quick_runs_have_no_targets():
    assert targets_of("generative cell", "native", quick=False)
    assert not targets_of("generative cell", "native", quick=True)
    assert not targets_of("something else", "native", quick=False)


def test_the_exponent_of_a_power_law_is_found():
    sizes = [100, 300, 900]
    assert exponent(sizes, [0.5 * n**1.3 for n in sizes]) == pytest.approx(1.3)
    assert exponent(sizes, [2.0, 2.0, 2.0]) == pytest.approx(0)


def test_ratios_are_taken_repetition_by_repetition():
    plain = [{"a": 4.0, "b": 6.0}, {"a": 8.0, "b": 2.0}, {"a": 9.0, "b": 0.0}]
    this = [{"a": 1.0, "b": 1.0}, {"a": 2.0, "b": 3.0}, {"a": 1.0, "b": 2.0}]
    spread = ratios(plain, this, None)
    assert (spread.low, spread.median, spread.high) == (2.0, 3.0, 5.0)
    assert ratios(plain, this, "a").median == 4.0


@pytest.fixture(autouse=True)
def made_up_time(monkeypatch):
    monkeypatch.setattr("calibkit.bench.timing.time", Clock)


def test_only_stages_are_counted_and_samples_are_scaled():
    stages = Stages()
    burn(0.02)
    with stages("a", times=10):
        burn(0.005)
    with stages("a"):
        burn(0.005)
    assert stages.seconds["a"] == pytest.approx(0.055)
    assert stages.spent == pytest.approx(0.01) and stages.peaks["a"] > 1


def test_short_works_run_several_times_in_a_turn_and_long_ones_once():
    calls = []

    def work(stages, seconds):
        calls.append(seconds)
        with stages("only"):
            burn(seconds)
        return len(calls)

    means, outcome = turn(lambda stages: work(stages, 0.03))
    assert outcome == len(calls) == 4 and means["only"] == pytest.approx(0.03)
    calls.clear()
    turn(lambda stages: work(stages, 0.0))
    assert len(calls) == MOST_RUNS
    calls.clear()
    turn(lambda stages: work(stages, 0.11))
    assert len(calls) == 1


def test_works_take_turns():
    order = []

    def named(name):
        def work(stages):
            with stages("only"):
                burn(0.101)
            order.append(name)
            return name.upper()

        return work

    seconds, outcomes = take_turns({"plain": named("plain"), "fast": named("fast")}, 2)
    assert order == ["plain", "fast"] * 3  # the first round warms up
    assert [len(found) for found in seconds.values()] == [2, 2]
    assert outcomes == {"plain": "PLAIN", "fast": "FAST"}


def test_every_target_belongs_to_a_benchmark():
    """The names that targets go by are those that the cases give themselves at full size."""
    named = {
        "quantized LSTM forward, discriminative", "discriminative cell", "generative cell",
        "generative cell, V 27k", "generative scoring, V 27k, 4 labels",
        "generative scoring, V 27k, 14 labels", "second bit width, discriminative",
        "second bit width, generative", "two workers, discriminative", "two workers, generative",
        "noise at seven levels, encoded", "generative training",
        "integer LSTM forward, discriminative", "integer scoring, V 10k, 4 labels",
        "integer scoring, V 27k, 14 labels", "sweep, two workers",
    }  # fmt: skip
    assert {what for what, _ in TARGETS} == named
    for jobs in KINDS.values():
        assert jobs(quick=True) and jobs(quick=False)


def test_full_cells_have_the_size_of_the_target():
    cells = [job for job in KINDS["cell"](quick=False) if job.case.endswith(":cell")]
    native = [j for j in cells if "native" in j.engines and "name" not in j.options]
    assert [j.options["documents"] for j in native] == [7_600, 7_600]
    assert {j.options["kind"] for j in native} == {"discriminative", "generative"}
