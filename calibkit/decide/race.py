"""Spend measuring time where it decides most: a study made up on the way, cell by cell in a store.

Nothing is remembered but what the store has: every decision is made anew from the measured values,
so that asking again after an interruption goes on where it stopped, and the time only says when to
stop and never what to measure.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import duckdb

from calibkit.decide.arms import MeasuredCell, Question, read_evidence
from calibkit.decide.halving import Arm, Ladder, next_step
from calibkit.decide.study import REFERENCE, Spot, Study
from calibkit.errors import Infeasible, UnknownName
from calibkit.recipe import Recipe
from calibkit.store.connection import Store
from calibkit.sweep.run import RunReport

PRESET_DRAWS = 4
"""Draws of the reference under every preset, where there are several to choose from."""

Measure = Callable[[Recipe, float], RunReport]
"""Measure a recipe's missing cells for so many minutes at most."""


@dataclass(frozen=True)
class Spent:
    """What became of the time.

    stage: where it ended: presets, race, judge (fresh draws are missing), or done. recipes: the
    names of the recipes that have its cells. left: the arms that are still in. out: arms that could
    not be measured.
    """

    stage: Literal["presets", "race", "judge", "done"]
    recipes: tuple[str, ...]
    preset: str
    left: tuple[Arm, ...]
    out: tuple[Arm, ...]
    measured: int
    missing: int


def spend(
    store: Store, study: Study, ladder: Ladder, minutes: float, measure: Measure,
    clock: Callable[[], float] = time.monotonic,
) -> Spent:  # fmt: skip
    """Measure what decides most until it is decided or the minutes are over."""
    deadline = clock() + 60 * minutes
    measured = 0
    recipes: list[str] = []
    before: Sequence[Spot] = ()
    while True:
        at = _position(store, study, ladder)
        remaining = (deadline - clock()) / 60
        # what is as it was before could not be measured, and did not fail either
        if not at.missing or remaining <= 0 or at.missing == before:
            stage = at.stage if at.missing else "done"
            return Spent(
                stage, tuple(recipes), at.preset, at.left, at.out, measured, len(at.missing)
            )
        before = at.missing
        name = study.name if at.stage == "judge" else study.race_name
        about = "Finalists on fresh draws" if at.stage == "judge" else "A race for the finalists"
        if name not in recipes:
            recipes.append(name)
        measured += measure(study.recipe(name, about, at.spots), remaining).measured


@dataclass(frozen=True)
class _Position:
    """How far a study is: the cells of its stage up to here, and those that are missing."""

    stage: Literal["presets", "race", "judge"]
    spots: tuple[Spot, ...]
    missing: tuple[Spot, ...]
    left: tuple[Arm, ...]
    preset: str
    out: tuple[Arm, ...] = ()


def _position(store: Store, study: Study, ladder: Ladder) -> _Position:
    """Return what is to be measured next, from what is measured."""
    with store.reading() as con:
        values = _values(con, study, study.race_name) | _values(con, study, study.name)
        failed = _failed(con, study.race_name) | _failed(con, study.name)
    preset = study.presets[0]
    presets: list[Spot] = []
    if len(study.presets) > 1:
        first = Arm(REFERENCE, max(study.sizes))
        presets = [Spot(p, first, seed) for seed in range(PRESET_DRAWS) for p in study.presets]
        missing = tuple(at for at in presets if at not in values and at not in failed)
        if missing:
            return _Position("presets", tuple(presets), missing, ladder.arms, preset)
        preset = _best_preset(study.presets, first, values)
    own = {at for at in failed if at.preset == preset}
    step = next_step(
        ladder,
        {(at.arm, at.seed): value for at, value in values.items() if at.preset == preset},
        {(at.arm, at.seed) for at in own},
    )
    spots = [Spot(preset, arm, seed) for arm, seed in step.places]
    return _Position(
        step.stage,
        tuple(dict.fromkeys([*presets, *spots])) if step.stage == "race" else tuple(spots),
        tuple(Spot(preset, arm, seed) for arm, seed in step.missing),
        step.left,
        preset,
        tuple(sorted({at.arm for at in own if at.arm.policy != REFERENCE})),
    )


def _best_preset(presets: Sequence[str], arm: Arm, values: Mapping[Spot, float]) -> str:
    """Return the preset with the best mean; the first of equal ones."""
    means = {}
    for preset in presets:
        found = [v for at, v in values.items() if at.preset == preset and at.arm == arm]
        if found:
            means[preset] = sum(found) / len(found)
    if not means:
        raise Infeasible(
            f"{arm} could not be measured under any of the presets {', '.join(presets)}; see"
            ' `calibkit sql "FROM failed"`'
        )
    return max(means, key=lambda preset: (means[preset], -presets.index(preset)))


def _values(con: duckdb.DuckDBPyConnection, study: Study, name: str) -> dict[Spot, float]:
    """Return the mean over the float models of every draw that all of them have measured."""
    asked = Question(
        study.question.corpus,
        study.alias,
        study.question.bits,
        objective=study.question.objective,
        recipe=name,
    )
    try:
        found = read_evidence(con, asked)
    except (Infeasible, UnknownName):  # nothing of it is measured yet
        return {}
    cells: dict[Spot, list[MeasuredCell]] = {}
    for evidence in found:
        for cell in evidence.cells:
            at = Spot(cell.scheme.preset, cell.arm, cell.seed)
            cells.setdefault(at, []).append(cell)
    return {
        at: sum(cell.value for cell in of_draw) / len(of_draw)
        for at, of_draw in cells.items()
        if len(of_draw) == study.models
    }


def _failed(con: duckdb.DuckDBPyConnection, name: str) -> set[Spot]:
    rows = con.execute(
        "SELECT preset, policy, size, seed FROM failed WHERE recipe = ?", [name]
    ).fetchall()
    return {Spot(preset, Arm(policy, size), seed) for preset, policy, size, seed in rows}
