"""Ratios, requantization, powers and logarithms against exact rational arithmetic."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from calibkit.engine.integer.fixed_point import (
    Multipliers,
    Requantizer,
    WholeMatrix,
    check,
    rescaled,
)
from calibkit.engine.integer.powers import ONE, POWER_BITS, log2, log_table, power, power_table
from calibkit.engine.integer.scores import log_softmax
from calibkit.errors import BadInput

# ------------------------------------------------------------------------------------- ratios


@given(ratio=st.floats(1e-30, 2.0**30))
@example(ratio=1.0)
@example(ratio=0.5)
@example(ratio=1 - 2.0**-40)  # rounds up to a power of two
def test_a_ratio_is_the_nearest_multiple_of_its_power_of_two(ratio):
    found = Multipliers.of(ratio, "site")
    value = int(found.values)
    assert 0 <= found.shift <= 62
    assert abs(Fraction(value, 2**found.shift) - Fraction(ratio)) <= Fraction(1, 2**found.shift) / 2
    assert value < 2**31 and (value >= 2**30 or found.shift == 62)


def test_ratios_that_are_used_together_share_the_shift_of_the_largest():
    ratios = np.array([[0.003, 0.0001], [0.0007, 2e-9]])
    found = Multipliers.of(ratios, "site")
    assert found.shift == Multipliers.of(0.003, "site").shift
    assert found.values.tolist() == [[round(r * 2**found.shift) for r in row] for row in ratios]


def test_a_shift_can_be_kept_small():
    assert Multipliers.of(1e-6, "site", most=40).shift == 40
    assert int(Multipliers.of(1e-6, "site", most=40).values) == round(1e-6 * 2**40)


def test_ratios_and_products_out_of_range_are_refused_by_the_name_of_the_site():
    with pytest.raises(BadInput, match=r"lstm\.cell: the ratio of its scales is 4\.29e\+09"):
        Multipliers.of(2.0**32, "lstm.cell")
    with pytest.raises(BadInput, match=r"lstm\.acc_input: its sums of products.*float-torch"):
        check(1 << 62, 40, "lstm.acc_input")
    with pytest.raises(BadInput, match="decoder: "):
        check(1 << 60, 29, "decoder")  # 2^31 after the shift
    check((1 << 62) - 1, 32, "decoder")
    with pytest.raises(BadInput, match=r"lstm\.io: its sums of products come up to 2147483648"):
        WholeMatrix(torch.full((1, 1 << 17), 128), largest=128, site="lstm.io")


# ------------------------------------------------------------------------------- requantization


def exactly(value: int, multiplier: int, shift: int) -> int:
    return math.floor(Fraction(value * multiplier, 2**shift) + Fraction(1, 2))


@given(
    value=st.integers(-(2**30), 2**30),
    multiplier=st.integers(0, 2**31 - 1),
    shift=st.integers(0, 62),
)
def test_rescaling_is_exact_and_rounds_halves_upward(value, multiplier, shift):
    found = rescaled(torch.tensor([value * multiplier]), shift)
    assert found.tolist() == [exactly(value, multiplier, shift)]


def test_ties_go_up_on_both_sides_of_zero():
    halves = torch.tensor([-5, -3, -1, 1, 3, 5])
    assert rescaled(halves * (1 << 30), 31).tolist() == [-2, -1, 0, 1, 2, 3]


@given(ratio=st.floats(1e-6, 1e6), bits=st.integers(2, 8), signed=st.booleans())
def test_requantized_codes_are_those_of_the_rational_ratio(ratio, bits, signed):
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    to = Requantizer.of(ratio, low, high, largest=2**15, site="site")
    values = torch.arange(-(2**15), 2**15, 97)
    expected = [
        min(max(exactly(int(v), to.multiplier, to.shift), low), high) for v in values.tolist()
    ]
    assert to(values).tolist() == expected
    # and of the ratio itself wherever that is not within rounding of a tie
    for value, code in zip(values.tolist(), expected, strict=True):
        exact = Fraction(value) * Fraction(ratio) + Fraction(1, 2)
        if abs(exact - round(exact)) > Fraction(1, 2**14):
            assert code == min(max(math.floor(exact), low), high)


# ------------------------------------------------------------------------------------- products


@given(
    columns=st.sampled_from([1, 7, 100, 3000]),
    rows=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_products_of_codes_are_exact(columns, rows, seed):
    rng = np.random.default_rng(seed)
    codes = rng.integers(-127, 128, (4, columns))
    codes[0] = 127
    inputs = rng.integers(-128, 128, (rows, columns))
    inputs[0] = -128
    matrix = WholeMatrix(torch.from_numpy(codes), largest=128, site="site")
    assert matrix(torch.from_numpy(inputs)).numpy().tolist() == (inputs @ codes.T).tolist()
    some = matrix(torch.from_numpy(inputs), words=slice(1, 3))
    assert some.numpy().tolist() == (inputs @ codes[1:3].T).tolist()
    assert matrix.bound.tolist() == (128 * np.abs(codes).sum(axis=1)).tolist()
    assert matrix.columns.dtype == (torch.float64 if columns == 3000 else torch.float32)


# -------------------------------------------------------------------------- powers and logarithms


def test_powers_of_two_are_right_at_every_fraction():
    for whole in (0, 1, 7, 20, 28, 29, 30, 31, 40, 5000):
        distance = whole * ONE + np.arange(ONE)
        exact = 2.0 ** (POWER_BITS - distance / ONE)
        found = power(torch.from_numpy(distance)).numpy()
        assert (np.abs(found - exact) <= 0.5 + 1.5e-6 * exact + 1e-9).all()
    assert power(torch.tensor([0, ONE, 28 * ONE, 31 * ONE])).tolist() == [1 << 29, 1 << 28, 2, 0]


def test_powers_are_not_biased():
    distance = np.arange(ONE)
    found = power(torch.from_numpy(distance)).numpy() / 2.0 ** (POWER_BITS - distance / ONE) - 1
    assert abs(found.mean()) < 4e-7


@given(value=st.integers(1, 2**62 - 1))
@example(value=2**62 - 1)
@example(value=2**53 - 1)
def test_logarithms_are_right_to_a_hundred_thousandth_bit(value):
    found = int(log2(torch.tensor([value])))
    assert abs(found / ONE - math.log2(value)) < 1e-5


def test_logarithms_of_powers_of_two_are_exact():
    values = torch.tensor([1 << k for k in range(63)])
    assert log2(values).tolist() == [k * ONE for k in range(63)]


def test_tables_are_the_nearest_whole_numbers():
    assert power_table()[0] == 2**30 - 1  # 15 high bits must fit 15 bits
    assert power_table()[1:] == tuple(round(2 ** (30 - i / 32)) for i in range(1, 32))
    assert log_table()[0] == 0 and log_table()[512] == 1 << 24
    assert log_table() == tuple(round(math.log2(1 + i / 512) * 2**24) for i in range(513))


# --------------------------------------------------------------------------------------- scores


@given(
    logits=st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=20),
    shift=st.integers(30, 46),
)
def test_scores_are_log_softmax_and_their_largest_is_the_largest_logit(logits, shift):
    whole = torch.tensor([logits])
    found = log_softmax(whole, shift)
    expected = (whole.to(torch.float64) * 2.0**-shift).log_softmax(1)
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=1e-14)
    tied = [i for i, logit in enumerate(logits) if logit == max(logits)]
    assert (found[0] == found.max()).nonzero()[:, 0].tolist() == tied


def test_a_logit_that_is_one_unit_larger_wins():
    for labels in (2, 14, 200, 3000):
        logits = torch.full((1, labels), 1 << 44)
        logits[0, -1] += 1
        assert int(log_softmax(logits, 46).argmax()) == labels - 1


def test_far_labels_keep_finite_scores():
    found = log_softmax(torch.tensor([[0, -(1 << 62), -(1 << 45)]]), 34)
    assert torch.isfinite(found).all() and found[0, 0] == 0.0
