"""The torch engine gives Brevitas's numbers bit for bit, or is not used."""

import logging

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.engine.batches import batches
from calibkit.engine.calibrate import calibrate
from calibkit.engine.choice import kernels_by, states_by
from calibkit.engine.mirror import Mirror
from calibkit.engine.plain import brevitas_states, evaluate
from calibkit.quantize.schemes import SchemeSettings, resolve


@settings(max_examples=12, deadline=None)
@given(
    kind=st.sampled_from(["discriminative", "generative"]),
    bits=st.integers(2, 8),
    cell=st.integers(2, 8),
    gates=st.integers(2, 8),
    seed=st.integers(0, 5),
    size=st.sampled_from([5, 256]),
    separate=st.booleans(),
    guard=st.booleans(),
    symmetric=st.booleans(),
)
def test_states_are_equal_bit_for_bit(
    make_model, make_documents, kind, bits, cell, gates, seed, size, separate, guard, symmetric
):
    model = make_model(kind, seed=seed)
    documents = make_documents(20, seed=seed)
    by_site = {"lstm.cell": cell, "lstm.acc_*": gates, "lstm.weight_forget": gates}
    options = {"separate_io": separate, "separate_hv": separate, "cell_guard": guard}
    options |= {"symmetric": symmetric}
    scheme = resolve(SchemeSettings(bits=by_site, **options), bits=bits)
    network = calibrate(kind, model.arrays, documents, scheme).network
    mirror, plain = Mirror(network), brevitas_states(network)
    with torch.inference_mode():
        for one in batches(documents, drop_last=kind == "generative", size=size):
            assert torch.equal(mirror.states(one), plain(one))


@pytest.mark.parametrize("weights", ["per-tensor", "per-channel"])
def test_both_engines_give_the_same_evaluation(float_classifier, wrapped, wrapped_labels, weights):
    scheme = resolve(SchemeSettings(weights=weights, rounding="gpfq"), bits=4)
    network = calibrate(float_classifier.kind, float_classifier.arrays, wrapped, scheme).network
    plain, fast = (
        evaluate(network, wrapped, wrapped_labels, kernels=kernels_by(engine, network, wrapped))
        for engine in ("plain", "torch")
    )
    assert np.array_equal(plain.scores, fast.scores)
    assert np.array_equal(plain.token_nll, fast.token_nll)
    assert plain.mean_abs_h == fast.mean_abs_h


def test_auto_falls_back_loudly_where_the_numbers_differ(
    float_classifier, wrapped, monkeypatch, caplog
):
    monkeypatch.setenv("CALIBKIT_NO_NATIVE", "1")
    scheme = resolve(SchemeSettings(), bits=8)
    network = calibrate(float_classifier.kind, float_classifier.arrays, wrapped, scheme).network
    right = Mirror.states
    monkeypatch.setattr(Mirror, "states", lambda self, one: right(self, one) + 1e-6)
    with caplog.at_level(logging.WARNING), torch.inference_mode():
        states = states_by("auto", network, wrapped)
        one = next(batches(wrapped, drop_last=float_classifier.kind == "generative"))
        assert torch.equal(states(one), brevitas_states(network)(one))
    assert "differs from Brevitas" in caplog.text


@pytest.mark.parametrize("documents", [1, 3, 8, 257, 260])
def test_no_number_of_documents_tells_the_engines_apart(
    float_classifier, make_documents, documents
):
    """The last batch may hold one document, and the last steps few: BLAS sums these otherwise."""
    kind, arrays = float_classifier.kind, float_classifier.arrays
    wide = make_documents(documents, seed=3)
    scheme = resolve(SchemeSettings(), bits=8)
    network = calibrate(kind, arrays, make_documents(40), scheme).network
    labels = np.zeros(documents, dtype=np.int64)
    plain, chosen = (
        evaluate(network, wide, labels, kernels=kernels_by(engine, network, wide))
        for engine in ("plain", "auto")
    )
    assert np.array_equal(plain.scores, chosen.scores)


def test_few_rows_are_multiplied_like_many(make_model, make_documents):
    """At the size of the real models, where the BLAS changes its order of summation."""
    model = make_model("discriminative", hidden=100, embedding=100, gain=0.1)
    documents = make_documents(24, longest=40)
    scheme = resolve(SchemeSettings(), bits=8)
    network = calibrate("discriminative", model.arrays, documents, scheme).network
    mirror, plain = Mirror(network), brevitas_states(network)
    with torch.inference_mode():
        for one in batches(documents):
            assert min(one.active) < 5
            assert torch.equal(mirror.states(one), plain(one))
