"""Leverage scores and the draw by them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calibkit.errors import BadInput, Infeasible
from calibkit.policies import Draw, Leverage, Pool, select
from calibkit.policies.grams import traces
from calibkit.testing import example_pool


def pool_of(grams):
    n = len(grams)
    ids = tuple(f"d{i:03}" for i in range(n))
    return Pool(ids, ("x",) * n, np.ones(n), {"gram": np.asarray(grams, dtype=np.float32)})


def test_scores_are_the_sums_of_the_tokens_leverages():
    """diag(X (X^T X)^-1 X^T), summed over a document's tokens, is its share of the traces."""
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((60, 3)) @ rng.standard_normal((3, 3))
    hat = np.diag(inputs @ np.linalg.inv(inputs.T @ inputs) @ inputs.T)
    white = inputs @ np.linalg.inv(np.linalg.cholesky(inputs.T @ inputs / 60)).T
    documents = np.split(np.arange(60), [5, 30, 41])
    grams = np.array([white[rows].T @ white[rows] for rows in documents])
    expected = [60 * hat[rows].sum() for rows in documents]
    assert traces(grams) == pytest.approx(expected)
    assert grams.sum(axis=0) == pytest.approx(60 * np.eye(3))


def test_traces_do_not_depend_on_the_order_of_summation():
    rng = np.random.default_rng(1)
    diagonals = np.exp(rng.normal(0, 4, (50, 32))).astype(np.float32)
    order = rng.permutation(32)
    forward, other = (d[:, :, None] * np.eye(32) for d in (diagonals, diagonals[:, order]))
    assert traces(forward).tolist() == traces(other).tolist()
    exact = [math.fsum(row.tolist()) for row in diagonals]
    assert traces(forward) == pytest.approx(exact, rel=1e-6, abs=float(diagonals.max()) * 2.0**-40)


def test_documents_come_in_proportion_to_their_scores():
    pool = pool_of([np.eye(2) * w for w in (1, 3, 6)])
    seeds = 3000
    first = [int(Leverage().pick(pool, 1, Draw(seed))[0]) for seed in range(seeds)]
    for row, p in enumerate((0.1, 0.3, 0.6)):
        assert abs(first.count(row) - seeds * p) < 4 * math.sqrt(seeds * p * (1 - p))


def test_documents_without_a_score_are_never_drawn():
    pool = pool_of([np.eye(2), np.zeros((2, 2)), np.eye(2)])
    assert sorted(Leverage().pick(pool, 2, Draw(0))) == [0, 2]
    with pytest.raises(Infeasible, match=r"asked for 3 documents, 2 of the pool's 3 have"):
        Leverage().pick(pool, 3, Draw(0))


def test_grams_that_are_none_are_refused():
    with pytest.raises(BadInput, match=r"shape \(3, 2\); it must be \(n, k, k\)"):
        Leverage().pick(pool_of(np.ones((3, 2))), 1, Draw(0))
    bad = np.stack([np.eye(2)] * 4)
    bad[1, 0, 1], bad[3, 1, 1] = np.nan, -1
    with pytest.raises(BadInput, match="Gram matrices of 2 documents"):
        Leverage().pick(pool_of(bad), 1, Draw(0))


def test_without_gram_matrices_it_says_that_a_model_must_be_named():
    bare = example_pool(40, 2)
    without = type(bare)(bare.doc_ids, bare.labels, bare.lengths)
    with pytest.raises(Infeasible, match="leverage needs the 'gram'.*--model"):
        select(Leverage(), without, 4, Draw(0))
