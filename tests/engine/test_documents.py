"""What sites see of each document, against a loop over documents, tokens and labels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.engine.documents import (
    COUNTS_FROM,
    QUANTILES,
    document_moments,
    document_ranges,
    quantiles,
)
from calibkit.engine.statistics import collect_statistics
from calibkit.quantize.sites import ACTIVATION_SITES, GATES
from calibkit.ragged import Ragged

KINDS = ("discriminative", "generative")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def seen_of(kind, arrays, ids):
    """Return all values that each site sees of one document: a token, a label at a time."""
    weights = {name: array.astype(np.float64) for name, array in arrays.items()}
    names = ["input", "lstm.io", "lstm.cell", "lstm.tanh_cell", "lstm.tanh_hidden"]
    seen = {site: [] for site in [*names, *ACTIVATION_SITES[kind]]}
    hidden = cell = np.zeros(weights["lstm.weight_hh_l0"].shape[1])
    states = []
    for token in ids[:-1] if kind == "generative" else ids:
        x = weights["embedding.weight"][token]
        both = weights["lstm.weight_ih_l0"] @ x + weights["lstm.weight_hh_l0"] @ hidden
        gates = np.split(both + weights["lstm.bias_ih_l0"] + weights["lstm.bias_hh_l0"], 4)
        for gate, value in zip(GATES, gates, strict=True):
            seen[f"lstm.acc_{gate}"].append(value)
            if gate != "cell":
                seen[f"lstm.sigmoid_{gate}"].append(sigmoid(value))
        i, f, o = (sigmoid(gates[n]) for n in (0, 1, 3))
        forgotten, new = f * cell, i * np.tanh(gates[2])
        cell = forgotten + new
        hidden = o * np.tanh(cell)
        seen["input"].append(x)
        seen["lstm.io"] += [x, hidden]
        seen["lstm.cell"] += [forgotten, new, cell]
        seen["lstm.tanh_cell"].append(np.tanh(gates[2]))
        seen["lstm.tanh_hidden"].append(np.tanh(cell))
        states.append(hidden)
        for vector in weights.get("label_embedding.weight", ()):
            seen["decoder.input"] += [hidden, vector]
    if kind == "discriminative":
        seen["classifier.input"].append(np.mean(states, axis=0))
    return [np.concatenate(seen[site]) for site in ACTIVATION_SITES[kind]]


@settings(max_examples=8, deadline=None)
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 1000), batch=st.sampled_from([1, 3, 64]))
def test_each_document_is_summed_up_like_a_loop_over_its_tokens(
    kind, seed, batch, make_model, make_documents
):
    model = make_model(kind, seed=seed, hidden=6, embedding=5)
    tokens = make_documents(9, seed=seed, longest=8)
    statistics = collect_statistics(kind, model.arrays, tokens, percentile=100)
    ranges = document_ranges(kind, model.arrays, tokens, batch=batch)
    moments = document_moments(kind, model.arrays, tokens, batch=batch)
    sites = ACTIVATION_SITES[kind]
    assert ranges.shape == (9, len(sites), 2)
    assert moments.shape == (9, len(sites), COUNTS_FROM + len(QUANTILES))
    assert ranges.dtype == moments.dtype == np.float32
    for row in range(9):
        for place, values in enumerate(seen_of(kind, model.arrays, tokens[row])):
            low_high = [values.min(), values.max()]
            np.testing.assert_allclose(ranges[row, place], low_high, rtol=1e-5, atol=1e-6)
            sums = [len(values), values.sum(), (values**2).sum()]
            np.testing.assert_allclose(moments[row, place, :3], sums, rtol=1e-4, atol=1e-5)
            edges = quantiles(statistics[sites[place]].histogram)
            fewest, most = ((values[:, None] < edges + e).sum(0) for e in (-1e-5, 1e-5))
            assert (fewest <= moments[row, place, COUNTS_FROM:]).all()
            assert (moments[row, place, COUNTS_FROM:] <= most).all()


@pytest.mark.parametrize("kind", KINDS)
def test_documents_add_up_to_what_the_observer_sees_of_the_pool(kind, make_model, make_documents):
    model, tokens = make_model(kind), make_documents(60)
    statistics = collect_statistics(kind, model.arrays, tokens, percentile=100)
    ranges = document_ranges(kind, model.arrays, tokens)
    total = document_moments(kind, model.arrays, tokens).sum(axis=0, dtype=np.float64)
    for place, site in enumerate(ACTIVATION_SITES[kind]):
        whole = statistics[site]
        assert ranges[:, place, 0].min() == np.float32(whole.low)
        assert ranges[:, place, 1].max() == np.float32(whole.high)
        assert total[place, 0] == whole.count
        expected = [whole.mean * whole.count, whole.mean_square * whole.count]
        np.testing.assert_allclose(total[place, 1:3], expected, rtol=1e-5, atol=1e-3)


def test_the_thresholds_are_quantiles_of_the_pool(generative_classifier, make_documents):
    """Label vectors are a few numbers that come very often: no threshold falls between them."""
    arrays, tokens = generative_classifier.arrays, make_documents(80, longest=30)
    total = document_moments("generative", arrays, tokens).sum(axis=0, dtype=np.float64)
    shares = total[:, COUNTS_FROM:] / total[:, :1]
    smooth = [ACTIVATION_SITES["generative"].index(f"lstm.acc_{gate}") for gate in GATES]
    np.testing.assert_allclose(shares[smooth], [QUANTILES] * 4, atol=0.004)
    assert (np.diff(total[:, COUNTS_FROM:], axis=1) >= 0).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("look", [document_ranges, document_moments])
def test_neither_order_nor_batching_of_documents_matters(kind, look, make_model, make_documents):
    model, tokens = make_model(kind), make_documents(40)
    whole = look(kind, model.arrays, tokens)
    order = np.random.default_rng(1).permutation(40)
    shuffled = look(kind, model.arrays, tokens.take(order))
    np.testing.assert_allclose(shuffled, whole[order], rtol=1e-5, atol=1e-5)
    for batch in (1, 7):
        other = look(kind, model.arrays, tokens, batch=batch)
        apart = np.abs(other - whole)
        # a value that is a threshold but for rounding may be counted on either side
        assert (apart <= 1e-5 * np.abs(whole) + 1e-5).mean() > 0.999
        assert apart.max() <= 1


def test_a_document_alone_is_as_it_is_among_others(float_classifier, make_documents):
    tokens = make_documents(12)
    together = document_ranges(float_classifier.kind, float_classifier.arrays, tokens)
    for row in (0, 5, 11):
        alone = document_ranges(
            float_classifier.kind, float_classifier.arrays, Ragged.of([tokens[row]])
        )
        np.testing.assert_allclose(alone[0], together[row], rtol=1e-5, atol=1e-6)
