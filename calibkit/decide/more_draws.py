"""How many draws, or float models, would decide what is undecided."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from calibkit.measure.clustered import Clustered
from calibkit.measure.detectable import MOST_DRAWS, power_of
from calibkit.measure.equivalence import tost_power

POWER = 0.8
MOST_MODELS = 100


@dataclass(frozen=True)
class Needed:
    """Draws in all, or float models in all; at most one of them is a number."""

    draws: int | None
    models: int | None


def needed(
    found: Clustered | None, margin: float | None, level: float, inflation: float = 1.0
) -> Needed:
    """Return the fewest draws that decide with a chance of 80 %; float models, if draws cannot.

    As if the gain and its variances were what was found, which few draws know badly. Decided is
    either that the gain is not 0, or that it is inside ``margin``, whichever takes less. Sign flips
    set a least number as well: their smallest p value is 2 / 2^draws. inflation: what a p value is
    multiplied by before it is held against 1 - level, for several comparisons. found: None for
    fewer than two draws, which show no spread; then that least number is all there is to say.
    """
    alpha = 1 - level
    fewest = math.ceil(math.log2(2 * inflation / alpha) - 1e-9)
    if found is None:
        return Needed(fewest, None)

    def decides(models: int, draws: int) -> bool:
        se, df = found.spread.of_mean(models, draws)
        if margin is not None and tost_power(found.mean, se, df, margin, alpha) >= POWER:
            return True
        return draws >= fewest and all(
            power_of(found.mean, *test, 1 - alpha / inflation) >= POWER
            for test in found.spread.tests(models, draws)
        )

    draws = _first(lambda n: decides(found.models, n), found.draws + 1, MOST_DRAWS)
    if draws is not None or found.models == 1:
        return Needed(draws, None)
    least = max(found.draws, fewest)
    return Needed(None, _first(lambda n: decides(n, least), max(found.models, 2) + 1, MOST_MODELS))


def _first(holds: Callable[[int], bool], low: int, high: int) -> int | None:
    """Return the first number that ``holds``, which once true stays so; None up to ``high``."""
    if low > high or not holds(high):
        return None
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low
