import pytest

from calibkit.sweep.estimate import estimate
from calibkit.sweep.plan import plan

ONE_CELL = {
    "grid": {"model": ["discriminative"], "policy": ["random"], "seed": [0], "bits": [8]},
    "measure": {"noise": {"keyboard": None}, "distributions": []},
}


def test_the_estimate_rests_on_this_hosts_own_timings(fresh):
    more = {**ONE_CELL, "grid": {**ONE_CELL["grid"], "bits": [8, 7, 6]}}
    assert estimate(fresh.store, plan(fresh.store, fresh.recipe(more))).seconds(1) is None
    fresh.run(ONE_CELL)
    found = estimate(fresh.store, plan(fresh.store, fresh.recipe(more)))
    (timed,) = fresh.rows("SELECT seconds FROM cells")
    assert found.cells == 1 and found.training_seconds == 0
    assert found.cell_seconds == pytest.approx(2 * timed[0])
    assert found.seconds(2) == pytest.approx(timed[0])
