"""D-optimal selection against exhaustive search and the greedy that looks at everything."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.errors import BadInput, Infeasible
from calibkit.policies import DOptimal, Draw, Pool
from calibkit.policies import d_optimal as module
from calibkit.policies.d_optimal import Design, most_informative
from calibkit.testing import example_pool


def made(seed, n, k, tokens=6, spread=1.0):
    """Gram matrices of documents of few tokens."""
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((n, tokens, k)) * np.exp(spread * rng.standard_normal((n, 1, k)))
    return np.einsum("nti,ntj->nij", inputs, inputs).astype(np.float32)


def pool_of(grams):
    n = len(grams)
    return Pool(tuple(f"d{i:04}" for i in range(n)), ("x",) * n, np.ones(n), {"gram": grams})


def gain(grams, rows, ridge):
    whole = ridge * np.eye(grams.shape[1]) + grams[list(rows)].astype(np.float64).sum(axis=0)
    return np.linalg.slogdet(whole)[1] - grams.shape[1] * math.log(ridge)


def naive(grams, count, ridge):
    """Greedy that looks at every document at every step."""
    grams = grams.astype(np.float64)
    order, whole = [], ridge * np.eye(grams.shape[1])
    for _ in range(count):
        left = [i for i in range(len(grams)) if i not in order]
        now = np.linalg.slogdet(whole)[1]
        added = {i: round((np.linalg.slogdet(whole + grams[i])[1] - now) * 2**20) for i in left}
        best = max(left, key=lambda i: (added[i], -i))
        if added[best] <= 0:
            break
        order.append(best)
        whole = whole + grams[best]
    return order


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 10_000),
    st.integers(2, 8),
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from([0.01, 1.0, 30.0]),
)
def test_the_gain_is_at_least_1_minus_1_over_e_of_the_best_possible(seed, n, k, count, ridge):
    grams, count = made(seed, n, k, tokens=2), min(count, n)
    best = max(gain(grams, rows, ridge) for rows in itertools.combinations(range(n), count))
    found = gain(grams, most_informative(grams, count, ridge=ridge), ridge)
    assert found >= (1 - 1 / math.e) * best - 1e-5


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 10_000), st.integers(1, 60), st.integers(1, 6), st.sampled_from([0.01, 1.0, 9.0])
)
def test_lazy_greedy_equals_naive_greedy(seed, n, k, ridge):
    grams = made(seed, n, k)
    count = min(n, 20)
    assert most_informative(grams, count, ridge=ridge).tolist() == naive(grams, count, ridge)


def test_lazy_greedy_equals_naive_greedy_where_many_are_tied():
    grams = np.concatenate([made(3, 4, 3)] * 30)
    assert most_informative(grams, 40).tolist() == naive(grams, 40, 1.0)


def test_most_documents_are_not_looked_at_again(monkeypatch):
    grams = made(0, 2000, 4, tokens=8)
    looked = []
    real = Design.gains
    monkeypatch.setattr(
        Design, "gains", lambda self, rows: looked.append(len(rows)) or real(self, rows)
    )
    assert len(most_informative(grams, 100)) == 100
    assert looked[0] == 2000
    assert sum(looked[1:]) < 0.2 * 99 * 2000


def test_blocks_change_nothing(monkeypatch):
    grams = made(1, 300, 5)
    whole = Design(grams, 1.0)
    parts = Design(grams, 1.0)
    parts._block = 7
    rows = np.arange(300)
    assert whole.gains(rows).tolist() == parts.gains(rows).tolist()
    expected = [gain(grams, [i], 1.0) for i in rows]
    assert whole.gains(rows) / 2**module.GRAIN == pytest.approx(expected, abs=2e-6)


def test_a_document_in_a_new_direction_comes_before_a_longer_one_in_an_old():
    along = [np.diag([9.0, 0.0]), np.diag([8.0, 0.0]), np.diag([0.0, 2.0])]
    assert most_informative(np.array(along), 3).tolist() == [0, 2, 1]


def test_ties_go_to_the_first_document_and_what_adds_nothing_comes_in_keyed_order():
    grams = np.zeros((12, 2, 2), dtype=np.float32)
    grams[[4, 7]] = np.eye(2)
    assert most_informative(grams, 12).tolist() == [4, 7]
    rows = DOptimal(candidates=12).pick(pool_of(grams), 12, Draw(3)).tolist()
    keyed = Draw(3, "select-candidates").ranked(pool_of(grams)).tolist()
    assert rows == [4, 7, *(r for r in keyed if r not in (4, 7))]


def test_candidates_are_the_first_half_of_the_draw(pool):
    keyed = Draw(5, "select-candidates").ranked(pool)
    half = DOptimal().pick(pool, 200, Draw(5))
    assert set(half) == set(keyed[:200])
    assert DOptimal().pick(pool, 230, Draw(5)).tolist() == [*half, *keyed[200:230]]


def test_it_spans_more_than_random_draws(pool):
    grams = pool.arrays["gram"]
    chosen = gain(grams, DOptimal().pick(pool, 16, Draw(0)), 1.0)
    random = [gain(grams, Draw(seed).ranked(pool)[:16], 1.0) for seed in range(50)]
    assert chosen > max(random)


def test_the_same_matrices_everywhere_are_infeasible():
    same = pool_of(np.stack([np.eye(3, dtype=np.float32)] * 10))
    with pytest.raises(Infeasible, match="Gram matrices of all 5 candidates are the same"):
        DOptimal().pick(same, 4, Draw(0))
    assert len(DOptimal().pick(same, 1, Draw(0))) == 1


def test_matrices_that_are_no_sums_of_squares_are_refused():
    bad = np.stack([np.array([[1.0, 5.0], [5.0, 1.0]]), np.eye(2)])
    with pytest.raises(BadInput, match="not positive semidefinite"):
        most_informative(bad, 1)


def test_one_two_and_four_threads_choose_the_same(printed):
    code = """
from calibkit.policies import DOptimal, Draw, Leverage
from calibkit.testing import example_pool
import numpy as np
rng = np.random.default_rng(0)
pool = example_pool(600)
inputs = rng.standard_normal((600, 40, 32)) * np.exp(rng.standard_normal((600, 1, 32)))
grams = np.einsum("nti,ntj->nij", inputs, inputs).astype(np.float32)
pool = pool.with_arrays(gram=grams)
print(grams.tobytes()[:64].hex())
for policy in (DOptimal(), DOptimal(ridge=0.01), Leverage()):
    print(policy.pick(pool, 128, Draw(0)).tolist())
"""
    assert printed(code)


def test_storage_order_and_size_never_change_the_beginning():
    pool = example_pool(90, 3)
    order = np.random.default_rng(0).permutation(90)
    stored = Pool(
        pool.ids(order),
        tuple(pool.labels[i] for i in order),
        pool.lengths[order],
        {"gram": pool.arrays["gram"][order]},
    )
    whole = pool.ids(DOptimal().pick(pool, 60, Draw(1)))
    for size in (1, 7, 44, 45, 46, 60):
        assert stored.ids(DOptimal().pick(stored, size, Draw(1))) == whole[:size]
