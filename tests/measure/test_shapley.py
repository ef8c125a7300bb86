"""Shapley values: their axioms, games with known values, and how far sampling is off."""

from __future__ import annotations

from itertools import permutations
from math import factorial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibkit.errors import BadInput
from calibkit.measure.shapley import FEW, exact_shapley, shapley, strata


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def by_table(worths):
    """The game in which a coalition, as the bits of a number, is worth what a table says."""

    def worth(orders):
        reached = np.cumsum(1 << orders, axis=1)
        return worths[np.concatenate([np.zeros((len(orders), 1), int), reached], axis=1)]

    return worth


def largest(costs):
    """The airport game: a coalition is worth its dearest player (Littlechild and Owen, 1973)."""

    def worth(orders):
        tops = np.maximum.accumulate(costs[orders], axis=1)
        return np.concatenate([np.zeros((len(orders), 1)), tops], axis=1)

    return worth


def airport_values(costs):
    order = np.argsort(costs, kind="stable")
    steps = np.diff(np.concatenate([[0.0], costs[order]]))
    values = np.empty(len(costs))
    values[order] = np.cumsum(steps / np.arange(len(costs), 0, -1))
    return values


games = st.integers(1, 5).flatmap(
    lambda n: st.lists(st.floats(-8, 8), min_size=2**n, max_size=2**n).map(np.array)
)


@given(games)
def test_exact_values_are_the_mean_over_all_orders(worths):
    players = len(worths).bit_length() - 1
    every = np.array(list(permutations(range(players))))
    gains = np.diff(by_table(worths)(every), axis=1)
    expected = np.zeros(players)
    np.add.at(expected, every, gains / factorial(players))
    found = shapley(players, by_table(worths), orders=4, generator=rng())
    assert found.is_exact and not found.errors.any()
    assert found.values == pytest.approx(expected, abs=1e-9)
    assert found.values.sum() == pytest.approx(worths[-1] - worths[0], abs=1e-9)


@given(games, st.data())
def test_the_axioms(worths, data):
    players = len(worths).bit_length() - 1
    coalitions = np.arange(len(worths))
    # a null player adds nothing to anybody
    null = data.draw(st.integers(0, players - 1))
    without = worths[coalitions & ~(1 << null)]
    assert exact_shapley(players, by_table(without))[null] == pytest.approx(0, abs=1e-12)
    # players who add the same to everybody are worth the same
    if players > 1:
        other = (null + 1) % players
        pair = (1 << null) | (1 << other)
        counted = np.array([int(c & pair).bit_count() for c in coalitions])
        alike = worths[np.where(counted == 1, (coalitions & ~pair) | (1 << null), coalitions)]
        values = exact_shapley(players, by_table(alike))
        assert values[null] == pytest.approx(values[other], abs=1e-9)
    # values of a sum of games are sums of values
    again = rng(1).normal(size=len(worths))
    together = exact_shapley(players, by_table(worths + again))
    apart = exact_shapley(players, by_table(worths)) + exact_shapley(players, by_table(again))
    assert together == pytest.approx(apart, abs=1e-9)


def test_the_airport_game_has_its_known_values():
    costs = np.array([1.0, 1.0, 2.0, 5.0, 5.0, 7.0])
    assert exact_shapley(6, largest(costs)) == pytest.approx(airport_values(costs))


@pytest.mark.parametrize("players", [11, 30, 100])
def test_sampled_values_are_as_near_as_their_errors_say(players):
    costs = rng(players).exponential(size=players) ** 2
    scores = []
    for seed in range(12):
        found = shapley(players, largest(costs), orders=80, generator=rng(seed))
        assert not found.is_exact and found.orders >= 80
        assert found.values.sum() == pytest.approx(costs.max(), abs=1e-9)
        kept = found.errors > 1e-9
        scores.append(((found.values - airport_values(costs)) / found.errors)[kept])
    spread = np.sqrt(np.mean(np.concatenate(scores) ** 2))
    assert 0.6 < spread < 1.5


def test_sampling_agrees_with_all_coalitions():
    players = FEW + 1
    worths = rng().normal(size=1 << players).cumsum() / 30
    exact = exact_shapley(players, by_table(worths))
    found = shapley(players, by_table(worths), orders=4000, generator=rng(2))
    assert np.abs(found.values - exact).max() < 5 * found.errors.max() < 0.1


def test_strata_help_where_who_comes_first_decides():
    costs = rng().uniform(0.9, 1.0, size=256)
    found = shapley(256, largest(costs), orders=40, generator=rng())
    plain = costs.mean() ** 2 / 256 / 40  # who comes first, once in 256 walks, takes it all
    assert (found.errors**2).mean() < plain / 10


def test_sampled_players_without_effect_are_worth_nothing_but_the_rounding():
    costs = np.zeros(50)
    costs[3] = 2.0
    found = shapley(50, largest(costs), orders=16, generator=rng())
    assert found.values[3] == pytest.approx(2.0) and not np.delete(found.values, 3).any()


def test_strata_end_with_all_players():
    assert strata(11) == [0, 4, 11] and strata(256) == [0, 4, 16, 64, 256]
    assert all(strata(n)[-1] == n and sorted(strata(n)) == strata(n) for n in range(2, 300))


def test_the_same_generator_gives_the_same_values():
    costs = rng().uniform(size=40)
    first, second = (shapley(40, largest(costs), orders=8, generator=rng(5)) for _ in range(2))
    assert np.array_equal(first.values, second.values)
    assert np.array_equal(first.errors, second.errors)


@pytest.mark.parametrize(
    ("players", "orders", "said"), [(0, 8, "one player"), (20, 3, "at least 4")]
)
def test_what_cannot_be_sampled_is_refused(players, orders, said):
    with pytest.raises(BadInput, match=said):
        shapley(players, largest(np.ones(players)), orders=orders, generator=rng())
