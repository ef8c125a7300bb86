"""Pools of many documents: packed ids, nothing sorted twice, and the keyed draw as it was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibkit.errors import BadInput
from calibkit.identity import draw_key, draw_order, draw_uniform
from calibkit.ids import PackedIds, rise
from calibkit.policies import Draw, Pool, Random

SAME_LENGTH = st.lists(st.text("abc012", min_size=3, max_size=3), unique=True, min_size=1)
ANY = st.lists(st.text(max_size=4), max_size=8)


@given(SAME_LENGTH, st.data())
def test_packed_ids_read_like_a_tuple(ids, data):
    packed = PackedIds.of(ids)
    row = data.draw(st.integers(-len(ids), len(ids) - 1))
    some = data.draw(st.lists(st.integers(0, len(ids) - 1)))
    assert packed == tuple(ids) == packed and packed == PackedIds.of(ids) and packed != ids[:-1]
    assert list(packed) == ids and len(packed) == len(ids) and packed[row] == ids[row]
    assert packed[1:-1] == tuple(ids[1:-1]) and ids[row] in packed and "nobody" not in packed
    assert tuple(packed.take(np.array(some, dtype=np.intp))) == tuple(ids[i] for i in some)
    assert packed.rise() == rise(tuple(ids)) == (ids == sorted(ids))


@given(ANY)
def test_what_cannot_be_packed_is_told(ids):
    packed = PackedIds.of(ids)
    fits = len({len(i) for i in ids}) == 1 and all(i and i.isascii() and "\0" not in i for i in ids)
    assert (packed is not None) == fits
    assert packed is None or list(packed) == ids
    assert rise(ids) == (ids == sorted(set(ids)))


@given(ANY, st.integers(0, 3), st.sampled_from(["select", "limit"]))
def test_the_keyed_draw_is_the_order_of_the_keys(ids, seed, purpose):
    order = draw_order(seed, purpose, ids)
    keys = [(draw_key(seed, purpose, i), i) for i in ids]
    assert order.tolist() == sorted(range(len(ids)), key=keys.__getitem__)
    numbers = [(int(key[:13], 16) + 0.5) / 2**52 for key, _ in keys]
    assert draw_uniform(seed, purpose, ids).tolist() == numbers


def test_ids_decide_where_keys_are_equal(monkeypatch):
    monkeypatch.setattr(
        "calibkit.identity._draw_keys",
        lambda seed, purpose, ids: np.array([[7, len(i)] for i in ids], dtype=np.uint64),
    )
    assert draw_order(0, "select", ["b", "aa", "c", "a", "b"]).tolist() == [3, 0, 4, 2, 1]


@given(SAME_LENGTH, st.data())
def test_a_pool_of_packed_ids_is_the_pool_of_the_ids(ids, data):
    stored = data.draw(st.permutations(ids))
    labels = tuple(f"label {ord(i[0]) % 3}" for i in stored)
    lengths = np.array([ord(i[1]) for i in stored])
    plain = Pool(tuple(stored), labels, lengths, {"vectors": lengths[:, None]})
    packed = Pool(PackedIds.of(stored), labels, lengths, {"vectors": lengths[:, None]})
    assert packed.doc_ids == plain.doc_ids and packed.labels == plain.labels
    assert packed.lengths.tolist() == plain.lengths.tolist()
    assert packed.arrays["vectors"].tolist() == plain.arrays["vectors"].tolist()
    rows = Random().pick(plain, len(ids), Draw(3))
    assert Random().pick(packed, len(ids), Draw(3)).tolist() == rows.tolist()
    assert packed.ids(rows) == plain.ids(rows)
    half = np.sort(rows[: len(ids) // 2])
    assert packed.take(half).doc_ids == plain.take(half).doc_ids == plain.ids(half)


def test_packed_ids_must_be_distinct_as_well():
    with pytest.raises(BadInput, match="document 'b1' twice"):
        Pool(PackedIds.of(["b1", "a1", "b1"]), ("x", "x", "x"), np.ones(3))


def test_a_pool_in_order_shares_what_nobody_can_write_to(tmp_path):
    np.save(tmp_path / "vectors.npy", np.arange(6.0).reshape(3, 2))
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    theirs = np.ones((3, 2))
    view = theirs.view()
    view.flags.writeable = False
    pool = Pool(("a", "b", "c"), ("x", "y", "x"), np.ones(3), {"mapped": mapped, "view": view})
    assert np.shares_memory(pool.need("mapped", "test"), mapped)
    theirs[0] = 5
    assert pool.need("view", "test")[0, 0] == 1
    more = pool.with_arrays(hidden=theirs)
    assert more.need("view", "test") is pool.need("view", "test")
    with pytest.raises(ValueError, match="read-only"):
        more.need("hidden", "test")[0] = 5


def test_a_ranking_takes_the_place_of_the_ids_for_the_whole_pool_only():
    asked = []

    def ranking(draw):
        asked.append(draw)
        return draw.order(("a", "b", "c"))

    pool = Pool(("b", "a", "c"), ("x", "y", "x"), np.ones(3), ranking=ranking)
    expected = Pool(("b", "a", "c"), ("x", "y", "x"), np.ones(3))
    assert Draw(1).ranked(pool).tolist() == Draw(1).ranked(expected).tolist()
    assert asked == [Draw(1)]
    assert Draw(1).ranked(pool, np.array([0, 2])).tolist() == (
        Draw(1).ranked(expected, np.array([0, 2])).tolist()
    )
    assert pool.with_arrays(hidden=np.ones((3, 1))).ranking is ranking
    assert pool.take(np.array([0, 2])).ranking is None and len(asked) == 1
