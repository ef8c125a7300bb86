"""What a store says to the claims that a recipe declares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calibkit.decide.contrast import Paired
from calibkit.decide.evidence import noise_floor
from calibkit.decide.evidence_rows import Row, literal, read_rows
from calibkit.decide.measures import find_measure
from calibkit.decide.noise_curve import areas
from calibkit.decide.verdicts import Evidence, Judged, judge
from calibkit.recipe import Claim, GridPoint, Recipe
from calibkit.recipe.claim_plan import planned_sides
from calibkit.store import Store, query

Place = tuple[str, str, int, str, str]
"""Model, policy, size, scheme and preset."""
Rows = Mapping[Place, Mapping[tuple[int, int], Row]]
"""Rows by place, then by (float seed, seed of the draw)."""


def judge_claims(store: Store, recipe: Recipe) -> list[Judged]:
    """Return a verdict on each claim of a recipe, in its order, from what the store has measured.

    The latest results under the recipe's name count. A store that is not there has measured
    nothing. Raises what a store raises.
    """
    read = _Reader(store, recipe)
    return judge([_evidence(read, recipe, claim) for claim in recipe.claims])


@dataclass
class _Reader:
    """Rows of one recipe, read once per measure and noise."""

    store: Store
    recipe: Recipe

    def __post_init__(self) -> None:
        self.found: dict[tuple[str, str], Rows] = {}
        self.exists = self.store.exists()
        self.flags: Mapping[tuple[Any, ...], str] = self._flags() if self.exists else {}

    def rows(self, claim: Claim) -> Rows:
        """Return the rows that have the claim's measure under its noise."""
        noise = f"noise_kind = {literal(claim.noise_kind)}"
        if claim.noise is None:
            noise = f"noise_kind IN ('none', {literal(claim.noise_kind)})"
        elif claim.noise_kind != "none":
            noise += f" AND noise = {claim.noise!r}"
        key = (claim.measure, noise)
        if key not in self.found:
            self.found[key] = self._read(claim, noise) if self.exists else {}
        return self.found[key]

    def _read(self, claim: Claim, noise: str) -> Rows:
        measure = find_measure(claim.measure)
        rows = read_rows(
            self.store, measure, "policy", None, self.recipe.name, noise, by_site=False
        )
        if measure.rows == "curve":
            of_kind = (p for kind, p in self.recipe.measure.noise if kind == claim.noise_kind)
            levels = (0.0, *sorted(of_kind))
            rows = [row for row in areas(rows) if row.levels == levels]
        found: dict[Place, dict[tuple[int, int], Row]] = {}
        for row in rows:
            keys = row.keys
            place = (
                keys["model"], keys["policy"], keys["size"], keys["scheme_id"], keys["preset"],
            )  # fmt: skip
            found.setdefault(place, {})[row.model_seed, row.seed] = row
        return found

    def _flags(self) -> Mapping[tuple[Any, ...], str]:
        cells = query(
            self.store,
            "SELECT model, policy, size, scheme_id, preset, model_seed, seed, flags FROM results"
            f" WHERE noise_kind = 'none' AND recipe = {literal(self.recipe.name)}",
        ).rows
        return {(tuple(row[:5]), (row[5], row[6])): str(row[7]) for row in cells}


def _place(points: Iterable[GridPoint]) -> Place:
    """Return what cells have in common that differ in their seeds only."""
    point = next(iter(points))
    return point.model, point.policy, point.size, point.scheme.id, point.preset


def _evidence(read: _Reader, recipe: Recipe, claim: Claim) -> Evidence:
    rows = read.rows(claim)
    sides = planned_sides(recipe, claim)
    places = [_place(side.values()) for side in sides]
    pairs = []
    used: list[tuple[Place, tuple[int, int]]] = []
    for key in sides[0]:
        a, b = (rows.get(place, {}).get(key) for place in (places[0], places[-1]))
        if a is None or b is None:
            continue
        model_seed, seed = key
        if claim.axis is None:
            pairs.append(Paired(model_seed, seed, a.subset, "", a.value, 0.0))
        else:
            pairs.append(Paired(model_seed, seed, a.subset, b.subset, a.value, b.value))
        used += [(place, key) for place in places]
    return Evidence(
        claim,
        tuple(pairs),
        planned=len(sides[0]),
        floor=_floor(rows, recipe, claim),
        higher_is_better=find_measure(claim.measure).higher_is_better,
        flags=_flagged([read.flags.get(one, "") for one in used]),
    )


def _floor(rows: Rows, recipe: Recipe, claim: Claim) -> float | None:
    """Return the noise floor under the claim's conditions; of two sides, the larger one."""
    random = [a for a in recipe.grid.policy if recipe.policies[a].name == "random"]
    if not random:
        return None
    arms = (claim.b, claim.a) if claim.axis == "policy" else ()
    alias = next((name for name in (*arms, "random") if name in random), random[0])
    floors = []
    for values in claim.sides():
        points = list(recipe.at({**values, "policy": alias}).cells())
        if points:
            floors.append(noise_floor(rows.get(_place(points), {}).values()))
    return max((floor for floor in floors if floor is not None), default=None)


def _flagged(flags: Sequence[str]) -> str:
    """Return the flags of cells with their share: ``dead-lstm 20/60``."""
    counts = Counter(flag.strip() for text in flags for flag in text.split(",") if flag.strip())
    return ", ".join(f"{flag} {n}/{len(flags)}" for flag, n in counts.most_common())
