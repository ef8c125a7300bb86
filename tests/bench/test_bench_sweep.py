"""A sweep by one worker and by two: the row, and that it tells when numbers differ."""

from __future__ import annotations

import pytest

from calibkit.bench import sweep
from calibkit.bench.targets import targets_of
from calibkit.errors import Incomplete
from calibkit.store.connection import Store


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The row, and a store of one of its sweeps, measured in this process to save time."""
    folder = tmp_path_factory.mktemp("bench")
    asked, kept = [], folder / "kept"
    real = sweep.run

    def run(store, recipe, *, workers, **how):
        asked.append((workers, how.get("max_time")))
        report = real(store, recipe, workers=1, executor="serial", **how)
        if not how.get("max_time") and not kept.exists():
            import shutil

            shutil.copytree(store.path.parent, kept)
        return report

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "run", run)
        told: list[str] = []
        row = sweep.measured(folder, sweep.QUICK, told.append)
    return row, asked, told, Store(kept / "bench.duckdb")


def test_the_same_sweep_is_run_by_one_worker_and_by_two(made):
    row, asked, told, store = made
    assert asked == [(2, 1e-9), (1, None), (2, None)]
    assert (row.what, row.engine, row.exact) == ("sweep, two workers", "local", True)
    assert row.ratio == pytest.approx(row.plain_seconds / row.seconds)
    assert row.low == row.ratio == row.high > 0 and row.peak_mb > 50
    assert row.facts["cells"] == 8 and row.facts["clock"] == "wall"
    assert "bit for bit" in row.facts["against"]
    assert [line.partition(":")[0] for line in told[1:]] == [
        "8 cells by 1 worker", "8 cells by 2 workers",
    ]  # fmt: skip
    with store.reading() as con:
        assert con.execute("SELECT done FROM progress").fetchone() == (8,)


def test_a_digit_makes_another_fingerprint_and_a_time_does_not(made):
    *_, store = made
    first = sweep.fingerprint(store)
    with store.writing() as con:
        con.execute("UPDATE cells SET seconds = 0, host = 'x'")
        con.execute("UPDATE evaluations SET seconds = 0, run_id = 'x'")
    assert sweep.fingerprint(store) == first
    with store.writing() as con:
        con.execute("UPDATE evaluations SET nll = nextafter(nll, 100) WHERE noise = 0.1")
    assert sweep.fingerprint(store) != first


def test_a_sweep_that_is_not_complete_is_no_measurement():
    class Report:
        measured, planned, failed, conflicts = 7, 8, 1, 0

    with pytest.raises(Incomplete, match="7 of its 8 cells, 1 failed"):
        sweep._complete(Report())


def test_two_workers_have_their_target():
    (target,) = targets_of(sweep.WHAT, "local", quick=False)
    assert target.name == "ratio" and target.reached(1.7) and not target.reached(1.69)
    assert not targets_of(sweep.WHAT, "local", quick=True)
