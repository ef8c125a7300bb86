"""Filters leave documents out of any policy's pool, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.errors import BadInput, Infeasible
from calibkit.policies import Draw, Policy, Pool, Random, find_policy, make_policy, policy_names
from calibkit.policies import select as select_from
from calibkit.policies.filters import Filters
from calibkit.policies.minhash import signatures
from calibkit.testing import example_policy, example_pool

FILTERS = [
    {"min_tokens": 20},
    {"max_tokens": 50},
    {"near_test": 0.8},
    {"duplicates": "drop"},
    {"near_duplicates": 0.7},
    {"min_tokens": 10, "max_tokens": 75, "near_test": 0.6, "duplicates": "drop"},
    {"min_tokens": 10, "near_test": 0.6, "duplicates": "drop", "near_duplicates": 0.6},
]
CHOOSING = [name for name in policy_names() if issubclass(find_policy(name), Policy)]


def kept_one_by_one(pool, filters):
    """The rows that stay, decided for one document after the other."""
    rows, texts = [], set()
    found, in_test = pool.arrays["minhash"], pool.arrays["near-test"]
    for row in range(len(pool)):
        if not filters.get("min_tokens", 0) <= pool.lengths[row] <= filters.get("max_tokens", 99):
            continue
        if in_test[row] >= filters.get("near_test", 2):
            continue
        if "duplicates" in filters and pool.arrays["duplicates"][row] in texts:
            continue
        texts.add(pool.arrays["duplicates"][row])
        rows.append(row)
    if "near_duplicates" in filters:
        left = []
        for row in rows:
            alike = [(found[row] == found[other]).mean() for other in left]
            if max(alike, default=0) < filters["near_duplicates"]:
                left.append(row)
        rows = left
    return rows


def stored_as(pool, order):
    return Pool(
        pool.ids(order),
        tuple(pool.labels[i] for i in order),
        pool.lengths[order],
        {name: array[order] for name, array in pool.arrays.items()},
        pool.tokens.take(order),
    )


@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_a_filter_keeps_what_the_definition_says_in_any_storage_order(filters, pool):
    expected = kept_one_by_one(pool, filters)
    assert 0 < len(expected) < len(pool)
    assert Filters.model_validate(filters).keep(pool).tolist() == expected
    order = np.random.default_rng(0).permutation(len(pool))
    assert Filters.model_validate(filters).keep(stored_as(pool, order)).tolist() == expected


@pytest.mark.parametrize("name", CHOOSING)
def test_no_policy_gets_to_see_what_a_filter_leaves_out(name, pool):
    filters = FILTERS[-1]
    allowed = set(kept_one_by_one(pool, filters))
    plain = example_policy(name)
    policy = make_policy(name, {**plain.params(), "filters": filters})
    assert set(policy.every_need) == {*plain.needs, "near-test", "duplicates", "minhash"}
    for seed in range(2):
        rows = select_from(policy, pool, 16, Draw(seed))
        assert set(rows.tolist()) <= allowed
        order = np.random.default_rng(seed).permutation(len(pool))
        assert select_from(policy, stored_as(pool, order), 16, Draw(seed)).tolist() == rows.tolist()


def test_random_keeps_its_order_among_what_is_left(pool):
    filters = {"near_duplicates": 0.7}
    allowed = kept_one_by_one(pool, filters)
    whole = Random().pick(pool, len(pool), Draw(2)).tolist()
    rows = select_from(make_policy("random", {"filters": filters}), pool, 50, Draw(2))
    assert rows.tolist() == [row for row in whole if row in allowed][:50]


def test_too_few_documents_left_is_infeasible_with_the_filters(pool):
    policy = make_policy("random", {"filters": {"min_tokens": 79}})
    with pytest.raises(Infeasible, match="asked for 64 documents, the filters leave .* of 400; .*"):
        select_from(policy, pool, 64, Draw(0))


def test_a_missing_array_is_asked_for(pool):
    bare = Pool(pool.doc_ids, pool.labels, pool.lengths)
    for filters, need in (("duplicates", "duplicates"), ("near_test", "near-test")):
        value = "drop" if filters == "duplicates" else 0.8
        policy = make_policy("random", {"filters": {filters: value}})
        with pytest.raises(Infeasible, match=f"random needs the '{need}'"):
            select_from(policy, bare, 3, Draw(0))


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({}, "filters: no filter is given; known are min_tokens, max_tokens, near_test, dup"),
        ({"near_test": 0.3}, "filters.near_test is 0.3; it must be greater than or equal to 0.5"),
        ({"near_duplicates": 2}, "filters.near_duplicates is 2; it must be less than or equal"),
        ({"duplicates": "keep"}, "filters.duplicates is 'keep'; it must be 'drop'"),
        ({"duplicates": True}, "filters.duplicates is True; it must be 'drop'"),
        ({"min_tokens": 9, "max_tokens": 8}, "filters: min_tokens is 9 and max_tokens 8"),
    ],
)
def test_wrong_filters_are_refused(filters, message):
    with pytest.raises(BadInput) as caught:
        make_policy("random", {"filters": filters})
    assert str(caught.value).startswith(f"random: {message}")


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.data())
def test_one_of_equal_texts_stays_and_it_is_the_first_by_id(numbers, data):
    stored = data.draw(st.permutations(range(len(numbers))))
    pool = Pool(
        tuple(f"d{i:02}" for i in stored),
        ("x",) * len(stored),
        np.ones(len(stored)),
        {"duplicates": np.array([numbers[i] for i in stored])},
    )
    first = [i for i, n in enumerate(numbers) if n not in numbers[:i]]
    assert Filters(duplicates="drop").keep(pool).tolist() == first


def test_near_copies_of_texts_are_left_out_and_others_stay():
    base = "the quick brown fox jumps over the lazy dog near the old river bank every single day"
    texts = [
        base,
        "quite another sentence about nothing that the others say, of much the same length too",
        base.replace("day", "night"),
        base.upper() + "!",
    ]
    pool = Pool(("a", "b", "c", "d"), ("x",) * 4, np.ones(4), {"minhash": signatures(texts)})
    assert Filters(near_duplicates=0.6).keep(pool).tolist() == [0, 1]
    assert Filters(near_duplicates=1.0).keep(pool).tolist() == [0, 1, 2]


def test_the_example_pool_has_something_for_every_filter():
    pool = example_pool(100, 2)
    for filters in FILTERS:
        assert len(Filters.model_validate(filters).keep(pool)) < 100
