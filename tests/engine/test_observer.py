import brevitas.nn as qnn
import numpy as np
import pytest
import torch
from brevitas.graph.calibrate import calibration_mode
from brevitas.quant import Int8ActPerTensorFloat
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.engine.calibrate import brevitas_thresholds, calibrate
from calibkit.engine.float_pass import FloatModel
from calibkit.engine.statistics import collect_statistics
from calibkit.errors import BadInput
from calibkit.quantize.networks import activation_impl
from calibkit.quantize.ranges import activation_thresholds
from calibkit.quantize.schemes import SchemeSettings, resolve
from calibkit.quantize.sites import GATES
from calibkit.ragged import Ragged

KINDS = ("discriminative", "generative")
SCHEME = resolve(SchemeSettings(), bits=8)
LOW = 97.0  # a percentile that is no maximum for a few thousand values


def thresholds(model, tokens, percentile=LOW, batch=256):
    scheme = resolve(SchemeSettings(percentile=percentile), bits=8)
    seen = collect_statistics(model.kind, model.arrays, tokens, percentile=percentile, batch=batch)
    return activation_thresholds(model.kind, seen, scheme)


def by_hand(model, ids: np.ndarray) -> dict[str, np.ndarray]:
    """What each site sees of one document, step by step in float64, from the LSTM's equations."""
    a = {name: value.astype(np.float64) for name, value in model.arrays.items()}
    bias = a["lstm.bias_ih_l0"] + a["lstm.bias_hh_l0"]
    read = ids[:-1] if model.kind == "generative" else ids
    h = c = np.zeros(a["lstm.weight_hh_l0"].shape[1])
    seen: dict[str, list[np.ndarray]] = {}

    def note(**sites):
        for site, value in sites.items():
            seen.setdefault(site, []).append(value)

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    states = []
    for token in read:
        x = a["embedding.weight"][token]
        acc = a["lstm.weight_ih_l0"] @ x + a["lstm.weight_hh_l0"] @ h + bias
        i, f, g, o = np.split(acc, 4)
        forgotten, taken = sigmoid(f) * c, sigmoid(i) * np.tanh(g)
        c = forgotten + taken
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
        note(x=x, io=x, sig_i=sigmoid(i), sig_f=sigmoid(f), tanh_g=np.tanh(g))
        note(io=h, sig_o=sigmoid(o), cells=np.r_[forgotten, taken, c], tanh_c=np.tanh(c))
        note(**dict(zip(GATES, (i, f, g, o), strict=True)))
        note(**{"lstm.io/hidden": h, "lstm.cell/kept": forgotten})
        note(**{"lstm.cell/new": taken, "lstm.cell/sum": c})
    if model.kind == "generative":
        for state in states:
            for vector in a["label_embedding.weight"]:
                note(last=np.r_[state, vector])
        note(**{"decoder.input/hidden": np.concatenate(states)})
    else:
        note(last=np.mean(states, axis=0))
    names = {"io": "lstm.io", "sig_i": "lstm.sigmoid_input", "sig_f": "lstm.sigmoid_forget"}
    names |= {"tanh_g": "lstm.tanh_cell", "sig_o": "lstm.sigmoid_output", "cells": "lstm.cell"}
    names |= {"tanh_c": "lstm.tanh_hidden", "x": "input"}
    names |= {gate: f"lstm.acc_{gate}" for gate in GATES}
    names["last"] = "decoder.input" if model.kind == "generative" else "classifier.input"
    return {names.get(site, site): np.concatenate(values) for site, values in seen.items()}


def test_every_site_sees_exactly_the_real_tokens(float_classifier, wrapped):
    model = float_classifier
    seen = collect_statistics(model.kind, model.arrays, wrapped, percentile=LOW, batch=7)
    documents = [by_hand(model, wrapped[i]) for i in range(len(wrapped))]
    labels = seen.pop("decoder.input/labels", None)
    assert set(seen) == set(documents[0])
    if labels is not None:
        vectors = model.arrays["label_embedding.weight"]
        assert (labels.count, labels.low, labels.high) == (
            vectors.size, vectors.min(), vectors.max()
        )  # fmt: skip
    for site, found in seen.items():
        values = np.concatenate([d[site] for d in documents])
        assert found.count == len(values)
        expected = (values.min(), values.max(), values.mean(), (values**2).mean())
        got = (found.low, found.high, found.mean, found.mean_square)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
        k = int(np.floor(0.01 * LOW * len(values) + 0.5))
        exact = np.sort(np.abs(values))[k - 1]
        assert found.percentile(LOW) == pytest.approx(exact, rel=1e-5)


@settings(max_examples=15, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 1000),
    n=st.integers(1, 40),
    percentile=st.sampled_from([90.0, 99.999]),
    gain=st.sampled_from([0.1, 0.4, 1.0]),
)
def test_a_shuffle_moves_no_scale_at_all(
    make_model, make_documents, kind, seed, n, percentile, gain
):
    model, tokens = make_model(kind, seed=seed, gain=gain), make_documents(n, seed=seed)
    shuffled = tokens.take(np.random.default_rng(seed).permutation(n))
    assert thresholds(model, tokens, percentile) == thresholds(model, shuffled, percentile)


@settings(max_examples=15, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 1000),
    batch=st.integers(1, 50),
    percentile=st.sampled_from([90.0, 99.999]),
)
def test_the_batch_size_moves_no_scale(make_model, make_documents, kind, seed, batch, percentile):
    model, tokens = make_model(kind, seed=seed), make_documents(40, seed=seed)
    whole = thresholds(model, tokens, percentile)
    for site, value in thresholds(model, tokens, percentile, batch=batch).items():
        assert value == pytest.approx(whole[site], rel=1e-6)


def test_the_padding_vector_is_never_seen(float_classifier, wrapped):
    model = float_classifier
    loud = dict(model.arrays)
    loud["embedding.weight"] = model.arrays["embedding.weight"].copy()
    loud["embedding.weight"][0] = 1e3
    seen = collect_statistics(model.kind, loud, wrapped, percentile=LOW)
    assert activation_thresholds(model.kind, seen, SCHEME) == thresholds(model, wrapped, 99.999)


def test_brevitas_shown_the_same_values_in_one_call_finds_the_same_thresholds(
    float_classifier, wrapped
):
    model = float_classifier
    (done,) = FloatModel.of(model.kind, model.arrays).passes(wrapped)
    ours = thresholds(model, wrapped, 99.999)
    for site, calls in done.sites.items():
        shown = torch.cat([v.values.flatten().repeat(v.times) for v in calls])
        quantizer = qnn.QuantIdentity(act_quant=Int8ActPerTensorFloat).eval()
        with torch.no_grad(), calibration_mode(quantizer):
            quantizer(shown)
        theirs = activation_impl(quantizer.act_quant).scaling_impl.value.detach()
        assert ours[site] == float(theirs), site


def test_on_one_document_of_one_step_both_observers_agree(generative_classifier):
    """One call a site leaves nothing to average; the sites with several calls are left out."""
    model, alone = generative_classifier, Ragged.of([[2, 3]])
    ours = thresholds(model, alone, 99.999)
    theirs = brevitas_thresholds(
        model.kind, model.arrays, alone, resolve(SchemeSettings(observer="brevitas"), bits=8)
    )
    for site in set(ours) - {"lstm.io", "lstm.cell", "decoder.input"}:
        assert theirs[site] == pytest.approx(ours[site], rel=1e-5), site


def test_observer_brevitas_depends_on_order_batching_and_padding(float_classifier, wrapped):
    """The trap that the own observer avoids: averages over calls, one call a time step."""
    model = float_classifier

    def scales(tokens, batch):
        scheme = resolve(SchemeSettings(observer="brevitas", observer_batch=batch), bits=8)
        return np.array(
            list(brevitas_thresholds(model.kind, model.arrays, tokens, scheme).values())
        )

    wrapped = wrapped.take(range(24))
    base = scales(wrapped, 8)
    np.testing.assert_array_equal(scales(wrapped, 8), base)  # repeatable all the same
    shuffled = wrapped.take(np.random.default_rng(0).permutation(len(wrapped)))
    assert np.abs(scales(shuffled, 8) / base - 1).max() > 1e-3
    assert np.abs(scales(wrapped, 24) / base - 1).max() > 1e-2
    assert np.abs(scales(wrapped, 2) / base - 1).max() > 1e-2


def test_observer_brevitas_does_not_depend_on_the_bit_width(float_classifier, wrapped):
    model = float_classifier
    found = [
        brevitas_thresholds(
            model.kind,
            model.arrays,
            wrapped,
            resolve(SchemeSettings(observer="brevitas"), bits=bits),
        )
        for bits in (8, 2)
    ]
    assert found[0] == found[1]


def test_minmax_is_the_largest_magnitude(float_classifier, wrapped):
    model = float_classifier
    seen = collect_statistics(model.kind, model.arrays, wrapped, percentile=LOW)
    found = activation_thresholds(
        model.kind, seen, resolve(SchemeSettings(ranges="minmax"), bits=8)
    )
    assert found == {s: max(-seen[s].low, seen[s].high) for s in found}
    assert found == thresholds(model, wrapped, 100.0)


def test_an_empty_subset_is_refused(float_classifier):
    with pytest.raises(BadInput, match="subset is empty"):
        calibrate(float_classifier.kind, float_classifier.arrays, Ragged.of([]), SCHEME)
