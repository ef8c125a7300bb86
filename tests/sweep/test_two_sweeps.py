"""Two runs over one store at once: neither repeats what the other does, and both finish."""

from __future__ import annotations

import re
import time

import pytest

from calibkit.store.presence import claimed
from calibkit.sweep.plan import plan

MEASURED = re.compile(r"RunReport\(measured=(\d+), done=(\d+), failed=0, missing=0")


def finished_with(log):
    (found,) = MEASURED.findall(log.read_text())
    return tuple(map(int, found))


def test_two_runs_of_one_recipe_share_the_work(
    fresh, finished, nursery, tmp_path, everything_measured
):
    logs = [tmp_path / "one.log", tmp_path / "two.log"]
    pids = [nursery.start(fresh, log) for log in logs]
    assert [nursery.wait(pid) for pid in pids] == [0, 0], [log.read_text() for log in logs]
    measured = [finished_with(log) for log in logs]
    assert sum(count for count, _ in measured) == 8, measured
    assert [done for _, done in measured] == [8, 8]
    assert all(count > 0 for count, _ in measured), measured
    assert everything_measured(fresh) == everything_measured(finished)
    assert fresh.rows("FROM conflicts") == []
    # float models, baselines and test sets were made by one of them as well
    assert len(list(fresh.store.merged.glob("k1-*.json"))) == 2
    stages = fresh.rows("SELECT count(*), count(DISTINCT run_id) FROM baseline_evaluations")
    assert stages[0][0] == 2 * 2 * 2


def test_a_cell_that_another_run_is_at_is_left_for_later(study, nursery, tmp_path):
    """The claim is held by this process; its cell is measured when it is given back."""
    other, log = {"grid": {"bits": [8, 3, 6]}}, tmp_path / "run.log"
    copy = study.copy(tmp_path / "copy")  # tells which names the fragments of new cells will have
    assert copy.run(other).measured == 4
    before = {path.name for path in study.store.merged.iterdir()}
    new = [path for path in sorted(copy.store.merged.iterdir()) if path.name not in before]
    cells = [path.stem for path in new if '"kind": "cell"' in path.read_text()]
    assert len(cells) == 4
    with claimed(study.store.fragments, cells[0], wait=False) as mine:
        assert mine
        pid = nursery.start(study, log, other)
        end = time.monotonic() + 60
        while not log.exists() or log.read_text().count(" 6 bits, ") < 3:
            assert time.monotonic() < end
            time.sleep(0.05)
        time.sleep(0.3)
        assert "finished" not in log.read_text()
    assert nursery.wait(pid) == 0
    assert finished_with(log) == (4, 12)


def test_a_fragment_of_before_does_not_stand_for_lost_rows(study):
    """Merged fragments of rows that the store no longer has: the cells are measured again."""
    with study.store.writing() as con:
        for table in ("evaluations", "cells", "distributions"):
            con.execute(f"DELETE FROM {table}")
    assert plan(study.store, study.recipe()).counts["missing"] == 8
    assert study.run().measured == 8
    assert study.one("SELECT done FROM progress") == 8


@pytest.mark.parametrize("wait", [True, False])
def test_a_claim_ends_with_its_block(tmp_path, wait):
    folder = tmp_path / "fragments"
    with claimed(folder, "one", wait=wait) as mine, claimed(folder, "two", wait=wait) as other:
        assert mine and other
        with claimed(folder, "one", wait=False) as second:
            assert not second
    with claimed(folder, "one", wait=wait) as again:
        assert again
    assert list((tmp_path / "in-use" / "measuring").iterdir()) == []
