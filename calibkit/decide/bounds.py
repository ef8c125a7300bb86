"""On which side of a bound a difference lies: p values that hold far out, and what it would take.

Several claims at once ask for small p values, and few float models know their own spread badly: by
chance three of them may lie close together. The interval over float models and draws is right at
95 %; at 99.9 % it would be wrong several times as often as it says. So p is never less than that of
Student t over the float models alone, each averaged over its draws, nor over the draws alone
(Clark, 1973, Journal of Verbal Learning and Verbal Behavior 12, asks for both).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from calibkit.decide.contrast import Gain, Paired, Values, contrast, gains_table
from calibkit.decide.more_draws import MOST_MODELS, POWER, Needed
from calibkit.measure.clustered import Clustered, clustered_interval
from calibkit.measure.detectable import MOST_DRAWS, power_of
from calibkit.measure.equivalence import tost_power

ROUNDING = 1e-12
"""Differences of fractions that are smaller are none."""

Power = Callable[[float, float, float], float]
"""Mean difference from 0, its standard error, degrees of freedom -> chance to find what is so."""


@dataclass(frozen=True)
class Bound:
    """What pairs say about a - b - at: its interval, and the two-sided p of it being 0.

    p: of exact sign flips over draws; with several float models the largest of that, of t over
    both, and of t over either alone.
    """

    at: float
    gain: Gain
    p: float | None

    @property
    def is_open(self) -> bool:
        """Whether the interval leaves open on which side the difference lies."""
        low, high = self.gain.low, self.gain.high
        return low is None or high is None or low <= 0 <= high


def bound_of(pairs: Sequence[Paired], at: float, level: float) -> Bound:
    """Return what pairs say about their difference from ``at``; level: of the interval."""
    moved = [replace(pair, a=_exact(pair.a - pair.b - at), b=0.0) for pair in pairs]
    gain = contrast(moved, margin=None, level=level)
    p = gain.p
    if p is not None and gain.models > 1:
        table = gains_table(moved)
        p = max(p, _p_of(table.mean(axis=1)), _p_of(table.mean(axis=0)))
    return Bound(at, gain, p)


def _exact(difference: float) -> float:
    """Return 0 for what is only the rounding of numbers that stand on the bound."""
    return 0.0 if abs(difference) < ROUNDING else difference


def _p_of(values: Values) -> float:
    """Return the two-sided p of Student t that the mean of values is 0; 1 for a single one."""
    if len(values) < 2:
        return 1.0
    from scipy.special import stdtr

    se, mean = float(values.std(ddof=1)) / math.sqrt(len(values)), float(values.mean())
    if se == 0:
        return 1.0 if mean == 0 else 0.0
    return 2 * float(stdtr(len(values) - 1, -abs(mean) / se))


def more_for_side(pairs: Sequence[Paired], at: float, alpha: float) -> Needed:
    """Return the fewest draws, or float models, that show on which side of ``at`` it lies.

    With a chance of 80 %, if the mean and its spread are what was found. alpha: what p must reach.
    """

    def power(mean: float, se: float, df: float) -> float:
        return power_of(mean - at, se, df, 1 - alpha)

    return _needed(pairs, power, math.ceil(math.log2(2 / alpha) - 1e-9))


def more_for_equality(pairs: Sequence[Paired], within: float, alpha: float) -> Needed:
    """Return the fewest draws, or float models, that show it to lie within ±``within``."""

    def power(mean: float, se: float, df: float) -> float:
        return tost_power(mean, se, df, within, alpha)

    return _needed(pairs, power, math.ceil(math.log2(1 / alpha) - 1e-9))


def _needed(pairs: Sequence[Paired], power: Power, fewest: int) -> Needed:
    """Return what it takes. fewest: draws below which sign flips cannot reach the p value."""
    found = clustered_interval(gains_table(pairs))
    if found is None:
        return Needed(fewest, None)

    def decides(models: int, draws: int, known: Clustered) -> bool:
        if draws < fewest or power(known.mean, *known.spread.of_mean(models, draws)) < POWER:
            return False
        if models == 1:
            return True
        spread = known.spread
        of_models = (spread.model + spread.rest / draws) / models
        of_draws = (spread.draw + spread.rest / models) / draws
        sides = ((of_models, models), (of_draws, draws))
        return all(power(known.mean, math.sqrt(v), n - 1) >= POWER for v, n in sides)

    draws = _first(
        range(found.draws + 1, MOST_DRAWS + 1), lambda n: decides(found.models, n, found)
    )
    if draws is not None or found.models == 1:
        return Needed(draws, None)
    least = max(found.draws, fewest)
    models = range(found.models + 1, MOST_MODELS + 1)
    return Needed(None, _first(models, lambda n: decides(n, least, found)))


def _first(numbers: range, holds: Callable[[int], bool]) -> int | None:
    """Return the first number that ``holds``, which once true stays so."""
    place = bisect_left(numbers, 1, key=holds)
    return numbers[place] if place < len(numbers) else None
