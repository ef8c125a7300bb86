import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.engine.batches import make_batch
from calibkit.engine.calibrate import calibrate
from calibkit.engine.float_pass import FloatModel
from calibkit.engine.gram import Sums, gate_gram, linear_gram
from calibkit.engine.plain import padded_states
from calibkit.quantize.networks import (
    activation_impl,
    activation_proxies,
    quantized_weight,
    site_weight,
)
from calibkit.quantize.ranges import weight_scale
from calibkit.quantize.rounding import gpfq, round_nearest
from calibkit.quantize.schemes import SchemeSettings, resolve
from calibkit.quantize.sites import GATES


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 9999), st.integers(1, 12), st.integers(1, 5), st.integers(1, 6))
def test_sums_beside_labels_equal_the_explicit_rows(seed, rows, labels, width):
    g = torch.Generator().manual_seed(seed)
    hq, h = torch.randn(2, rows, width, generator=g)
    vq, v = torch.randn(2, labels, width + 1, generator=g)
    sums = Sums()
    for part in (slice(0, rows // 2), slice(rows // 2, rows)):
        sums.add(hq[part], h[part])
    found = sums.beside(vq, v)

    def every(states, vectors):
        pairs = [torch.cat([s, y]) for s in states for y in vectors]
        return torch.stack(pairs).double()

    q, x = every(hq, vq), every(h, v)
    torch.testing.assert_close(found.quantized, q.T @ q / len(q))
    torch.testing.assert_close(found.mixed, q.T @ x / len(q))
    chosen, weight = torch.randn(2, 7, q.shape[1], generator=g).double()
    for gram in (found, found.centred()):  # labels save products, and change no number
        dense = chosen @ gram.quantized - weight @ gram.mixed.T
        torch.testing.assert_close(gram.errors_times_inputs(chosen, weight), dense)


def test_gram_of_a_network_is_that_of_its_real_inputs(float_classifier, wrapped):
    model = float_classifier
    network = calibrate(
        model.kind, model.arrays, wrapped, resolve(SchemeSettings(), bits=4)
    ).network
    linear = network.classifier if model.kind == "discriminative" else network.decoder
    proxy = activation_proxies(network)[
        f"{'decoder' if hasattr(network, 'decoder') else 'classifier'}.input"
    ]
    quantize = activation_impl(proxy)
    reference = FloatModel.of(model.kind, model.arrays)
    inexact, exact = [], []
    with torch.no_grad():
        for one, states in padded_states(network, wrapped, batch=9):
            x = reference.run(one).linear_input
            if model.kind == "discriminative":
                rows = [states[i, :n].mean(0) for i, n in enumerate(one.lengths.tolist())]
                inexact.append(quantize(torch.stack(rows))[0])
                exact.append(x)
                continue
            h = one.pack(states)
            for vq, v in zip(network.label_vectors(), reference.label_vectors, strict=True):
                inexact.append(quantize(torch.cat([h, vq.expand_as(h)], 1))[0])
                exact.append(torch.cat([x, v.expand_as(x)], 1))
    q, x = torch.cat(inexact).double(), torch.cat(exact).double()
    assert q.shape[1] == linear.in_features
    found = linear_gram(network, model.arrays, wrapped)
    torch.testing.assert_close(found.quantized, q.T @ q / len(q), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.mixed, q.T @ x / len(q), rtol=1e-4, atol=1e-6)


def test_gates_read_the_token_and_the_state_before_it(float_classifier, wrapped):
    """Every document stepped by hand on both sides, pair by pair."""
    kind, arrays = float_classifier.kind, float_classifier.arrays
    network = calibrate(kind, arrays, wrapped, resolve(SchemeSettings(), bits=4)).network
    proxies = activation_proxies(network)
    model = FloatModel.of(kind, arrays)
    embedding = quantized_weight(network, "embedding")
    h = g = count = 0
    with torch.inference_mode():
        for row in range(len(wrapped)):
            alone = make_batch(wrapped, np.array([row]), drop_last=kind == "generative")
            ids, n = alone.ids[0], len(alone.ids[0])
            states = network.hidden_states(alone.ids)[0]
            exact = model.run(alone).hidden
            inputs = embedding[ids]
            for site in ("input", "lstm.io"):
                inputs = activation_impl(proxies[site])(inputs)[0]
            zero = torch.zeros(1, states.shape[1])
            x_q = torch.cat([inputs, torch.cat([zero, states[: n - 1]])], dim=1).double()
            x = torch.cat([model.embedding[ids], torch.cat([zero, exact[: n - 1]])], dim=1).double()
            h, g, count = h + x_q.T @ x_q, g + x_q.T @ x, count + n
    found = gate_gram(network, arrays, wrapped)
    # a document alone may fall on the other side of a rounding step here and there
    assert (found.quantized - h / count).abs().max() < 2e-3
    assert (found.mixed - g / count).abs().max() < 2e-3


def test_gpfq_on_the_gates_gram_keeps_their_accumulators_closer(float_classifier, make_documents):
    kind, arrays = float_classifier.kind, float_classifier.arrays
    subset = make_documents(60, seed=1)
    scheme = resolve(SchemeSettings(bits={"lstm.weight_*": 3}), bits=8)
    done = calibrate(kind, arrays, subset, scheme)
    gram = gate_gram(done.network, arrays, subset)
    for gate in GATES:
        site = f"lstm.weight_{gate}"
        weight = torch.from_numpy(site_weight(arrays, site))
        scale = torch.from_numpy(weight_scale(done.weight_thresholds[site], 3))

        def error(codes, weight=weight, scale=scale):
            chosen, exact = (codes * scale).double(), weight.double()
            # mean of |W_q x_q - W x|^2 up to the part that no choice of codes changes
            return float(
                (chosen @ gram.quantized * chosen).sum() - 2 * (chosen @ gram.mixed * exact).sum()
            )

        assert error(gpfq(weight, scale, 3, gram)) < error(round_nearest(weight, scale, 3))
