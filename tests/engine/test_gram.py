import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.engine.calibrate import calibrate
from calibkit.engine.float_pass import FloatModel
from calibkit.engine.gram import Sums, linear_gram
from calibkit.engine.plain import padded_states
from calibkit.quantize.networks import activation_impl, activation_proxies
from calibkit.quantize.schemes import SchemeSettings, resolve


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
