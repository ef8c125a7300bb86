import numpy as np
import pytest

from calibkit.engine.calibrate import calibrate
from calibkit.engine.shifts import (
    FLOAT_QUANTIZED,
    NEAREST_ROUNDED,
    activation_shifts,
    float_sites,
    ordered_weights,
    weight_shifts,
)
from calibkit.engine.statistics import values_per_site
from calibkit.measure.shift import shift_between
from calibkit.quantize.schemes import SchemeSettings, resolve
from calibkit.quantize.sites import ACTIVATION_SITES, WEIGHT_SITES


def calibrated(model, tokens, bits, rounding="nearest", **settings):
    scheme = resolve(SchemeSettings(**settings), bits=bits, rounding=rounding)
    return calibrate(model.kind, model.arrays, tokens, scheme), scheme


def test_float_and_quantized_values_are_paired_position_by_position(float_classifier, wrapped):
    """At 8 bits every site's values are close; paired with others they would not be (< 3 dB)."""
    model = float_classifier
    done, scheme = calibrated(model, wrapped, 8)
    reference = float_sites(model.kind, model.arrays, wrapped)
    for shift in activation_shifts(done, scheme, wrapped, reference):
        assert shift.sqnr_db > 15, shift.site
        assert shift.ks < 0.1, shift.site


def test_every_site_counts_its_real_values_and_no_padding(float_classifier, wrapped):
    model = float_classifier
    done, scheme = calibrated(model, wrapped, 4)
    reference = float_sites(model.kind, model.arrays, wrapped)
    rows = activation_shifts(done, scheme, wrapped, reference)
    assert [r.site for r in rows] == list(ACTIVATION_SITES[model.kind])
    expected = values_per_site(model.kind, model.arrays, wrapped)
    if model.kind == "generative":  # the h half, once
        expected["decoder.input"] //= 2 * len(model.arrays["label_embedding.weight"])
    for row in rows:
        assert row.n_a == row.n_b == expected[row.site]
        assert (row.quantity, row.pair, row.bits) == ("activations", FLOAT_QUANTIZED, 4)
        assert row.threshold == done.activation_thresholds[row.site]
        assert 0 <= row.clip_rate <= 1
        assert 0 <= row.range_use <= 1


def test_the_shift_of_the_first_site_is_that_of_quantizing_it_alone(float_classifier, wrapped):
    """The site ``input`` sees nothing quantized before it but the embedding."""
    model = float_classifier
    scheme = resolve(SchemeSettings(bits={"embedding": 8}), bits=3)
    done = calibrate(model.kind, model.arrays, wrapped, scheme)
    reference = float_sites(model.kind, model.arrays, wrapped)
    row = activation_shifts(done, scheme, wrapped, reference)[0]
    threshold = done.activation_thresholds["input"]
    rows = np.concatenate([wrapped[i][:-1] for i in range(60)])
    if model.kind == "discriminative":
        rows = wrapped.ids
    table = model.arrays["embedding.weight"]
    step8 = np.abs(table).max() / np.float32(127)
    embedded = np.rint(table / step8) * step8
    step = np.float32(threshold) / np.float32(4)
    quantized = np.clip(np.rint(embedded / step), -4, 3) * step
    alone = shift_between("activations", "input", "", table[rows].ravel(), quantized[rows].ravel())
    assert row.ks == pytest.approx(alone.ks, abs=1e-12)
    assert row.wasserstein == pytest.approx(alone.wasserstein, rel=1e-6)
    outside = (table[rows] > 3 * step) | (table[rows] < -4 * step)
    assert row.clip_rate == pytest.approx(outside.mean(), abs=1e-12)


@pytest.mark.parametrize("weights", ["per-tensor", "per-channel"])
def test_weights_out_of_reach_do_not_depend_on_the_subset(float_classifier, wrapped, weights):
    model = float_classifier
    exact = ordered_weights(model.kind, model.arrays)
    found = []
    for subset in (wrapped.take(range(20)), wrapped.take(range(20, 60))):
        done, scheme = calibrated(model, subset, 4, "gpfq", weights=weights)
        found.append(weight_shifts(model.arrays, done, scheme, exact))
    for first, second in zip(*found, strict=True):
        assert first.site == second.site
        reached = first.site in ("classifier", "decoder")
        assert (first == second) is not reached


def test_weight_rows_say_what_rounding_changed(float_classifier, wrapped):
    model = float_classifier
    exact = ordered_weights(model.kind, model.arrays)
    done, scheme = calibrated(model, wrapped, 4, "gpfq")
    rows = weight_shifts(model.arrays, done, scheme, exact)
    plain = [r for r in rows if r.pair == FLOAT_QUANTIZED]
    assert [r.site for r in plain] == list(WEIGHT_SITES[model.kind])
    (changed,) = [r for r in rows if r.pair == NEAREST_ROUNDED]
    assert changed.code_change_rate == (done.codes != done.nearest_codes).mean() > 0
    difference = np.abs(done.codes.astype(int) - done.nearest_codes)
    assert changed.mean_code_change == difference.mean()
    nearest, scheme = calibrated(model, wrapped, 4)
    assert all(
        r.pair == FLOAT_QUANTIZED for r in weight_shifts(model.arrays, nearest, scheme, exact)
    )


def test_weight_shift_is_that_of_rounding_to_nearest(float_classifier, wrapped):
    model = float_classifier
    done, scheme = calibrated(model, wrapped, 3)
    rows = weight_shifts(model.arrays, done, scheme, ordered_weights(model.kind, model.arrays))
    table = model.arrays["embedding.weight"]
    step = np.abs(table).max() / np.float32(3)
    rounded = np.clip(np.rint(table / step), -3, 3) * step
    alone = shift_between("weights", "embedding", "", table.ravel(), rounded.ravel())
    assert rows[0].ks == pytest.approx(alone.ks, abs=1e-12)
    assert rows[0].wasserstein == pytest.approx(alone.wasserstein, rel=1e-6)
    noise = ((table - rounded).astype(float) ** 2).sum()
    assert rows[0].sqnr_db == pytest.approx(
        10 * np.log10((table.astype(float) ** 2).sum() / noise), rel=1e-6
    )
    assert rows[0].clip_rate == 0
