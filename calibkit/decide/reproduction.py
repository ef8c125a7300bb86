"""A recipe's measured cells beside published ones: what is paired, and what comes of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import duckdb

from calibkit.decide.reference import NO_ROUNDING, Reference, ReferenceCell
from calibkit.errors import BadInput
from calibkit.recipe.recipe import Recipe

State = Literal["measured", "in part", "missing", "not planned"]

_SUMMARY = """
    SELECT model, policy, size, scheme_id, accuracy, ci_low, ci_high, accuracy_drop, draws, models
    FROM summary WHERE recipe = ? AND noise_kind = 'none'
"""
_CELLS = """
    SELECT model, policy, size, scheme_id, preset, list(flags)
    FROM results WHERE recipe = ? AND noise_kind = 'none'
    GROUP BY model, policy, size, scheme_id, preset
"""
_FLOATS = """
    SELECT model, avg(accuracy), count(DISTINCT model_seed), list(flags)
    FROM baselines WHERE recipe = ? AND noise_kind = 'none' AND stage = 'float'
    GROUP BY model
"""


@dataclass(frozen=True)
class Measured:
    """What came of some cells: means over draws and float models, t intervals over draws.

    Fractions; the drop is each cell's, from its own float model. Float models have no draws.
    """

    accuracy: float
    ci_low: float | None = None
    ci_high: float | None = None
    accuracy_drop: float | None = None
    draws: int | None = None
    models: int = 0


@dataclass(frozen=True)
class Pair:
    """A published cell, and those of the recipe that correspond to it in one size and scheme.

    size, preset and rounding are the recipe's; None where there is no such thing: a float model
    has none, and neither has a cell that the recipe does not plan. planned, done: cells of the
    recipe. flagged: flag -> cells that have it.
    """

    reference: ReferenceCell
    reference_float: float | None
    size: int | None = None
    preset: str | None = None
    rounding: str | None = None
    scheme_id: str | None = None
    planned: int = 0
    done: int = 0
    measured: Measured | None = None
    float_accuracy: float | None = None
    flagged: tuple[tuple[str, int], ...] = ()

    @property
    def state(self) -> State:
        """How much of it is measured."""
        if not self.planned:
            return "not planned"
        if self.measured is None:
            return "missing"
        return "measured" if self.done >= self.planned else "in part"

    @property
    def difference(self) -> float | None:
        """Our accuracy less the published one."""
        return None if self.measured is None else self.measured.accuracy - self.reference.accuracy

    @property
    def reference_drop(self) -> float | None:
        """What the published cell lost from its float model; None for the float model itself."""
        if self.reference.is_float or self.reference_float is None:
            return None
        return self.reference_float - self.reference.accuracy

    def columns(self) -> dict[str, Any]:
        """Return everything by name; fractions, and drops positive when worse."""
        cell, ours = self.reference, self.measured
        return {
            "source": cell.source,
            "corpus": cell.corpus,
            "model": cell.model,
            "calibration_mix": cell.calibration_mix,
            "policy": cell.policy,
            "size": self.size,
            "preset": self.preset,
            "bits": cell.bits,
            "reference_rounding": cell.rounding,
            "rounding": self.rounding,
            "scheme_id": self.scheme_id,
            "state": self.state,
            "reference_accuracy": cell.accuracy,
            "accuracy": ours and ours.accuracy,
            "ci_low": ours and ours.ci_low,
            "ci_high": ours and ours.ci_high,
            "difference": self.difference,
            "reference_float_accuracy": self.reference_float,
            "float_accuracy": self.float_accuracy,
            "reference_drop": self.reference_drop,
            "accuracy_drop": ours and ours.accuracy_drop,
            "draws": ours and ours.draws,
            "models": ours and ours.models,
            "cells": self.done,
            "planned": self.planned,
            "flags": ", ".join(f"{flag} {n}/{self.done}" for flag, n in self.flagged),
        }


TYPES = {
    **dict.fromkeys(("source", "corpus", "model", "calibration_mix", "policy"), "VARCHAR"),
    "size": "BIGINT",
    "preset": "VARCHAR",
    "bits": "BIGINT",
    **dict.fromkeys(("reference_rounding", "rounding", "scheme_id", "state"), "VARCHAR"),
    **dict.fromkeys(
        (
            "reference_accuracy",
            "accuracy",
            "ci_low",
            "ci_high",
            "difference",
            "reference_float_accuracy",
            "float_accuracy",
            "reference_drop",
            "accuracy_drop",
        ),
        "DOUBLE",
    ),
    **dict.fromkeys(("draws", "models", "cells", "planned"), "BIGINT"),
    "flags": "VARCHAR",
}
"""The DuckDB type of each of `Pair.columns`."""


def pair(
    con: duckdb.DuckDBPyConnection | None, recipe: Recipe, reference: Reference
) -> tuple[Pair, ...]:
    """Return the published cells of a recipe's corpus, each beside the cells that correspond.

    A cell corresponds when corpus, model and policy are called alike, and bits and the rounding of
    the linear layers (the ones that published methods reach) are the same. Where the recipe has
    several presets or sizes, a published cell is paired with each. con: the store; None where
    there is none yet. In the order of the reference, then of the recipe.

    Raises BadInput for a reference without a cell that the recipe has.
    """
    of_corpus = [cell for cell in reference.cells if cell.corpus == recipe.corpus.name]
    if not of_corpus:
        others = ", ".join(dict.fromkeys(cell.corpus for cell in reference.cells))
        raise BadInput(
            f"{reference.file} has nothing on corpus {recipe.corpus.name!r}, which {recipe.name}"
            f" measures; it has {others}"
        )
    groups = _planned(recipe)
    found = _Found(con, recipe)
    pairs: list[Pair] = []
    for cell in of_corpus:
        floated = reference.float_accuracy(cell)
        if cell.is_float:
            pairs.append(found.float_pair(cell, floated))
            continue
        asked = groups.get((cell.model, cell.policy, cell.bits, cell.rounding), {})
        pairs += [found.pair(cell, floated, point, n) for point, n in asked.items()]
        if not asked:
            pairs.append(Pair(cell, floated))
    if all(one.reference.is_float or not one.planned for one in pairs):
        policies = ", ".join(dict.fromkeys(c.policy for c in of_corpus if c.policy)) or "none"
        raise BadInput(
            f"{reference.file}: {recipe.name} plans none of its quantized cells: model, policy,"
            f" bits and rounding must be the recipe's; policies there: {policies}"
        )
    return tuple(pairs)


@dataclass(frozen=True)
class _Group:
    """Cells of a recipe that differ in their draw and their float model only."""

    model: str
    policy: str
    size: int
    scheme_id: str
    preset: str
    rounding: str


def _planned(recipe: Recipe) -> dict[tuple[str, str, int, str], dict[_Group, int]]:
    """Return the groups by model, policy, bits and linear rounding, with their numbers of cells."""
    found: dict[tuple[str, str, int, str], dict[_Group, int]] = {}
    for point in recipe.cells():
        scheme = point.scheme
        counts = found.setdefault(
            (point.model, point.policy, point.bits, scheme.rounding_of("linear")), {}
        )
        group = _Group(
            point.model, point.policy, point.size, scheme.id, point.preset, point.rounding
        )
        counts[group] = counts.get(group, 0) + 1
    return found


class _Found:
    """What the store has of a recipe: of its cells by group, of its float models by alias."""

    def __init__(self, con: duckdb.DuckDBPyConnection | None, recipe: Recipe) -> None:
        self.recipe = recipe
        self.summary: dict[tuple[Any, ...], Measured] = {}
        self.flags: dict[tuple[Any, ...], list[str]] = {}
        self.floats: dict[str, tuple[float, int, list[str]]] = {}
        if con is None:
            return
        name = [recipe.name]
        for *key, accuracy, low, high, drop, draws, models in con.execute(
            _SUMMARY, name
        ).fetchall():
            self.summary[tuple(key)] = Measured(accuracy, low, high, drop, draws, models)
        for *key, flags in con.execute(_CELLS, name).fetchall():
            self.flags[tuple(key)] = flags
        for model, accuracy, models, flags in con.execute(_FLOATS, name).fetchall():
            self.floats[model] = (accuracy, models, flags)

    def pair(self, cell: ReferenceCell, floated: float | None, group: _Group, planned: int) -> Pair:
        key = (group.model, group.policy, group.size, group.scheme_id)
        flags = self.flags.get((*key, group.preset), [])
        return Pair(
            cell,
            floated,
            size=group.size,
            preset=group.preset,
            rounding=group.rounding,
            scheme_id=group.scheme_id,
            planned=planned,
            done=len(flags),
            measured=self.summary.get(key) if flags else None,
            float_accuracy=self.floats[group.model][0] if group.model in self.floats else None,
            flagged=_counted(flags),
        )

    def float_pair(self, cell: ReferenceCell, floated: float | None) -> Pair:
        planned = len(self.recipe.models[cell.model].seeds) if self._uses(cell.model) else 0
        if not planned or cell.model not in self.floats:
            return Pair(cell, floated, planned=planned)
        accuracy, models, flags = self.floats[cell.model]
        return Pair(
            cell,
            floated,
            rounding=NO_ROUNDING,
            planned=planned,
            done=models,
            measured=Measured(accuracy, models=models),
            float_accuracy=accuracy,
            flagged=_counted(flags),
        )

    def _uses(self, model: str) -> bool:
        return model in self.recipe.grid.model


def _counted(flags: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Return how many cells have each flag; several flags of a cell are joined by commas."""
    found = Counter(flag for text in flags for flag in set(re.split(", *", text)) if flag)
    return tuple(sorted(found.items()))
