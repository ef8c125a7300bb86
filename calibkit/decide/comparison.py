"""Groups of pairs as comparisons whose p values know of each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from calibkit.decide.contrast import Gain, contrast
from calibkit.decide.evidence import Group
from calibkit.measure.multiple import benjamini_hochberg

Correction = Literal["holm", "bh"]


@dataclass(frozen=True)
class Comparison:
    """One group and what it says.

    p_adjusted: p corrected for the others; None without a p. correction: by Holm in a declared
    family, or by Benjamini and Hochberg over what is explored.
    """

    group: Group
    gain: Gain
    p_adjusted: float | None
    correction: Correction


def compare_groups(
    groups: Sequence[Group],
    *,
    margin: float | None = None,
    level: float = 0.95,
    declared: Sequence[float | None] | None = None,
) -> list[Comparison]:
    """Return a comparison per group, in their order; verdicts follow the corrected p values.

    declared: p values of the groups that a recipe declared, corrected in their family; the family
    of all others are the groups that have none (Benjamini and Hochberg, 1995). margin: in the unit
    that is stored; None takes the measure's own.
    """
    of_family = [None] * len(groups) if declared is None else list(declared)
    first = [_contrast(group, margin, level, None) for group in groups]
    explored = [
        gain.p for gain, p in zip(first, of_family, strict=True) if p is None and gain.p is not None
    ]
    adjusted = iter(benjamini_hochberg(explored))
    found = []
    for group, gain, p_declared in zip(groups, first, of_family, strict=True):
        correction: Correction = "bh" if p_declared is None else "holm"
        p = p_declared
        if p is None and gain.p is not None:
            p = next(adjusted)
        same = p is None or p == gain.p
        judged = gain if same else _contrast(group, margin, level, p)
        found.append(Comparison(group, judged, p, correction))
    return found


def most_moved_first(found: Sequence[Comparison]) -> list[Comparison]:
    """Return comparisons of sites with the largest |gain| first, setting by setting."""
    settings: dict[tuple[object, ...], list[Comparison]] = {}
    for one in found:
        setting = tuple(value for name, value in one.group.keys.items() if name != "site")
        settings.setdefault(setting, []).append(one)
    return [
        one
        for sites in settings.values()
        for one in sorted(sites, key=lambda one: -abs(one.gain.gain))
    ]


def _contrast(group: Group, margin: float | None, level: float, p: float | None) -> Gain:
    measure = group.measure
    return contrast(
        group.pairs,
        margin=measure.margin if margin is None else margin,
        level=level,
        p_adjusted=p,
        higher_is_better=measure.higher_is_better,
        floor=group.floor,
    )
