"""Ranges with two ends: the quantizer of an integer zero point, and how its ends are found."""

import numpy as np
import pytest
import torch
from brevitas.core.bit_width import BitWidthConst
from brevitas.core.function_wrapper import RoundSte
from brevitas.core.quant import IntQuant
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from calibkit.quantize.asymmetric import codes_between, mse_ends, percentile_ends
from calibkit.quantize.estimators import Codes, Histogram, mse_threshold
from calibkit.quantize.scaling import CodeRange, PerThreshold

ends = st.tuples(st.floats(-50, 50, width=32), st.floats(-50, 50, width=32)).filter(
    lambda pair: pair[0] <= pair[1] and max(abs(pair[0]), abs(pair[1])) > 1e-3
)


def rounded(x, codes, threshold):
    step = threshold / codes.per_threshold
    return np.clip(np.rint(x / step), codes.low, codes.high) * step


@given(ends, st.integers(2, 8))
def test_codes_reach_both_ends_to_half_a_step_and_have_a_zero(pair, bits):
    codes, threshold = codes_between(*pair, bits)
    assert codes.low <= 0 <= codes.high
    assert codes.high - codes.low == 2**bits - 1
    assert codes.per_threshold == max(-codes.low, codes.high)
    step = threshold / codes.per_threshold
    low, high = min(pair[0], 0), max(pair[1], 0)
    assert step == pytest.approx((high - low) / (2**bits - 1))
    assert abs(codes.low * step - low) <= 0.501 * step
    assert abs(codes.high * step - high) <= 0.501 * step


def test_a_site_of_zeros_has_an_ordinary_range():
    assert codes_between(0.0, 0.0, 4) == (Codes.activation(4, signed=True), 1.0)


@given(ends, st.integers(2, 8), st.integers(0, 99))
def test_it_is_brevitas_s_shifted_quantizer_but_for_halves(pair, bits, seed):
    codes, threshold = codes_between(*pair, bits)
    scale = torch.tensor(np.float32(threshold) / np.float32(codes.per_threshold))
    values = torch.randn(500, generator=torch.Generator().manual_seed(seed)) * 30
    ratio = values / scale
    halves = (ratio - ratio.floor() - 0.5).abs() < 1e-3
    values = values[~halves]
    ours = CodeRange(codes)
    theirs = IntQuant(narrow_range=False, signed=False, input_view_impl=nn.Identity())
    width = BitWidthConst(bits)()
    shifted = theirs(scale, torch.tensor(float(-codes.low)), width, values)
    torch.testing.assert_close(ours(scale, torch.tensor(0.0), width, values), shifted)
    assert PerThreshold(codes)(width) == codes.per_threshold
    assert isinstance(ours.float_to_int_impl, RoundSte)


def samples(seed, size=4000):
    rng = np.random.default_rng(seed)
    return (rng.normal(0.4, 1.0, size) * rng.exponential(1.0, size)).astype(np.float32)


@pytest.mark.parametrize("q", [95.0, 99.0, 99.9, 100.0])
def test_percentiles_are_taken_of_both_ends(q):
    values = samples(0)
    low, high = percentile_ends(Histogram.of(values), float(values.min()), float(values.max()), q)
    assert high == pytest.approx(np.percentile(values, q), rel=0.01, abs=0.02)
    assert low == pytest.approx(np.percentile(values, 100 - q), rel=0.01, abs=0.02)
    if q == 100:
        assert (low, high) == (values.min(), values.max())


@pytest.mark.parametrize("through", [np.positive, np.tanh])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("seed", range(3))
def test_two_ends_are_never_worse_than_one_threshold(seed, bits, through):
    values = samples(seed)
    seen = Histogram.of(values)
    symmetric = Codes.activation(bits, signed=True)
    one = rounded(values, symmetric, mse_threshold(seen, symmetric, through=through))
    two = rounded(values, *codes_between(*mse_ends(seen, bits, through=through), bits))
    exact = through(values)
    error_of_one, error_of_two = (np.square(through(v) - exact).mean() for v in (one, two))
    assert error_of_two <= error_of_one * 1.001


def test_one_sided_values_get_all_codes_on_their_side():
    values = np.abs(samples(5)) + np.float32(0.01)
    low, high = mse_ends(Histogram.of(values), 4)
    codes, threshold = codes_between(low, high, 4)
    assert codes.low == 0
    symmetric = Codes.activation(4, signed=True)
    one = rounded(values, symmetric, mse_threshold(Histogram.of(values), symmetric))
    two = rounded(values, codes, threshold)
    errors = [np.square(v - values).mean() for v in (one, two)]
    assert errors[1] < 0.5 * errors[0]


def test_zeros_alone_have_no_ends():
    nothing = Histogram.of(np.array([0.0, -0.0] * 5, dtype=np.float32))
    assert nothing.top == 0 and mse_threshold(nothing, Codes.activation(4, signed=True)) == 0
    assert mse_ends(nothing, 4) == (0.0, 0.0)
