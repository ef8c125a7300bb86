"""Weighted draws and mass functions, against plain Python and probability."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.errors import BadInput
from calibkit.identity import draw_key
from calibkit.policies import Draw, Pool
from calibkit.policies.mass import at_most, by_quota, quotas, share_of, weighted_order

LEVELS = st.lists(st.integers(-1, 5), min_size=1, max_size=40)


def pool_of(n):
    return Pool(tuple(f"d{i:04}" for i in range(n)), ("x",) * n, np.ones(n))


def by_hand(doc_ids, weights, seed):
    """ORDER BY -ln(1 - u) / w, with u the first 52 bits of the md5."""

    def key(doc_id, weight):
        u = (int(draw_key(seed, "select", doc_id)[:13], 16) + 0.5) / 2**52
        return -math.log(1 - u) / weight

    positive = [(d, w) for d, w in zip(doc_ids, weights, strict=True) if w > 0]
    return [d for d, w in sorted(positive, key=lambda dw: (key(*dw), dw[0]))]


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30), st.integers(0, 9))
def test_the_weighted_order_is_the_order_by_key(weights, seed):
    pool = pool_of(len(weights))
    order = weighted_order(pool, np.array(weights), Draw(seed))
    assert list(pool.ids(order)) == by_hand(pool.doc_ids, weights, seed)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(0, 9), st.floats(1e-3, 1e3))
def test_equal_weights_are_the_plain_draw(n, seed, weight):
    pool = pool_of(n)
    order = weighted_order(pool, np.full(n, weight), Draw(seed))
    assert order.tolist() == Draw(seed).ranked(pool).tolist()


def test_orders_come_as_often_as_successive_weighted_draws_say():
    """P(a, b, c) = w_a / (w_a + w_b + w_c) * w_b / (w_b + w_c): all six, over 6,000 seeds."""
    weights, seeds, pool = (1, 2, 5), 6000, pool_of(3)
    seen = Counter(
        tuple(weighted_order(pool, np.array(weights, dtype=float), Draw(seed)).tolist())
        for seed in range(seeds)
    )
    chi_square = 0.0
    for order in permutations(range(3)):
        a, b, c = (weights[i] for i in order)
        expected = seeds * Fraction(a, a + b + c) * Fraction(b, b + c)
        chi_square += (seen[order] - expected) ** 2 / expected
    assert chi_square < 15.1  # 1 % of right samplers with 5 degrees of freedom are above
    first = Counter(order[0] for order in seen.elements())
    for row, weight in enumerate(weights):
        p = weight / 8
        assert abs(first[row] - seeds * p) < 4 * math.sqrt(seeds * p * (1 - p))


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_weights_that_are_none_are_refused(bad):
    with pytest.raises(BadInput, match="weights of 1 documents"):
        weighted_order(pool_of(3), np.array([1.0, bad, 2.0]), Draw(0))


def test_quotas_of_a_hand_computed_pool():
    levels = np.array([0] * 5 + [1] * 3 + [4] * 2)
    assert quotas(levels, 10) == {0: 5, 1: 3, 4: 2}
    assert quotas(levels, 4) == {0: 2, 1: 1, 4: 1}  # 2.0, 1.2, 0.8
    assert quotas(levels, 7) == {0: 4, 1: 2, 4: 1}  # 3.5, 2.1, 1.4
    assert quotas(levels, 5) == {0: 3, 1: 1, 4: 1}  # 2.5 and 1.5 tie: to the lower level
    assert quotas(levels, 1) == {0: 1, 1: 0, 4: 0}


@given(LEVELS, st.data())
def test_quotas_sum_to_the_size_and_are_less_than_one_away(levels, data):
    size = data.draw(st.integers(1, len(levels)))
    counts = Counter(levels)
    found = quotas(np.array(levels), size)
    assert list(found) == sorted(counts)
    assert sum(found.values()) == size
    for level, quota in found.items():
        exact = Fraction(size * counts[level], len(levels))
        assert math.floor(exact) <= quota <= min(math.ceil(exact), counts[level])
    raised = [k for k in found if found[k] > Fraction(size * counts[k], len(levels))]
    left = [k for k in found if found[k] < Fraction(size * counts[k], len(levels))]
    remainder = {k: Fraction(size * counts[k], len(levels)) % 1 for k in found}
    assert all((remainder[r], -r) > (remainder[k], -k) for r in raised for k in left)


@settings(deadline=None)
@given(LEVELS, st.integers(0, 5), st.data())
def test_within_a_level_the_first_of_the_draw_are_taken(levels, seed, data):
    size = data.draw(st.integers(1, len(levels)))
    pool, of = pool_of(len(levels)), np.array(levels)
    share = quotas(of, size)
    rows = by_quota(pool, of, share, Draw(seed))
    keyed = Draw(seed).ranked(pool).tolist()
    expected = [[r for r in keyed if levels[r] == level][:n] for level, n in share.items()]
    assert sorted(rows.tolist()) == sorted(sum(expected, []))
    assert rows.tolist() == Draw(seed, "select-order").ranked(pool, np.sort(rows)).tolist()


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.floats(0.01, 0.99), st.data())
def test_no_prefix_has_more_than_its_share_of_limited_documents(limited, share, data):
    n, flags = len(limited), np.array(limited)
    order = np.array(data.draw(st.permutations(range(n))))
    free = n - int(flags.sum())
    feasible = [s for s in range(1, n + 1) if s <= free + min(n - free, share_of(s, share))]
    if not feasible:
        return
    size = data.draw(st.sampled_from(feasible))
    taken = at_most(flags, order, share, size)
    assert len(set(taken.tolist())) == size
    for count in range(1, size + 1):
        assert flags[taken[:count]].sum() <= share_of(count, share)
    for smaller in feasible:
        if smaller <= size:
            assert at_most(flags, order, share, smaller).tolist() == taken[:smaller].tolist()
    for flag in (False, True):  # nobody overtakes one of the same kind
        kind = [r for r in order.tolist() if flags[r] == flag]
        assert [r for r in taken.tolist() if flags[r] == flag] == kind[
            : (flags[taken] == flag).sum()
        ]


def test_a_cap_that_does_not_bind_changes_nothing():
    order = np.array([4, 2, 0, 1, 3])
    flags = np.array([False, False, False, True, False])
    assert at_most(flags, order, 0.5, 5).tolist() == order.tolist()


def test_a_share_of_a_size_is_exact():
    assert [share_of(n, 0.1) for n in (9, 10, 29, 30, 70)] == [0, 1, 2, 3, 7]
    assert share_of(100, 0.29) == 29
