from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calibkit.errors import BadInput, Infeasible
from calibkit.identity import keyed_generator
from calibkit.policies import Draw, FacilityLocation, Pool, make_policy
from calibkit.policies.candidates import on_grid
from calibkit.policies.facility_location import lazy_greedy, stochastic_greedy, total_distance
from calibkit.testing import check_policy

POINTS = hnp.arrays(
    np.float64, st.tuples(st.integers(1, 9), st.just(2)), elements=st.integers(-9, 9)
)


def served(points, clients, rows):
    """The summed distance to the nearest, in Python integers."""
    return sum(
        min(int(math.sqrt((c[0] - points[r][0]) ** 2 + (c[1] - points[r][1]) ** 2)) for r in rows)
        for c in clients
    )


def naive_greedy(points, clients, count):
    order = []
    while len(order) < count:
        left = [r for r in range(len(points)) if r not in order]
        costs = [served(points, clients, [*order, r]) for r in left]
        order.append(left[costs.index(min(costs))])
    return order


@settings(deadline=None)
@given(POINTS, POINTS, st.data())
def test_lazy_greedy_equals_looking_at_all_in_plain_python(points, clients, data):
    count = data.draw(st.integers(1, len(points)))
    order = lazy_greedy(points, clients, count).tolist()
    assert order == naive_greedy(points, clients, count)
    assert total_distance(points, clients, order) == served(points, clients, order)


def test_lazy_greedy_equals_looking_at_all_where_many_bounds_are_stale():
    rng = np.random.default_rng(0)
    points = on_grid(rng.standard_normal((400, 2)) * [1, 0.02])
    clients = points[rng.choice(400, 150)]
    fast = lazy_greedy(points, clients, 25)
    nearest = np.full(150, np.inf)
    for row in fast:
        gaps = np.floor(np.linalg.norm(clients[:, None] - points[None], axis=2))
        costs = np.minimum(nearest[:, None], gaps).sum(axis=0)
        assert costs[row] == costs.min()
        nearest = np.minimum(nearest, gaps[:, row])


@settings(deadline=None)
@given(POINTS, st.integers(1, 4))
def test_exact_greedy_is_within_1_minus_1_over_e_of_the_optimum(points, count):
    """Of what is gained over serving nobody, each document then being as far as any is."""
    count = min(count, len(points))
    bound = len(points) * max(served(points, [c], [r]) for c in points for r in range(len(points)))
    every = itertools.combinations(range(len(points)), count)
    optimum = bound - min(served(points, points, some) for some in every)
    reached = bound - served(points, points, lazy_greedy(points, points, count).tolist())
    assert reached >= (1 - 1 / math.e) * optimum


def test_stochastic_greedy_is_on_average_within_its_guarantee():
    rng = np.random.default_rng(1)
    for epsilon in (0.05, 0.3):
        ratios = []
        for seed in range(20):
            points = on_grid(rng.standard_normal((11, 2)))
            far = np.floor(np.linalg.norm(points[:, None] - points[None], axis=2)).max()
            every = itertools.combinations(range(11), 3)
            optimum = 11 * far - min(total_distance(points, points, some) for some in every)
            generator = keyed_generator(seed, "test")
            order = stochastic_greedy(points, points, 3, epsilon, generator)
            assert len(set(order.tolist())) == 3
            ratios.append((11 * far - total_distance(points, points, order)) / optimum)
        assert np.mean(ratios) >= 1 - 1 / math.e - epsilon
        assert max(ratios) <= 1


def test_the_smaller_epsilon_the_nearer_the_exact_choice():
    points = on_grid(np.random.default_rng(2).standard_normal((200, 3)))
    exact = total_distance(points, points, lazy_greedy(points, points, 20))
    costs = {
        epsilon: np.mean(
            [
                total_distance(
                    points,
                    points,
                    stochastic_greedy(points, points, 20, epsilon, keyed_generator(seed, "test")),
                )
                for seed in range(10)
            ]
        )
        for epsilon in (1e-6, 0.1, 0.9)
    }
    assert exact * 0.99 < costs[1e-6] < costs[0.1] < costs[0.9]
    assert costs[0.1] < 1.1 * exact
    random = np.random.default_rng(0).choice(200, 20, replace=False)
    assert costs[0.1] < total_distance(points, points, random)


@settings(deadline=None, max_examples=40)
@given(POINTS, st.integers(0, 5), st.floats(0.01, 0.99), st.data())
def test_stochastic_greedy_takes_the_best_of_what_it_draws(points, seed, epsilon, data):
    count = data.draw(st.integers(1, len(points)))
    order = stochastic_greedy(points, points, count, epsilon, keyed_generator(seed, "test"))
    bits, left, taken = keyed_generator(seed, "test").bit_generator, list(range(len(points))), []
    looked = math.ceil(len(points) / count * math.log(1 / epsilon))
    for chosen in order.tolist():
        sample = sorted({left[int(raw) % len(left)] for raw in bits.random_raw(looked)})
        costs = [served(points, points, [*taken, r]) for r in sample]
        assert chosen == sample[costs.index(min(costs))]
        taken.append(chosen)
        left.remove(chosen)


@settings(deadline=None, max_examples=30)
@given(POINTS, st.data())
def test_the_cost_does_not_depend_on_the_order_or_number_of_blocks(points, data):
    order = data.draw(st.permutations(range(len(points))))
    many = np.tile(points[order], (2000, 1))
    count = data.draw(st.integers(1, len(points)))
    assert lazy_greedy(points, many, count).tolist() == naive_greedy(points, points, count)


def test_exact_choice_is_nested_and_keeps_the_contract(pool):
    exact, stochastic = FacilityLocation(epsilon=0.0), FacilityLocation()
    assert (exact.nested, stochastic.nested) == (True, False)
    check_policy(exact, pool)
    check_policy(FacilityLocation(clients=50, candidates=100, epsilon=0.5), pool)


def test_clients_are_the_last_of_the_keyed_draw():
    """All clients at 0 or 1; who is nearest to most of those that count is taken first."""
    vectors = np.concatenate([np.zeros(60), np.ones(40)])[:, None]
    pool = Pool(
        tuple(f"d{i:03}" for i in range(100)), ("x",) * 100, np.ones(100), {"vectors": vectors}
    )
    for seed in range(6):
        last = Draw(seed, "select-candidates").ranked(pool)[-5:]
        policy = FacilityLocation(clients=5, candidates=100, epsilon=0.0)
        first = policy.pick(pool, 1, Draw(seed))[0]
        assert (first < 60) == ((last < 60).sum() >= 3)
        everyone = FacilityLocation(candidates=100, epsilon=0.0)
        assert everyone.pick(pool, 1, Draw(seed)).tolist() == [0]


def test_what_cannot_be_is_refused(pool):
    with pytest.raises(Infeasible, match="given features of all 200 candidates are the same"):
        FacilityLocation(features="given").pick(
            pool.with_arrays(given=np.ones((400, 2))), 4, Draw(0)
        )
    with pytest.raises(BadInput, match="facility-location: epsilon is 1.0; it must be less than 1"):
        make_policy("facility-location", {"epsilon": 1.0})
    with pytest.raises(BadInput, match="facility-location: clients is 0; it must be greater"):
        make_policy("facility-location", {"clients": 0})
