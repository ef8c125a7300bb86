"""one-label, and the Zipf mix of skewed."""

from __future__ import annotations

from collections import Counter

import pytest

from calibkit.errors import Infeasible, UnknownName
from calibkit.identity import share_out
from calibkit.policies import Draw, OneLabel, Random, Skewed, make_policy
from calibkit.testing import check_policy


def test_seeds_rotate_over_all_labels(pool):
    for seed in range(9):
        rows = OneLabel().pick(pool, 20, Draw(seed))
        assert {pool.labels[row] for row in rows} == {f"label {seed % 4}"}


def test_a_label_may_be_fixed_and_seeds_then_draw_within_it(pool):
    policy = make_policy("one-label", {"label": "label 2"})
    check_policy(policy, pool)
    of_label = [r for r in Random().pick(pool, 400, Draw(5)).tolist() if pool.label_ids[r] == 2]
    assert policy.pick(pool, 20, Draw(5)).tolist() == of_label[:20]
    assert policy.labels_named() == (("label", "label 2"),)
    assert OneLabel().labels_named() == ()


def test_a_label_that_looks_like_a_number_may_be_written_as_one():
    assert make_policy("one-label", {"label": 3}).params() == {"label": "3"}


def test_too_few_documents_of_a_label_and_unknown_labels_are_said(pool):
    with pytest.raises(Infeasible, match="asked for 300 'label 1' documents, the pool has"):
        OneLabel().pick(pool, 300, Draw(1))
    with pytest.raises(UnknownName, match="'labl 1'; did you mean 'label 1'"):
        OneLabel(label="labl 1").pick(pool, 3, Draw(0))


def test_a_zipf_mix_ranks_the_labels_anew_for_each_seed(pool):
    policy = Skewed(zipf=1.0)
    check_policy(policy, pool)
    orders = set()
    for seed in range(12):
        shares = policy.proportions(pool, Draw(seed))
        assert sorted(shares.values(), reverse=True) == [1, 1 / 2, 1 / 3, 1 / 4]
        got = Counter(pool.labels[row] for row in policy.pick(pool, 50, Draw(seed)))
        assert got == share_out(50, shares)
        assert sorted(got.values(), reverse=True) == [24, 12, 8, 6]
        orders.add(tuple(sorted(shares, key=shares.get)))
    assert len(orders) > 6
    assert policy.proportions(pool, Draw(7)) == policy.proportions(pool, Draw(7))


def test_a_steep_zipf_mix_is_one_label(pool):
    rows = Skewed(zipf=500).pick(pool, 40, Draw(0))
    assert len({pool.labels[row] for row in rows}) == 1
