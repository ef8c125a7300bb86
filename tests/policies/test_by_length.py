"""Longest, shortest, length-stratified and token-budget, against plain Python."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.errors import BadInput, Infeasible
from calibkit.policies import (
    Draw,
    LengthStratified,
    Longest,
    Pool,
    Random,
    Shortest,
    TokenBudget,
    make_policy,
)
from calibkit.policies.by_length import length_bins
from calibkit.testing import check_policy

LENGTHS = st.lists(st.integers(1, 30), min_size=1, max_size=40)


def pool_of(lengths, order=None):
    """Documents d000, d001, ... of these lengths, stored in any order."""
    order = list(range(len(lengths))) if order is None else order
    ids = tuple(f"d{i:03}" for i in order)
    return Pool(ids, ("x",) * len(ids), np.array([lengths[i] for i in order]))


@pytest.mark.parametrize(
    "policy",
    [
        Longest(candidates=100),
        Shortest(candidates=400),
        LengthStratified(mix="equal", bins=3),
        LengthStratified(bins=1),
        TokenBudget(tokens_per_document=20),
        TokenBudget(tokens_per_document=60.5),
    ],
    ids=str,
)
def test_the_contract_holds_for_other_parameters(policy, pool):
    if policy == Shortest(candidates=400):  # all documents are candidates: one draw
        picked = {tuple(policy.pick(pool, 16, Draw(seed))) for seed in range(3)}
        assert len(picked) == 1
    else:
        check_policy(policy, pool)


@settings(deadline=None)
@given(LENGTHS, st.integers(0, 3), st.data())
def test_longest_and_shortest_sort_the_candidates_and_then_follow_the_draw(lengths, seed, data):
    stored = data.draw(st.permutations(range(len(lengths))))
    size = data.draw(st.integers(1, len(lengths)))
    pool = pool_of(lengths, stored)
    keyed = Draw(seed, "select-candidates").order(pool.doc_ids).tolist()
    half = (len(lengths) + 1) // 2
    for policy, sign in ((Longest(), -1), (Shortest(), 1)):
        candidates = sorted(keyed[:half], key=lambda row: (sign * lengths[row], row))
        expected = (candidates + keyed[half:])[:size]
        assert policy.pick(pool, size, Draw(seed)).tolist() == expected


@settings(deadline=None)
@given(LENGTHS, st.integers(1, 12))
def test_length_bins_are_filled_ranges_of_about_equal_counts(lengths, bins):
    found = length_bins(np.array(lengths), bins)
    counts = np.bincount(found)
    assert (counts > 0).all()
    assert len(counts) <= bins
    by_bin = [
        [n for n, b in zip(lengths, found, strict=True) if b == i] for i in range(len(counts))
    ]
    for lower, upper in zip(by_bin, by_bin[1:], strict=False):
        assert max(lower) < min(upper)
    for own in by_bin:
        assert sum(n > min(own) for n in own) < len(lengths) / min(bins, len(lengths))


def test_distinct_lengths_give_bins_of_the_same_size():
    lengths = np.random.default_rng(0).permutation(np.arange(10, 1010))
    assert np.bincount(length_bins(lengths, 8)).tolist() == [125] * 8


@settings(deadline=None)
@given(LENGTHS, st.integers(1, 6), st.integers(0, 3), st.data())
def test_length_stratified_keeps_the_share_of_every_bin(lengths, bins, seed, data):
    pool = pool_of(lengths)
    size = data.draw(st.integers(1, len(lengths)))
    rows = LengthStratified(bins=bins).pick(pool, size, Draw(seed))
    bin_of = length_bins(pool.lengths, bins)
    counts, got = np.bincount(bin_of), np.bincount(bin_of[rows], minlength=bin_of.max() + 1)
    assert (np.abs(got - size * counts / len(pool)) < 1).all()
    keyed = Draw(seed).order(pool.doc_ids)
    for number in range(len(counts)):
        own = [row for row in keyed.tolist() if bin_of[row] == number]
        assert [row for row in rows.tolist() if bin_of[row] == number] == own[: got[number]]


def test_equal_bins_that_are_too_small_are_infeasible_with_the_range_and_the_numbers():
    pool = pool_of([5] * 90 + [20, 21, 22, 30, 31, 32, 33, 34, 35, 36])
    policy = LengthStratified(bins=11, mix="equal")
    with pytest.raises(Infeasible, match="asked for 20 documents of 20 to 36 tokens.* has 10"):
        policy.pick(pool, 40, Draw(0))
    assert len(LengthStratified(bins=11).pick(pool, 40, Draw(0))) == 40


# -------------------------------------------------------------------------------- token-budget


def largest_step(lengths):
    return max(np.diff(np.unique(lengths)), default=1)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=11), st.integers(0, 3), st.data())
def test_a_budget_is_kept_and_filled_within_the_stated_bound_of_the_best(lengths, seed, data):
    pool = pool_of(lengths)
    size = data.draw(st.integers(1, len(lengths)))
    totals = sorted({sum(chosen) for chosen in combinations(lengths, size)})
    budget = data.draw(st.integers(totals[0], totals[-1]))
    policy = TokenBudget(tokens_per_document=budget / size)
    rows = policy.pick(pool, size, Draw(seed))
    total = int(pool.lengths[rows].sum())
    best = max(possible for possible in totals if possible <= budget)
    assert len(set(rows.tolist())) == size
    assert total <= best <= budget
    assert budget - total < largest_step(lengths)


@settings(deadline=None, max_examples=60)
@given(LENGTHS, st.integers(0, 3), st.data())
def test_a_budget_does_not_depend_on_storage_order_and_no_single_exchange_helps(
    lengths, seed, data
):
    size = data.draw(st.integers(1, len(lengths)))
    pool = pool_of(lengths)
    rows = TokenBudget().pick(pool, size, Draw(seed)).tolist()
    stored = data.draw(st.permutations(range(len(lengths))))
    assert TokenBudget().pick(pool_of(lengths, stored), size, Draw(seed)).tolist() == rows
    gap = size * sum(lengths) // len(lengths) - sum(lengths[row] for row in rows)
    assert gap >= 0
    others = set(range(len(lengths))) - set(rows)
    assert not any(0 < lengths[b] - lengths[a] <= gap for a in rows for b in others)


def test_every_length_in_between_means_an_exact_budget():
    pool = pool_of([*range(5, 80)] * 5)
    for wanted in (12, 25, 41.5, 72):
        for seed in range(5):
            rows = TokenBudget(tokens_per_document=wanted).pick(pool, 64, Draw(seed))
            assert pool.lengths[rows].sum() == 64 * wanted


def test_a_budget_at_the_mean_is_nearly_the_random_draw_and_a_tilted_one_is_spread_out(pool):
    drawn = Random().pick(pool, 64, Draw(1))
    own_mean = float(pool.lengths[drawn].mean())
    same = TokenBudget(tokens_per_document=own_mean).pick(pool, 64, Draw(1))
    assert set(same) == set(drawn)
    tilted = pool.lengths[TokenBudget(tokens_per_document=30).pick(pool, 64, Draw(1))]
    assert len(set(drawn) & set(TokenBudget().pick(pool, 64, Draw(1)))) > 50
    assert tilted.min() < 12  # not simply the documents of 30 tokens
    assert tilted.max() > 60


def test_filling_the_budget_does_not_cost_the_shortest_documents_their_place():
    """Nearly every document may go for one that fills the gap: it is not always the shortest."""
    lengths = [3] * 12 + list(range(10, 30)) * 6 + list(range(30, 70))
    pool = pool_of(lengths)
    draws = 400
    taken = np.zeros(len(pool))
    for seed in range(draws):
        taken[TokenBudget().pick(pool, 20, Draw(seed))] += 1 / draws
    share = 20 / len(pool)
    assert taken[pool.lengths == 3].mean() == pytest.approx(share, rel=0.15)
    assert taken[(pool.lengths >= 10) & (pool.lengths < 30)].mean() == pytest.approx(share, rel=0.1)


def test_weights_fall_exponentially_with_length(pool):
    """Documents that come in more often under a short budget are the short ones, smoothly."""
    taken = np.zeros(len(pool))
    for seed in range(60):
        taken[TokenBudget(tokens_per_document=25).pick(pool, 64, Draw(seed))] += 1
    thirds = [taken[(pool.lengths >= a) & (pool.lengths < a + 25)].mean() for a in (5, 30, 55)]
    assert thirds[0] > 1.5 * thirds[1] > 2 * thirds[2] > 0


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (4, "4 documents of 4 tokens are 16 tokens, the shortest 4 of the pool have 26"),
        (10, "4 documents of 10 tokens are 40 tokens, the longest 4 of the pool have 34"),
    ],
)
def test_a_budget_that_cannot_be_kept_or_filled_is_infeasible_with_the_numbers(wanted, message):
    with pytest.raises(Infeasible, match=message):
        TokenBudget(tokens_per_document=wanted).pick(pool_of(range(5, 11)), 4, Draw(0))


def test_a_budget_per_document_must_be_positive():
    with pytest.raises(BadInput, match="tokens_per_document is 0; it must be greater than 0"):
        make_policy("token-budget", {"tokens_per_document": 0})
