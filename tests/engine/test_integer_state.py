"""Calibrated networks as integer codes, scales and biases: nothing is lost."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from calibkit.engine.calibrate import calibrate
from calibkit.engine.integer_state import IntegerState, _threshold, bias_tensors
from calibkit.engine.plain import evaluate
from calibkit.errors import BadInput
from calibkit.quantize.networks import gate_modules, linear_name, quantized_weight, weight_tensors
from calibkit.quantize.ranges import weight_scale
from calibkit.quantize.schemes import resolve, settings_from
from calibkit.quantize.sites import ACTIVATION_SITES, GATES, WEIGHT_SITES

SCHEMES = {
    "brevitas-default": {},
    "paper": {"preset": "paper"},
    "robust": {"preset": "robust"},
    "least-squares": {"preset": "robust", "rounding": {"gates": "least-squares"}},
    "corrected": {"preset": "robust", "rounding": {"gates": "gptq"}, "bias_correction": True},
    "separate": {"separate_io": True, "separate_hv": True},
    "asymmetric": {"preset": "robust", "symmetric": False, "ranges": "mse"},
    "mixed": {"preset": "robust-mixed", "bits": {"embedding": 3, "lstm.weight_*": 5}},
}


def calibrated(model, subset, settings, bits=4):
    if model.kind == "discriminative":
        settings = {k: v for k, v in settings.items() if k != "separate_hv"}
    scheme = resolve(settings_from(settings), bits=bits)
    done = calibrate(model.kind, model.arrays, subset, scheme)
    return scheme, done, IntegerState.of(done, model.arrays, scheme)


def same_networks(one, other, documents, labels):
    for name in weight_tensors(one):
        assert torch.equal(quantized_weight(one, name), quantized_weight(other, name)), name
    for site, bias in bias_tensors(one).items():
        assert torch.equal(bias, bias_tensors(other)[site]), site
    ours, theirs = (evaluate(network, documents, labels) for network in (one, other))
    np.testing.assert_array_equal(ours.scores, theirs.scores)
    np.testing.assert_array_equal(ours.token_nll, theirs.token_nll)
    assert ours.mean_abs_h == theirs.mean_abs_h


@pytest.mark.parametrize("name", SCHEMES)
def test_a_state_gives_back_the_calibrated_network_bit_for_bit(
    float_classifier, wrapped, wrapped_labels, name
):
    model = float_classifier
    scheme, done, state = calibrated(model, wrapped, SCHEMES[name])
    same_networks(state.network(model.arrays, scheme), done.network, wrapped, wrapped_labels)
    assert tuple(state.codes) == WEIGHT_SITES[model.kind]
    assert set(state.thresholds) == set(ACTIVATION_SITES[model.kind])
    assert bool(state.zero_points) == (name == "asymmetric")
    for site, codes in state.codes.items():
        assert codes.dtype == np.int8
        assert int(np.abs(codes).max()) <= (1 << (scheme.bits_of(site) - 1)) - 1


@pytest.mark.parametrize("name", ["corrected", "asymmetric"])
def test_a_state_survives_storage(float_classifier, wrapped, wrapped_labels, name):
    model = float_classifier
    scheme, done, state = calibrated(model, wrapped, SCHEMES[name])
    tensors = {key: value.copy() for key, value in state.tensors().items()}
    for value in tensors.values():
        value.setflags(write=False)  # as maps of a file are
    config = json.loads(json.dumps(state.config()))
    again = IntegerState.from_tensors(model.kind, tensors, config)
    assert again.thresholds == state.thresholds and again.zero_points == state.zero_points
    same_networks(again.network(model.arrays, scheme), done.network, wrapped, wrapped_labels)


def test_other_codes_and_biases_go_where_they_belong(float_classifier, wrapped):
    model = float_classifier
    scheme, _, state = calibrated(model, wrapped, SCHEMES["robust"])
    last = linear_name(model.kind)
    codes = {site: -state.codes[site] for site in ("lstm.weight_forget", last)}
    biases = {last: state.biases[last] + np.float32(1)}
    changed = state.with_codes(codes, biases)
    network, before = (s.network(model.arrays, scheme) for s in (changed, state))
    for name in weight_tensors(network):
        sign = -1 if name.startswith(("lstm.weight_forget", last)) else 1
        was = quantized_weight(before, name)
        assert torch.equal(quantized_weight(network, name), sign * was), name
    assert torch.equal(getattr(network, last).bias, getattr(before, last).bias + 1)
    for gate in GATES:
        assert torch.equal(gate_modules(network)[gate].bias, gate_modules(before)[gate].bias)
    np.testing.assert_array_equal(state.codes[last], -codes[last])  # the old state is as it was


def test_weights_can_be_written_into_a_network_that_is_there(float_classifier, wrapped):
    model = float_classifier
    scheme, _, state = calibrated(model, wrapped, SCHEMES["robust"])
    network = state.network(model.arrays, scheme)
    changed = state.with_codes({site: -codes for site, codes in state.codes.items()})
    changed.write_weights(network, ["lstm.weight_cell"])
    expected = changed.network(model.arrays, scheme)
    for name in weight_tensors(network):
        same = torch.equal(quantized_weight(network, name), quantized_weight(expected, name))
        assert same == name.startswith("lstm.weight_cell"), name


def test_ranges_can_be_changed_alone(float_classifier, wrapped, wrapped_labels):
    model = float_classifier
    scheme, _, state = calibrated(model, wrapped, SCHEMES["robust"])
    wider = {site: 2 * threshold for site, threshold in state.thresholds.items()}
    network = state.with_ranges(wider, {}).network(model.arrays, scheme)
    before = evaluate(state.network(model.arrays, scheme), wrapped, wrapped_labels)
    after = evaluate(network, wrapped, wrapped_labels)
    assert (before.scores != after.scores).any()
    for name in weight_tensors(network):
        other = state.network(model.arrays, scheme)
        assert torch.equal(quantized_weight(network, name), quantized_weight(other, name))


def test_the_size_of_a_state_is_what_a_device_has_to_store(discriminative_classifier, wrapped):
    model = discriminative_classifier  # 60 words, 12 + 16 columns, 3 labels
    scheme, _, state = calibrated(model, wrapped, SCHEMES["robust"])
    codes = (60 * 12 + 4 * 16 * 28 + 3 * 16) // 2
    floats = (60 + 4 * 16 + 3) + (4 * 16 + 3) + len(state.thresholds)
    assert state.bytes(scheme) == codes + 4 * floats
    whole, _, coarse = calibrated(model, wrapped, {}, bits=8)
    floats = 6 + (4 * 16 + 3) + len(state.thresholds)
    assert coarse.bytes(whole) == 2 * codes + 4 * floats
    mixed, _, odd = calibrated(model, wrapped, {"bits": {"classifier": 3}}, bits=8)
    assert odd.bytes(mixed) == coarse.bytes(whole) - 48 + 48 * 3 // 8


@given(
    st.lists(st.floats(2.0**-20, 2.0**20, width=32), min_size=1, max_size=40),
    st.sampled_from(range(2, 9)),
)
def test_a_threshold_is_found_for_every_scale_that_comes_from_one(tops, bits):
    scale = weight_scale(np.array(tops, dtype=np.float32)[:, None], bits)
    np.testing.assert_array_equal(weight_scale(_threshold(scale, bits), bits), scale)
    np.testing.assert_array_equal(weight_scale(_threshold(scale[0, 0], bits), bits), scale[0, 0])


def test_a_dynamic_scheme_is_refused_by_name(float_classifier, wrapped):
    model = float_classifier
    scheme = resolve(settings_from({"dynamic": True}), bits=4)
    done = calibrate(model.kind, model.arrays, wrapped, scheme)
    with pytest.raises(BadInput, match=r"quantize\.dynamic: .* nothing to update"):
        IntegerState.of(done, model.arrays, scheme)
