"""Dynamic quantization: every row over its own range, whatever else is in the batch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.engine.batches import batches, make_batch
from calibkit.engine.calibrate import calibrate
from calibkit.engine.choice import kernels_by, states_by
from calibkit.engine.mirror import Mirror
from calibkit.engine.plain import brevitas_states, classifier_logits, evaluate
from calibkit.engine.shifts import activation_shifts, float_sites
from calibkit.quantize.networks import activation_impl, activation_proxies, quantized_weight
from calibkit.quantize.scaling import RowScaling, row_thresholds
from calibkit.quantize.schemes import SchemeSettings, resolve
from calibkit.quantize.sites import ACTIVATION_SITES

KINDS = ("discriminative", "generative")


def dynamic(model, tokens, nominal, **options):
    scheme = resolve(SchemeSettings(dynamic=True, **options), bits=nominal)
    return calibrate(model.kind, model.arrays, tokens, scheme), scheme


def rounded(values, bits, *, signed=True):
    """One row quantized by hand, in float32 as Brevitas does it."""
    row = np.asarray(values, dtype=np.float32)
    codes = 2 ** (bits - 1) if signed else 2**bits - 1
    top = np.abs(row).max() or np.float32(1)
    step = top / np.float32(codes)
    low, high = (-codes, codes - 1) if signed else (0, codes)
    return np.clip(np.rint(row / step), low, high).astype(np.float32) * step


@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=9), st.integers(2, 8))
def test_a_row_is_rounded_over_its_own_range(values, bits):
    row = torch.tensor([values, [0.0] * len(values)])
    found = row_thresholds(row)
    top = np.abs(np.float32(values)).max()
    assert found.tolist() == [[top if top > 1e-30 else 1.0], [1.0]]
    assert RowScaling()(row, torch.tensor(2.0**bits)).shape == (2, 1)


def test_the_network_is_the_lstm_with_every_row_rounded_by_hand(float_classifier, wrapped):
    """One document, step by step, from the LSTM's equations."""
    done, _ = dynamic(float_classifier, wrapped, 4)
    network, drop_last = done.network, float_classifier.kind == "generative"
    one = make_batch(wrapped, np.array([5]), drop_last=drop_last)
    found = network.hidden_states(one.ids)[0].numpy()
    gates = ("input", "forget", "cell", "output")
    parts = {
        (gate, part): quantized_weight(network, f"lstm.weight_{gate}.{part}").numpy()
        for gate in gates
        for part in ("input", "hidden")
    }
    bias = np.split(
        float_classifier.arrays["lstm.bias_ih_l0"] + float_classifier.arrays["lstm.bias_hh_l0"], 4
    )
    h = c = np.zeros(found.shape[1], dtype=np.float32)
    embedding = quantized_weight(network, "embedding").numpy()
    for step, token in enumerate(one.ids[0].tolist()):
        x = rounded(embedding[token], 4)
        acc = {
            gate: rounded(parts[gate, "input"] @ x + parts[gate, "hidden"] @ h + b, 4)
            for gate, b in zip(gates, bias, strict=True)
        }
        i, f, o = (
            rounded(torch.sigmoid(torch.from_numpy(acc[g])).numpy(), 4, signed=False)
            for g in ("input", "forget", "output")
        )
        g = rounded(np.tanh(acc["cell"]), 4)
        c = rounded(rounded(f * c, 4) + rounded(i * g, 4), 4)
        h = rounded(o * rounded(np.tanh(c), 4), 4)
        np.testing.assert_allclose(found[step], h, atol=1e-6)


@settings(max_examples=10, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    bits=st.integers(2, 8),
    gates=st.integers(2, 8),
    seed=st.integers(0, 5),
    size=st.sampled_from([5, 256]),
)
def test_the_step_loop_is_brevitas_up_to_the_rounding_of_sums(
    make_model, make_documents, kind, bits, gates, seed, size
):
    model, documents = make_model(kind, seed=seed), make_documents(20, seed=seed)
    by_site = {"lstm.acc_input": gates, "lstm.sigmoid_forget": gates, "lstm.cell": 8}
    network = dynamic(model, documents, bits, bits=by_site)[0].network
    mirror, plain = Mirror(network), brevitas_states(network)
    with torch.inference_mode():
        for one in batches(documents, drop_last=kind == "generative", size=size):
            close = (mirror.states(one) - plain(one)).abs() < 1e-5
            # a sum whose last digit differs may fall on the other side of a rounding boundary, and
            # what follows in its document differs with it
            assert close.all(dim=1).float().mean() > 0.75


@pytest.mark.parametrize("bits", [3, 8])
def test_every_engine_means_the_same_path(float_classifier, wrapped, wrapped_labels, bits):
    network = dynamic(float_classifier, wrapped, bits)[0].network
    first, *others = (
        evaluate(network, wrapped, wrapped_labels, kernels=kernels_by(engine, network, wrapped))
        for engine in ("plain", "torch", "native", "auto")
    )
    for other in others:
        assert np.array_equal(first.scores, other.scores)
        assert np.array_equal(first.token_nll, other.token_nll)
    assert np.array_equal(first.scores, evaluate(network, wrapped, wrapped_labels).scores)
    assert isinstance(states_by("native", network, wrapped).__self__, Mirror)


def test_a_document_does_not_depend_on_its_batch(float_classifier, wrapped):
    """But for the last digits of sums, which may move a value over a boundary now and then."""
    network = dynamic(float_classifier, wrapped, 8)[0].network
    cut = float_classifier.kind == "generative"
    with torch.inference_mode():
        (one,) = batches(wrapped, drop_last=cut)
        together = one.pad(Mirror(network).states(one))
        equal = []
        for place in range(0, 60, 3):
            alone = make_batch(wrapped, one.rows[place : place + 1], drop_last=cut)
            states = Mirror(network).states(alone)
            equal.append(torch.allclose(states, together[place, : len(states)], atol=1e-5))
    assert np.mean(equal) > 0.8


def test_no_calibration_document_has_a_part_in_it(float_classifier, wrapped, wrapped_labels):
    found = []
    for subset in (wrapped.take(range(5)), wrapped.take(range(5, 60))):
        done, _ = dynamic(float_classifier, subset, 4)
        assert done.activation_thresholds == {}
        found.append(evaluate(done.network, wrapped, wrapped_labels).scores)
    assert np.array_equal(*found)


@pytest.mark.parametrize("bits", [3, 8])
def test_heads_read_rows_over_their_own_range(float_classifier, wrapped, wrapped_labels, bits):
    """The factored decoder and the exact classifier against the network's own forward."""
    network = dynamic(float_classifier, wrapped, bits)[0].network
    ids = torch.zeros(len(wrapped), int(wrapped.lengths.max()), dtype=torch.int64)
    for row in range(len(wrapped)):
        ids[row, : wrapped.lengths[row]] = torch.from_numpy(wrapped[row].astype(np.int64))
    with torch.no_grad():
        plain = network(ids, torch.from_numpy(wrapped.lengths))
    if float_classifier.kind == "discriminative":
        plain = plain.log_softmax(1)
    found = evaluate(network, wrapped, wrapped_labels)
    np.testing.assert_allclose(found.scores, plain.numpy(), rtol=1e-5, atol=1e-4)


def test_the_classifier_s_rows_are_those_of_documents(discriminative_classifier, wrapped):
    network = dynamic(discriminative_classifier, wrapped, 3)[0].network
    pooled = torch.randn(6, 16, generator=torch.Generator().manual_seed(0))
    pooled[4] = 0
    weight = quantized_weight(network, "classifier").numpy().astype(np.float64)
    rows = np.stack([rounded(row, 3) for row in pooled.numpy()]).astype(np.float64)
    expected = rows @ weight.T + discriminative_classifier.arrays["classifier.bias"]
    np.testing.assert_allclose(classifier_logits(network, pooled), expected, rtol=1e-6)
    alone = torch.cat([classifier_logits(network, row[None]) for row in pooled])
    assert torch.equal(alone, classifier_logits(network, pooled))


def test_more_bits_are_nearer_to_the_float_model(float_classifier, wrapped):
    reference = float_sites(float_classifier.kind, float_classifier.arrays, wrapped)
    signal = []
    for bits in (3, 5, 8):
        done, scheme = dynamic(float_classifier, wrapped, bits)
        rows = activation_shifts(done, scheme, wrapped, reference)
        assert [r.site for r in rows] == list(ACTIVATION_SITES[float_classifier.kind])
        assert all(r.threshold is None and r.clip_rate is None for r in rows)
        assert {r.bits for r in rows} == {bits}
        signal.append([r.sqnr_db for r in rows])
    assert (np.diff(signal, axis=0) > 0).all()
    assert min(signal[-1]) > 20


def test_rows_are_quantized_where_the_site_says(float_classifier, wrapped):
    network = dynamic(float_classifier, wrapped, 8, bits={"lstm.cell": 2})[0].network
    proxies = activation_proxies(network)
    values = torch.tensor([[0.1, -0.4, 0.3], [100.0, 3.0, -200.0]])
    for site, bits in (("lstm.cell", 2), ("input", 8)):
        found = activation_impl(proxies[site])(values)[0].numpy()
        np.testing.assert_allclose(found, [rounded(row, bits) for row in values.numpy()], rtol=1e-6)
