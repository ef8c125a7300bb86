import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calibkit.errors import BadInput
from calibkit.measure import shift, wasserstein
from calibkit.measure.shift import (
    clip_rate,
    code_changes,
    range_use,
    shift_between,
    shift_between_levels,
    shift_to_levels,
    sqnr_db,
    tail_magnitude,
)
from calibkit.measure.wasserstein import wasserstein_against_levels

normal = np.random.default_rng(3).normal(size=20_000).astype(np.float32)


def test_levels_and_the_written_out_sample_give_the_same_row():
    codes = np.clip(np.rint(normal / 0.25), -8, 7).astype(int)
    levels, counts = np.unique(codes, return_counts=True)
    direct = shift_between("weight", "w", "float-quantized", normal, codes * 0.25)
    short = shift_to_levels(
        "weight", "w", "float-quantized", np.sort(normal), levels * 0.25, counts
    )
    for field in dataclasses.fields(direct):
        a, b = getattr(direct, field.name), getattr(short, field.name)
        assert a == b if a is None or isinstance(a, str) else a == pytest.approx(b), field.name
    assert direct.n_a == direct.n_b == 20_000
    assert 0.05 < direct.ks < 0.15  # half of the values near 0 sit on one level
    assert direct.tail_p9999 == pytest.approx(2.0 / np.quantile(np.abs(normal), 0.9999), rel=0.02)


@given(st.integers(0, 999), st.integers(1, 400), st.integers(1, 400), st.sampled_from([3, 9, 60]))
def test_two_samples_at_levels_give_the_row_of_the_samples_written_out(seed, n_a, n_b, wide):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(-wide, wide + 1, n_a), rng.integers(-wide, wide // 2 + 1, n_b)
    levels = np.arange(-wide, wide + 1)
    before, after = (np.bincount(x + wide, minlength=len(levels)) for x in (a, b))
    direct = shift_between("weights", "w", "nearest-rounded", a * 0.25, b * 0.25)
    short = shift_between_levels("weights", "w", "nearest-rounded", levels * 0.25, before, after)
    for field in dataclasses.fields(direct):
        x, y = getattr(direct, field.name), getattr(short, field.name)
        assert x == y if x is None or isinstance(x, str) else x == pytest.approx(y), field.name


def test_samples_longer_than_a_block_are_paired_like_short_ones(monkeypatch):
    codes = np.clip(np.rint(normal / 0.25), -8, 7).astype(int)
    levels, counts = np.unique(codes, return_counts=True)
    whole = wasserstein_against_levels(np.sort(normal), levels * 0.25, counts)
    power = sqnr_db(normal, codes * 0.25)
    for module in (wasserstein, shift):
        monkeypatch.setattr(module, "BLOCK", 777)
    assert wasserstein_against_levels(np.sort(normal), levels * 0.25, counts) == pytest.approx(
        whole
    )
    paired = np.abs(np.sort(normal).astype(float) - np.sort(codes * 0.25)).mean()
    assert whole == pytest.approx(paired / normal.std(dtype=float))
    assert sqnr_db(normal, codes * 0.25) == pytest.approx(power)


def test_a_constant_sample_has_a_distance_but_no_shift_in_sigmas():
    row = shift_between("activation", "h", "float-quantized", np.zeros(5), np.ones(5))
    assert (row.ks, row.wasserstein, row.tail_p999) == (1.0, None, None)
    row = shift_to_levels("activation", "h", "p", np.zeros(5), np.array([0.0]), np.array([5]))
    assert (row.ks, row.wasserstein, row.tail_p999) == (0.0, None, None)
    with pytest.raises(BadInput, match="empty"):
        shift_to_levels("activation", "h", "p", np.zeros(0), np.array([0.0]), np.array([5]))


@given(
    hnp.arrays(np.float32, st.integers(1, 3_000), elements=st.floats(-9, 9, width=32)),
    st.sampled_from([0.5, 0.9, 0.999, 0.9999]),
)
def test_the_tail_is_the_quantile_of_the_magnitudes(values, share):
    expected = np.sort(np.abs(values))[int(np.ceil(round(share * len(values), 6))) - 1]
    assert tail_magnitude(np.sort(values), share) == expected


def test_sqnr_of_known_signals():
    assert sqnr_db(np.array([10.0, -10.0]), np.array([9.0, -9.0])) == pytest.approx(20.0)
    assert sqnr_db(np.zeros(4), np.ones(4)) is None
    assert sqnr_db(np.ones(4), np.ones(4)) is None


def test_clipping_and_the_use_of_the_range():
    x = np.array([-3.0, -1.0, 0.0, 1.0, 5.0])
    assert clip_rate(x, -1.0, 1.0) == pytest.approx(0.4)
    assert clip_rate(x, -3.0, 5.0) == 0.0
    assert range_use(x, -1.0, 1.0) == 1.0
    assert range_use(x, -6.0, 10.0) == pytest.approx(0.5)
    assert range_use(x, 0.0, 0.0) is None


def test_code_changes_are_counted_and_sized():
    assert code_changes(np.array([0, 1, -2, 3], np.int8), np.array([0, 2, -2, 0], np.int8)) == (
        0.5,
        1.0,
    )
    assert code_changes(np.array([0], np.uint8), np.array([3], np.uint8)) == (1.0, 3.0)
