"""What a run would do, without doing any of it: cells, subsets, models, feasibility. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calibkit.curate.encoding import Library
from calibkit.curate.float_models import ModelArtefact
from calibkit.curate.foresight import Foresight, Verdict
from calibkit.curate.subsets import Request, SubsetBuilder
from calibkit.store.connection import Store
from calibkit.sweep.estimate import UNKNOWN, Estimate, Probed, estimate
from calibkit.sweep.plan import Plan, PlannedCell, noise_levels

NO_CORPUS = "the corpus is not in the store yet; a run would ingest it"


@dataclass(frozen=True)
class Wanted:
    """A subset that cells ask for; model: the key of the float model that it looks through."""

    policy: str
    size: int
    seed: int
    model: str | None = None

    @classmethod
    def of(cls, cell: PlannedCell) -> Wanted:
        """Return the subset of a cell."""
        point, through = cell.point, cell.subset_model
        key = None if through is None else through.key or f"{through.alias} {through.seed}"
        return cls(point.policy, point.size, point.seed, key)

    @property
    def text(self) -> str:
        """The subset in a few words, as a run tells it."""
        return f"{self.policy}, size {self.size}, seed {self.seed}"


@dataclass(frozen=True)
class DryRun:
    """A plan with what is known of it beforehand.

    verdicts: by subset, of the cells that are wanted. subsets: ids of those that the store has.
    cells: cell id by plan key, of those that are done. trained: keys of the float models there.
    """

    plan: Plan
    estimate: Estimate
    verdicts: Mapping[Wanted, Verdict]
    subsets: Mapping[Wanted, str]
    cells: Mapping[str, str]
    trained: frozenset[str]

    @property
    def wanted(self) -> tuple[PlannedCell, ...]:
        """The cells that ``--where`` and ``--shard`` select."""
        return tuple(cell for cell in self.plan.cells if cell.ordinal in self.plan.wanted)

    @property
    def counts(self) -> dict[str, int]:
        """What a run would do: cells, evaluations, and the float models and subsets they need.

        models there, subsets there: of these, what the store has.
        """
        to_do = self.plan.to_do()
        models = {(name, key) for cell in to_do for name, key in cell.models().items()}
        subsets = {Wanted.of(cell) for cell in to_do}
        levels = len(noise_levels(self.plan.recipe))
        return {
            "cells": len(to_do),
            "levels": levels,
            "evaluations": levels * len(to_do),
            "models": len(models),
            "models there": sum(key in self.trained for _, key in models),
            "subsets": len(subsets),
            "subsets there": len(subsets & self.subsets.keys()),
        }

    def judged(self, feasible: bool | None) -> dict[Wanted, list[PlannedCell]]:  # noqa: FBT001
        """Return the subsets of this verdict, with the cells to do that ask for them."""
        found: dict[Wanted, list[PlannedCell]] = {}
        for cell in self.plan.to_do():
            subset = Wanted.of(cell)
            if self.verdicts[subset].feasible is feasible:
                found.setdefault(subset, []).append(cell)
        return found

    def rows(self) -> list[dict[str, Any]]:
        """Return the plan as a relation: a row per wanted cell, columns named as in ``results``.

        Beside those: state; feasible and reason, of its subset; and what it will take, where it is
        to be measured: seconds on one core, peak_mb of its worker, and the basis of both.
        """
        found = []
        for cell in self.wanted:
            subset = Wanted.of(cell)
            takes = self.estimate.by_cell.get(cell.ordinal)
            verdict = self.verdicts[subset]
            found.append(
                cell.columns()
                | {
                    "feasible": verdict.feasible,
                    "reason": verdict.reason or None,
                    "seconds": takes and takes.seconds,
                    "peak_mb": takes and takes.peak_mb,
                    "basis": takes and takes.basis,
                    "cell_id": self.cells.get(str(cell.plan_key)),
                    "subset_id": self.subsets.get(subset),
                }
            )
        return found


def dry_run(store: Store, plan: Plan, probed: Mapping[str, Probed] | None = None) -> DryRun:
    """Return what a run of the plan would do. Nothing is written.

    probed: see `estimate`. Raises what the store raises.
    """
    cells = [cell for cell in plan.cells if cell.ordinal in plan.wanted]
    asked = {Wanted.of(cell): cell for cell in cells}
    if plan.corpus is None:
        unknown = Verdict(None, NO_CORPUS)
        verdicts = dict.fromkeys(asked, unknown)
        return DryRun(plan, estimate(store, plan), verdicts, {}, {}, frozenset())
    library = Library(store, plan.corpus, plan.recipe.corpus.share)
    with store.reading() as con:
        models = dict(con.execute("SELECT model_key, model_id FROM models").fetchall())
        there = dict(
            con.execute(
                "SELECT plan_key, cell_id FROM plan_cells SEMI JOIN cells USING (cell_id)"
            ).fetchall()
        )
    subsets = _stored(library, plan, asked, models)
    foresight = Foresight(library, plan.recipe.corpus.pool)
    verdicts = {
        subset: Verdict(True) if subset in subsets else _judged(foresight, plan, cell)
        for subset, cell in asked.items()
    }
    done = {str(cell.plan_key) for cell in cells if cell.state == "done"}
    return DryRun(
        plan,
        estimate(store, plan, probed),
        verdicts,
        subsets,
        {key: cell_id for key, cell_id in there.items() if key in done},
        frozenset(models),
    )


def unknown_kinds(store: Store, plan: Plan) -> tuple[str, ...]:
    """Return the kinds of model of which this host has timed too little for an estimate."""
    found = estimate(store, plan)
    cells = {c.ordinal: c for c in plan.to_do()}
    kinds = {cells[at].model_kind for at, one in found.by_cell.items() if one == UNKNOWN}
    if None in (*found.training, *found.baselines):
        recipe = plan.recipe
        kinds |= {recipe.models[alias].kind for c in plan.to_do() for alias, _ in c.models()}
    return tuple(sorted(kinds))


def _judged(foresight: Foresight, plan: Plan, cell: PlannedCell) -> Verdict:
    point, through = cell.point, cell.subset_model
    return foresight.of(
        plan.recipe.policies[point.policy].policy,
        point.size,
        point.seed,
        through=None if through is None else plan.recipe.models[through.alias].settings,
    )


def _stored(
    library: Library, plan: Plan, asked: Mapping[Wanted, PlannedCell], models: Mapping[str, str]
) -> dict[Wanted, str]:
    """Return the ids of the subsets that the store has."""
    builder = SubsetBuilder(library, plan.recipe.corpus.pool)
    keys: dict[str, list[Wanted]] = {}
    for subset, cell in asked.items():
        model, through = None, cell.subset_model
        if through is not None:
            if through.key not in models:
                continue
            settings = plan.recipe.models[through.alias].settings
            model = ModelArtefact(str(through.key), models[str(through.key)], settings)
        policy = plan.recipe.policies[subset.policy].policy
        key = builder.request_key(Request.of(policy, subset.size, subset.seed, model))
        keys.setdefault(key, []).append(subset)
    return dict(_by_subset(keys, builder.stored(list(keys))))


def _by_subset(
    keys: Mapping[str, Sequence[Wanted]], stored: Mapping[str, str]
) -> Iterable[tuple[Wanted, str]]:
    return ((subset, subset_id) for key, subset_id in stored.items() for subset in keys[key])
