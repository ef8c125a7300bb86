"""Gradients of the quantized LSTM written out, against those that torch's own record gives."""

import pytest
import torch

from calibkit.engine.batches import batches
from calibkit.engine.calibrate import calibrate
from calibkit.engine.integer_state import IntegerState
from calibkit.engine.recurrence import FastStraightThrough
from calibkit.engine.straight_through import StraightThrough
from calibkit.quantize.schemes import resolve, settings_from

SCHEMES = [
    {},
    {"preset": "robust"},
    {"symmetric": False, "ranges": "minmax", "separate_io": True},
    {"preset": "robust", "bits": {"lstm.acc_cell": 3, "lstm.cell": 8, "lstm.sigmoid_*": 2}},
    {"ranges": "percentile", "percentile": 80.0},  # much of every site is out of range
]


@pytest.mark.parametrize("settings", SCHEMES)
def test_states_and_gradients_are_those_of_the_plain_step_loop(make_model, wrapped, settings):
    model, some = make_model("discriminative"), wrapped.take(range(12))
    scheme = resolve(settings_from(settings), bits=4)
    done = calibrate(model.kind, model.arrays, some, scheme)
    state = IntegerState.of(done, model.arrays, scheme)
    plain = StraightThrough(state, model.arrays, scheme)
    fast = FastStraightThrough(state, model.arrays, scheme)
    (one,) = batches(some)
    expected, found = plain.states(one), fast.states(one)
    torch.testing.assert_close(found, expected)
    towards = torch.randn(expected.shape, generator=torch.Generator().manual_seed(0))
    (expected * towards).sum().backward()
    (found * towards).sum().backward()
    reached = [site for site, weight in plain.weights.items() if weight.grad is not None]
    assert "embedding" in reached and "lstm.weight_forget" in reached
    for site in reached:
        ours, theirs = fast.weights[site].grad, plain.weights[site].grad
        assert float(theirs.abs().max()) > 0
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
        if site in plain.biases:
            ours, theirs = fast.biases[site].grad, plain.biases[site].grad
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
