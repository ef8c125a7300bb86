"""Successive halving: a few draws of every arm, more of the better half, fresh ones to judge.

Jamieson and Talwalkar (2016) give each round the same budget: when half of the arms are left, each
gets twice as many draws. The arms that are left at the end are the best of many, and the draws that
chose them flatter them; so they are measured once more on draws that had no say, and those alone
are judged. Pure: what is measured goes in, what to measure next comes out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from calibkit.errors import BadInput

FRESH = 1000
"""The first seed of the draws that judge; those that choose count from 0."""


@dataclass(frozen=True, order=True)
class Arm:
    """A way to calibrate: the alias of a policy, and how many documents it chooses."""

    policy: str
    size: int

    def __str__(self) -> str:
        """Return it as people read it."""
        return f"{self.policy}, {self.size:,} documents"


Place = tuple[Arm, int]
"""One draw of an arm, by its seed."""


@dataclass(frozen=True)
class Ladder:
    """What is to be measured of which arms.

    arms: the candidates, the cheaper ones first, which decides between equal means. reference: the
    policy that finalists are judged against, at their own sizes. draws: of every arm in the first
    round. finalists: how many arms are judged. fresh: draws that judge them.

    Raises BadInput for fewer than one of anything, for arms that are named twice, and for a
    reference among them.
    """

    arms: tuple[Arm, ...]
    reference: str
    draws: int = 2
    finalists: int = 3
    fresh: int = 12

    def __post_init__(self) -> None:
        for name in ("draws", "finalists", "fresh"):
            if getattr(self, name) < 1:
                raise BadInput(f"{name}: {getattr(self, name)} is not allowed; give 1 or more")
        if not self.arms:
            raise BadInput("there are no candidates; name some with --policies")
        if len(set(self.arms)) < len(self.arms):
            raise BadInput("a candidate is named twice; leave out one of them")
        if any(arm.policy == self.reference for arm in self.arms):
            raise BadInput(f"{self.reference!r} is what the candidates are held against, not one")

    @property
    def rounds(self) -> tuple[tuple[int, int], ...]:
        """(arms, draws of each so far) of every round, until no more than the finalists are left.

        There is no round where there are no more candidates than finalists to begin with.
        """
        found: list[tuple[int, int]] = []
        left, draws = len(self.arms), self.draws
        while left > self.finalists:
            found.append((left, draws))
            left, draws = max(self.finalists, left // 2), 2 * draws
        return tuple(found)

    @property
    def draws_in_all(self) -> int:
        """Draws that the whole ladder takes, the reference's included (at one size)."""
        known, total = 0, 0
        for left, draws in self.rounds:
            total += left * (draws - known)
            known = draws
        return total + (min(self.finalists, len(self.arms)) + 1) * self.fresh


@dataclass(frozen=True)
class Step:
    """What comes next.

    stage: ``race`` while arms are chosen, ``judge`` for the fresh draws. places: everything of this
    stage up to here, what is measured already included, in the order in which it is to be measured.
    missing: the rest. left: the arms that are still in.
    """

    stage: Literal["race", "judge"]
    places: tuple[Place, ...]
    missing: tuple[Place, ...]
    left: tuple[Arm, ...]


def next_step(
    ladder: Ladder, values: Mapping[Place, float], failed: Collection[Place] = ()
) -> Step:
    """Return the first step of which something is missing, or the last one when all is there.

    values: what was measured, the larger the better. failed: places that cannot be measured; in the
    race an arm that has one is out. The same values give the same step: nothing else is remembered.
    """
    arms, places = ladder.arms, list[Place]()
    out = {arm for arm, seed in failed if seed < FRESH}
    known = 0
    for left, draws in ladder.rounds:
        seeds = range(known, draws)
        places += [(arm, seed) for seed in seeds for arm in arms]
        step = _step("race", places, values, failed, arms)
        if step.missing:
            return step
        arms = best(arms, values, range(draws), out)[: max(ladder.finalists, left // 2)]
        known = draws
    arms = tuple(arm for arm in arms if arm not in out)
    sizes = dict.fromkeys(arm.size for arm in arms)
    judged = [*(Arm(ladder.reference, size) for size in sizes), *arms]
    places = [(arm, FRESH + draw) for draw in range(ladder.fresh) for arm in judged]
    return _step("judge", places, values, failed, arms)


def best(
    arms: Sequence[Arm],
    values: Mapping[Place, float],
    seeds: Sequence[int],
    out: Collection[Arm] = (),
) -> tuple[Arm, ...]:
    """Return the arms by their mean over the seeds, the highest first; those that are out are not.

    Equal means keep the order of the arms.
    """
    able = [arm for arm in arms if arm not in out]
    mean = {arm: sum(values[arm, seed] for seed in seeds) / len(seeds) for arm in able}
    return tuple(sorted(able, key=lambda arm: -mean[arm]))


def _step(
    stage: Literal["race", "judge"],
    places: Sequence[Place],
    values: Mapping[Place, float],
    failed: Collection[Place],
    arms: Sequence[Arm],
) -> Step:
    missing = tuple(at for at in places if at not in values and at not in failed)
    if stage == "race":  # an arm that is out is not measured any further
        out = {arm for arm, seed in failed if seed < FRESH}
        missing = tuple(at for at in missing if at[0] not in out)
    return Step(stage, tuple(places), missing, tuple(arms))
