"""No difference, shown rather than assumed: two one-sided tests inside a margin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from calibkit.errors import BadInput
from calibkit.measure.clustered import clustered_interval
from calibkit.measure.detectable import beyond


@dataclass(frozen=True)
class Equivalence:
    """Whether a mean difference lies within -margin to margin.

    p: the larger of the two one-sided p values. low, high: the interval of level 1 - 2 alpha; it
    lies inside the margin exactly where p is at most alpha.
    """

    p: float
    low: float
    high: float
    margin: float
    equivalent: bool


def tost(
    differences: Sequence[float], margin: float = 0.005, alpha: float = 0.05
) -> Equivalence | None:
    """Return two one-sided t tests over paired differences (Schuirmann, 1987); None for n < 2.

    margin is in the unit of the differences. Raises BadInput for a margin that is not positive.
    """
    found = clustered_interval([list(differences)]) if len(differences) else None
    return None if found is None else tost_of(found.mean, found.se, found.df, margin, alpha)


def tost_of(
    mean: float, se: float, df: float, margin: float = 0.005, alpha: float = 0.05
) -> Equivalence:
    """Return the same for a mean whose standard error and degrees of freedom are known."""
    if not 0 < margin < math.inf:
        raise BadInput(f"margin: {margin} is not allowed; give a number above 0")
    from scipy.special import stdtr, stdtrit

    half = float(stdtrit(df, 1 - alpha)) * se
    if se == 0:
        p = 0.0 if abs(mean) < margin else 1.0
    else:
        p = max(float(stdtr(df, (side - margin) / se)) for side in (mean, -mean))
    return Equivalence(p, mean - half, mean + half, margin, p <= alpha)


def tost_power(
    difference: float, se: float, df: float, margin: float = 0.005, alpha: float = 0.05
) -> float:
    """Return the least chance that the two tests find a true ``difference`` to be within margin.

    By non-central t and Bonferroni's inequality over the two tests (Phillips, 1990), close where
    it is above one half.
    """
    if se == 0:
        return float(abs(difference) < margin)
    from scipy.special import stdtrit

    critical = float(stdtrit(df, 1 - alpha))
    found = (beyond(critical, df, (margin + side) / se) for side in (difference, -difference))
    return max(0.0, sum(found) - 1.0)
