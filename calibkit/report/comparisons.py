"""Gains over the reference policy, setting by setting, with what they can and cannot decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

from calibkit.decide.contrast import MARGIN, Gain, Paired, contrast
from calibkit.measure.multiple import benjamini_hochberg
from calibkit.recipe import Recipe
from calibkit.report.conditions import Condition

Standing = Literal["better", "worse", "same", "ahead", "behind", "open", "unknown"]

MEANINGS: Mapping[Standing, tuple[str, str]] = {
    "better": ("better", "the interval lies above 0, and the corrected p is at most .05"),
    "worse": ("worse", "the interval lies below 0, and the corrected p is at most .05"),
    "same": ("same", "inside ±0.5 points, by two one-sided tests at 5 %"),
    "ahead": ("ahead, not decided", "the interval lies above 0, but the corrected p is above .05"),
    "behind": ("behind, not decided", "the interval lies below 0, but corrected p is above .05"),
    "open": ("not decided", "the interval holds 0, and differences of more than ±0.5 points"),
    "unknown": ("too few draws", "fewer than two draws in common: no interval"),
}
"""Standing -> what it is called, and what it means."""


@dataclass(frozen=True)
class Comparison:
    """A policy against the reference under one condition, on clean documents.

    p: of the exact sign-flip test, corrected within the page's family; None without one.
    """

    condition: Condition
    policy: str
    gain: Gain
    p: float | None

    @property
    def standing(self) -> Standing:
        """What these draws decide."""
        return standing(self.gain)


def standing(gain: Gain) -> Standing:
    """Return what a gain whose p value is corrected decides; ``contrast`` has the rules."""
    if gain.low is None or gain.high is None:
        return "unknown"
    if gain.verdict != "undecided":
        return gain.verdict
    return "ahead" if gain.low > 0 else "behind" if gain.high < 0 else "open"


def reference_of(recipe: Recipe) -> str | None:
    """Return the alias of the random draws that others are compared with, None where none are.

    One called ``random`` comes first, then one without filters, in the order of the grid.
    """
    aliases = [a for a in recipe.grid.policy if recipe.policies[a].name == "random"]
    ranked = sorted(aliases, key=lambda a: (a != "random", bool(_filters(recipe, a))))
    return ranked[0] if ranked else None


def _filters(recipe: Recipe, alias: str) -> Any:
    return recipe.policies[alias].policy.params().get("filters")


def compare_all(cells: Iterable[Mapping[str, Any]], reference: str) -> list[Comparison]:
    """Return every policy against the reference under every condition.

    cells: rows of ``results`` on clean documents. Those are one family: p values are corrected
    over all of them (Benjamini and Hochberg, 1995).
    """
    by_draw: dict[tuple[Condition, str], dict[tuple[int, int], Mapping[str, Any]]] = {}
    for row in cells:
        group = by_draw.setdefault((Condition.of(row), row["policy"]), {})
        group[row["model_seed"], row["seed"]] = row
    paired: dict[tuple[Condition, str], list[Paired]] = {}
    for (condition, policy), mine in by_draw.items():
        theirs = by_draw.get((condition, reference), {})
        both = sorted(mine.keys() & theirs.keys())
        if policy != reference and both:
            paired[condition, policy] = [_pair(at, mine[at], theirs[at]) for at in both]
    alone = {key: contrast(pairs, margin=MARGIN).p for key, pairs in paired.items()}
    tested = {key: p for key, p in alone.items() if p is not None}
    corrected = dict(zip(tested, benjamini_hochberg(list(tested.values())), strict=True))
    floors = {c: _floor(by_draw[c, reference]) for c, _ in paired}
    return [
        Comparison(
            condition,
            policy,
            contrast(
                pairs,
                margin=MARGIN,
                p_adjusted=corrected.get((condition, policy)),
                floor=floors[condition],
            ),
            corrected.get((condition, policy)),
        )
        for (condition, policy), pairs in paired.items()
    ]


def _floor(draws: Mapping[tuple[int, int], Mapping[str, Any]]) -> float | None:
    """Return what two draws of one float model differ by on average; None for a single draw."""
    gaps = [
        abs(draws[a]["accuracy"] - draws[b]["accuracy"])
        for a, b in combinations(sorted(draws), 2)
        if a[0] == b[0] and draws[a]["subset_id"] != draws[b]["subset_id"]
    ]
    return sum(gaps) / len(gaps) if gaps else None


def _pair(at: tuple[int, int], a: Mapping[str, Any], b: Mapping[str, Any]) -> Paired:
    return Paired(*at, a["subset_id"], b["subset_id"], a["accuracy"], b["accuracy"])


def change(
    rows: Sequence[Mapping[str, Any]], after: str, before: str, *, margin: float = MARGIN
) -> Gain | None:
    """Return column ``after`` minus column ``before`` within the same cells, over draws.

    None where no row has both.
    """
    pairs = [
        Paired(
            row["model_seed"], row["seed"], row["subset_id"], row["subset_id"],
            row[after], row[before],
        )
        for row in rows
        if row[after] is not None and row[before] is not None
    ]  # fmt: skip
    return contrast(pairs, margin=margin) if pairs else None
