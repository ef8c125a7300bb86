import inspect

import numpy as np
import pytest
from scipy import stats

from calibkit.errors import BadInput
from calibkit.measure.bca import bca_interval
from calibkit.measure.statistics import t_interval


@pytest.fixture(scope="module")
def skewed() -> np.ndarray:
    return np.random.default_rng(2).exponential(0.01, size=30) - 0.005


def test_it_is_that_of_scipy_and_leans_with_the_sample(skewed):
    low, high = bca_interval(skewed)
    name = "rng" if "rng" in inspect.signature(stats.bootstrap).parameters else "random_state"
    other = stats.bootstrap((skewed,), np.mean, **{name: np.random.default_rng(8)})
    assert (low, high) == pytest.approx(tuple(other.confidence_interval), abs=3e-4)
    assert high - skewed.mean() > skewed.mean() - low
    student = t_interval(skewed)
    assert low == pytest.approx(student.low, abs=2e-3)


def test_it_does_not_depend_on_order_and_turns_with_the_sign(skewed):
    low, high = bca_interval(skewed)
    assert bca_interval(skewed[::-1]) == (low, high)
    assert bca_interval(-skewed) == (-high, -low)


def test_few_draws_have_none_and_equal_ones_no_width(skewed):
    assert bca_interval(skewed[:29]) is None
    assert bca_interval([0.25] * 30) == (0.25, 0.25)
    with pytest.raises(BadInput, match="NaN"):
        bca_interval([float("nan")] * 30)
    with pytest.raises(BadInput, match="level: 95"):
        bca_interval(skewed, 95)
