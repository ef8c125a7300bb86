"""Which way to calibrate should be shipped, from values per draw: the rule, and nothing else.

The best of many policies by its mean is flattered by the draws that made it the best. So none is
recommended for its mean: only one whose gain over the reference stands after Holm's correction over
all candidates (1979). Where none does, the reference is, provided that the intervals rule out that
a candidate is much better; where they do not, nothing is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from calibkit.decide.contrast import Gain, Paired, contrast
from calibkit.decide.halving import Arm
from calibkit.errors import BadInput
from calibkit.measure.multiple import holm

FAMILY = 0.05
"""Chance, at most, that any candidate is called better than the reference when none is."""


@dataclass(frozen=True)
class Scored:
    """What one draw of an arm came to under one float model; a larger value is better."""

    model_seed: int
    seed: int
    subset: str
    value: float


Arms = Mapping[Arm, Sequence[Scored]]


@dataclass(frozen=True)
class Rule:
    """When evidence is enough. draws: distinct calibration sets of each arm.

    tolerance: the reference is recommended only where no candidate's 95 % interval reaches a larger
    gain. margin: within so much of each other two arms count as the same (TOST). Fractions.
    """

    draws: int = 6
    tolerance: float = 0.02
    margin: float = 0.005

    def __post_init__(self) -> None:
        """Raise BadInput for a rule that could decide on nothing."""
        if self.draws < 2:
            raise BadInput(f"--draws {self.draws}: one draw has no interval; give 2 or more")
        if not (self.tolerance > 0 and self.margin > 0):
            raise BadInput("--tolerance and --margin must be above 0")


@dataclass(frozen=True)
class Standing:
    """How a candidate stands. gain: over the reference at the candidate's own size.

    over_base: over the reference at the recommended size, where that is another one. p: the larger
    of the two; p_adjusted: by Holm over all candidates.
    """

    arm: Arm
    mean: float
    gain: Gain
    over_base: Gain | None
    p: float
    p_adjusted: float

    @property
    def established(self) -> bool:
        """Whether it is better than the reference beyond doubt, and by more than the margin."""
        return all(one.verdict == "better" for one in (self.gain, self.over_base) if one)

    @property
    def reach(self) -> float:
        """The largest gain that its interval leaves possible, in a fraction."""
        return _high(self.gain if self.over_base is None else self.over_base)


Grounds = Literal["established", "cheaper and equivalent", "equivalent", "not established"]


@dataclass(frozen=True)
class Choice:
    """What to ship, and on which grounds.

    established: a candidate is better. cheaper and equivalent: one that is, and within the margin
    of a better one that looks at more. equivalent: the reference, since the best candidate is
    within the margin of it. not established: the reference, since no candidate is better beyond
    doubt and none can be much better.
    """

    arm: Arm
    grounds: Grounds
    base: Arm
    base_mean: float
    standings: tuple[Standing, ...]
    runner_up: Arm | None
    over_runner_up: Gain | None
    left_out: tuple[Arm, ...]

    @property
    def standing(self) -> Standing | None:
        """That of the recommended arm; None for the reference."""
        return next((one for one in self.standings if one.arm == self.arm), None)


@dataclass(frozen=True)
class Refusal:
    """Why nothing can be recommended, sentence by sentence, and how many draws would do."""

    reasons: tuple[str, ...]
    draws: int


def decide(
    arms: Arms, reference: str, rule: Rule, effort: Mapping[str, int] | None = None
) -> Choice | Refusal:
    """Return what to ship, or why that cannot be said.

    reference: the policy that the others are held against, at their own sizes. effort: policy ->
    how much it looks at; 0 where it is not said.
    """
    counted = {arm: _draws(cells) for arm, cells in arms.items()}
    bases = {a: arms[a] for a in arms if a.policy == reference and counted[a] >= rule.draws}
    most = max((n for arm, n in counted.items() if arm.policy == reference), default=0)
    if not bases:
        there = "there is" if most < 2 else "there are"
        said = f"only {_counted(most)} of it" if most else f"no cell of {reference!r}"
        return Refusal(
            (
                f"{reference!r} is what every policy is held against, and {there} {said}; at least"
                f" {rule.draws} are needed",
            ),
            rule.draws,
        )
    base = _base(bases, rule)
    pairs = {
        arm: paired(cells, bases[Arm(reference, arm.size)])
        for arm, cells in arms.items()
        if arm.policy != reference and Arm(reference, arm.size) in bases
    }
    able = {arm: found for arm, found in pairs.items() if distinct(found) >= rule.draws}
    others = [arm for arm in arms if arm.policy != reference]
    left_out = tuple(sorted(arm for arm in others if arm not in able))
    if not able:
        most = max((distinct(found) for found in pairs.values()), default=0)
        return Refusal(
            (
                f"no candidate has {rule.draws} draws beside those of {reference!r}: "
                f"the most that one has is {_counted(most)}"
                if others
                else f"{reference!r} is the only policy that was measured, so that there is nothing"
                " to compare it with",
            ),
            rule.draws,
        )
    standings = _standings(able, arms, bases, base, rule)
    established = [one for one in standings if one.established]
    if established:
        return _established(established, standings, arms, bases, base, left_out, rule, effort or {})
    wide = [one for one in standings if one.reach > rule.tolerance]
    if wide:
        return _too_wide(wide, standings, reference, rule)
    leader = standings[0]
    same = (leader.over_base or leader.gain).equivalent
    return Choice(
        base,
        "equivalent" if same else "not established",
        base,
        _mean(bases[base]),
        standings,
        leader.arm,
        contrast(
            paired(bases[base], arms[leader.arm]),
            margin=rule.margin,
            p_adjusted=leader.p_adjusted,
        ),
        left_out,
    )


def ranked(options: Mapping[str, Sequence[Scored]], rule: Rule) -> tuple[tuple[str, Gain], ...]:
    """Return options with enough draws, the best mean first, and how much better it is than each.

    The gains are paired by draw and float model, with p values by Holm over all of them; that of
    the best is over itself and 0. For schemes: which one to choose before documents are looked at.
    """
    able = {name: cells for name, cells in options.items() if _draws(cells) >= rule.draws}
    order = sorted(able, key=lambda name: -_mean(able[name]))
    if not order:
        return ()
    first = able[order[0]]
    pairs = [paired(first, able[name]) for name in order]
    adjusted = holm([_p(contrast(found, margin=rule.margin)) for found in pairs[1:]])
    gains = [
        contrast(found, margin=rule.margin, p_adjusted=p)
        for found, p in zip(pairs, [1.0, *adjusted], strict=True)
    ]
    return tuple(zip(order, gains, strict=True))


def paired(a: Sequence[Scored], b: Sequence[Scored]) -> list[Paired]:
    """Return the values of two arms side by side where float model and seed are the same."""
    others = {(cell.model_seed, cell.seed): cell for cell in b}
    return [
        Paired(cell.model_seed, cell.seed, cell.subset, other.subset, a=cell.value, b=other.value)
        for cell in a
        if (other := others.get((cell.model_seed, cell.seed))) is not None
    ]


def distinct(pairs: Sequence[Paired]) -> int:
    """Return the number of draws: distinct sets of compared subsets."""
    sets: dict[int, set[tuple[str, str]]] = {}
    for one in pairs:
        sets.setdefault(one.seed, set()).add((one.subset_a, one.subset_b))
    return len({frozenset(found) for found in sets.values()})


def fewest_draws(candidates: int) -> int:
    """Return with how many draws the exact sign-flip test can establish one of so many.

    Its smallest p value is 2 / 2^n, and Holm multiplies it by the number of candidates.
    """
    draws = 1
    while candidates * 2.0 ** (1 - draws) > FAMILY:
        draws += 1
    return draws


def _standings(
    able: Mapping[Arm, Sequence[Paired]], arms: Arms, bases: Arms, base: Arm, rule: Rule
) -> tuple[Standing, ...]:
    over_base = {
        arm: None if arm.size == base.size else paired(arms[arm], bases[base]) for arm in able
    }
    p = []
    for arm, found in able.items():
        other = over_base[arm]
        over = [found] if other is None else [found, other]
        p.append(max(_p(contrast(one, margin=rule.margin)) for one in over))
    standings = []
    for (arm, found), raw, adjusted in zip(able.items(), p, holm(p), strict=True):
        other = over_base[arm]
        gain = contrast(found, margin=rule.margin, p_adjusted=adjusted)
        beside = None
        if other is not None:
            beside = contrast(other, margin=rule.margin, p_adjusted=adjusted)
        standings.append(Standing(arm, _mean(arms[arm]), gain, beside, raw, adjusted))
    return tuple(sorted(standings, key=lambda one: (-_over(one).gain, one.arm)))


def _established(
    established: Sequence[Standing],
    standings: tuple[Standing, ...],
    arms: Arms,
    bases: Arms,
    base: Arm,
    left_out: tuple[Arm, ...],
    rule: Rule,
    effort: Mapping[str, int],
) -> Choice:
    """Choose the best of those that are better, or one that looks at less and is as good."""
    first = established[0]
    chosen = first
    for one in sorted(established, key=lambda one: effort.get(one.arm.policy, 0)):
        if effort.get(one.arm.policy, 0) >= effort.get(first.arm.policy, 0):
            break
        beside = contrast(paired(arms[first.arm], arms[one.arm]), margin=rule.margin)
        if beside.equivalent:
            chosen = one
            break
    others = (one for one in standings if one.arm != chosen.arm and _over(one).gain > 0)
    runner_up = next((one.arm for one in others), base)
    return Choice(
        chosen.arm,
        "established" if chosen is first else "cheaper and equivalent",
        base,
        _mean(bases[base]),
        standings,
        runner_up,
        contrast(paired(arms[chosen.arm], arms[runner_up]), margin=rule.margin),
        left_out,
    )


def _too_wide(
    wide: Sequence[Standing], standings: Sequence[Standing], reference: str, rule: Rule
) -> Refusal:
    """Say which candidates may be much better, and how many draws would tell."""
    leader = wide[0]
    gain = _over(leader)
    able = fewest_draws(len(standings))
    low = "unknown" if gain.low is None else f"{100 * gain.low:+.1f}"
    reasons = [
        f"no candidate is better than {reference!r} beyond doubt, and {len(wide):,} of"
        f" {len(standings):,} may be by more than {100 * rule.tolerance:g} points: {leader.arm}, by"
        f" {100 * gain.gain:+.1f} points, 95 % interval {low} to {100 * leader.reach:+.1f}"
    ]
    if gain.draws < able:
        reasons.append(
            f"with {gain.draws} draws the exact test cannot tell one of {len(standings):,}"
            f" candidates from chance; with {able} it can, or with fewer candidates"
        )
    return Refusal(tuple(reasons), max(able, gain.draws + 1, gain.draws_needed or 0))


def _base(bases: Arms, rule: Rule) -> Arm:
    """Return the reference at the smallest size that is as good as the best."""
    best = max(bases, key=lambda arm: (_mean(bases[arm]), -arm.size))
    for arm in sorted(bases, key=lambda arm: arm.size):
        pairs = paired(bases[best], bases[arm])
        if arm == best or (
            distinct(pairs) >= rule.draws and contrast(pairs, margin=rule.margin).equivalent
        ):
            return arm
    raise AssertionError("the best is one of them")


def _counted(draws: int) -> str:
    return f"{draws:,} draw" if draws == 1 else f"{draws:,} draws"


def _over(one: Standing) -> Gain:
    return one.gain if one.over_base is None else one.over_base


def _high(gain: Gain) -> float:
    return float("inf") if gain.high is None else gain.high


def _p(gain: Gain) -> float:
    return 1.0 if gain.p is None else gain.p


def _draws(cells: Sequence[Scored]) -> int:
    sets: dict[int, set[str]] = {}
    for cell in cells:
        sets.setdefault(cell.seed, set()).add(cell.subset)
    return len({frozenset(found) for found in sets.values()})


def _mean(cells: Sequence[Scored]) -> float:
    """Return the mean over seeds of the mean over float models, as the view `summary` does."""
    by_seed: dict[int, list[float]] = {}
    for cell in cells:
        by_seed.setdefault(cell.seed, []).append(cell.value)
    means = [sum(found) / len(found) for _, found in sorted(by_seed.items())]
    return sum(means) / len(means)
