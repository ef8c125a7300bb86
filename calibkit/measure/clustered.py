"""The mean of gains that several float models gave for the same calibration draws.

Gains form a table, float models by draws. Both are samples: the float models of the training seeds
there could have been, the draws of the calibration sets there could have been. The interval is
about both, new float models and new draws:

    gain[m, d] = mean + model[m] + draw[d] + rest[m, d],
    variance of the mean = model / M + draw / D + rest / (M D).

The same model holds where a policy looks through the float model, so that each has subsets of its
own: what a seed then has in common (such as the random draw it is compared with) is ``draw``, and
what it has not is ``rest``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibkit.errors import BadInput


@dataclass(frozen=True)
class Spread:
    """Variances of the gains: of float models, of draws, and of the rest (both together)."""

    model: float
    draw: float
    rest: float

    def of_mean(self, models: int, draws: int) -> tuple[float, float]:
        """Return standard error and degrees of freedom to expect from a table of that size."""
        if models == 1:
            return math.sqrt((self.draw + self.rest) / draws), draws - 1.0
        of_models = self.rest + draws * self.model
        of_draws = self.rest + models * self.draw
        return _of_mean(of_models, of_draws, self.rest, models, draws)

    def tests(self, models: int, draws: int) -> list[tuple[float, float]]:
        """Return standard error and degrees of freedom of each t test behind ``Clustered.p``."""
        tests = [self.of_mean(models, draws)]
        if models > 1:
            of_models = self.rest + draws * self.model
            of_draws = self.rest + models * self.draw
            tests += _of_sides(of_models, of_draws, models, draws)
        return tests


@dataclass(frozen=True)
class Clustered:
    """A mean over a table of gains, its standard error, degrees of freedom and interval.

    sd: standard deviation (n - 1) of the draws, each averaged over the float models. p: of the mean
    being 0, two-sided.
    """

    mean: float
    low: float
    high: float
    se: float
    df: float
    sd: float
    models: int
    draws: int
    level: float
    spread: Spread
    p: float


def clustered_interval(gains: ArrayLike, level: float = 0.95) -> Clustered | None:
    """Return the interval of the mean of gains (M float models, D draws); None for D < 2.

    One float model: Student t over its draws, and the interval is about new draws for that model.
    Several: two crossed random effects. The variance is MS_models + MS_draws - MS_rest over M D,
    but never less than what either mean square gives alone (a negative component counts as none).
    Degrees of freedom: those of the larger of the two, moved towards the pooled ones of
    Satterthwaite (1946, Biometrics Bulletin 2) by the ratio of the two; pooled ones alone promise
    too much where one side has few and the other many (Gaylor and Hopper, 1969, Technometrics 11).
    Where a side has two members, it is the wider of the two Student t intervals.

    Over 2,000 simulated studies each (tests), with three models or more and for five ways to share
    the variance among models, draws and rest, it covers 93-97 % at 3, 6, 10 and 20 draws; it
    covers too much, up to 98.5 %, where neither models nor draws differ much beyond chance. It was
    chosen among ten rules by such simulations, with normal effects and complete tables.

    p is that of the interval's t, or of Student's t over the float models alone, or over the draws
    alone, whichever is larger: all three must reject. The interval's t is made for 5 %; corrected
    for eight comparisons it alone made a false finding in up to 19 % of the families without any
    effect, where three float models differed and draws were many. So it is at most 5 %.

    Raises BadInput for a level outside (0, 1), no table, or values that are not finite.
    """
    if not 0 < level < 1:
        raise BadInput(f"level: {level} is not allowed; give a number between 0 and 1")
    table: NDArray[np.float64] = np.asarray(gains, dtype=np.float64)
    if table.ndim != 2 or not table.size:
        raise BadInput(f"gains of shape {table.shape}; give a table (float models, draws)")
    if not np.isfinite(table).all():
        raise BadInput("the gains have NaN or infinite ones among them; give finite ones")
    models, draws = table.shape
    if draws < 2:
        return None
    from scipy.special import stdtrit

    mean = float(table.mean())
    by_draw = table.mean(axis=0)
    sd = float(by_draw.std(ddof=1))
    if models == 1:
        spread = Spread(0.0, sd**2, 0.0)
        se, df = sd / math.sqrt(draws), draws - 1.0
        tests = [(se, df)]
    else:
        by_model = table.mean(axis=1)
        of_models = draws * float(by_model.var(ddof=1))
        of_draws = models * sd**2
        rest = table - by_model[:, None] - by_draw[None, :] + mean
        of_rest = float(np.square(rest).sum()) / ((models - 1) * (draws - 1))
        spread = Spread(
            max((of_models - of_rest) / draws, 0.0),
            max((of_draws - of_rest) / models, 0.0),
            of_rest,
        )
        se, df = _of_mean(of_models, of_draws, of_rest, models, draws, level)
        tests = [(se, df), *_of_sides(of_models, of_draws, models, draws)]
    half = float(stdtrit(df, (1 + level) / 2)) * se
    p = max(_two_sided(mean, of_test, df_of_test) for of_test, df_of_test in tests)
    return Clustered(mean, mean - half, mean + half, se, df, sd, models, draws, level, spread, p)


def _two_sided(mean: float, se: float, df: float) -> float:
    from scipy.special import stdtr

    if se == 0:
        return float(mean == 0)
    return 2.0 * float(stdtr(df, -abs(mean) / se))


def _of_sides(
    of_models: float, of_draws: float, models: int, draws: int
) -> list[tuple[float, float]]:
    """Return standard error and degrees of freedom over float models alone, over draws alone."""
    number = models * draws
    return [
        (math.sqrt(of_models / number), models - 1.0),
        (math.sqrt(of_draws / number), draws - 1.0),
    ]


def _of_mean(
    of_models: float, of_draws: float, of_rest: float, models: int, draws: int, level: float = 0.95
) -> tuple[float, float]:
    """Return standard error and degrees of freedom of the mean, from the three mean squares."""
    df_models, df_draws = models - 1, draws - 1
    larger = df_models if of_models > of_draws else df_draws
    if min(df_models, df_draws) == 1:
        from scipy.special import stdtrit

        sides = [(of_models, df_models), (of_draws, df_draws)]
        square, df = max(sides, key=lambda s: float(stdtrit(s[1], (1 + level) / 2)) ** 2 * s[0])
        return math.sqrt(square / (models * draws)), float(df)
    both = of_models + of_draws
    if both <= 0:
        return 0.0, float(larger)
    square = max(of_models, of_draws, both - of_rest)
    pooled = both**2 / (of_models**2 / df_models + of_draws**2 / df_draws)
    trust = min(df_models, df_draws) / max(df_models, df_draws)
    return math.sqrt(square / (models * draws)), larger + trust * (pooled - larger)
