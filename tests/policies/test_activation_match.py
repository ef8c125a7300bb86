from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.errors import BadInput
from calibkit.policies import ActivationMatch, Draw
from calibkit.policies.activation_match import deviations, match, mismatch, pooled

QUANTILES = (0.1, 0.5, 0.9)


def moments_of(documents):
    """The moments of made-up documents: lists, by document, of (values, sites) arrays."""
    thresholds = np.quantile(np.concatenate(documents), QUANTILES, axis=0)
    rows = [
        np.stack(
            [np.full(v.shape[1], len(v)), v.sum(0), (v**2).sum(0)]
            + [(v < t).sum(0) for t in thresholds],
            axis=1,
        )
        for v in documents
    ]
    return np.array(rows, dtype=np.float64), thresholds


def made(seed, documents=12, sites=2):
    rng = np.random.default_rng(seed)
    return [
        rng.normal(rng.normal(0.3, 1, sites), rng.gamma(2, 0.7, sites), (rng.integers(1, 9), sites))
        for _ in range(documents)
    ]


def from_values(documents, thresholds, rows):
    """The mismatch from the values themselves, site by site."""
    pool, some = np.concatenate(documents), np.concatenate([documents[r] for r in rows])
    mean, variance = pool.mean(0), pool.var(0)
    found = ((some.mean(0) - mean) ** 2 / variance) + (
        (((some - mean) ** 2).mean(0) - variance) / variance
    ) ** 2
    for threshold in thresholds:
        p = (pool < threshold).mean(0)
        found += ((some < threshold).mean(0) - p) ** 2 / (p * (1 - p)) / len(thresholds)
    return found.mean()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.data())
def test_the_mismatch_is_that_of_the_pooled_values(seed, data):
    documents = made(seed)
    moments, thresholds = moments_of(documents)
    rows = data.draw(st.lists(st.integers(0, 11), min_size=1, unique=True))
    found = mismatch(deviations(moments, pooled(moments)), np.array(rows))
    assert found == pytest.approx(from_values(documents, thresholds, rows), rel=1e-4, abs=1e-7)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 12))
def test_every_step_takes_the_document_with_the_least_mismatch(seed, count):
    documents = made(seed)
    moments, _ = moments_of(documents)
    found = deviations(moments, pooled(moments))
    order = match(found, count).tolist()
    for place in range(count):
        left = [r for r in range(12) if r not in order[:place]]
        losses = {r: mismatch(found, np.array([*order[:place], r])) for r in left}
        assert losses[order[place]] <= min(losses.values()) * (1 + 1e-9) + 1e-12
    assert len(set(order)) == count


def test_the_greedy_triple_is_among_the_best_of_all_triples():
    for seed in range(10):
        moments, _ = moments_of(made(seed))
        found = deviations(moments, pooled(moments))
        every = [mismatch(found, np.array(s)) for s in itertools.combinations(range(12), 3)]
        assert mismatch(found, match(found, 3)) <= np.quantile(every, 0.25)


def test_ties_go_to_the_first():
    pair = np.array([[-1.0], [1.0]])
    moments, _ = moments_of([np.array([[1.0], [1.0], [-1.0]]), pair, np.tile(pair, (9, 1)), pair])
    even = deviations(moments, pooled(moments[1:]))
    assert match(even, 4).tolist() == [1, 2, 3, 0]


def test_what_does_not_vary_in_the_pool_is_left_out():
    rng = np.random.default_rng(0)
    documents = [
        np.column_stack([rng.normal(size=n), np.full(n, 0.1)]) for n in rng.integers(2, 9, 30)
    ]
    moments, _ = moments_of(documents)
    for kind in (np.float32, np.float64):
        found = deviations(moments.astype(kind), pooled(moments.astype(kind)))
        assert (found.sums[1] == 0).all()
        alone = deviations(moments[:, :1].astype(kind), pooled(moments[:, :1].astype(kind)))
        assert match(found, 10).tolist() == match(alone, 10).tolist()


def test_without_quantiles_mean_and_variance_are_matched():
    documents = made(5, documents=40)
    moments, _ = moments_of(documents)
    found = deviations(moments[:, :, :3], pooled(moments[:, :, :3]))
    assert found.sums.shape == (2, 40, 2)
    values = np.concatenate([documents[r] for r in match(found, 15)])
    pool = np.concatenate(documents)
    assert np.abs(values.mean(0) - pool.mean(0)).max() < 0.1
    assert np.abs(values.var(0) / pool.var(0) - 1).max() < 0.2


def test_the_mismatch_to_the_whole_pool_is_far_below_that_of_random_draws(pool):
    moments = pool.need("moments", "test")
    found = deviations(moments, pooled(moments))
    rng = np.random.default_rng(0)
    for size in (16, 64):
        random = [mismatch(found, rng.choice(400, size, replace=False)) for _ in range(30)]
        for seed in range(3):
            chosen = ActivationMatch().pick(pool, size, Draw(seed))
            assert mismatch(found, chosen) < min(min(random), np.median(random) / 5)
    assert mismatch(found, np.arange(400)) < 1e-8


def test_the_grid_is_fine_and_its_sums_of_products_are_exact(pool):
    moments = pool.need("moments", "test")
    found = deviations(moments, pooled(moments))
    largest = np.abs(found.sums).max()
    assert (found.sums == np.rint(found.sums)).all()
    assert largest >= 2**14
    assert 2 * largest**2 * found.sums.shape[2] * len(moments) <= 2.0**53


@pytest.mark.parametrize("shape", [(400, 3), (400, 2, 2), (400, 0, 5)])
def test_moments_of_another_shape_are_refused(pool, shape):
    with pytest.raises(BadInput, match=r"activation-match: the pool's 'moments' have the shape"):
        ActivationMatch().pick(pool.with_arrays(moments=np.ones(shape)), 4, Draw(0))


def test_moments_that_are_no_numbers_or_of_no_values_are_refused(pool):
    broken = pool.need("moments", "test").copy()
    broken[[3, 9, 11], 1, 2] = np.inf
    with pytest.raises(BadInput, match="moments of 3 documents are not finite"):
        ActivationMatch().pick(pool.with_arrays(moments=broken), 4, Draw(0))
    empty = pool.need("moments", "test").copy()
    empty[7, 0, 0] = 0
    with pytest.raises(BadInput, match="moments of 1 documents are not finite numbers, or of no"):
        ActivationMatch().pick(pool.with_arrays(moments=empty), 4, Draw(0))
