import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from calibkit.errors import BadInput
from calibkit.measure.ks import ks_against_levels, ks_distance, ks_p_value, ordered
from calibkit.measure.wasserstein import wasserstein_against_levels, wasserstein_per_sigma

small = st.integers(-8, 8).map(lambda i: i / 4)  # a coarse grid, so that ties are common
wide = st.floats(-1e3, 1e3, width=32)
samples = hnp.arrays(np.float32, st.integers(1, 40), elements=small) | hnp.arrays(
    np.float32, st.integers(1, 40), elements=wide
)


def scipy_ks(a, b):
    with warnings.catch_warnings():  # its p value, of no interest here, cannot do with few values
        warnings.simplefilter("ignore", RuntimeWarning)
        return stats.ks_2samp(a, b, method="asymp").statistic


@st.composite
def quantized(draw):
    """Levels with counts, some of them zero."""
    levels = draw(st.lists(small, min_size=1, max_size=9, unique=True).map(sorted))
    counts = draw(
        st.lists(st.integers(0, 6), min_size=len(levels), max_size=len(levels)).filter(any)
    )
    return np.array(levels), np.array(counts)


@given(samples, samples)
def test_distances_between_samples_are_those_of_scipy(a, b):
    assert ks_distance(a, b) == pytest.approx(scipy_ks(a, b))
    found = wasserstein_per_sigma(a, b)
    if np.ptp(a) == 0:
        assert found is None
    else:
        assert found == pytest.approx(
            stats.wasserstein_distance(a, b) / np.std(a, dtype=np.float64), rel=1e-5, abs=1e-9
        )


@given(samples, quantized())
def test_distances_to_levels_are_those_of_the_sample_written_out(a, levels_and_counts):
    levels, counts = levels_and_counts
    b = np.repeat(levels, counts)
    assert ks_against_levels(np.sort(a), levels, counts) == pytest.approx(scipy_ks(a, b))
    found = wasserstein_against_levels(np.sort(a), levels, counts)
    if np.ptp(a) == 0:
        assert found is None
    else:
        assert found == pytest.approx(
            stats.wasserstein_distance(a, b) / np.std(a, dtype=np.float64), rel=1e-5, abs=1e-9
        )


@given(hnp.arrays(np.float32, st.integers(2, 60), elements=wide), st.integers(2, 5))
def test_a_rounded_sample_of_the_same_size_gives_the_same_by_either_way(a, bits):
    scale = max(float(np.abs(a).max()), 1e-3) / (2 ** (bits - 1) - 1)
    codes = np.rint(a / scale).astype(int)
    levels, counts = np.unique(codes, return_counts=True)
    b = codes * scale
    assert ks_against_levels(np.sort(a), levels * scale, counts) == pytest.approx(ks_distance(a, b))
    if np.ptp(a) > 0:
        assert wasserstein_against_levels(np.sort(a), levels * scale, counts) == pytest.approx(
            wasserstein_per_sigma(a, b), rel=1e-5, abs=1e-9
        )


def test_the_left_limit_at_a_level_counts():
    # everything is rounded up onto 1: just below 1 the two distributions are furthest apart
    assert ks_against_levels(np.array([0.2, 0.4, 0.6, 0.8]), np.array([1.0]), np.array([4])) == 1.0


def test_distance_is_zero_for_a_shuffled_copy_and_one_for_disjoint_samples():
    a = np.random.default_rng(0).normal(size=500).astype(np.float32)
    assert ks_distance(a, a[::-1]) == 0.0
    assert wasserstein_per_sigma(a, a[::-1]) == 0.0
    assert ks_distance(a, a + 100) == 1.0
    assert wasserstein_per_sigma(a, a * 0 + a + 100) == pytest.approx(100 / a.std(), rel=1e-5)


def test_the_p_value_is_close_to_that_of_scipy_for_large_samples():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=4000), rng.normal(0.05, size=3000)
    expected = stats.ks_2samp(a, b, method="asymp")
    assert ks_p_value(expected.statistic, 4000, 3000) == pytest.approx(expected.pvalue, rel=0.05)
    assert ks_p_value(0.0, 10, 10) == 1.0
    assert ks_p_value(1.0, 2_000_000, 2_000_000) == 0.0


@pytest.mark.parametrize("bad", [[], [np.nan, 1.0], [1.0, np.inf], [-np.inf, 0.0]])
def test_samples_without_a_distribution_are_refused(bad):
    with pytest.raises(BadInput, match="sample"):
        ks_distance(np.array(bad), np.ones(3))


@pytest.mark.parametrize(
    ("levels", "counts"),
    [([1.0, 0.0], [1, 1]), ([0.0, 0.0], [1, 1]), ([0.0, 1.0], [0, 0]), ([0.0], [1, 1])],
)
def test_levels_that_make_no_distribution_are_refused(levels, counts):
    with pytest.raises(BadInput, match="level|counts"):
        ks_against_levels(np.zeros(3), np.array(levels), np.array(counts))


def test_a_tensor_of_any_shape_is_one_sample():
    assert ordered(np.array([[3.0, 1.0], [2.0, 0.0]])).tolist() == [0, 1, 2, 3]
