import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from calibkit.errors import BadInput
from calibkit.measure.equivalence import tost, tost_of, tost_power

numbers = st.lists(st.integers(-40, 40).map(lambda i: i / 4096), min_size=2, max_size=9)


@given(numbers.filter(lambda v: len(set(v)) > 1))
def test_the_two_tests_are_those_of_scipy(values):
    found = tost(values, margin=0.005)
    low = stats.ttest_1samp(values, -0.005, alternative="greater").pvalue
    high = stats.ttest_1samp(values, 0.005, alternative="less").pvalue
    assert found.p == pytest.approx(max(low, high), abs=1e-9)
    assert found.equivalent == (found.low >= -0.005 and found.high <= 0.005)


def test_no_difference_is_shown_and_never_assumed():
    assert tost([0.0, 0.0, 0.0]).equivalent  # nothing varies: the same numbers
    assert not tost([0.01, 0.01, 0.01]).equivalent
    assert not tost([0.02, -0.02]).equivalent  # a mean of 0 that shows nothing
    assert tost([0.001]) is None
    assert tost([]) is None
    with pytest.raises(BadInput, match="margin: 0"):
        tost([0.1, 0.2], margin=0)


@pytest.mark.parametrize("difference", [0.0, 0.002])
def test_power_is_what_simulated_studies_find(difference):
    rng = np.random.default_rng(5)
    sd, draws = 0.005, 12
    studies = rng.normal(difference, sd, size=(4000, draws))
    mean, se = studies.mean(1), studies.std(1, ddof=1) / np.sqrt(draws)
    found = np.mean([tost_of(m, s, draws - 1).equivalent for m, s in zip(mean, se, strict=True)])
    told = tost_power(difference, sd / np.sqrt(draws), draws - 1)
    assert told == pytest.approx(found, abs=2.6 * np.sqrt(0.25 / 4000) + 0.01)
    assert tost_power(0.001, 0.0, 5) == 1.0 and tost_power(0.006, 0.0, 5) == 0.0
