from __future__ import annotations

import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calibkit.errors import BadInput, Infeasible
from calibkit.policies import Draw, KCenter, Pool
from calibkit.policies.candidates import on_grid
from calibkit.policies.k_center import farthest_first

COORDINATES = st.floats(-8, 8, width=16)
POINTS = hnp.arrays(
    np.float32, st.tuples(st.integers(2, 9), st.integers(1, 3)), elements=COORDINATES
)


def pool_of(vectors, order=None):
    n = len(vectors)
    order = list(range(n)) if order is None else order
    return Pool(
        tuple(f"d{i:03}" for i in order),
        ("x",) * n,
        np.ones(n),
        {"vectors": np.asarray(vectors, dtype=np.float32)[order]},
    )


def by_hand(points, count):
    """Farthest-first in Python integers."""
    rows = [[int(x) for x in row] for row in points]
    middle = [int(np.rint(sum(column) / len(rows))) for column in zip(*rows, strict=True)]

    def far(a, b):
        return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))

    order = [min(range(len(rows)), key=lambda i: (far(rows[i], middle), i))]
    while len(order) < count:
        gap = [min(far(row, rows[j]) for j in order) for row in rows]
        if max(gap) == 0:
            break
        order.append(gap.index(max(gap)))
    return order


def radius(vectors, chosen):
    gaps = np.linalg.norm(vectors[:, None] - vectors[list(chosen)][None], axis=2)
    return gaps.min(axis=1).max()


@settings(deadline=None)
@given(POINTS, st.data())
def test_farthest_first_equals_plain_python(vectors, data):
    count = data.draw(st.integers(1, len(vectors)))
    points = on_grid(vectors)
    assert farthest_first(points, count).tolist() == by_hand(points, count)


@settings(deadline=None)
@given(POINTS, st.integers(1, 4))
def test_the_radius_is_within_twice_the_smallest_possible(vectors, count):
    count = min(count, len(vectors))
    chosen = farthest_first(on_grid(vectors), count)
    exact = vectors.astype(np.float64)
    best = min(radius(exact, some) for some in itertools.combinations(range(len(exact)), count))
    assert radius(exact, chosen) <= 2 * best + 1e-4


@settings(deadline=None)
@given(POINTS, st.integers(0, 3), st.data())
def test_storage_order_and_size_never_change_the_beginning(vectors, seed, data):
    order = data.draw(st.permutations(range(len(vectors))))
    size = data.draw(st.integers(1, len(vectors)))
    policy = KCenter(candidates=len(vectors))
    try:
        plain, stored = pool_of(vectors), pool_of(vectors, order)
        whole = plain.ids(policy.pick(plain, len(vectors), Draw(seed)))
        assert stored.ids(policy.pick(stored, size, Draw(seed))) == whole[:size]
    except Infeasible:
        assert (vectors == vectors[0]).all()


def test_the_extremes_of_a_line_come_after_its_middle():
    pool = pool_of([[0.0], [1.0], [2.0], [3.0], [9.0]])
    rows = KCenter(candidates=5).pick(pool, 3, Draw(0))
    assert rows.tolist() == [3, 4, 0]  # the mean is 3; then the farthest, then the other end


def test_ties_go_to_the_first_document_id():
    pool = pool_of([[1.0], [-1.0], [0.0], [1.0], [-1.0]])
    assert KCenter(candidates=5).pick(pool, 3, Draw(0)).tolist() == [2, 0, 1]


def test_duplicates_come_last_in_keyed_order(pool):
    vectors = np.repeat(np.eye(3), 4, axis=0)
    twelve = pool_of(vectors)
    rows = KCenter(candidates=12).pick(twelve, 12, Draw(0))
    assert len({tuple(vectors[r]) for r in rows[:3]}) == 3
    keyed = [r for r in Draw(0, "select-candidates").ranked(twelve) if r not in rows[:3]]
    assert rows[3:].tolist() == keyed


def test_candidates_are_the_first_half_of_the_draw_and_more_follow_when_asked_for(pool):
    keyed = Draw(5, "select-candidates").ranked(pool)
    half = KCenter().pick(pool, 200, Draw(5))
    assert set(half) == set(keyed[:200])
    more = KCenter().pick(pool, 210, Draw(5))
    assert more.tolist() == half.tolist() + keyed[200:210].tolist()
    assert set(KCenter(candidates=50).pick(pool, 50, Draw(5))) == set(keyed[:50])


def test_more_candidates_or_documents_than_there_are_is_infeasible_with_the_numbers(pool):
    with pytest.raises(Infeasible, match=r"500 candidates, the pool has 400"):
        KCenter(candidates=500).pick(pool, 4, Draw(0))
    with pytest.raises(Infeasible, match=r"64 documents out of 50 candidates"):
        KCenter(candidates=50).pick(pool, 64, Draw(0))


def test_features_that_are_all_the_same_are_infeasible():
    with pytest.raises(Infeasible, match="tfidf-svd features of all 5 candidates are the same"):
        KCenter().pick(pool_of(np.ones((10, 3))), 4, Draw(0))
    assert len(KCenter().pick(pool_of(np.ones((10, 3))), 1, Draw(0))) == 1


def test_features_that_are_not_numbers_are_refused():
    vectors = np.ones((6, 2))
    vectors[[1, 4], 0] = np.nan
    with pytest.raises(BadInput, match="features of 2 documents are not finite"):
        KCenter(candidates=6).pick(pool_of(vectors), 4, Draw(0))


def test_hidden_and_vectors_are_different_choices(pool):
    hidden, vectors = KCenter(features="hidden"), KCenter()
    assert (hidden.needs, vectors.needs) == (("hidden",), ("vectors",))
    assert set(hidden.pick(pool, 32, Draw(0))) != set(vectors.pick(pool, 32, Draw(0)))


@settings(deadline=None)
@given(
    hnp.arrays(np.float32, (3, 2), elements=st.floats(-(2.0**100), 2.0**100, width=32)),
    st.sampled_from([1, 64, 768, 4096]),
)
def test_the_grid_is_fine_and_its_squared_distances_are_exact(values, dims):
    wide = np.tile(values, (1, math.ceil(dims / 2)))[:, :dims]
    points = on_grid(wide)
    assert (points == np.rint(points)).all()
    assert dims * (2 * np.abs(points).max()) ** 2 <= 2.0**53
    top = np.abs(wide).max()
    if top > 0:
        step = top / np.abs(points[np.abs(wide) == top]).max()
        assert np.abs(points * step - wide.astype(np.float64)).max() <= top * 2.0**-17


def test_256_of_4000_take_less_than_half_a_second():
    points = on_grid(np.random.default_rng(0).standard_normal((4000, 64)).astype(np.float32))
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        assert len(farthest_first(points, 256)) == 256
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.5


def test_one_two_and_four_threads_choose_the_same(printed):
    code = """
import hashlib, numpy as np
from calibkit.policies import Draw, KCenter, Pool
from calibkit.policies.features import tfidf_svd
rng = np.random.default_rng(0)
words = np.array([f"word{i}" for i in range(600)])
texts = [" ".join(words[(rng.pareto(1.0, 30) * 8).astype(int) % 600]) for _ in range(700)]
vectors = tfidf_svd(texts)
pool = Pool(tuple(f"d{i:04}" for i in range(700)), ("x",) * 700, np.ones(700), {"vectors": vectors})
rows = KCenter().pick(pool, 128, Draw(0))
print(hashlib.sha256(vectors.tobytes()).hexdigest(), rows.tolist())
"""
    assert printed(code)
