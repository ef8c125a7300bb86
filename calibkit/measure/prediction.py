"""Whether one more value could be another draw of what a few controls were drawn from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from calibkit.measure.statistics import t_interval


@dataclass(frozen=True)
class Prediction:
    """Where one more control would lie, and how far from that a value is.

    mean, sd: of the n controls. low, high: Student's t prediction interval of one more of them
    (mean +- t sd sqrt(1 + 1 / n)). p: two-sided, of a value under it; 1 where it is the mean, 0
    where controls are all the same and it is not. is_outside: whether the value lies beyond all
    controls, which one more control does with a chance of at most 2 / (n + 1), whatever the
    distribution.
    """

    mean: float
    sd: float
    low: float
    high: float
    p: float
    is_outside: bool
    n: int


def prediction(value: float, controls: Sequence[float], level: float = 0.95) -> Prediction | None:
    """Return how a value compares with controls; None for fewer than two of these.

    Raises BadInput for a level outside (0, 1) and controls that are not finite.
    """
    interval = t_interval(controls, level)
    if interval is None:
        return None
    from scipy.special import stdtr, stdtrit

    n, mean, sd = interval.n, interval.mean, interval.sd
    spread = sd * math.sqrt(1 + 1 / n)
    half = float(stdtrit(n - 1, (1 + level) / 2)) * spread
    away = abs(value - mean)
    p = min(2 * float(stdtr(n - 1, -away / spread)), 1.0) if spread > 0 else float(away == 0)
    outside = value < min(controls) or value > max(controls)
    return Prediction(mean, sd, mean - half, mean + half, p, outside, n)
