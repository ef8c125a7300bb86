"""Greedy coverage against exhaustive search and against greedy without shortcuts."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.errors import Infeasible
from calibkit.policies import Draw, Pool, TokenCoverage, select
from calibkit.policies.token_coverage import greedy_coverage, type_weights
from calibkit.ragged import Ragged
from calibkit.testing import check_policy

DOCUMENTS = st.lists(st.lists(st.integers(0, 14), max_size=8), min_size=1, max_size=9)
"""Token ids; 0 ... 3 are special, 1 is unknown."""


def pool_of(documents, stored=None):
    order = list(range(len(documents))) if stored is None else stored
    return Pool(
        tuple(f"d{i:02}" for i in order),
        ("x",) * len(order),
        np.array([len(documents[i]) for i in order]),
        tokens=Ragged.of([documents[i] for i in order]),
    )


def covered(documents, rows, weights):
    return sum(int(weights[t]) for t in {t for row in rows for t in documents[row]} if t > 3)


@settings(deadline=None)
@given(DOCUMENTS, st.integers(1, 5), st.booleans())
def test_greedy_is_within_one_minus_one_over_e_of_the_best(documents, count, by_frequency):
    tokens = Ragged.of(documents)
    weights = type_weights(tokens) if by_frequency else np.minimum(type_weights(tokens), 1)
    chosen = greedy_coverage(tokens, weights, count).tolist()
    count = min(count, len(documents))
    best = max(
        covered(documents, rows, weights) for rows in combinations(range(len(documents)), count)
    )
    got = covered(documents, chosen, weights)
    assert got >= (1 - 1 / math.e) * best
    if len(chosen) < count:  # it ends early only when everything is covered
        assert got == best == sum(int(w) for w in weights)


@settings(deadline=None)
@given(DOCUMENTS, st.integers(1, 9))
def test_lazy_greedy_is_greedy(documents, count):
    tokens = Ragged.of(documents)
    weights = type_weights(tokens)
    order = []
    while len(order) < min(count, len(documents)):
        now = covered(documents, order, weights)
        gains = [covered(documents, [*order, row], weights) - now for row in range(len(documents))]
        if max(gains) == 0:
            break
        order.append(int(np.argmax(gains)))  # the first of equal ones
    assert greedy_coverage(tokens, weights, count).tolist() == order


@settings(deadline=None)
@given(DOCUMENTS, st.integers(0, 3), st.data())
def test_the_choice_does_not_depend_on_storage_order(documents, seed, data):
    size = data.draw(st.integers(1, len(documents)))
    stored = data.draw(st.permutations(range(len(documents))))
    chosen = select(TokenCoverage(), pool_of(documents), size, Draw(seed)).tolist()
    assert select(TokenCoverage(), pool_of(documents, stored), size, Draw(seed)).tolist() == chosen


def test_weights_are_counts_in_the_whole_pool_without_specials_and_unknowns():
    tokens = Ragged.of([[2, 4, 4, 1, 3], [2, 6, 1, 3]])
    assert type_weights(tokens).tolist() == [0, 0, 0, 0, 2, 0, 1]
    # the candidates are one half of the pool, the weights are of all of it
    documents = [[4, 5], [4, 6]] + [[6, 6, 6]] * 6
    pool = pool_of(documents)
    candidates = [set(Draw(s, "select-candidates").order(pool.doc_ids)[:4]) for s in range(40)]
    seed = next(s for s, rows in enumerate(candidates) if {0, 1} <= rows)
    assert TokenCoverage().pick(pool, 1, Draw(seed)).tolist() == [1]


def test_frequency_prefers_common_words_and_types_prefers_many():
    common, rare = [4, 4, 4, 4], [5, 6, 7]
    pool = pool_of([common, rare])
    whole = {"candidates": 2}
    assert TokenCoverage(**whole).pick(pool, 1, Draw(0)).tolist() == [0]
    assert TokenCoverage(weigh="types", **whole).pick(pool, 1, Draw(0)).tolist() == [1]


def test_what_covers_nothing_new_comes_last_in_the_order_of_the_draw():
    pool = pool_of([[4, 5, 6], [4, 5], [5], [7], [6], [4]])
    rows = TokenCoverage(candidates=6).pick(pool, 6, Draw(0)).tolist()
    keyed = Draw(0, "select-candidates").order(pool.doc_ids).tolist()
    assert rows == [0, 3, *[row for row in keyed if row not in (0, 3)]]


@pytest.mark.parametrize(
    "policy", [TokenCoverage(weigh="types"), TokenCoverage(candidates=80)], ids=str
)
def test_the_contract_holds_for_other_parameters(policy, pool):
    check_policy(policy, pool)


def test_without_tokens_it_says_what_to_do(pool):
    bare = Pool(pool.doc_ids, pool.labels, pool.lengths)
    with pytest.raises(Infeasible, match="token-coverage needs the 'tokens'"):
        select(TokenCoverage(), bare, 3, Draw(0))
