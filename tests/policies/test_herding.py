from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calibkit.errors import BadInput, Infeasible
from calibkit.identity import keyed_generator
from calibkit.policies import Draw, Herding, Pool, make_policy
from calibkit.policies.herding import herding_order
from calibkit.policies.mmd import fourier_kernel, mmd
from calibkit.testing import check_policy

STEPS = hnp.arrays(
    np.int8, st.tuples(st.integers(1, 7), st.integers(1, 4)), elements=st.integers(-127, 127)
)


def gap(steps, rows, total, documents):
    """The squared distance of the means, exactly."""
    return sum(
        (Fraction(sum(int(steps[r, d]) for r in rows), len(rows)) - Fraction(int(t), documents))
        ** 2
        for d, t in enumerate(total)
    )


@settings(deadline=None)
@given(STEPS, st.integers(0, 5), st.data())
def test_every_step_takes_the_row_that_brings_the_means_nearest(steps, others, data):
    """Compared with exact fractions; the policy knows the mean to 2^-16 of a step."""
    count = data.draw(st.integers(1, len(steps)))
    dims = steps.shape[1]
    extra = data.draw(hnp.arrays(np.int8, (others, dims), elements=st.integers(-127, 127)))
    total = steps.sum(axis=0, dtype=np.int64) + extra.sum(axis=0, dtype=np.int64)
    documents = len(steps) + others
    order = herding_order(steps, total, documents, count).tolist()
    assert len(set(order)) == count
    for place in range(count):
        left = [r for r in range(len(steps)) if r not in order[:place]]
        gaps = {r: gap(steps, [*order[:place], r], total, documents) for r in left}
        assert gaps[order[place]] - min(gaps.values()) <= 2 * dims * 127 / 2**15
        same = [r for r in left if (steps[r] == steps[order[place]]).all()]
        assert order[place] == min(same)


def test_a_mean_that_one_row_has_is_met_at_once():
    steps = np.array([[5, 0], [100, 3], [-7, 9]], dtype=np.int8)
    assert herding_order(steps, np.array([1000, 30]), 10, 1).tolist() == [1]


def test_the_order_survives_the_largest_values():
    steps = np.full((300, 1024), 127, dtype=np.int8)
    steps[::2] = -127
    order = herding_order(steps, steps.sum(axis=0, dtype=np.int64) * 10_000, 3_000_000, 300)
    assert order[:4].tolist() == [0, 1, 2, 3]  # in turns, so that the mean stays 0
    assert sorted(order) == list(range(300))


@pytest.fixture(scope="module")
def mixture():
    rng = np.random.default_rng(3)
    centres = rng.standard_normal((6, 8)) * 2
    return (centres[rng.integers(0, 6, 1500)] + rng.standard_normal((1500, 8))).astype(np.float32)


def test_mmd_falls_about_as_one_over_the_size_and_is_far_below_random_draws(mixture):
    kernel = fourier_kernel(mixture, np.arange(1500), keyed_generator(0, "test"))
    order = herding_order(kernel.steps(mixture), kernel.total(mixture), 1500, 256)
    sizes = (4, 8, 16, 32, 64, 128, 256)
    herded = mmd(mixture, [order[:n] for n in sizes], kernel)
    assert (np.diff(herded) < 0).all()
    slope = np.polyfit(np.log(sizes), np.log(herded), 1)[0]
    assert slope < -0.8
    rng = np.random.default_rng(0)
    for size, reached in zip(sizes, herded, strict=True):
        draws = [rng.choice(1500, size, replace=False) for _ in range(20)]
        assert reached < mmd(mixture, draws, kernel).min() / 1.3


def test_mmd_under_other_random_features_is_below_random_draws_too(mixture):
    """What is matched is the distribution, not only these features."""
    kernel = fourier_kernel(mixture, np.arange(1500), keyed_generator(0, "test"))
    other = fourier_kernel(mixture, np.arange(1500), keyed_generator(1, "test"))
    order = herding_order(kernel.steps(mixture), kernel.total(mixture), 1500, 64)
    rng = np.random.default_rng(0)
    draws = mmd(mixture, [rng.choice(1500, 64, replace=False) for _ in range(40)], other)
    assert mmd(mixture, [order], other)[0] < draws.min()


def test_the_greedy_triple_is_among_the_best_of_all_triples():
    ranks = []
    for seed in range(12):
        vectors = np.random.default_rng(seed).standard_normal((12, 2)).astype(np.float32)
        kernel = fourier_kernel(vectors, np.arange(12), keyed_generator(seed, "test"), 256)
        order = herding_order(kernel.steps(vectors), kernel.total(vectors), 12, 3)
        every = [np.array(some) for some in itertools.combinations(range(12), 3)]
        greedy, *gaps = mmd(vectors, [order, *every], kernel)
        ranks.append(np.mean(np.array(gaps) < greedy))
    assert np.median(ranks) < 0.1
    assert max(ranks) < 0.5


def test_the_target_is_the_whole_pool_not_only_the_candidates():
    """200 candidates of one kind and 200 of another, in a pool that is three quarters one kind."""
    vectors = np.repeat([[0.0], [1.0]], [300, 100], axis=0) + np.zeros((400, 3))
    pool = Pool(
        tuple(f"d{i:03}" for i in range(400)), ("x",) * 400, np.ones(400), {"vectors": vectors}
    )
    for seed in range(3):
        chosen = Herding(candidates=200).pick(pool, 40, Draw(seed))
        assert (chosen < 300).sum() == 30


def test_duplicates_and_the_rest_beyond_the_candidates(pool):
    half = Herding().pick(pool, 200, Draw(5))
    keyed = Draw(5, "select-candidates").ranked(pool)
    assert set(half) == set(keyed[:200])
    more = Herding().pick(pool, 210, Draw(5))
    assert more.tolist() == half.tolist() + keyed[200:210].tolist()


def test_features_that_are_the_same_or_no_numbers_are_refused(pool):
    flat = pool.with_arrays(vectors=np.ones((400, 3)))
    with pytest.raises(Infeasible, match="tfidf-svd features of all 200 candidates are the same"):
        Herding().pick(flat, 4, Draw(0))
    assert len(Herding().pick(flat, 1, Draw(0))) == 1
    broken = pool.need("vectors", "test").copy()
    broken[[1, 4], 0] = np.nan
    with pytest.raises(BadInput, match="features of 2 documents are not finite"):
        Herding().pick(pool.with_arrays(vectors=broken), 4, Draw(0))


@pytest.mark.parametrize("dims", [0, 3, 1026])
def test_dims_is_even_and_at_most_1024(dims):
    with pytest.raises(BadInput, match=f"herding: dims is {dims}; it must be"):
        make_policy("herding", {"dims": dims})
    assert make_policy("herding").params() == {"dims": 512, "features": "tfidf-svd"}


@pytest.mark.parametrize("policy", [Herding(features="given", dims=2), Herding(candidates=100)])
def test_the_contract_holds_for_other_parameters_too(policy, pool):
    check_policy(policy, pool)
