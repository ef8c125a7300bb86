"""Paired measurements of two arms, and what they say: gain, interval, p value, verdict.

The replicate is a calibration draw. Both arms' draws of one seed are a pair, under the same float
model; seeds that compare the same subsets are one draw.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from calibkit.decide.more_draws import Needed, needed
from calibkit.errors import BadInput
from calibkit.measure.bca import bca_interval
from calibkit.measure.clustered import Clustered, clustered_interval
from calibkit.measure.detectable import detectable_difference
from calibkit.measure.equivalence import tost_of
from calibkit.measure.statistics import sign_flip_p

Values = NDArray[np.float64]
Verdict = Literal["better", "worse", "same", "undecided"]

MARGIN = 0.005
"""Differences within half a point are called the same."""
MOST_FLIPPED = 40
"""Above so many draws, t decides: the exact sign-flip test counts 2^draws patterns."""


@dataclass(frozen=True)
class Paired:
    """What two arms measured under one float model and seed; ``a`` and ``b`` in one unit."""

    model_seed: int
    seed: int
    subset_a: str
    subset_b: str
    a: float
    b: float


@dataclass(frozen=True)
class Gain:
    """The mean difference a - b over draws, and how sure it is.

    gain, sd, low, high, detectable, floor: in the unit of the measure (fractions for accuracy).
    low, high: interval at ``level``; sd: of the draws, each averaged over float models (n - 1).
    p: what decides: the exact sign-flip p over draws; with several float models, or more than 40
    draws, see ``contrast``. p_flip: the sign-flip p alone. detectable: the true difference that
    these draws find with a chance of 80 %. equivalent: whether two one-sided tests put it inside
    the margin (None: no margin, or too few draws). draws_needed: draws in all that would decide if
    gain and spread stay as they are, None where decided or where more draws would not;
    models_needed: the same of float models. bca: interval beside ``low`` and ``high``, from 30
    draws of one float model on. floor: what two random draws differ by on average.
    draws_a, draws_b: distinct subset sets of each arm. left_out: pairs outside the table of float
    models by draws that is complete. None: not defined for so few draws.
    """

    gain: float
    low: float | None
    high: float | None
    sd: float | None
    draws: int
    models: int
    pairs: int
    wins: int
    p: float | None
    detectable: float | None
    equivalent: bool | None
    verdict: Verdict
    draws_needed: int | None
    bca: tuple[float, float] | None
    floor: float | None
    a: float
    b: float
    df: float | None
    p_flip: float | None
    p_same: float | None
    models_needed: int | None
    draws_a: int
    draws_b: int
    left_out: int


def contrast(
    pairs: Sequence[Paired],
    *,
    margin: float | None = MARGIN,
    level: float = 0.95,
    p_adjusted: float | None = None,
    higher_is_better: bool = True,
    floor: float | None = None,
) -> Gain:
    """Return what pairs of measurements say about a - b, whatever their order.

    One float model: Student t over draws; p is the exact sign-flip p value. Several: the interval
    is about new float models and new draws (``clustered_interval``), and p is the larger of its p
    and the sign-flip p over draws, each averaged over the float models first: flips alone would
    take what these few models have in common for what all have. More than 40 draws: t alone.

    The verdict is ``same`` where two one-sided tests at (1 - level) put the difference inside the
    margin (None: no margin, ``same`` only where every difference is exactly 0); ``better`` or
    ``worse`` where the interval excludes 0 and p, or p_adjusted if it is given, is at most
    1 - level; else ``undecided``.

    Raises BadInput for no pairs, a level outside (0, 1) or values that are not finite.
    """
    if not pairs:
        raise BadInput("there are no pairs to compare; give at least one")
    table = _Table.of(pairs)
    found = clustered_interval(table.gains, level)
    flips = _flips(table.gains.mean(axis=0))
    p = _decisive(found, flips)
    alpha = 1 - level
    inside = None
    if found is not None and margin is not None:
        inside = tost_of(found.mean, found.se, found.df, margin, alpha)
    verdict = _verdict(
        found,
        p if p_adjusted is None else p_adjusted,
        alpha,
        equivalent=not table.gains.any() if inside is None else inside.equivalent,
        higher_is_better=higher_is_better,
    )
    more = Needed(None, None)
    if verdict == "undecided":
        inflation = max(p_adjusted / p, 1.0) if p_adjusted is not None and p else 1.0
        more = needed(found, margin, level, inflation)
    models, draws = table.gains.shape
    return Gain(
        gain=float(table.gains.mean()),
        low=None if found is None else found.low,
        high=None if found is None else found.high,
        sd=None if found is None else found.sd,
        draws=draws,
        models=models,
        pairs=len(table.pairs),
        wins=sum((p.a > p.b) if higher_is_better else (p.a < p.b) for p in table.pairs),
        p=p,
        detectable=None
        if found is None
        else detectable_difference(found.se, found.df, level=level),
        equivalent=None if inside is None else inside.equivalent,
        verdict=verdict,
        draws_needed=more.draws,
        bca=bca_interval(table.gains[0].tolist(), level) if models == 1 else None,
        floor=floor,
        a=float(table.of_a.mean()),
        b=float(table.of_b.mean()),
        df=None if found is None else found.df,
        p_flip=flips,
        p_same=None if inside is None else inside.p,
        models_needed=more.models,
        draws_a=table.draws_a,
        draws_b=table.draws_b,
        left_out=table.left_out,
    )


def gains_table(pairs: Sequence[Paired]) -> Values:
    """Return the differences a - b that ``contrast`` rests on: (float models, draws), no gaps."""
    return _Table.of(pairs).gains


def _flips(by_draw: Values) -> float | None:
    return sign_flip_p(by_draw.tolist()) if len(by_draw) <= MOST_FLIPPED else None


def _decisive(found: Clustered | None, flips: float | None) -> float | None:
    """Return the p value that decides: sign flips, and t where they do not do alone."""
    if found is None:
        return flips
    if found.models == 1 and flips is not None:
        return flips
    return max(found.p, flips or 0.0)


def _verdict(
    found: Clustered | None,
    p: float | None,
    alpha: float,
    *,
    equivalent: bool,
    higher_is_better: bool,
) -> Verdict:
    if found is None or p is None:
        return "undecided"
    if equivalent:
        return "same"
    if p <= alpha * (1 + 1e-9) and not found.low <= 0 <= found.high:
        return "better" if (found.mean > 0) == higher_is_better else "worse"
    return "undecided"


@dataclass(frozen=True)
class _Table:
    """Values by float model and draw, and the distinct pairs behind them."""

    of_a: Values
    of_b: Values
    pairs: tuple[Paired, ...]
    draws_a: int
    draws_b: int
    left_out: int

    @property
    def gains(self) -> Values:
        gains: Values = self.of_a - self.of_b
        return gains

    @classmethod
    def of(cls, pairs: Sequence[Paired]) -> _Table:
        """Put each pair in its place, and keep the largest part that has no gaps."""
        draws = _draws(pairs)
        models, kept = _complete(draws)
        used = [p for key in kept for p in draws[key] if p.model_seed in models]
        cells = [[_at(draws[key], model) for key in kept] for model in models]
        distinct = {(p.model_seed, p.subset_a, p.subset_b): p for p in used}
        every = {(p.model_seed, p.subset_a, p.subset_b) for p in pairs}
        return cls(
            np.array([[c[0] for c in row] for row in cells]),
            np.array([[c[1] for c in row] for row in cells]),
            tuple(distinct[key] for key in sorted(distinct)),
            len({frozenset((p.model_seed, p.subset_a) for p in draws[k]) for k in kept}),
            len({frozenset((p.model_seed, p.subset_b) for p in draws[k]) for k in kept}),
            len(every) - len(distinct),
        )


def _draws(pairs: Sequence[Paired]) -> dict[tuple[str, ...], list[Paired]]:
    """Return the pairs of each draw, a set of compared subsets, in a fixed order."""
    by_seed: dict[int, list[Paired]] = defaultdict(list)
    for pair in pairs:
        by_seed[pair.seed].append(pair)
    found: dict[tuple[str, ...], list[Paired]] = defaultdict(list)
    for seed in sorted(by_seed):
        ordered = sorted(by_seed[seed], key=lambda p: (p.model_seed, p.subset_a, p.subset_b))
        found[tuple(sorted({f"{p.subset_a}/{p.subset_b}" for p in ordered}))] += ordered
    return {key: found[key] for key in sorted(found)}


def _complete(
    draws: dict[tuple[str, ...], list[Paired]],
) -> tuple[list[int], list[tuple[str, ...]]]:
    """Return the float models and draws of the largest table without gaps.

    Float models leave one by one, the least measured first; of equal tables, that of more models.
    """
    have = {key: {p.model_seed for p in of_draw} for key, of_draw in draws.items()}
    models = sorted({model for of_draw in have.values() for model in of_draw})
    models.sort(key=lambda m: (-sum(m in of_draw for of_draw in have.values()), m))
    best: tuple[int, list[int], list[tuple[str, ...]]] = (0, [], [])
    for number in range(len(models), 0, -1):
        part = models[:number]
        kept = [key for key, of_draw in have.items() if of_draw.issuperset(part)]
        if number * len(kept) > best[0]:
            best = (number * len(kept), sorted(part), kept)
    return best[1], best[2]


def _at(of_draw: Sequence[Paired], model: int) -> tuple[float, float]:
    """Return a and b of one float model and draw; equal subsets measured twice count once."""
    own = [p for p in of_draw if p.model_seed == model]
    return math.fsum(p.a for p in own) / len(own), math.fsum(p.b for p in own) / len(own)
