"""Gram matrices of single documents, against a loop over inputs and against the pool's."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.engine import document_grams as module
from calibkit.engine.calibrate import calibrate
from calibkit.engine.document_grams import directions, document_grams, whitening
from calibkit.engine.float_pass import FloatModel
from calibkit.engine.gram import linear_gram
from calibkit.quantize.schemes import SchemeSettings, resolve
from calibkit.ragged import Ragged

KINDS = ("discriminative", "generative")


def inputs_of(kind, arrays, ids):
    """Return the rows that the linear layer reads of one document, all labels in turn."""
    model = FloatModel.of(kind, arrays)
    with torch.inference_mode():
        (done,) = model.passes(Ragged.of([ids]))
    rows = done.linear_input.numpy().astype(np.float64)
    if kind == "discriminative":
        return rows
    labels = arrays["label_embedding.weight"].astype(np.float64)
    return np.array([np.concatenate([h, v]) for h in rows for v in labels])


def directions_of(kind, arrays, tokens, most):
    with torch.inference_mode():
        found = whitening(FloatModel.of(kind, arrays), tokens, most=most)
    return found.matrix.numpy()


@settings(max_examples=8, deadline=None)
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 1000), batch=st.sampled_from([1, 4, 256]))
def test_each_matrix_is_the_sum_over_the_document_s_inputs(
    kind, seed, batch, make_model, make_documents
):
    model = make_model(kind, seed=seed, hidden=6, embedding=5)
    tokens = make_documents(10, seed=seed, longest=8)
    found = document_grams(kind, model.arrays, tokens, most=4, batch=batch)
    assert found.shape == (10, 4, 4)
    assert found.dtype == np.float32
    matrix = directions_of(kind, model.arrays, tokens, 4)
    weight = 1 / 3 if kind == "generative" else tokens.lengths.mean()  # of three labels
    for row in range(10):
        projected = inputs_of(kind, model.arrays, tokens[row]) @ matrix
        expected = weight * projected.T @ projected
        np.testing.assert_allclose(found[row], expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_the_pool_s_matrix_is_the_identity_times_its_tokens(kind, make_model, make_documents):
    model, tokens = make_model(kind), make_documents(60)
    found = document_grams(kind, model.arrays, tokens)
    read = tokens.lengths.sum() - 60 * (kind == "generative")
    total = found.sum(axis=0, dtype=np.float64) / read
    np.testing.assert_allclose(total, np.eye(found.shape[1]), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_directions_whiten_what_gpfq_reads(kind, make_model, make_documents):
    """At 8 bits the quantized inputs are the float ones but for rounding."""
    model, tokens = make_model(kind), make_documents(60)
    scheme = resolve(SchemeSettings(ranges="minmax"), bits=8)
    done = calibrate(kind, model.arrays, tokens, scheme)
    gram = linear_gram(done.network, model.arrays, tokens)
    matrix = directions_of(kind, model.arrays, tokens, 3)
    np.testing.assert_allclose(matrix.T @ gram.mixed.numpy() @ matrix, np.eye(3), atol=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_neither_order_nor_batching_of_documents_matters(kind, make_model, make_documents):
    model, tokens = make_model(kind), make_documents(40)
    whole = document_grams(kind, model.arrays, tokens, most=6)
    order = np.random.default_rng(1).permutation(40)
    shuffled = document_grams(kind, model.arrays, tokens.take(order), most=6)
    np.testing.assert_allclose(shuffled, whole[order], rtol=1e-3, atol=1e-3)
    batched = document_grams(kind, model.arrays, tokens, most=6, batch=7)
    np.testing.assert_allclose(batched, whole, rtol=1e-3, atol=1e-3)


def test_fewer_directions_are_the_first_of_more(float_classifier, make_documents):
    kind, arrays, tokens = float_classifier.kind, float_classifier.arrays, make_documents(40)
    many, few = (document_grams(kind, arrays, tokens, most=k) for k in (8, 3))
    np.testing.assert_allclose(few, many[:, :3, :3], rtol=1e-5, atol=1e-5)


def test_very_many_documents_get_fewer_directions(float_classifier, make_documents, monkeypatch):
    monkeypatch.setattr(module, "MOST_NUMBERS", 40 * 5 * 5 + 3)
    kind, arrays = float_classifier.kind, float_classifier.arrays
    assert document_grams(kind, arrays, make_documents(40)).shape == (40, 5, 5)


def test_directions_without_energy_are_left_out(discriminative_classifier, make_documents):
    """Three different documents have pooled vectors in three directions."""
    tokens = make_documents(3).take([0, 1, 2, 1, 0])
    found = document_grams("discriminative", discriminative_classifier.arrays, tokens)
    assert found.shape == (5, 3, 3)
    assert np.isfinite(found).all()


def test_other_documents_are_seen_in_the_directions_of_the_pool(float_classifier, make_documents):
    kind, arrays, pool = float_classifier.kind, float_classifier.arrays, make_documents(40)
    white = directions(kind, arrays, pool, most=6)
    whole = document_grams(kind, arrays, pool, most=6)
    some = document_grams(kind, arrays, pool.take([3, 17, 8]), white=white)
    np.testing.assert_allclose(some, whole[[3, 17, 8]], rtol=1e-4, atol=1e-4)
