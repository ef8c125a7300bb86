"""Intervals and p values over calibration draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibkit.errors import BadInput

_MOST_DRAWS = 40  # two halves of 2^20 sign patterns each


@dataclass(frozen=True)
class Interval:
    """A mean over n values, their standard deviation (n - 1), and a confidence interval."""

    mean: float
    low: float
    high: float
    sd: float
    n: int
    level: float


def t_interval(values: Sequence[float], level: float = 0.95) -> Interval | None:
    """Return the Student t interval of the mean; None for fewer than two values.

    Raises BadInput for a level outside (0, 1) or values that are not finite.
    """
    if not 0 < level < 1:
        raise BadInput(f"level: {level} is not allowed; give a number between 0 and 1")
    x = _finite(values)
    n = len(x)
    if n < 2:
        return None
    from scipy.special import stdtrit

    mean, sd = float(x.mean()), float(x.std(ddof=1))
    half = float(stdtrit(n - 1, (1 + level) / 2)) * sd / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, sd, n, level)


def sign_flip_p(differences: Sequence[float]) -> float | None:
    """Return the exact two-sided sign-flip p value of paired differences (Fisher, 1935).

    The share of the 2^n sign patterns whose |sum| reaches the observed one; the smallest possible
    value is 2 / 2^n. None for no differences. All patterns are counted, by adding every sum of
    one half to the sorted sums of the other. Raises BadInput for more than 40 differences.
    """
    x = _finite(differences)
    if not len(x):
        return None
    if len(x) > _MOST_DRAWS:
        raise BadInput(
            f"{len(x)} differences are too many for the exact sign-flip test, which takes "
            f"{_MOST_DRAWS} at most; use the t interval"
        )
    reach = abs(float(x.sum())) - 1e-9 * float(np.abs(x).sum())  # equal sums, rounded apart
    if reach <= 0:
        return 1.0
    first = _signed_sums(x[: len(x) // 2])
    second = np.sort(_signed_sums(x[len(x) // 2 :]))
    above = len(second) - np.searchsorted(second, reach - first, side="left")
    below = np.searchsorted(second, -reach - first, side="right")
    return float((above.sum() + below.sum()) / (len(first) * len(second)))


def _signed_sums(x: NDArray[np.float64]) -> NDArray[np.float64]:
    sums = np.zeros(1)
    for value in x:
        sums = np.concatenate([sums - value, sums + value])
    return sums


def _finite(values: Sequence[float]) -> NDArray[np.float64]:
    x = np.asarray(values, dtype=np.float64)
    if not np.isfinite(x).all():
        raise BadInput("the values have NaN or infinite ones among them; give finite ones")
    return x
