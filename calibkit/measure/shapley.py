"""What each player adds to what a coalition is worth: Shapley values, exact or sampled."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from calibkit.errors import BadInput

Floats = NDArray[np.float64]

Order = NDArray[np.intp]

Worth = Callable[[Order], Floats]
"""Orders of joining (m, k), players by number -> what the first 0, 1 ... k are worth: (m, k + 1).

A coalition is worth the same in whatever order its players joined.
"""

FEW = 10
"""Up to so many players, all coalitions are looked at."""


@dataclass(frozen=True)
class Shapley:
    """The players' values (n,) and their standard errors, which are 0 where values are exact.

    orders: how many walks through all players were made; 0 for exact values.
    """

    values: Floats
    errors: Floats
    orders: int

    @property
    def is_exact(self) -> bool:
        """Whether all coalitions were looked at."""
        return self.orders == 0


def shapley(players: int, worth: Worth, *, orders: int, generator: np.random.Generator) -> Shapley:
    """Return the Shapley values of ``players``: their mean marginal worth over all orders.

    Exact up to `FEW` players. Above, the mean over random orders (Castro, Gomez and Tejada, 2009,
    Computers & Operations Research 36), in strata by the place at which a player joins, as the
    same authors with Molina propose (2017, ibid. 82): who joins first decides much, and would do so
    rarely. A stratum that ends at place T is sampled by orders of T players, so that everybody's
    turn comes n / T times as often. Each order is also walked backwards (antithetic sampling). The
    standard error is over such pairs; errors of strata are independent. Values sum to the worth of
    all less that of none: what sampling leaves of that is shared out by squared errors (least
    squares).

    orders: how many walks through all players the work may be, spread evenly over the strata; at
    least 4 for each of them. Raises BadInput for no players, and fewer orders than 4.
    """
    if players < 1:
        raise BadInput("Shapley values need at least one player")
    if orders < 4:
        raise BadInput(f"{orders} orders are too few for a standard error; give at least 4")
    if players <= FEW:
        return Shapley(exact_shapley(players, worth), np.zeros(players), 0)
    bounds = strata(players)
    pairs = max(2, -(-orders // (2 * (len(bounds) - 1))))
    values, squares = np.zeros(players), np.zeros(players)
    for start, end in pairwise(bounds):
        found = np.array(
            [_pair(players, worth, start, end, generator) for _ in range(pairs)], dtype=np.float64
        )
        values += found.mean(axis=0)
        squares += found.var(axis=0, ddof=1) / pairs
    everyone = worth(np.arange(players)[None])[0]
    left = everyone[-1] - everyone[0] - values.sum()
    values += left * (squares / squares.sum() if squares.any() else 1 / players)
    return Shapley(values, np.sqrt(squares), 2 * pairs * (len(bounds) - 1))


def strata(players: int) -> list[int]:
    """Return where strata of places begin, 0, 4, 16, 64 ..., and the number of players."""
    bounds = [0]
    while 4 ** len(bounds) < players / 2:
        bounds.append(4 ** len(bounds))
    return [*bounds, players]


def _pair(
    players: int, worth: Worth, start: int, end: int, generator: np.random.Generator
) -> Floats:
    """Return one estimate (n,) of what joining at the places of a stratum is worth.

    All players are dealt out to orders of ``end`` players, some of them twice where that does not
    come out even; each order is walked forwards and backwards.
    """
    dealt = generator.permutation(players)
    dealt = np.concatenate([dealt, dealt[: -players % end]]).reshape(-1, end)
    dealt = generator.permuted(dealt, axis=1)
    total = np.zeros(players)
    for order in (dealt, dealt[:, ::-1]):
        gains = np.diff(worth(order), axis=1)
        gains[:, :start] = 0.0
        np.add.at(total, order, gains)
    times = np.bincount(dealt.ravel(), minlength=players)
    found: Floats = total * (end / players) / (2 * times)
    return found


def exact_shapley(players: int, worth: Worth) -> Floats:
    """Return exact Shapley values (n,) by the worth of all 2^n coalitions (Shapley, 1953)."""
    everyone = np.arange(players)
    worths = np.array(
        [
            worth(everyone[None, [bool(coalition >> player & 1) for player in everyone]])[0, -1]
            for coalition in range(1 << players)
        ]
    )
    coalitions = np.arange(1 << players)
    sizes = np.array([int(c).bit_count() for c in coalitions])
    share = np.array([1 / (players * math.comb(players - 1, k)) for k in range(players)] + [0.0])
    values = np.empty(players)
    for player in everyone:
        without = coalitions[(coalitions >> player & 1) == 0]
        gains = worths[without | (1 << player)] - worths[without]
        values[player] = share[sizes[without]] @ gains
    return values
