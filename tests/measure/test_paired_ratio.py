from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from calibkit.errors import BadInput
from calibkit.measure.paired_ratio import ratio_interval


def fieller(x: np.ndarray, y: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The ends by the closed formula, for one float model."""
    n, q = len(x), float(student.ppf((1 + level) / 2, len(x) - 1)) ** 2
    (xx, xy), (_, yy) = np.cov(x, y) / n
    a = y.mean() ** 2 - q * yy
    b = x.mean() * y.mean() - q * xy
    c = x.mean() ** 2 - q * xx
    root = math.sqrt(b * b - a * c)
    return (b - root) / a, (b + root) / a


@given(st.integers(0, 2**32 - 1), st.integers(3, 12))
def test_with_one_model_it_is_fiellers_interval(seed, draws):
    random = np.random.default_rng(seed)
    y = 0.05 + 0.002 * random.standard_normal(draws)
    x = 0.8 * y + 0.003 * random.standard_normal(draws)
    found = ratio_interval([x], [y])
    assert found is not None
    assert found.ratio == pytest.approx(x.mean() / y.mean())
    assert (found.low, found.high) == pytest.approx(fieller(x, y), rel=1e-6)


def test_a_constant_share_has_no_width():
    y = np.array([[0.02, 0.03, 0.04, 0.03]])
    found = ratio_interval(0.5 * y, y)
    assert found is not None
    assert (found.ratio, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))


def test_several_models_make_it_wider_where_they_differ():
    y = np.tile([0.02, 0.021, 0.019, 0.02], (3, 1))
    shares = np.array([[0.5], [0.8], [1.1]])
    several, one = ratio_interval(shares * y, y), ratio_interval([0.8 * y[0]], [y[0]])
    assert several is not None and one is not None
    assert several.ratio == pytest.approx(one.ratio)
    assert several.low < 0.3 and several.high > 1.2


def test_a_loss_is_a_negative_share():
    found = ratio_interval([[-0.01, -0.011, -0.009]], [[0.02, 0.02, 0.021]])
    assert found is not None and found.high < 0


@pytest.mark.parametrize(
    "below", [[[0.01, -0.01, 0.02]], [[0.02]], [[0.0, 0.0, 0.0]]], ids=["wide", "one", "nothing"]
)
def test_a_share_of_what_may_be_nothing_is_none(below):
    assert ratio_interval(below, below) is None


def test_tables_of_other_shapes_are_refused():
    with pytest.raises(BadInput, match="shapes"):
        ratio_interval([[0.1, 0.2]], [[0.1], [0.2]])


def test_it_covers_what_it_promises():
    random = np.random.default_rng(7)
    covered = 0
    for _ in range(300):
        y = 0.03 + 0.006 * random.standard_normal(6)
        x = 0.7 * y + 0.004 * random.standard_normal(6)
        found = ratio_interval([x], [y])
        if found is not None:
            covered += found.low <= 0.7 <= found.high
    assert 275 <= covered <= 296
