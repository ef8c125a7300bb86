"""Keyed draws in SQL, against the same on a pool, and against plain Python."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.corpora.reading import Corpus, find_corpus
from calibkit.curate import selection
from calibkit.curate.encoding import Library
from calibkit.curate.selection import StoredPool, drawn_in_sql, is_drawn_in_sql
from calibkit.errors import BadInput, CalibkitError, Infeasible, UnknownName
from calibkit.policies import Draw, DrawnPolicy, DrawPlan, Pool, Random, make_policy, select
from calibkit.policies.base import REGISTERED

LABELS = ("alpha", "beta", "gamma", "delta", "Zeta")


@dataclass(frozen=True)
class Document:
    doc_id: str
    label_id: int
    tokens: int
    in_test: bool


IDS = st.lists(st.text("ab01-é", min_size=1, max_size=5), unique=True, min_size=1, max_size=40)


@st.composite
def corpora(draw):
    ids = draw(IDS)
    rows = [
        Document(i, draw(st.integers(0, 4)), draw(st.integers(1, 9)), draw(st.integers(0, 9)) == 0)
        for i in ids
    ]
    return draw(st.permutations(rows))


SQL_POLICIES = st.sampled_from(
    [
        ("random", {}),
        ("stratified", {}),
        ("stratified", {"mix": "proportional"}),
        ("skewed", {"weights": {"beta": 2, "gamma": 1}}),
        ("skewed", {"weights": {"Zeta": 1}}),
        ("skewed", {"alpha": 0.5}),
        ("skewed", {"zipf": 1.0}),
        ("one-label", {}),
        ("one-label", {"label": "alpha"}),
    ]
)
FILTERS = st.sampled_from(
    [None, {"min_tokens": 4}, {"max_tokens": 7}, {"min_tokens": 3, "max_tokens": 6}]
)


def stored(rows, threads, *, other_rows=()):
    con = duckdb.connect(config={"threads": threads})
    con.execute(
        "CREATE TABLE documents (corpus_id VARCHAR, doc_id VARCHAR, split VARCHAR,"
        " label_id USMALLINT, text VARCHAR, tokens INTEGER, is_duplicate BOOLEAN, in_test BOOLEAN)"
    )
    for split, some in (("train", rows), ("valid", other_rows)):
        if some:
            con.executemany(
                "INSERT INTO documents VALUES ('c1', ?, ?, ?, '', ?, false, ?)",
                [[r.doc_id, split, r.label_id, r.tokens, r.in_test] for r in some],
            )
    return con


def corpus_of(rows):
    return Corpus("c1", "made", 1, LABELS, {"train": len(rows)})


def pool_of(rows):
    kept = [row for row in rows if not row.in_test]
    return Pool(
        tuple(row.doc_id for row in kept),
        tuple(LABELS[row.label_id] for row in kept),
        np.array([row.tokens for row in kept], dtype=np.int64),
    )


def outcome(choose):
    try:
        return choose()
    except CalibkitError as error:
        return type(error), str(error)


@settings(deadline=None, max_examples=150)
@given(
    rows=corpora(),
    policy=SQL_POLICIES,
    filters=FILTERS,
    size=st.integers(0, 30),
    seed=st.integers(0, 9),
    threads=st.sampled_from([1, 2, 4]),
    margin=st.sampled_from([None, 0.0]),
)
def test_sql_takes_the_documents_that_the_policy_picks_from_a_pool(
    rows, policy, filters, size, seed, threads, margin
):
    name, params = policy
    made = make_policy(name, params if filters is None else {**params, "filters": filters})
    assert is_drawn_in_sql(made)
    pool = pool_of(rows)
    with pytest.MonkeyPatch.context() as patch, stored(rows, threads) as con:
        if margin is not None:  # too few are below the first bounds
            patch.setattr(selection, "_bound", lambda quota, count: "0")
        found = outcome(
            lambda: drawn_in_sql(con, StoredPool(corpus_of(rows), "train"), made, size, Draw(seed))
        )
    expected = outcome(lambda: pool.ids(select(made, pool, size, Draw(seed))))
    assert found == expected


def keyed(seed, purpose, ids):
    """ORDER BY md5('calibkit1:<seed>:<purpose>:<id>'), id."""
    return sorted(
        ids, key=lambda i: (hashlib.md5(f"calibkit1:{seed}:{purpose}:{i}".encode()).hexdigest(), i)
    )


@settings(deadline=None, max_examples=60)
@given(rows=corpora(), seed=st.integers(0, 5), data=st.data())
def test_sql_draws_what_plain_python_draws(rows, seed, data):
    there = {row.doc_id: LABELS[row.label_id] for row in rows if not row.in_test}
    pool = StoredPool(corpus_of(rows), "train")
    if not there:
        return
    size = data.draw(st.integers(1, len(there)))
    with stored(rows, 2) as con:
        assert (
            list(drawn_in_sql(con, pool, Random(), size, Draw(seed)))
            == (keyed(seed, "select", there)[:size])
        )
        label, count = data.draw(st.sampled_from(sorted(Counter(there.values()).items())))
        few = data.draw(st.integers(1, count))
        own = [doc_id for doc_id, other in there.items() if other == label]
        skewed = make_policy("skewed", {"weights": {label: 3}})
        assert list(drawn_in_sql(con, pool, skewed, few, Draw(seed))) == (
            keyed(seed, "select-order", keyed(seed, "select", own)[:few])
        )


@settings(deadline=None, max_examples=50)
@given(rows=corpora(), seed=st.integers(0, 5), threads=st.sampled_from([1, 2, 4]))
def test_the_ranking_is_that_of_the_pool(rows, seed, threads):
    pool = pool_of(rows)
    with stored(rows, threads) as con:
        found = StoredPool(corpus_of(rows), "train").ranking(con, Draw(seed, "candidates"))
    assert found.dtype == np.intp
    assert found.tolist() == Draw(seed, "candidates").ranked(pool).tolist()


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_many_documents_in_parallel_are_drawn_alike(threads):
    """Enough of them for several threads, and for bounds that leave most of them out."""
    with duckdb.connect(config={"threads": threads}) as con:
        con.execute(
            "CREATE TABLE documents AS SELECT 'c1' AS corpus_id, 'd1-' || md5(i::VARCHAR) AS"
            " doc_id, 'train' AS split, (i * i % 5)::USMALLINT AS label_id, (i % 60)::INTEGER AS"
            " tokens, false AS in_test FROM range(150000) AS numbers(i) ORDER BY md5(doc_id)"
        )
        rows = con.execute("SELECT doc_id, label_id, tokens FROM documents").fetchnumpy()
        pool = Pool(
            tuple(rows["doc_id"]), tuple(LABELS[i] for i in rows["label_id"]), rows["tokens"]
        )
        corpus = Corpus("c1", "made", 1, LABELS, {"train": 150_000})
        for name, params in (
            ("random", {}),
            ("stratified", {"mix": "proportional", "filters": {"min_tokens": 20}}),
            ("skewed", {"weights": {"alpha": 1, "beta": 30}}),
        ):
            policy = make_policy(name, params)
            found = drawn_in_sql(con, StoredPool(corpus, "train"), policy, 700, Draw(11))
            assert found == pool.ids(select(policy, pool, 700, Draw(11))), name
        assert (
            StoredPool(corpus, "train").ranking(con, Draw(2)).tolist()
            == Draw(2).ranked(pool).tolist()
        )


def test_only_the_pool_s_documents_are_drawn():
    rows = [Document(f"d{i:02}", i % 2, 5, in_test=i % 4 == 0) for i in range(40)]
    others = [Document(f"v{i:02}", 0, 5, in_test=False) for i in range(9)]
    corpus = Corpus("c1", "made", 1, LABELS, {"train": 40, "valid": 9})
    with stored(rows, 1, other_rows=others) as con:
        pool = StoredPool(corpus, "train")
        found = drawn_in_sql(con, pool, Random(), 30, Draw(0))
        assert set(found) == {row.doc_id for row in rows if not row.in_test}
        assert pool.label_counts(con) == {"alpha": 10, "beta": 20}
        shared = StoredPool(corpus, "train", share=0.5)
        kept = set(keyed(0, "share", [row.doc_id for row in rows])[:20])
        count = sum(shared.label_counts(con).values())
        assert set(drawn_in_sql(con, shared, Random(), count, Draw(1))) == kept & set(found)
        with pytest.raises(Infeasible, match="asked for 31 documents, the pool has 30"):
            drawn_in_sql(con, pool, Random(), 31, Draw(0))
        with pytest.raises(BadInput, match="size is 0"):
            drawn_in_sql(con, pool, Random(), 0, Draw(0))
        with pytest.raises(UnknownName, match="'gamma'"):
            skewed = make_policy("skewed", {"weights": {"gamma": 1}})
            drawn_in_sql(con, pool, skewed, 3, Draw(0))
        with pytest.raises(Infeasible, match="the filters leave 0 of 30; ask for fewer, or loosen"):
            few = make_policy("random", {"filters": {"min_tokens": 6}})
            drawn_in_sql(con, pool, few, 3, Draw(0))


def test_what_sql_cannot_do_is_left_to_the_pool():
    assert not is_drawn_in_sql(make_policy("k-center", {}))
    assert not is_drawn_in_sql(make_policy("random", {"filters": {"duplicates": "drop"}}))
    mixed = {"filters": {"min_tokens": 3, "near_duplicates": 0.8}}
    assert not is_drawn_in_sql(make_policy("random", mixed))


def test_a_plan_of_another_package_is_drawn_in_sql_unless_it_changes_how_it_is_followed():
    class Rarest(DrawnPolicy, name="rarest-of-tests"):
        def draw_plan(self, counts, size, draw):
            rarest = min(counts, key=counts.get)
            return DrawPlan(size, {rarest: size})

    class Reversed(Rarest, name="reversed-of-tests"):
        def pick(self, pool, size, draw):
            return super().pick(pool, size, draw)[::-1]

    try:
        rows = [Document(f"d{i:02}", int(i % 5 == 0), 5, in_test=False) for i in range(40)]
        assert is_drawn_in_sql(Rarest()) and not is_drawn_in_sql(Reversed())
        with stored(rows, 1) as con:
            found = drawn_in_sql(con, StoredPool(corpus_of(rows), "train"), Rarest(), 6, Draw(0))
        pool = pool_of(rows)
        assert found == pool.ids(select(Rarest(), pool, 6, Draw(0)))
        assert found == pool.ids(select(Reversed(), pool, 6, Draw(0)))[::-1]
    finally:
        del REGISTERED["rarest-of-tests"], REGISTERED["reversed-of-tests"]


def test_a_plan_must_add_up():
    with pytest.raises(ValueError, match="are not 5 documents"):
        DrawPlan(5, {"alpha": 4})


def test_a_large_pool_is_ranked_in_sql_and_chosen_from_alike(store, monkeypatch):
    with store.reading() as con:
        library = Library(store, find_corpus(con, "made"), 0.6)
    plain = selection.whole_pool(library, "train")
    monkeypatch.setattr(selection, "MANY", len(plain))
    large = selection.whole_pool(library, "train")
    assert plain.ranking is None and large.ranking is not None
    assert large.doc_ids == plain.doc_ids and large.labels == plain.labels
    vectors = np.random.default_rng(0).standard_normal((len(plain), 5)).astype(np.float32)
    for name, params in (
        ("k-center", {"candidates": 40}),
        ("facility-location", {"candidates": 40, "clients": 30}),
        ("herding", {"filters": {"min_tokens": 4}}),
        ("longest", {}),
    ):
        policy = make_policy(name, params)
        found, expected = (
            pool.ids(select(policy, pool.with_arrays(vectors=vectors), 20, Draw(3)))
            for pool in (large, plain)
        )
        assert found == expected, name
