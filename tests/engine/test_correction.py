"""Error correction of gates, linear layers and biases inside whole networks."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from calibkit.engine.batches import batches
from calibkit.engine.calibrate import calibrate
from calibkit.engine.choice import agrees, states_by
from calibkit.engine.float_pass import FloatModel
from calibkit.engine.gram import gate_gram, linear_gram
from calibkit.engine.mirror import Mirror
from calibkit.engine.plain import brevitas_states
from calibkit.engine.shifts import NEAREST_ROUNDED, ordered_weights, weight_shifts
from calibkit.quantize.networks import gate_modules, linear_name, quantized_weight, site_weight
from calibkit.quantize.ranges import weight_scale
from calibkit.quantize.rounding import round_by
from calibkit.quantize.schemes import resolve, settings_from
from calibkit.quantize.sites import GATES

GATE_SITES = [f"lstm.weight_{gate}" for gate in GATES]
CORRECTING = ["gpfq", "gptq", "qronos", "least-squares"]


MSE = {"ranges": "mse", "weight_ranges": "mse"}


def scheme(bits, gates="nearest", linear="nearest", **settings):
    plain = {**MSE, "rounding": {"gates": gates, "linear": linear}, **settings}
    return resolve(settings_from(plain), bits=bits)


def calibrated(model, subset, *args, **settings):
    return calibrate(model.kind, model.arrays, subset, scheme(*args, **settings))


def state_error(network, model, documents):
    """The power of h_q - h over real tokens, as a share of that of h."""
    exact, states = FloatModel.of(model.kind, model.arrays), states_by("auto", network, documents)
    error = power = 0.0
    with torch.inference_mode():
        for one in batches(documents, drop_last=model.kind == "generative"):
            h = exact.hidden(one).double()
            error += float((states(one) - h).square().sum())
            power += float(h.square().sum())
    return error / power


def both_parts(network, site):
    return torch.cat([quantized_weight(network, f"{site}.{p}") for p in ("input", "hidden")], dim=1)


def lowers_errors(make_model, make_documents, gates, chosen_bits, **settings):
    """In how many of 20 trials, each with weights and documents of its own, and how much.

    300 documents: from 100 the moments are so noisy that a trial in 20 is lost at some settings.
    """
    schemes = [
        resolve(settings_from({**MSE, "rounding": {"gates": g}, **settings}), bits=chosen_bits)
        for g in (gates, "nearest")
    ]
    kept = []
    for seed in range(20):
        model = make_model("discriminative", seed=seed)
        kind, arrays = model.kind, model.arrays
        subset = make_documents(300, seed=1000 + seed)
        held_out = make_documents(100, seed=5000 + seed)
        errors = [
            state_error(calibrate(kind, arrays, subset, one).network, model, held_out)
            for one in schemes
        ]
        kept.append(errors[0] / errors[1])
    return sum(share < 1 for share in kept), float(np.mean(kept))


def test_corrected_gates_keep_hidden_states_of_new_documents_closer_in_every_trial(
    make_model, make_documents
):
    trials, kept = lowers_errors(make_model, make_documents, "least-squares", 4)
    assert trials == 20 and kept < 0.95  # most of the error is that of the activations


@pytest.mark.long
@pytest.mark.parametrize("gates", ["least-squares", "qronos"])
@pytest.mark.parametrize("bits", [3, 4])
@pytest.mark.parametrize("activations", ["same bits", "8 bits"])
def test_corrected_gates_keep_hidden_states_closer_in_every_trial_at_any_setting(
    make_model, make_documents, gates, bits, activations
):
    wide = {"lstm.[!w]*": 8, "input": 8} if activations == "8 bits" else {}
    trials, kept = lowers_errors(make_model, make_documents, gates, bits, bits=wide)
    assert trials == 20 and kept < (0.85 if wide else 0.95)


@pytest.mark.parametrize("gates", CORRECTING)
def test_gates_compute_with_the_codes_that_are_told(float_classifier, wrapped, gates):
    model = float_classifier
    done = calibrated(model, wrapped, 4, gates)
    plain = calibrated(model, wrapped, 4)
    assert set(done.site_codes) == {*GATE_SITES, linear_name(model.kind)}
    assert set(plain.site_codes) == {linear_name(model.kind)}
    for site in GATE_SITES:
        found, step = done.site_codes[site], float(weight_scale(done.weight_thresholds[site], 4))
        used, nearest = (both_parts(d.network, site).numpy() / step for d in (done, plain))
        np.testing.assert_array_equal(np.rint(used), found.chosen)
        np.testing.assert_array_equal(np.rint(nearest), found.nearest)
        assert (found.chosen != found.nearest).any()
        np.testing.assert_array_equal(done.weight_thresholds[site], plain.weight_thresholds[site])
    np.testing.assert_array_equal(done.codes, plain.codes)  # rounded to nearest in both


def test_the_linear_layer_reads_the_states_of_the_corrected_gates(float_classifier, wrapped):
    model, name = float_classifier, linear_name(float_classifier.kind)
    done = calibrated(model, wrapped, 4, "least-squares", "gpfq")
    scale = torch.from_numpy(weight_scale(done.weight_thresholds[name], 4))
    weight = torch.from_numpy(site_weight(model.arrays, name))
    gram = linear_gram(done.network, model.arrays, wrapped)
    expected = round_by("gpfq", weight, scale, 4, gram)
    np.testing.assert_array_equal(done.codes, expected.numpy())
    alone = calibrated(model, wrapped, 4, "nearest", "gpfq")
    assert (done.codes != alone.codes).any()


def test_codes_do_not_depend_on_the_order_of_the_documents(float_classifier, make_documents):
    model, subset = float_classifier, make_documents(90, seed=4)
    shuffled = subset.take(np.random.default_rng(3).permutation(90))
    first, other = (
        calibrated(model, tokens, 4, "least-squares", "qronos", bias_correction=True)
        for tokens in (subset, shuffled)
    )
    for site, codes in first.site_codes.items():
        np.testing.assert_array_equal(codes.chosen, other.site_codes[site].chosen)
    for gate, module in gate_modules(first.network).items():
        assert torch.equal(module.bias, gate_modules(other.network)[gate].bias)


def test_moments_of_the_gates_do_not_depend_on_the_batches(float_classifier, wrapped):
    model = float_classifier
    network = calibrated(model, wrapped, 4).network
    few, many = (gate_gram(network, model.arrays, wrapped, batch=n) for n in (9, 256))
    for name in ("quantized", "mixed", "quantized_mean", "float_mean"):
        # a state may fall on the other side of a rounding step here and there
        torch.testing.assert_close(getattr(few, name), getattr(many, name), atol=2e-3, rtol=0)
    scale = torch.from_numpy(weight_scale(np.float32(1.0), 4))
    for site in GATE_SITES:
        weight = torch.from_numpy(site_weight(model.arrays, site))
        codes = [round_by("least-squares", weight, scale, 4, g.centred()) for g in (few, many)]
        assert (codes[0] != codes[1]).float().mean() <= 0.01


SAME_CELL = """
import json, sys
sys.path.insert(0, sys.argv[1])
from conftest import hand_made, wrapped_documents
from test_correction import calibrated, in_words
print(json.dumps(in_words(calibrated(hand_made("generative"), wrapped_documents(60), 4,
                                     "least-squares", "least-squares", bias_correction=True))))
"""


def in_words(done):
    return {
        "codes": {site: codes.chosen.tolist() for site, codes in done.site_codes.items()},
        "biases": {g: m.bias.tolist() for g, m in gate_modules(done.network).items()},
        "decoder": done.network.decoder.bias.tolist(),
    }


def test_another_process_finds_the_same_codes_and_biases(generative_classifier, wrapped):
    settings = (4, "least-squares", "least-squares")
    here = in_words(calibrated(generative_classifier, wrapped, *settings, bias_correction=True))
    folder = Path(__file__).parent
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SAME_CELL, str(folder.parent)],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    assert json.loads(ran.stdout.splitlines()[-1]) == here


@pytest.mark.parametrize("linear", ["nearest", "gpfq", "least-squares"])
def test_a_corrected_bias_gives_the_linear_layer_the_float_mean_output(
    float_classifier, wrapped, linear
):
    model, name = float_classifier, linear_name(float_classifier.kind)

    def mean_error(**settings):
        network = calibrated(model, wrapped, 4, "nearest", linear, **settings).network
        quantized, exact = linear_gram(network, model.arrays, wrapped).means()
        wanted = torch.from_numpy(site_weight(model.arrays, name)).double() @ exact
        wanted = wanted + torch.from_numpy(model.arrays[f"{name}.bias"])
        found = quantized_weight(network, name).double() @ quantized
        return float((found + getattr(network, name).bias - wanted).abs().max())

    assert mean_error(bias_correction=True) < 1e-5 < 1e-3 < mean_error()


def test_corrected_biases_bring_the_gates_accumulators_closer_on_average(float_classifier, wrapped):
    model = float_classifier
    biases = model.arrays["lstm.bias_ih_l0"] + model.arrays["lstm.bias_hh_l0"]

    def mean_error(**settings):
        network = calibrated(model, wrapped, 4, **settings).network
        quantized, exact = gate_gram(network, model.arrays, wrapped).means()
        error = 0.0
        for gate, bias in zip(GATES, np.split(biases, 4), strict=True):
            site = f"lstm.weight_{gate}"
            wanted = torch.from_numpy(site_weight(model.arrays, site)).double() @ exact
            found = both_parts(network, site).double() @ quantized
            off = found + gate_modules(network)[gate].bias - wanted - torch.from_numpy(bias)
            error += float(off.square().sum())
        return error

    assert mean_error(bias_correction=True) < 0.2 * mean_error()
    untouched = calibrated(model, wrapped, 4, "gpfq").network
    found = torch.cat([module.bias for module in gate_modules(untouched).values()])
    assert torch.equal(found, torch.from_numpy(biases))


def test_every_engine_computes_with_corrected_weights_and_biases(float_classifier, wrapped):
    model = float_classifier
    network = calibrated(model, wrapped, 4, "least-squares", bias_correction=True).network
    assert agrees(network, Mirror(network), wrapped)
    assert state_error(network, model, wrapped) < state_error(
        calibrated(model, wrapped, 4).network, model, wrapped
    )
    with torch.inference_mode():
        for one in batches(wrapped, drop_last=model.kind == "generative"):
            expected = brevitas_states(network)(one)
            assert torch.equal(states_by("auto", network, wrapped)(one), expected)


def test_what_rounding_changed_is_told_gate_by_gate(float_classifier, wrapped):
    model = float_classifier
    exact = ordered_weights(model.kind, model.arrays)

    def told(*args):
        chosen = scheme(*args)
        done = calibrate(model.kind, model.arrays, wrapped, chosen)
        rows = weight_shifts(model.arrays, done, chosen, exact)
        return done, {row.site: row for row in rows if row.pair == NEAREST_ROUNDED}

    done, rows = told(4, "gptq")
    assert set(rows) == {*GATE_SITES}
    for site, row in rows.items():
        codes = done.site_codes[site]
        assert row.code_change_rate == (codes.chosen != codes.nearest).mean() > 0
    assert set(told(4, "nearest", "gptq")[1]) == {linear_name(model.kind)}
    assert set(told(4, "gpfq", "gptq")[1]) == {*GATE_SITES, linear_name(model.kind)}
