"""Spearman's r against scipy, its interval and p value under simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from calibkit.errors import BadInput
from calibkit.measure.rank_correlation import rank_correlation, ranks

numbers = st.integers(-5, 5).map(float)


@given(st.lists(numbers, min_size=1, max_size=30))
def test_ranks_are_those_of_scipy(values):
    assert ranks(np.array(values)).tolist() == rankdata(values).tolist()


def test_r_and_p_are_those_of_scipy():
    rng = np.random.default_rng(0)
    for n, ties in ((8, False), (20, True), (40, False)):
        x, y = rng.normal(size=(2, n))
        y += x
        if ties:
            x, y = x.round(), y.round()
        found, expected = rank_correlation(x, y), spearmanr(x, y)
        assert found.n == n and found.r == pytest.approx(expected.statistic)
        assert found.p == pytest.approx(expected.pvalue, abs=0.02)
        half = 1.959964 * math.sqrt((1 + found.r**2 / 2) / (n - 3))
        assert found.low == pytest.approx(math.tanh(math.atanh(found.r) - half), abs=1e-6)
        assert found.low < found.r < found.high


def test_it_depends_on_order_alone_and_is_the_same_again():
    x, y = np.random.default_rng(1).normal(size=(2, 15))
    assert rank_correlation(np.exp(x), y**3) == rank_correlation(x, y)
    turned = rank_correlation(x, -y)
    assert turned.r == pytest.approx(-rank_correlation(x, y).r)


def test_perfect_order_has_the_smallest_p():
    found = rank_correlation(range(12), range(12))
    assert found.r == 1 and found.p == pytest.approx(1e-4, abs=1e-9) and 0.99 < found.low <= 1


def test_intervals_cover_and_p_values_are_uniform_without_any_relation():
    rng = np.random.default_rng(2)
    found = [rank_correlation(*rng.normal(size=(2, 12))) for _ in range(150)]
    covered = np.mean([one.low <= 0 <= one.high for one in found])
    assert 0.88 <= covered <= 0.99
    assert 0.01 <= np.mean([one.p <= 0.1 for one in found]) <= 0.19


def test_what_has_no_correlation():
    assert rank_correlation([1, 2, 3], [1, 2, 3]) is None
    assert rank_correlation([1, 1, 1, 1], [1, 2, 3, 4]) is None
    with pytest.raises(BadInput, match="of one length"):
        rank_correlation([1, 2, 3, 4], [1, 2, 3])
    with pytest.raises(BadInput, match="finite"):
        rank_correlation([1, 2, 3, math.nan], [1, 2, 3, 4])
    with pytest.raises(BadInput, match="level: 1"):
        rank_correlation([1, 2, 3, 4], [1, 2, 3, 4], level=1)
