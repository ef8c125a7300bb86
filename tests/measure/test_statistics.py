import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from calibkit.errors import BadInput
from calibkit.measure.statistics import sign_flip_p, t_interval

numbers = st.integers(-100, 100).map(lambda i: i / 16)


@given(st.lists(numbers, min_size=2, max_size=12).filter(lambda v: len(set(v)) > 1))
def test_the_interval_is_that_of_scipy(values):
    found = t_interval(values, 0.9)
    low, high = stats.t.interval(0.9, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert (found.mean, found.sd) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    assert found.n == len(values)


def test_one_value_has_no_interval_and_equal_values_one_of_no_width():
    assert t_interval([]) is None
    assert t_interval([0.5]) is None
    assert t_interval([0.5, 0.5]).low == t_interval([0.5, 0.5]).high == 0.5


@given(st.lists(numbers, min_size=1, max_size=9))
def test_sign_flips_are_those_of_writing_all_patterns_out(values):
    sums = [
        abs(sum(s * v for s, v in zip(signs, values, strict=True)))
        for signs in itertools.product((-1, 1), repeat=len(values))
    ]
    expected = np.mean([s >= abs(sum(values)) for s in sums])
    assert sign_flip_p(values) == pytest.approx(expected)


def test_the_smallest_p_value_is_two_patterns():
    assert sign_flip_p([0.1] * 6) == pytest.approx(2 / 2**6)
    assert sign_flip_p([0.1, 0.2, 0.3]) == pytest.approx(2 / 2**3)  # .1 + .2 is not quite .3
    assert sign_flip_p([0.0, 0.0]) == 1.0
    assert sign_flip_p([]) is None


def test_many_draws_are_still_exact():
    values = np.random.default_rng(0).normal(0.3, 1.0, size=30)
    assert sign_flip_p(values) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.02)
    with pytest.raises(BadInput, match="41 differences"):
        sign_flip_p(np.ones(41))


def test_what_is_no_number_is_refused():
    with pytest.raises(BadInput, match="NaN"):
        t_interval([1.0, float("nan")])
    with pytest.raises(BadInput, match="level: 95"):
        t_interval([1.0, 2.0], 95)
