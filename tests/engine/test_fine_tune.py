"""Training a quantized network: the same numbers forward, straight-through gradients backward."""

import numpy as np
import pytest
import torch

from calibkit.engine.batches import batches
from calibkit.engine.calibrate import calibrate
from calibkit.engine.fine_tune import fine_tune
from calibkit.engine.integer_state import IntegerState
from calibkit.engine.plain import brevitas_states, classifier_logits, evaluate
from calibkit.engine.straight_through import StraightThrough, fake_quantized
from calibkit.errors import BadInput
from calibkit.quantize.schemes import resolve, settings_from
from calibkit.ragged import Ragged

SCHEMES = {
    "brevitas-default": {},
    "robust": {"preset": "robust"},
    "corrected": {
        "preset": "robust",
        "rounding": {"gates": "least-squares", "linear": "gpfq"},
        "bias_correction": True,
    },
    "asymmetric": {"symmetric": False, "ranges": "minmax", "separate_io": True},
}


def calibrated(model, subset, settings, bits=4):
    if model.kind == "generative" and settings.get("separate_io"):
        settings = {**settings, "separate_hv": True}
    scheme = resolve(settings_from(settings), bits=bits)
    done = calibrate(model.kind, model.arrays, subset, scheme)
    return scheme, done, IntegerState.of(done, model.arrays, scheme)


@pytest.mark.parametrize("name", SCHEMES)
def test_the_network_that_is_trained_gives_the_quantized_networks_numbers(
    float_classifier, wrapped, wrapped_labels, name
):
    model = float_classifier
    scheme, done, state = calibrated(model, wrapped, SCHEMES[name])
    network = StraightThrough(state, model.arrays, scheme)
    result = evaluate(done.network, wrapped, wrapped_labels)
    truth = torch.from_numpy(wrapped_labels)
    total = words = 0.0
    with torch.no_grad():
        for one in batches(wrapped, drop_last=model.kind == "generative"):
            states = network.states(one)
            torch.testing.assert_close(states, brevitas_states(done.network)(one))
            loss = float(network.loss(one, wrapped, truth))
            if model.kind == "discriminative":
                expected = classifier_logits(done.network, one.mean(states))
                torch.testing.assert_close(network.classify(one).double(), expected)
                total, words = total + loss * len(one.rows), words + len(one.rows)
            else:
                weight, by_label = network.decoder()
                torch.testing.assert_close(by_label, done.network.label_logits())
                total, words = total + loss * one.total, words + one.total
    assert total / words == pytest.approx(float(result.token_nll.mean()), rel=1e-5)


@pytest.mark.parametrize("name", SCHEMES)
def test_nothing_trained_is_nothing_changed(float_classifier, wrapped, wrapped_labels, name):
    model = float_classifier
    scheme, _, state = calibrated(model, wrapped, SCHEMES[name])
    same = fine_tune(
        state, model.arrays, scheme, wrapped, wrapped_labels, epochs=0, learning_rate=1.0, seed=0
    )
    for site, codes in state.codes.items():
        np.testing.assert_array_equal(same.codes[site], codes)
    for site, bias in state.biases.items():
        np.testing.assert_array_equal(same.biases[site], bias)


def test_training_lowers_the_quantized_networks_loss_with_its_scales_as_they_were(
    float_classifier, wrapped, wrapped_labels
):
    model = float_classifier
    scheme, done, state = calibrated(model, wrapped, {"preset": "robust"})
    tuned = fine_tune(
        state, model.arrays, scheme, wrapped, wrapped_labels, epochs=8, learning_rate=0.02, seed=0
    )
    losses = [
        evaluate(network, wrapped, wrapped_labels).token_nll.mean()
        for network in (done.network, tuned.network(model.arrays, scheme))
    ]
    assert losses[1] < losses[0] - 0.1
    assert tuned.thresholds == state.thresholds
    for site, scale in state.weight_scales.items():
        np.testing.assert_array_equal(tuned.weight_scales[site], scale)
        assert int(np.abs(tuned.codes[site]).max()) <= 7
        assert (tuned.codes[site] != state.codes[site]).any()


def test_the_order_of_the_documents_does_not_matter_and_the_seed_does(
    float_classifier, wrapped, wrapped_labels
):
    model = float_classifier
    scheme, _, state = calibrated(model, wrapped, {"preset": "robust"})
    order = np.random.default_rng(1).permutation(len(wrapped))

    def tuned(tokens, labels, seed):
        found = fine_tune(
            state, model.arrays, scheme, tokens, labels, epochs=2, learning_rate=0.01, seed=seed
        )
        return found.tensors()

    first = tuned(wrapped, wrapped_labels, 0)
    again = tuned(wrapped.take(order), wrapped_labels[order], 0)
    other = tuned(wrapped, wrapped_labels, 1)
    for name, values in first.items():
        np.testing.assert_array_equal(values, again[name], err_msg=name)
    assert any((values != other[name]).any() for name, values in first.items())


def test_gradients_pass_where_a_value_is_in_range_and_nowhere_else():
    x = torch.tensor([-5.0, -1.6, -0.9, 0.2, 1.9, 4.0], requires_grad=True)
    found = fake_quantized(x, torch.tensor(0.5), -4.0, 3.0)
    assert found.tolist() == [-2.0, -1.5, -1.0, 0.0, 1.5, 1.5]
    found.backward(torch.arange(1.0, 7.0))
    assert x.grad.tolist() == [0.0, 2.0, 3.0, 4.0, 0.0, 0.0]


def test_gradients_reach_every_weight_that_the_documents_use(float_classifier, wrapped):
    model = float_classifier
    scheme, _, state = calibrated(model, wrapped, {"preset": "robust"}, bits=8)
    network = StraightThrough(state, model.arrays, scheme)
    (one,) = batches(wrapped, drop_last=model.kind == "generative")
    network.loss(one, wrapped, torch.zeros(len(wrapped), dtype=torch.int64)).backward()
    for site, weight in network.weights.items():
        alive = weight.grad.abs().sum(1) > 0
        if site == "embedding":
            words = np.zeros(len(alive), dtype=bool)
            words[np.unique(one.pack(one.ids[:, :, None]).numpy())] = True
            np.testing.assert_array_equal(alive.numpy(), words)
        else:
            assert bool(alive.any()), site
    for site, bias in network.biases.items():
        assert bool((bias.grad != 0).any()), site


def test_what_cannot_be_tuned_is_refused(float_classifier, wrapped, wrapped_labels):
    model = float_classifier
    scheme, _, state = calibrated(model, wrapped, {})
    rest = {"epochs": 1, "learning_rate": 0.1, "seed": 0}
    with pytest.raises(BadInput, match="at least one document"):
        fine_tune(state, model.arrays, scheme, Ragged.of([]), np.zeros(0, np.int64), **rest)
    dynamic = resolve(settings_from({"dynamic": True}), bits=4)
    with pytest.raises(BadInput, match=r"quantize\.dynamic"):
        fine_tune(state, model.arrays, dynamic, wrapped, wrapped_labels, **rest)
