"""Groups of pairs as comparisons whose p values know of each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from calibkit.decide.contrast import Gain, contrast
from calibkit.decide.evidence import Group
from calibkit.measure.multiple import benjamini_hochberg, holm

Correction = Literal["holm", "bh"]


@dataclass(frozen=True)
class Comparison:
    """One group and what it says; p_adjusted: p corrected for the others, None without a p."""

    group: Group
    gain: Gain
    p_adjusted: float | None


def compare_groups(
    groups: Sequence[Group],
    *,
    margin: float | None = None,
    level: float = 0.95,
    correction: Correction = "bh",
) -> list[Comparison]:
    """Return a comparison per group, in their order.

    The family of the correction is all groups that have a p value: Benjamini and Hochberg for what
    is explored, Holm for a declared family. Verdicts follow the corrected p values. margin: in the
    unit that is stored; None takes the measure's own.
    """
    first = [_contrast(group, margin, level, None) for group in groups]
    known = [gain.p for gain in first if gain.p is not None]
    adjusted = iter(holm(known) if correction == "holm" else benjamini_hochberg(known))
    found = []
    for group, gain in zip(groups, first, strict=True):
        p = None if gain.p is None else next(adjusted)
        same = p is None or p == gain.p
        judged = gain if same else _contrast(group, margin, level, p)
        found.append(Comparison(group, judged, p))
    return found


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
