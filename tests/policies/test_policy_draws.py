"""Pool, keyed draws and the policies by label, against plain Python."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.errors import BadInput, Infeasible, UnknownName
from calibkit.identity import share_out
from calibkit.policies import Draw, Pool, Random, Skewed, Stratified
from calibkit.policies.stratified import label_turns
from calibkit.testing import example_pool

IDS = st.lists(st.text("abcdef0123456789-é", min_size=1, max_size=6), unique=True, min_size=1)


def pool_of(ids, labels=None):
    return Pool(tuple(ids), tuple(labels or ["x"] * len(ids)), np.arange(len(ids)))


def keyed(seed, purpose, ids):
    """ORDER BY md5('calibkit1:<seed>:<purpose>:<id>'), id."""
    return sorted(
        ids, key=lambda i: (hashlib.md5(f"calibkit1:{seed}:{purpose}:{i}".encode()).hexdigest(), i)
    )


@settings(deadline=None)
@given(IDS, st.integers(0, 5), st.data())
def test_random_is_the_order_by_key_of_any_storage_order(ids, seed, data):
    stored = data.draw(st.permutations(ids))
    size = data.draw(st.integers(1, len(ids)))
    pool = pool_of(stored)
    assert (
        list(pool.ids(Random().pick(pool, size, Draw(seed)))) == keyed(seed, "select", ids)[:size]
    )


@settings(deadline=None)
@given(
    st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(1, 9), min_size=1),
    st.integers(0, 5),
    st.data(),
)
def test_stratified_takes_each_labels_first_documents_of_the_draw(counts, seed, data):
    mix = data.draw(st.sampled_from(["equal", "proportional"]))
    labels = {f"{label}-{i}": label for label, n in counts.items() for i in range(n)}
    stored = data.draw(st.permutations(sorted(labels)))
    pool = pool_of(stored, [labels[i] for i in stored])
    most = min(counts.values()) * len(counts) if mix == "equal" else len(labels)
    size = data.draw(st.integers(1, most))
    policy = Stratified(mix=mix)
    chosen = pool.ids(policy.pick(pool, size, Draw(seed)))
    smaller = data.draw(st.integers(1, size))
    assert chosen[:smaller] == pool.ids(policy.pick(pool, smaller, Draw(seed)))
    got = Counter(labels[i] for i in chosen)
    for label, n in counts.items():
        of_label = [i for i in chosen if labels[i] == label]
        every = [i for i in labels if labels[i] == label]
        assert of_label == keyed(seed, "select", every)[: len(of_label)]
        if mix == "proportional":
            assert abs(got[label] - size * n / len(labels)) < 1
    if mix == "equal":
        expected = share_out(size, dict.fromkeys(sorted(counts), 1))
        assert {label: got[label] for label in expected} == expected


@settings(deadline=None)
@given(st.lists(st.integers(1, 50), min_size=2, max_size=8), st.integers(1, 60))
def test_label_turns_stay_within_the_bound_of_the_chairman_assignment(shares, size):
    turns = label_turns({str(i): n for i, n in enumerate(shares)}, size)
    bound = 1 - 1 / (2 * len(shares) - 2)
    for places in range(1, size + 1):
        named = np.bincount(turns[:places], minlength=len(shares))
        exact = places * np.array(shares) / sum(shares)
        assert np.abs(named - exact).max() <= bound + 1e-9


def test_two_labels_get_their_rounded_shares():
    pool = pool_of([f"d{i:03}" for i in range(100)], ["rare"] * 13 + ["usual"] * 87)
    rows = Stratified(mix="proportional").pick(pool, 32, Draw(0))
    assert Counter(pool.labels[r] for r in rows) == {"usual": 28, "rare": 4}  # 27.84 and 4.16


def test_equal_shares_that_a_label_cannot_fill_are_infeasible_with_the_numbers():
    pool = pool_of([f"d{i:03}" for i in range(100)], ["World"] * 10 + ["Sports"] * 90)
    with pytest.raises(Infeasible, match="asked for 25 'World' documents, the pool has 10"):
        Stratified().pick(pool, 50, Draw(0))
    assert len(Stratified(mix="proportional").pick(pool, 50, Draw(0))) == 50


def test_skewed_gives_the_mix_and_labels_left_out_get_nothing(pool):
    rows = Skewed(weights={"label 0": 2, "label 3": 1}).pick(pool, 16, Draw(0))
    assert Counter(pool.labels[r] for r in rows) == {"label 0": 11, "label 3": 5}
    rows = Skewed(weights={"label 1": 1}).pick(pool, 101, Draw(0))
    assert {pool.labels[r] for r in rows} == {"label 1"}


def test_skewed_takes_the_keyed_documents_and_shuffles_the_labels_together(pool):
    rows = Skewed(weights={"label 0": 1, "label 1": 1}).pick(pool, 40, Draw(4))
    for label in ("label 0", "label 1"):
        every = [i for i, name in zip(pool.doc_ids, pool.labels, strict=True) if name == label]
        assert {i for i in pool.ids(rows) if i in every} == set(keyed(4, "select", every)[:20])
    assert list(pool.ids(rows)) == keyed(4, "select-order", pool.ids(rows))


def test_skewed_says_the_numbers_and_knows_the_labels(pool):
    with pytest.raises(
        Infeasible, match="skewed: asked for 300 'label 2' documents, the pool has 81"
    ):
        Skewed(weights={"label 2": 1}).pick(pool, 300, Draw(0))
    with pytest.raises(UnknownName, match="'lable 2'; did you mean 'label 2'"):
        Skewed(weights={"lable 2": 1}).pick(pool, 3, Draw(0))


def test_a_dirichlet_mix_is_drawn_per_seed_and_is_more_lopsided_for_small_alpha():
    pool = example_pool(4000, 4)

    def largest(alpha):
        mixes = [Skewed(alpha=alpha).proportions(pool, Draw(seed)) for seed in range(40)]
        assert all(sum(mix.values()) == pytest.approx(1) for mix in mixes)
        assert len({max(mix, key=mix.get) for mix in mixes}) == 4
        return np.mean([max(mix.values()) for mix in mixes])

    assert largest(0.05) > 0.85 > 0.5 > largest(10.0)
    assert Skewed(alpha=1.0).proportions(pool, Draw(7)) == Skewed(alpha=1.0).proportions(
        pool, Draw(7)
    )


def test_a_pool_sorts_its_documents_and_their_arrays_together():
    pool = Pool(
        ("b", "c", "a"),
        ("x", "y", "y"),
        np.array([2, 3, 1]),
        {"vectors": np.array([[2.0], [3.0], [1.0]])},
    )
    assert pool.doc_ids == ("a", "b", "c")
    assert pool.labels == ("y", "x", "y")
    assert pool.lengths.tolist() == [1, 2, 3]
    assert pool.need("vectors", "test").tolist() == [[1], [2], [3]]
    assert pool.rows("y").tolist() == [0, 2]
    assert pool.label_counts() == {"x": 1, "y": 2}
    more = pool.with_arrays(hidden=np.array([[10.0], [20.0], [30.0]]))
    assert more.need("hidden", "test").tolist() == [[10], [20], [30]]
    assert more.need("vectors", "test").tolist() == [[1], [2], [3]]


def test_a_pool_protects_itself_and_leaves_the_callers_arrays_alone():
    lengths, vectors = np.array([1, 2]), np.ones((2, 3))
    pool = Pool(("a", "b"), ("x", "y"), lengths, {"vectors": vectors})
    with pytest.raises(ValueError, match="read-only"):
        pool.need("vectors", "test")[0] = 5
    lengths[0] = 9
    vectors[0] = 9
    assert pool.lengths[0] == 1
    assert pool.need("vectors", "test")[0, 0] == 1


@pytest.mark.parametrize(
    ("ids", "labels", "lengths", "arrays", "message"),
    [
        (("a", "a"), ("x", "x"), [1, 1], {}, "document 'a' twice"),
        (("a", "b"), ("x",), [1, 1], {}, "2 doc_ids but 1 labels"),
        (("a", "b"), ("x", "x"), [1], {}, "2 doc_ids but 1 lengths"),
        (("a", "b"), ("x", "x"), [1, 1], {"vectors": np.ones((3, 2))}, r"'vectors'.*\(3, 2\)"),
    ],
)
def test_a_pool_that_does_not_fit_together_is_refused(ids, labels, lengths, arrays, message):
    with pytest.raises(BadInput, match=message):
        Pool(ids, labels, np.array(lengths), arrays)
