from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calibkit.errors import BadInput, Infeasible
from calibkit.identity import keyed_generator
from calibkit.policies import Draw, KMedoids, make_policy
from calibkit.policies.candidates import on_grid
from calibkit.policies.k_medoids import NEAR_THE_MIDDLE, assigned, k_medoids, spread_start

POINTS = hnp.arrays(
    np.float64, st.tuples(st.integers(2, 12), st.integers(1, 3)), elements=st.integers(-9, 9)
)


def far(points, a, b):
    gaps = zip(points[a], points[b], strict=True)
    return int(math.sqrt(sum((int(x) - int(y)) ** 2 for x, y in gaps)))


def cost_of(points, medoids):
    return sum(min(far(points, i, m) for m in medoids) for i in range(len(points)))


def by_hand(points, start, rounds):
    """The same alternation in Python integers."""
    medoids, costs = list(start), []
    for _ in range(rounds):
        costs.append(cost_of(points, medoids))
        owned = {m: [] for m in medoids}
        for i, point in enumerate(points):
            gaps = [
                sum((int(x) - int(y)) ** 2 for x, y in zip(point, points[m], strict=True))
                for m in medoids
            ]
            owned[medoids[gaps.index(min(gaps))]].append(i)
        better = []
        for now, members in owned.items():
            costs_of = {m: sum(far(points, m, i) for i in members) for m in members}
            least = min(costs_of.values())
            better.append(
                now if costs_of[now] == least else next(m for m in members if costs_of[m] == least)
            )
        if better == medoids:
            return medoids, costs
        medoids = better
    return medoids, [*costs, cost_of(points, medoids)]


@settings(deadline=None)
@given(POINTS, st.integers(1, 5), st.integers(0, 9), st.integers(1, 4))
def test_the_rounds_equal_plain_python(points, count, seed, rounds):
    start = spread_start(points, count, keyed_generator(seed, "test"))
    medoids, costs = k_medoids(points, start, rounds)
    assert (medoids.tolist(), costs) == by_hand(points, start.tolist(), rounds)


@settings(deadline=None)
@given(POINTS, st.integers(1, 5), st.integers(0, 9))
def test_the_cost_never_rises_and_ends_where_no_round_helps(points, count, seed):
    start = spread_start(points, count, keyed_generator(seed, "test"))
    medoids, costs = k_medoids(points, start, 50)
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] == assigned(points, medoids)[1] == cost_of(points, medoids.tolist())
    assert k_medoids(points, medoids, 1)[0].tolist() == medoids.tolist()


@settings(deadline=None)
@given(POINTS, st.integers(1, 12), st.integers(0, 9))
def test_the_start_is_of_different_points_as_long_as_there_are_some(points, count, seed):
    start = spread_start(points, count, keyed_generator(seed, "test"))
    distinct = len(np.unique(points, axis=0))
    assert len(start) == min(count, distinct)
    assert len(np.unique(points[start], axis=0)) == len(start)


def test_the_start_is_drawn_by_distance():
    """From 0 the point at 3 is three times as likely as the one at 1."""
    points = np.array([[0.0], [1.0], [3.0]])
    starts = [spread_start(points, 2, keyed_generator(seed, "test")) for seed in range(3000)]
    seconds = [second for first, second in starts if first == 0]
    assert len(seconds) == pytest.approx(1000, abs=100)
    assert seconds.count(2) / len(seconds) == pytest.approx(0.75, abs=0.05)


def test_the_start_follows_its_own_arithmetic_for_the_largest_values():
    points = on_grid(np.random.default_rng(0).standard_normal((50, 3)))
    assert np.abs(points).max() >= 2**19
    start = spread_start(points, 50, keyed_generator(0, "test"))
    assert sorted(start) == list(range(50))


@pytest.mark.parametrize("seed", range(6))
def test_the_best_of_a_few_starts_is_near_the_optimum(seed):
    points = on_grid(np.random.default_rng(seed).standard_normal((13, 2)))
    best = min(cost_of(points, some) for some in itertools.combinations(range(13), 3))
    starts = [spread_start(points, 3, keyed_generator(s, "test")) for s in range(5)]
    assert min(k_medoids(points, start, 20)[1][-1] for start in starts) <= 1.05 * best


@pytest.fixture(scope="module")
def clustered():
    rng = np.random.default_rng(3)
    centres = rng.standard_normal((8, 6)) * 4
    return on_grid(centres[rng.integers(0, 8, 1200)] + rng.standard_normal((1200, 6)))


def test_the_cost_is_below_that_of_random_choices(clustered):
    rng = np.random.default_rng(0)
    for size in (8, 40):
        start = spread_start(clustered, size, keyed_generator(0, "test"))
        _, costs = k_medoids(clustered, start, 20)
        random = min(
            assigned(clustered, rng.choice(1200, size, replace=False))[1] for _ in range(20)
        )
        assert costs[-1] < costs[0]
        assert costs[-1] < 0.9 * random


def test_in_large_clusters_the_tried_members_are_enough(clustered):
    """One cluster of 1,200: the medoid among the 64 nearest the mean is that among all."""
    assert len(clustered) > 10 * NEAR_THE_MIDDLE
    medoids, _ = k_medoids(clustered, np.array([0]), 20)
    costs = [assigned(clustered, np.array([row]))[1] for row in range(1200)]
    assert medoids.tolist() == [int(np.argmin(costs))]


@settings(deadline=None, max_examples=30)
@given(POINTS, st.integers(1, 4), st.integers(0, 5), st.data())
def test_the_cost_does_not_depend_on_blocks(points, count, seed, data):
    assume(len(points) > count)
    medoids = spread_start(points, count, keyed_generator(seed, "test"))
    repeated = np.tile(points, (3000, 1))
    owner, cost = assigned(repeated, medoids)
    few_owner, few_cost = assigned(points, medoids)
    assert cost == 3000 * few_cost
    assert (owner.reshape(3000, -1) == few_owner).all()


def test_candidates_bound_the_choice_and_duplicates_are_filled_up(pool):
    keyed = Draw(5, "select-candidates").ranked(pool)
    assert set(KMedoids(candidates=50).pick(pool, 16, Draw(5))) <= set(keyed[:50])
    three = pool.with_arrays(vectors=np.repeat(np.eye(3), [100, 100, 200], axis=0))
    chosen = KMedoids(candidates=400).pick(three, 10, Draw(0))
    rows = three.need("vectors", "test")[chosen]
    assert len(np.unique(rows[:3], axis=0)) == 3
    rest = [r for r in Draw(0, "select-candidates").ranked(pool) if r not in chosen[:3]]
    assert chosen[3:].tolist() == rest[:7]


def test_what_cannot_be_is_refused(pool):
    with pytest.raises(Infeasible, match="hidden features of all 200 candidates are the same"):
        KMedoids(features="hidden").pick(pool.with_arrays(hidden=np.ones((400, 2))), 4, Draw(0))
    with pytest.raises(BadInput, match="k-medoids: rounds is 0; it must be greater than 0"):
        make_policy("k-medoids", {"rounds": 0})
