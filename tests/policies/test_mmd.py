from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calibkit.errors import BadInput
from calibkit.identity import keyed_generator
from calibkit.policies.candidates import grid_exponent, on_grid
from calibkit.policies.mmd import (
    _COSINES,
    AMPLITUDE,
    discrepancy,
    fourier_kernel,
    median_distance,
    mmd,
    random_fourier_features,
)

VECTORS = hnp.arrays(
    np.float32, st.tuples(st.integers(2, 8), st.integers(1, 3)), elements=st.floats(-8, 8, width=16)
)


def kernel_of(features, dims=64, seed=0):
    sample = np.arange(len(features))
    return fourier_kernel(features, sample, keyed_generator(seed, "test"), dims)


@pytest.fixture(scope="module")
def vectors():
    rng = np.random.default_rng(0)
    return (rng.standard_normal((600, 5)) * [3, 1, 1, 0.5, 0.2]).astype(np.float32)


def test_inner_products_of_features_approach_the_rbf_kernel(vectors):
    some = vectors[:80]
    kernel = kernel_of(vectors, 1024)
    features = random_fourier_features(some, kernel)
    assert features.shape == (80, 1024)
    assert features.dtype == np.float32
    assert np.linalg.norm(features, axis=1) == pytest.approx(1, abs=5e-4)
    gaps = np.linalg.norm(some[:, None].astype(float) - some[None], axis=2)
    exact = np.exp(-(gaps**2) / (2 * kernel.bandwidth**2))
    error = features @ features.T - exact
    assert np.abs(error).max() < 5 / math.sqrt(512)
    assert np.sqrt((error**2).mean()) < 1 / math.sqrt(512)


def test_the_bandwidth_is_the_median_distance_of_the_sample(vectors):
    sample = np.arange(50, 110)
    kernel = fourier_kernel(vectors, sample, keyed_generator(0, "test"), 2)
    gaps = np.linalg.norm(vectors[sample][:, None].astype(float) - vectors[sample][None], axis=2)
    pairs = np.sort(gaps[np.triu_indices(60, 1)])
    assert kernel.bandwidth == pytest.approx(pairs[(len(pairs) - 1) // 2], rel=1e-5)


def test_only_points_that_differ_count_for_the_median():
    assert median_distance(np.array([[0.0], [0.0], [0.0], [0.0], [3.0]])) == 3.0
    assert median_distance(np.zeros((4, 2))) == 1.0


@settings(deadline=None, max_examples=50)
@given(VECTORS, st.integers(0, 5))
def test_the_features_equal_those_of_whole_number_arithmetic(vectors, seed):
    kernel = kernel_of(vectors, 6, seed)
    points = on_grid(vectors, kernel.exponent)
    found = kernel.steps(vectors)
    for row, point in enumerate(points):
        for column, frequency in enumerate(kernel.frequencies.T):
            turns = sum(int(x) * int(w) for x, w in zip(point, frequency, strict=True))
            phase = round(Fraction(turns * 4096, 2**kernel.shift)) % 4096
            angle = 2 * math.pi * phase / 4096
            assert found[row, column] == round(AMPLITUDE * math.cos(angle))
            assert found[row, 3 + column] == round(AMPLITUDE * math.sin(angle))


def test_no_entry_of_the_table_is_near_enough_to_a_half_to_differ_between_machines():
    exact = AMPLITUDE * np.cos(2 * np.pi * np.arange(4096) / 4096)
    assert np.abs(exact - np.floor(exact) - 0.5).min() > 1e-9
    assert (np.rint(exact) == _COSINES).all()


@settings(deadline=None, max_examples=50)
@given(VECTORS, st.data())
def test_sums_do_not_depend_on_the_order_or_the_blocks(vectors, data):
    order = data.draw(st.permutations(range(len(vectors))))
    kernel = kernel_of(vectors)
    total = kernel.total(vectors)
    assert (kernel.total(vectors[order]) == total).all()
    assert (kernel.steps(vectors).sum(axis=0, dtype=np.int64) == total).all()
    cut = data.draw(st.integers(0, len(vectors)))
    assert (kernel.total(vectors[:cut]) + kernel.total(vectors[cut:]) == total).all()


def test_mmd_is_the_distance_of_the_mean_features(vectors):
    kernel = kernel_of(vectors, 128)
    features = random_fourier_features(vectors, kernel).astype(float)
    subsets = [np.array([3]), np.arange(0, 600, 7)]
    expected = [np.linalg.norm(features[s].mean(0) - features.mean(0)) for s in subsets]
    assert mmd(vectors, subsets, kernel) == pytest.approx(expected, rel=1e-5)


def test_mmd_of_the_whole_pool_is_zero_and_falls_with_the_size_of_random_draws(vectors):
    kernel = kernel_of(vectors, 256)
    rng = np.random.default_rng(1)
    sizes = (5, 20, 80)
    draws = [[rng.choice(600, n, replace=False) for _ in range(150)] for n in sizes]
    means = [(mmd(vectors, some, kernel) ** 2).mean() for some in draws]
    for size, mean in zip(sizes, means, strict=True):
        # sampling without replacement: (1 - mean kernel value) / n times (N - n) / (N - 1)
        expected = (1 - mean_kernel(vectors, kernel)) / size * (600 - size) / 599
        assert mean == pytest.approx(expected, rel=0.15)
    assert mmd(vectors, [np.arange(600)], kernel).tolist() == [0.0]


def mean_kernel(vectors, kernel):
    features = random_fourier_features(vectors, kernel).astype(float)
    return float(features.mean(0) @ features.mean(0))


def test_a_shifted_subset_is_farther_than_a_random_one(vectors):
    kernel = kernel_of(vectors, 256)
    right = np.argsort(vectors[:, 0])[-100:]
    random, shifted = mmd(vectors, [np.arange(100), right], kernel)
    assert shifted > 3 * random


def test_sums_of_two_sets_are_enough(vectors):
    kernel = kernel_of(vectors)
    rows = np.arange(37)
    alone = discrepancy(kernel, kernel.total(vectors[rows]), 37, kernel.total(vectors), 600)
    assert alone == mmd(vectors, [rows], kernel)[0]


def test_dimensions_and_values_that_cannot_be_are_refused(vectors):
    for dims in (1, 3, 0, 1026):
        with pytest.raises(ValueError, match=f"dims is {dims}"):
            kernel_of(vectors, dims)
    broken = vectors.copy()
    broken[[2, 5], 1] = np.inf
    broken[5, 0] = np.nan
    with pytest.raises(BadInput, match="features of 2 documents are not finite"):
        kernel_of(broken)


@settings(deadline=None)
@given(
    hnp.arrays(np.float32, (4, 2), elements=st.floats(-(2.0**100), 2.0**100, width=32)),
    st.sampled_from([1, 64, 768, 4096]),
)
def test_projections_stay_exact_for_any_scale_and_width(values, width):
    wide = np.tile(values, (1, math.ceil(width / 2)))[:, :width]
    kernel = kernel_of(wide, 2)
    points = on_grid(wide, kernel.exponent)
    assert np.abs(kernel.frequencies).max() * np.abs(points).max() * width <= 2.0**53
    assert (kernel.frequencies == np.rint(kernel.frequencies)).all()
    assert kernel.steps(wide).shape == (4, 2)
    assert grid_exponent(wide) == kernel.exponent
