import numpy as np
import pytest
import torch

from calibkit.engine.calibrate import calibrate
from calibkit.engine.plain import classifier_logits, evaluate
from calibkit.models.checkpoints import from_arrays
from calibkit.models.scoring import score, token_nll
from calibkit.quantize.installation import install
from calibkit.quantize.networks import (
    PORT,
    activation_impl,
    activation_proxies,
    build,
    linear_name,
    quantized_weight,
    weight_proxies,
)
from calibkit.quantize.ranges import weight_scale
from calibkit.quantize.schemes import SchemeSettings, resolve
from calibkit.ragged import Ragged


def padded(tokens):
    ids = torch.zeros(len(tokens), int(tokens.lengths.max()), dtype=torch.int64)
    for row in range(len(tokens)):
        ids[row, : tokens.lengths[row]] = torch.from_numpy(tokens[row].astype(np.int64))
    return ids, torch.from_numpy(tokens.lengths)


def scheme(bits, rounding="nearest", **settings):
    return resolve(SchemeSettings(**settings), bits=bits, rounding=rounding)


@pytest.mark.parametrize("seed", range(4))
def test_the_port_agrees_with_the_float_model_on_every_prediction(
    make_model, make_documents, float_classifier, seed
):
    model = make_model(float_classifier.kind, seed=seed)
    tokens, labels = make_documents(80, seed=seed), np.arange(80) % 3
    exact = from_arrays(model.arrays, model.config)
    scores = score(exact, tokens)
    port = evaluate(build(model.kind, model.arrays, PORT), tokens, labels)
    np.testing.assert_array_equal(port.predicted, scores.predicted)
    np.testing.assert_allclose(port.scores, scores.log_scores, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(port.nll, scores.nll(labels), rtol=1e-5, atol=1e-5)
    assert port.mean_abs_h == pytest.approx(scores.mean_abs_h, rel=1e-5)
    if model.kind == "generative":
        theirs = np.sort(token_nll(exact, tokens, labels))
        np.testing.assert_allclose(np.sort(port.token_nll), theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("rounding", ["nearest", "gpfq"])
@pytest.mark.parametrize("weights", ["per-tensor", "per-channel"])
def test_evaluation_equals_the_networks_own_forward(
    float_classifier, wrapped, wrapped_labels, bits, rounding, weights
):
    """For the generative model: the factored decoder against one decoder run per label."""
    model = float_classifier
    done = calibrate(model.kind, model.arrays, wrapped, scheme(bits, rounding, weights=weights))
    found = evaluate(done.network, wrapped, wrapped_labels)
    with torch.no_grad():
        plain = done.network(*padded(wrapped))
    if model.kind == "discriminative":
        plain = plain.log_softmax(1)
    np.testing.assert_allclose(found.scores, plain.numpy(), rtol=1e-5, atol=1e-4)
    assert found.scores.shape == (60, 3)
    truth = found.scores[np.arange(60), wrapped_labels]
    np.testing.assert_array_equal(found.nll, -truth)
    np.testing.assert_array_equal(found.predicted, found.scores.argmax(1))


def test_token_cross_entropies_add_up_to_the_score_of_the_true_label(
    generative_classifier, wrapped, wrapped_labels
):
    model = generative_classifier
    done = calibrate(model.kind, model.arrays, wrapped, scheme(4))
    found = evaluate(done.network, wrapped, wrapped_labels, batch=13)
    assert len(found.token_nll) == int((wrapped.lengths - 1).sum())
    prior = model.arrays["log_prior"][wrapped_labels].astype(float).sum()
    assert found.token_nll.sum(dtype=float) == pytest.approx(found.nll.sum() + prior, rel=1e-5)


def test_the_spread_of_an_evaluation_is_that_of_the_documents_last_states(
    float_classifier, wrapped, wrapped_labels
):
    model = float_classifier
    done = calibrate(model.kind, model.arrays, wrapped, scheme(8))
    found = evaluate(done.network, wrapped, wrapped_labels, batch=7)
    last = []
    with torch.no_grad():
        for row in range(len(wrapped)):
            ids = torch.from_numpy(wrapped[row].astype(np.int64))
            read = ids[:-1] if model.kind == "generative" else ids
            last.append(done.network.hidden_states(read[None])[0, -1].numpy())
    assert found.state_spread == pytest.approx(np.sqrt(np.var(last, axis=0).mean()), rel=1e-3)
    same = wrapped.take([5] * 9)
    assert evaluate(done.network, same, np.zeros(9, dtype=np.int64)).state_spread == 0


@pytest.mark.parametrize("bits", [3, 4, 8])
def test_the_batch_size_hardly_changes_a_prediction(
    float_classifier, wrapped, wrapped_labels, bits
):
    """Float32 sums inside Brevitas's LSTM may move a value over a quantizer's boundary."""
    model = float_classifier
    done = calibrate(model.kind, model.arrays, wrapped, scheme(bits))
    whole = evaluate(done.network, wrapped, wrapped_labels)
    for batch in (7, 30):
        other = evaluate(done.network, wrapped, wrapped_labels, batch=batch)
        assert (other.predicted == whole.predicted).mean() >= 0.98
        np.testing.assert_allclose(other.nll.mean(), whole.nll.mean(), rtol=1e-3)


def test_predictions_follow_documents_when_they_change_places(
    float_classifier, wrapped, wrapped_labels
):
    model = float_classifier
    done = calibrate(model.kind, model.arrays, wrapped, scheme(4))
    order = np.random.default_rng(1).permutation(60)
    first = evaluate(done.network, wrapped, wrapped_labels)
    second = evaluate(done.network, wrapped.take(order), wrapped_labels[order])
    np.testing.assert_array_equal(first.scores[order], second.scores)
    np.testing.assert_array_equal(first.nll[order], second.nll)


@pytest.mark.parametrize("bits", [4, 8])
def test_equal_accumulators_are_exact_ties(make_model, wrapped, bits):
    """Labels 1 and 4 add up the same products in another order: float32 sums differ, these not."""
    model = make_model("discriminative", labels=5)
    arrays = dict(model.arrays)
    weight, bias = arrays["classifier.weight"].copy(), arrays["classifier.bias"].copy()
    weight[1] = np.abs(weight[1]) + 1
    weight[4], bias[4] = weight[1][::-1], bias[1]
    arrays |= {"classifier.weight": weight, "classifier.bias": bias}
    network = calibrate(model.kind, arrays, wrapped, scheme(bits)).network
    with torch.no_grad():
        pooled = torch.linspace(-0.4, 0.4, 501)[:, None].expand(-1, 16).contiguous()
        logits = classifier_logits(network, pooled)
        rounded = network.classifier(pooled)
    assert torch.equal(logits[:, 1], logits[:, 4])
    assert not torch.equal(rounded[:, 1], rounded[:, 4])  # what the ties are protected from


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("weights", ["per-tensor", "per-channel"])
def test_classifier_logits_are_whole_steps_equal_to_brevitas(make_model, wrapped, bits, weights):
    model = make_model("discriminative", labels=6)
    network = calibrate(model.kind, model.arrays, wrapped, scheme(bits, weights=weights)).network
    pooled = torch.randn(500, 16, generator=torch.Generator().manual_seed(0)) * 0.3
    with torch.no_grad():
        exact = classifier_logits(network, pooled)
        theirs = network.classifier(pooled)
        one_by_one = torch.cat([classifier_logits(network, row[None]) for row in pooled[:50]])
    torch.testing.assert_close(exact.float(), theirs, rtol=1e-5, atol=1e-5)
    assert torch.equal(exact[:50], one_by_one)


def test_documents_without_words_are_scored(float_classifier):
    """<bos> <eos> alone: one predicted token for the generative model."""
    model = float_classifier
    tokens, labels = Ragged.of([[2, 3], [2, 3], [2, 9, 3]]), np.array([0, 1, 2])
    done = calibrate(model.kind, model.arrays, tokens, scheme(8, "gpfq"))
    found = evaluate(done.network, tokens, labels)
    np.testing.assert_array_equal(found.scores[0], found.scores[1])
    assert np.isfinite(found.scores).all()
    only = evaluate(done.network, tokens.take([0]), labels[:1])
    np.testing.assert_allclose(only.scores[0], found.scores[0], rtol=1e-5)


def test_one_document_calibrates(float_classifier, wrapped, wrapped_labels):
    model = float_classifier
    alone = wrapped.take([int(wrapped.lengths.argmax())])
    done = calibrate(model.kind, model.arrays, alone, scheme(8, "gpfq"))
    assert np.isfinite(evaluate(done.network, wrapped, wrapped_labels).scores).all()


def test_a_dead_lstm_is_measured_as_dead(float_classifier, wrapped, wrapped_labels):
    """No input weights, no biases: h is 0, every site that follows it has nothing to show."""
    model = float_classifier
    arrays = {
        name: np.zeros_like(a) if name.startswith("lstm.") else a
        for name, a in model.arrays.items()
    }
    done = calibrate(model.kind, arrays, wrapped, scheme(4, "gpfq"))
    found = evaluate(done.network, wrapped, wrapped_labels)
    assert found.mean_abs_h == 0.0
    assert np.isfinite(found.scores).all()
    assert all(t > 0 for t in done.activation_thresholds.values())


def test_a_coarse_cell_kills_the_lstm_by_arithmetic(make_model, wrapped, wrapped_labels):
    """Half a step of the cell state above every |i * g| leaves c, and so h, at exactly 0."""
    model = make_model("generative", gain=0.05)
    done = calibrate(model.kind, model.arrays, wrapped, scheme(8))
    assert evaluate(done.network, wrapped, wrapped_labels).mean_abs_h > 0
    coarse = {**done.activation_thresholds, "lstm.cell": 128 * 2.01}  # a step of 2.01
    install(done.network, scheme(8), done.weight_thresholds, coarse)
    assert evaluate(done.network, wrapped, wrapped_labels).mean_abs_h == 0.0


def test_more_bits_come_closer_to_the_float_model(float_classifier, wrapped, wrapped_labels):
    model = float_classifier
    exact = score(from_arrays(model.arrays, model.config), wrapped).log_scores
    errors = [
        np.abs(
            evaluate(
                calibrate(model.kind, model.arrays, wrapped, scheme(bits)).network,
                wrapped,
                wrapped_labels,
            ).scores
            - exact
        ).mean()
        for bits in (8, 5, 3)
    ]
    assert errors[0] < errors[1] < errors[2]
    assert errors[0] < 0.1 * errors[2]


def test_bits_by_site_reach_exactly_those_sites(float_classifier, wrapped):
    model = float_classifier
    by_site = {"lstm.cell": 8, "lstm.weight_*": 6, "embedding": 3}
    mixed = resolve(SchemeSettings(bits=by_site), bits=4)
    network = calibrate(model.kind, model.arrays, wrapped, mixed).network
    found = {
        site: activation_impl(proxy)(torch.ones(1))[3]
        for site, proxy in activation_proxies(network).items()
    }
    for site, proxy in weight_proxies(network).items():
        found[site] = proxy.tensor_quant(torch.ones(1))[3]
    for site, width in found.items():
        expected = 8 if site == "lstm.cell" else 6 if site.startswith("lstm.weight_") else 4
        assert int(width) == (3 if site == "embedding" else expected), site


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("weights", ["per-tensor", "per-channel"])
def test_the_network_computes_with_the_codes_that_were_chosen(
    float_classifier, wrapped, bits, weights
):
    model = float_classifier
    done = calibrate(model.kind, model.arrays, wrapped, scheme(bits, "gpfq", weights=weights))
    name = linear_name(model.kind)
    step = weight_scale(done.weight_thresholds[name], bits)
    used = quantized_weight(done.network, name).numpy() / step
    np.testing.assert_array_equal(np.rint(used), done.codes)
    if bits > 2:  # at 2 bits the discriminative model is dead: no input, nothing to correct
        assert (done.codes != done.nearest_codes).any()
    nearest = calibrate(model.kind, model.arrays, wrapped, scheme(bits, weights=weights))
    np.testing.assert_array_equal(nearest.codes, done.nearest_codes)
    np.testing.assert_array_equal(nearest.nearest_codes, done.nearest_codes)


def test_calibration_is_repeatable_and_ignores_the_order_of_the_subset(float_classifier, wrapped):
    model = float_classifier
    shuffled = wrapped.take(np.random.default_rng(3).permutation(60))
    first, again, other = (
        calibrate(model.kind, model.arrays, tokens, scheme(4, "gpfq"))
        for tokens in (wrapped, wrapped, shuffled)
    )
    for found in (again, other):
        assert found.activation_thresholds == first.activation_thresholds
        np.testing.assert_array_equal(found.codes, first.codes)
