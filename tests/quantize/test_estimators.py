import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.quantize.estimators import (
    Codes,
    Histogram,
    keys,
    kl_threshold,
    mse_threshold,
    row_mse_thresholds,
)

finite = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)


def quantized(x, threshold, codes):
    step = threshold / codes.per_threshold
    return np.clip(np.rint(x / step), codes.low, codes.high) * step


@given(st.lists(finite, min_size=1, max_size=200))
def test_a_histogram_keeps_every_value_within_half_a_percent(values):
    x = np.array(values, dtype=np.float32)
    seen = Histogram.of(x)
    assert seen.counts.sum() == len(x)
    assert (np.diff(seen.levels) > 0).all()
    middles = np.repeat(seen.levels, seen.counts)
    np.testing.assert_allclose(middles, np.sort(x), rtol=0.004, atol=1e-37)


@given(st.lists(finite, min_size=2, max_size=60), st.integers(0, 60))
def test_counts_add_up_in_any_split(values, at):
    x = np.array(values, dtype=np.float32)
    whole = np.bincount(keys(x), minlength=1 << 17)
    parts = [np.bincount(keys(part), minlength=1 << 17) for part in (x[at:], x[:at])]
    assert np.array_equal(whole, sum(parts))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), bits=st.integers(2, 8), signed=st.booleans())
def test_mse_is_as_good_as_any_threshold_of_a_dense_search(seed, bits, signed):
    rng = np.random.default_rng(seed)
    x = rng.standard_t(3, size=3000).astype(np.float32)
    x = x if signed else np.abs(x)
    codes = Codes.activation(bits, signed=signed)
    found = mse_threshold(Histogram.of(x), codes)
    dense = np.geomspace(0.01, 1.1, 400) * np.abs(x).max()
    errors = [np.square(x - quantized(x, t, codes)).mean() for t in dense]
    assert np.square(x - quantized(x, found, codes)).mean() <= min(errors) * 1.02


def test_few_bits_clip_more_than_many():
    x = np.random.default_rng(0).normal(size=20_000).astype(np.float32)
    seen = Histogram.of(x)
    by_bits = [mse_threshold(seen, Codes.activation(b, signed=True)) for b in (2, 3, 4, 6, 8)]
    assert by_bits == sorted(by_bits)
    assert 1 < by_bits[0] < by_bits[-1] <= np.abs(x).max() * 1.02


def test_kl_keeps_the_bulk_of_a_bell_at_eight_bits():
    x = np.random.default_rng(0).normal(size=20_000).astype(np.float32)
    assert 2.5 < kl_threshold(Histogram.of(x), Codes.activation(8, signed=True)) < 5


def test_kl_ignores_a_lonely_outlier_that_minmax_would_keep():
    x = np.append(np.random.default_rng(1).normal(size=50_000), 400.0).astype(np.float32)
    assert kl_threshold(Histogram.of(x), Codes.activation(4, signed=True)) < 40


@pytest.mark.parametrize("estimator", [mse_threshold, kl_threshold])
def test_a_silent_site_has_no_range(estimator):
    silent = Histogram.of(np.zeros(5, np.float32))
    assert estimator(silent, Codes.activation(4, signed=True)) == 0


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), bits=st.integers(2, 8))
def test_rows_are_never_worse_off_than_under_their_own_maximum(seed, bits):
    w = np.random.default_rng(seed).standard_t(4, size=(7, 40)).astype(np.float32)
    w[3] = 0.0
    codes = Codes.weight(bits)
    found = row_mse_thresholds(w, codes)
    assert found[3, 0] == 0.0
    found = np.where(found > 0, found, 1)
    widest = np.where(np.abs(w).max(1, keepdims=True) > 0, np.abs(w).max(1, keepdims=True), 1)
    by_mse = np.square(w - quantized(w, found, codes)).sum(1)
    by_max = np.square(w - quantized(w, widest, codes)).sum(1)
    assert (by_mse <= by_max * (1 + 1e-6) + 1e-12).all()


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("through", [np.positive, np.tanh])
def test_the_threshold_is_the_one_of_least_error_written_out(bits, through):
    x = np.random.default_rng(bits).normal(0, 2, 20_000).astype(np.float32)
    x[:20] *= 6
    seen, codes = Histogram.of(x), Codes.activation(bits, signed=True)

    def error(threshold):
        step = threshold / codes.per_threshold
        rounded = np.clip(np.rint(seen.levels / step), codes.low, codes.high) * step
        return seen.counts @ np.square(through(seen.levels) - through(rounded))

    best = mse_threshold(seen, codes, through=through)
    others = np.geomspace(0.02, 1, 200) * seen.top * codes.per_threshold / codes.high
    assert error(best) <= min(map(error, others)) * 1.001


def test_what_a_nonlinearity_flattens_is_clipped_for_finer_steps():
    x = np.random.default_rng(0).normal(0, 3, 20_000).astype(np.float32)
    seen, codes = Histogram.of(x), Codes.activation(4, signed=True)
    assert mse_threshold(seen, codes, through=np.tanh) < 0.5 * mse_threshold(seen, codes)
