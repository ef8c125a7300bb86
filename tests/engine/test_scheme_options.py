"""Options of a scheme that change the quantized network itself: separate scales, the cell guard."""

import numpy as np
import pytest
import torch

from calibkit.engine import native
from calibkit.engine.batches import make_batch
from calibkit.engine.calibrate import calibrate
from calibkit.engine.choice import kernels_by
from calibkit.engine.gram import gate_gram
from calibkit.engine.plain import evaluate
from calibkit.engine.shifts import activation_shifts, float_sites
from calibkit.engine.statistics import collect_statistics
from calibkit.errors import BadInput
from calibkit.quantize.networks import (
    activation_impl,
    activation_proxies,
    quantized_weight,
    weight_proxies,
)
from calibkit.quantize.schemes import SchemeSettings, resolve
from calibkit.quantize.sites import ACTIVATION_SITES, UNSIGNED_SITES

SEPARATE = {"separate_io": True, "separate_hv": True}


def calibrated(model, tokens, bits, **settings):
    scheme = resolve(SchemeSettings(**settings), bits=bits)
    return calibrate(model.kind, model.arrays, tokens, scheme), scheme


def float_values(model, tokens):
    seen = collect_statistics(model.kind, model.arrays, tokens, percentile=99.999)
    return {part: max(abs(s.low), abs(s.high)) for part, s in seen.items()}


def quantizer(network, site):
    return activation_impl(activation_proxies(network)[site])


# ------------------------------------------------------------------------------ separate scales


def test_the_hidden_state_s_range_is_its_own(float_classifier, wrapped):
    largest = float_values(float_classifier, wrapped)
    together, _ = calibrated(float_classifier, wrapped, 8, ranges="minmax")
    apart, _ = calibrated(float_classifier, wrapped, 8, ranges="minmax", **SEPARATE)
    assert together.activation_thresholds["lstm.io"] == pytest.approx(largest["input"])
    changed = {
        site
        for site, threshold in apart.activation_thresholds.items()
        if threshold != together.activation_thresholds[site]
    }
    expected = {"lstm.io"} if float_classifier.kind == "discriminative" else {
        "lstm.io", "decoder.input",
    }  # fmt: skip
    assert changed == expected
    for site in changed:
        assert apart.activation_thresholds[site] == pytest.approx(largest["lstm.io/hidden"])


def test_the_lstm_reads_its_input_on_the_input_s_grid(float_classifier, wrapped):
    done, _ = calibrated(float_classifier, wrapped, 3, **SEPARATE)
    read = []
    layer = done.network.lstm.layers[0][0]
    inputs = layer.maybe_quantize_input
    layer.maybe_quantize_input = lambda x: read.append(inputs(x)) or read[-1]
    one = make_batch(wrapped, np.array([5]))
    states = done.network.hidden_states(one.ids)
    embedded = quantized_weight(done.network, "embedding")[one.ids]
    once, scale = quantizer(done.network, "input")(embedded)[:2]
    (seen,) = read
    assert torch.equal(seen.value, once) and seen.scale == scale
    own = quantizer(done.network, "lstm.io")(torch.zeros(1))[1]
    assert own < scale / 2
    codes = states / own
    torch.testing.assert_close(codes, codes.round())


@pytest.mark.parametrize(
    "arithmetic",
    [
        "float-torch",
        pytest.param(
            "float-native",
            marks=pytest.mark.skipif(not native.available(), reason=native.why_not()),
        ),
    ],
)
@pytest.mark.parametrize("bits", [3, 8])
def test_the_decoder_reads_h_on_its_grid_and_v_on_the_label_embedding_s(
    generative_classifier, wrapped, wrapped_labels, bits, arithmetic
):
    done, _ = calibrated(generative_classifier, wrapped, bits, **SEPARATE)
    network = done.network
    one = make_batch(wrapped, np.array([7]), drop_last=True)
    states = network.hidden_states(one.ids)[0]
    h, h_scale = quantizer(network, "decoder.input")(states)[:2]
    weight, weight_scale = weight_proxies(network)["decoder"].tensor_quant(network.decoder.weight)[
        :2
    ]
    unit = (h_scale * weight_scale).double()
    bias = torch.round(network.decoder.bias.double() / unit) * unit
    labels = quantized_weight(network, "label_embedding")
    assert torch.equal(network.decoder_labels(), labels)
    scores = []
    for vector in labels:
        inputs = torch.cat([h, vector.expand(len(h), -1)], dim=1).double()
        logits = inputs @ weight.double().T + bias
        torch.testing.assert_close(network.decode(states, vector), logits.float())
        log_p = logits.log_softmax(1)
        following = torch.from_numpy(wrapped[7][1:].astype(np.int64))
        scores.append(float(log_p.gather(1, following[:, None]).sum()))
    kernels = kernels_by("auto", network, wrapped, arithmetic=arithmetic)
    found = evaluate(network, wrapped, wrapped_labels, kernels=kernels).scores[7]
    prior = generative_classifier.arrays["log_prior"]
    np.testing.assert_allclose(found, np.array(scores) + prior, rtol=1e-4)


def test_separate_grids_are_what_the_gates_gram_and_the_shifts_see(float_classifier, wrapped):
    done, scheme = calibrated(float_classifier, wrapped, 8, **SEPARATE)
    reference = float_sites(float_classifier.kind, float_classifier.arrays, wrapped)
    rows = {r.site: r for r in activation_shifts(done, scheme, wrapped, reference)}
    assert rows["lstm.io"].n_a == rows["lstm.io"].n_b == rows["lstm.cell"].n_a // 3
    assert list(rows) == list(ACTIVATION_SITES[float_classifier.kind])
    for row in rows.values():
        assert row.ks < 0.1 and row.sqnr_db > 15, row.site
    together, _ = calibrated(float_classifier, wrapped, 8)
    width = done.network.embedding.embedding_dim
    grams = [gate_gram(d.network, float_classifier.arrays, wrapped) for d in (done, together)]
    table = quantizer(done.network, "input")(quantized_weight(done.network, "embedding"))[0]
    cut = 1 if float_classifier.kind == "generative" else 0
    ids = np.concatenate([wrapped[i][: len(wrapped[i]) - cut] for i in range(len(wrapped))])
    inputs = table[torch.from_numpy(ids.astype(np.int64))].double()
    exact = inputs.T @ inputs / len(inputs)
    torch.testing.assert_close(grams[0].quantized[:width, :width], exact)
    assert not torch.allclose(grams[0].quantized, grams[1].quantized)


# ------------------------------------------------------------------------------- the cell guard


@pytest.mark.parametrize("bits", range(2, 9))
def test_the_guard_caps_the_cell_s_step_at_the_largest_new_part(float_classifier, wrapped, bits):
    largest = float_values(float_classifier, wrapped)["lstm.cell/new"]
    free, _ = calibrated(float_classifier, wrapped, bits)
    kept, _ = calibrated(float_classifier, wrapped, bits, cell_guard=True)
    before, after = (d.activation_thresholds["lstm.cell"] for d in (free, kept))
    assert after == pytest.approx(min(before, largest * 2 ** (bits - 1)))
    others = {s: t for s, t in free.activation_thresholds.items() if s != "lstm.cell"}
    assert others == {s: kept.activation_thresholds[s] for s in others}


def with_large_cells(make_model, kind):
    """Forget gates that stay open: cell states add up to many times what a step adds."""
    model = make_model(kind, gain=0.3)
    hidden = model.arrays["lstm.weight_hh_l0"].shape[1]
    model.arrays["lstm.bias_ih_l0"][hidden : 2 * hidden] += 6
    model.arrays["lstm.bias_ih_l0"][2 * hidden : 3 * hidden] += 2
    return model


@pytest.mark.parametrize("kind", ["discriminative", "generative"])
@pytest.mark.parametrize("bits", [3, 4])
def test_the_guard_revives_an_lstm_whose_cell_state_cannot_leave_zero(
    make_model, make_documents, kind, bits
):
    model, documents = with_large_cells(make_model, kind), make_documents(40, longest=60)
    labels = np.zeros(len(documents), dtype=np.int64)
    alive = []
    for guard in (False, True):
        done, _ = calibrated(model, documents, bits, ranges="minmax", cell_guard=guard)
        alive.append(evaluate(done.network, documents, labels).mean_abs_h)
    assert alive[0] == 0
    assert alive[1] > 0.1


# ------------------------------------------------------------------------- asymmetric ranges


def test_asymmetric_sites_reach_from_their_smallest_to_their_largest_value(
    float_classifier, wrapped
):
    seen = collect_statistics(
        float_classifier.kind, float_classifier.arrays, wrapped, percentile=99.999
    )
    done, _ = calibrated(float_classifier, wrapped, 8, ranges="minmax", symmetric=False)
    for site, proxy in activation_proxies(done.network).items():
        ends = torch.tensor([-1e6, seen[site].low, 0.0, seen[site].high, 1e6])
        values, scale, zero_point, _ = activation_impl(proxy)(ends)
        assert zero_point == 0  # codes are counted from the one that means 0
        assert values[2] == 0
        assert values[4] - values[0] == pytest.approx(255 * float(scale), rel=1e-5)
        if site not in UNSIGNED_SITES:
            assert values[1] == pytest.approx(seen[site].low, abs=0.51 * float(scale))
            assert values[3] == pytest.approx(seen[site].high, abs=0.51 * float(scale))
            assert float(scale) == pytest.approx((seen[site].high - seen[site].low) / 255)


@pytest.mark.parametrize("ranges", ["minmax", "percentile", "mse", "output-mse"])
def test_shifts_of_an_asymmetric_network_are_small_at_8_bits(float_classifier, wrapped, ranges):
    done, scheme = calibrated(float_classifier, wrapped, 8, ranges=ranges, symmetric=False)
    reference = float_sites(float_classifier.kind, float_classifier.arrays, wrapped)
    for row in activation_shifts(done, scheme, wrapped, reference):
        assert row.ks < 0.1 and row.sqnr_db > 15, row.site
        assert row.threshold == done.activation_thresholds[row.site]
        assert 0 <= row.clip_rate < 0.2


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_the_guard_holds_for_asymmetric_cells(make_model, make_documents, bits):
    model, documents = with_large_cells(make_model, "discriminative"), make_documents(40)
    largest = float_values(model, documents)["lstm.cell/new"]
    done, _ = calibrated(model, documents, bits, ranges="minmax", symmetric=False, cell_guard=True)
    assert quantizer(done.network, "lstm.cell")(torch.zeros(1))[1] <= largest * 1.000001


@pytest.mark.parametrize("preset", ["onnx-dynamic", "onnx-static"])
def test_another_tool_s_scheme_never_becomes_a_network_of_calibkit_s(
    discriminative_classifier, wrapped, preset
):
    model, scheme = discriminative_classifier, resolve(SchemeSettings(preset=preset), bits=8)
    with pytest.raises(BadInput, match=f"the preset {preset} is another tool's quantizer"):
        calibrate(model.kind, model.arrays, wrapped, scheme)
