"""One more control: where it lies, and whether a value could be one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from calibkit.measure.prediction import prediction


def test_the_formula():
    found = prediction(3.0, [0.0, 1.0, 2.0])
    assert (found.mean, found.sd, found.n) == (1.0, 1.0, 3)
    spread = np.sqrt(4 / 3)
    assert found.high == pytest.approx(1 + stats.t.ppf(0.975, 2) * spread)
    assert found.low == pytest.approx(1 - stats.t.ppf(0.975, 2) * spread)
    assert found.p == pytest.approx(2 * stats.t.sf(2 / spread, 2))
    assert found.is_outside and not prediction(2.0, [0.0, 1.0, 2.0]).is_outside


def test_p_is_at_most_a_twentieth_just_where_the_interval_ends():
    low = prediction(0.0, [0.0, 1.0, 2.0]).low
    assert prediction(low, [0.0, 1.0, 2.0]).p == pytest.approx(0.05)
    assert prediction(1.0, [0.0, 1.0, 2.0]).p == 1.0


def test_one_more_control_is_found_inside_as_often_as_it_says():
    rng = np.random.default_rng(0)
    draws = rng.normal(3, 2, size=(2000, 7))
    found = [prediction(float(row[0]), row[1:]) for row in draws]
    assert (
        0.93
        <= np.mean([f.low <= row[0] <= f.high for f, row in zip(found, draws, strict=True)])
        <= 0.97
    )
    outside = np.mean([one.is_outside for one in found])
    assert abs(outside - 2 / 7) < 0.04  # beyond all six of the others


def test_controls_that_are_all_the_same():
    assert prediction(1.0, [1.0, 1.0, 1.0]).p == 1.0
    found = prediction(1.5, [1.0, 1.0, 1.0])
    assert (found.p, found.low, found.high, found.is_outside) == (0.0, 1.0, 1.0, True)


def test_one_control_says_nothing():
    assert prediction(1.0, [1.0]) is None
