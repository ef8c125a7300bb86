from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calibkit.errors import BadInput, Infeasible
from calibkit.policies import Draw, RangeCover
from calibkit.policies.range_cover import cover, levels, reached, wanted, worth

REACHES = hnp.arrays(np.bool_, st.tuples(st.integers(1, 6), st.integers(1, 8)))
NEEDS = st.integers(1, 4)


def value(reaches, need, rows):
    """The worth of a subset, exactly."""
    counts = [sum(bool(line[r]) for r in rows) for line in reaches]
    return sum(min(Fraction(1), Fraction(c, int(n))) for c, n in zip(counts, need, strict=True))


def naive_greedy(reaches, need, count):
    order = []
    while len(order) < count:
        left = [r for r in range(reaches.shape[1]) if r not in order]
        worths = [value(reaches, need, [*order, r]) for r in left]
        if max(worths) == value(reaches, need, order):
            break
        order.append(left[worths.index(max(worths))])
    return order


@settings(deadline=None)
@given(REACHES, st.data())
def test_greedy_equals_exact_fractions_in_plain_python(reaches, data):
    need = np.array(data.draw(st.lists(NEEDS, min_size=len(reaches), max_size=len(reaches))))
    count = data.draw(st.integers(1, reaches.shape[1]))
    order = cover(reaches, need, count).tolist()
    assert order == naive_greedy(reaches, need, count)
    exact = value(reaches, need, order) / len(need)
    assert worth(reaches, need, np.array(order, dtype=int)) == pytest.approx(float(exact))


@settings(deadline=None)
@given(REACHES, st.integers(1, 4), st.data())
def test_greedy_is_within_1_minus_1_over_e_of_the_best_subset(reaches, count, data):
    need = np.array(data.draw(st.lists(NEEDS, min_size=len(reaches), max_size=len(reaches))))
    count = min(count, reaches.shape[1])
    every = itertools.combinations(range(reaches.shape[1]), count)
    best = max(value(reaches, need, some) for some in every)
    order = cover(reaches, need, count).tolist()
    assert value(reaches, need, order) >= (1 - 1 / math.e) * float(best)


def test_levels_are_the_extreme_and_what_one_in_1000_100_and_10_reach():
    rng = np.random.default_rng(0)
    low, high = rng.permutation(4000) - 4000.0, rng.permutation(4000) * 2.0
    ranges = np.stack([low, high], axis=1)[:, None, :].astype(np.float32)
    found = levels(ranges)
    assert found.dtype == np.float32
    assert found[0, 0].tolist() == [-4000, -3997, -3961, -3601]
    assert found[0, 1].tolist() == [7998, 7992, 7920, 7200]
    counts = reached(ranges, found).sum(axis=1)
    assert counts.tolist() == [1, 4, 40, 400] * 2


def test_a_subset_needs_its_share_of_each_level_and_at_least_one_document():
    assert wanted(1024, 8).tolist() == [1, 1, 10, 102, 1, 1, 10, 102]
    assert wanted(16, 4).tolist() == [1, 1, 1, 2]
    assert wanted(1, 4).tolist() == [1, 1, 1, 1]
    assert wanted(25, 4).tolist() == [1, 1, 1, 3]  # halves are rounded up


def test_the_pools_extremes_are_taken_first(pool):
    ranges = pool.need("ranges", "test")
    chosen = RangeCover(candidates=400).pick(pool, 12, Draw(0))
    assert (ranges[chosen, :, 0].min(axis=0) == ranges[:, :, 0].min(axis=0)).all()
    assert (ranges[chosen, :, 1].max(axis=0) == ranges[:, :, 1].max(axis=0)).all()


def test_tails_get_their_share_and_the_rest_is_the_keyed_draw(pool):
    policy = RangeCover(candidates=400)
    chosen = policy.pick(pool, 100, Draw(3))
    ranges = pool.need("ranges", "test")
    reaches = reached(ranges, levels(ranges))
    need = wanted(100, len(reaches))
    assert worth(reaches, need, chosen) == 1.0
    covering = cover(reaches, need, 100)
    assert chosen[: len(covering)].tolist() == covering.tolist()
    assert len(covering) < 60
    keyed = [r for r in Draw(3, "select-candidates").ranked(pool) if r not in covering]
    assert chosen[len(covering) :].tolist() == keyed[: 100 - len(covering)]


def test_random_draws_cover_less(pool):
    ranges = pool.need("ranges", "test")
    reaches = reached(ranges, levels(ranges))
    for size in (8, 32):
        need = wanted(size, len(reaches))
        covered = [worth(reaches, need, RangeCover().pick(pool, size, Draw(s))) for s in range(3)]
        rng = np.random.default_rng(0)
        random = [worth(reaches, need, rng.choice(400, size, replace=False)) for _ in range(20)]
        assert min(covered) > max(random)


def test_levels_are_those_of_the_pool_whoever_is_a_candidate(pool):
    """A pool whose extremes are no candidates: what can be covered is, the rest is drawn."""
    ranges = np.zeros((400, 1, 2), dtype=np.float32)
    candidates = np.sort(Draw(0, "select-candidates").ranked(pool)[:200])
    others = np.setdiff1d(np.arange(400), candidates)
    ranges[others[:40], 0, 1] = 5.0
    ranges[candidates[7], 0, 1] = 1.0
    chosen = RangeCover().pick(pool.with_arrays(ranges=ranges), 20, Draw(0))
    # every document reaches the lower levels, which are 0; no candidate reaches an upper one
    assert chosen[:2].tolist() == candidates[:2].tolist()
    assert set(chosen) <= set(candidates)


@pytest.mark.parametrize("shape", [(400, 2), (400, 3, 3), (400, 0, 2)])
def test_ranges_of_another_shape_are_refused(pool, shape):
    with pytest.raises(BadInput, match=r"range-cover: the pool's 'ranges' have the shape \(400, "):
        RangeCover().pick(pool.with_arrays(ranges=np.zeros(shape)), 4, Draw(0))


def test_ranges_that_are_missing_or_no_numbers_are_refused(pool):
    broken = np.zeros((400, 2, 2))
    broken[[3, 9], 1, 0] = np.nan
    with pytest.raises(BadInput, match="ranges of 2 documents are not finite numbers"):
        RangeCover().pick(pool.with_arrays(ranges=broken), 4, Draw(0))
    bare = pool.take(np.arange(50))
    object.__setattr__(bare, "arrays", {})
    with pytest.raises(Infeasible, match="range-cover needs the 'ranges'.*--model ID"):
        RangeCover().pick(bare, 4, Draw(0))
