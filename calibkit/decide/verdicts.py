"""Whether pairs of measurements bear out what was claimed of them, for families of claims.

A claim says where the difference a - b lies: its region. It is supported where the difference is
established to lie there, contradicted where it is established not to, and undecided otherwise. So
"lower by .5 points" is contradicted by a difference that is surely smaller than that, equivalence
included, and "equal within .5" by one that is surely larger.

A claim has one p value, about the bound of its region that the verdict hangs on. P values are
adjusted by Holm (1979) within the family, claims without measurements counting as p = 1, so that
the chance of any wrong verdict in the family is at most 5 %.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from calibkit.decide.bounds import Bound, bound_of, more_for_equality, more_for_side
from calibkit.decide.contrast import Gain, Paired, contrast
from calibkit.decide.more_draws import Needed
from calibkit.measure.multiple import holm
from calibkit.recipe.claims import MEASURES, Claim

Verdict = Literal["supported", "contradicted", "undecided"]

ALPHA = 0.05
"""Chance, at most, of any wrong verdict in a family."""
NOTHING = Needed(None, None)


@dataclass(frozen=True)
class Evidence:
    """The pairs that were measured for a claim, and how many its recipe plans.

    b is 0 in every pair of a claim that compares nothing. floor: see `Gain`. flags: signs of
    networks that no longer work, with their share of the cells.
    """

    claim: Claim
    pairs: tuple[Paired, ...]
    planned: int
    floor: float | None = None
    higher_is_better: bool = True
    flags: str = ""


@dataclass(frozen=True)
class Judged:
    """A claim, its verdict and what it rests on.

    gain: the difference a - b with its interval; None without pairs. p: about the nearest bound of
    the claim; p_adjusted: by Holm over the family. more: draws or float models in all that would
    decide with a chance of 80 % if the difference and its spread stay as they are; neither where
    the claim is decided or where no number of them would do.
    """

    evidence: Evidence
    verdict: Verdict
    gain: Gain | None
    p: float | None
    p_adjusted: float
    more: Needed = NOTHING

    @property
    def claim(self) -> Claim:
        """The claim itself."""
        return self.evidence.claim

    @property
    def is_measured(self) -> bool:
        """Whether every planned pair was measured."""
        return len(self.evidence.pairs) >= self.evidence.planned


def judge(evidence: Sequence[Evidence]) -> list[Judged]:
    """Return the verdict on each claim, in the order given; families are told by their names."""
    tests = [_Test.of(one) if one.pairs else None for one in evidence]
    families: dict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(evidence):
        families[one.claim.family].append(place)
    judged: dict[int, Judged] = {}
    for places in families.values():
        p_values = [_known(tests[place]) for place in places]
        for place, p, p_adjusted in zip(places, p_values, holm(p_values), strict=True):
            left = sum(other >= p for other in p_values)  # what Holm multiplies this p with
            alpha = ALPHA / max(left, p_adjusted / p if p else 1.0)
            judged[place] = _judged(evidence[place], tests[place], p_adjusted, alpha)
    return [judged[place] for place in range(len(evidence))]


@dataclass(frozen=True)
class _Test:
    """The differences that were found, and what they say about each bound of the claim."""

    gain: Gain
    bounds: tuple[Bound, ...]
    holds: bool
    """Whether the mean difference lies where the claim puts it."""

    @classmethod
    def of(cls, evidence: Evidence) -> _Test:
        claim, (low, high) = evidence.claim, evidence.claim.region
        margin, scale = (
            claim.within or MEASURES[claim.measure].within,
            MEASURES[claim.measure].scale,
        )
        gain = contrast(
            evidence.pairs,
            margin=None if margin is None else margin / scale,
            level=1 - ALPHA,
            higher_is_better=evidence.higher_is_better,
            floor=evidence.floor,
        )
        bounds = tuple(
            bound_of(evidence.pairs, at, 1 - ALPHA) for at in (low, high) if not math.isinf(at)
        )
        return cls(gain, bounds, low <= gain.gain <= high)

    @property
    def of_equality(self) -> bool:
        """Whether two one-sided tests decide: the difference found lies between two bounds."""
        return len(self.bounds) == 2 and self.holds

    @property
    def nearest(self) -> Bound:
        """The bound that decides: the only one, or of two the one that is nearer."""
        return min(self.bounds, key=lambda bound: abs(bound.gain.gain))

    @property
    def p(self) -> float | None:
        """Two-sided, of the nearest bound; between two bounds the larger of the one-sided ones."""
        if not self.of_equality:
            return self.nearest.p
        sides = [bound.p for bound in self.bounds if bound.p is not None]
        return max(sides) / 2 if sides else None


def _known(test: _Test | None) -> float:
    p = None if test is None else test.p
    return 1.0 if p is None else p


def _judged(evidence: Evidence, test: _Test | None, p_adjusted: float, alpha: float) -> Judged:
    """Return the verdict. alpha: what p must reach, given the others of the family."""
    if test is None:
        return Judged(evidence, "undecided", None, None, 1.0)
    is_sure = test.p is not None and p_adjusted <= ALPHA * (1 + 1e-9)
    verdict: Verdict = "undecided"
    if test.of_equality:
        if is_sure and test.gain.equivalent:
            verdict = "supported"
    elif is_sure and not test.nearest.is_open:
        verdict = "supported" if test.holds else "contradicted"
    more = NOTHING
    if verdict == "undecided" and test.of_equality:
        more = more_for_equality(evidence.pairs, evidence.claim.region[1], alpha)
    elif verdict == "undecided":
        more = more_for_side(evidence.pairs, test.nearest.at, alpha)
    return Judged(evidence, verdict, test.gain, test.p, p_adjusted, more)
