"""``calibkit evaluate --dry-run``: what a run would do, whether it can, and what it will take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from calibkit.cli import progress
from calibkit.cli.notes import note
from calibkit.cli.output import Output
from calibkit.cli.table import Table
from calibkit.cli.text import one_line
from calibkit.words import counted

if TYPE_CHECKING:
    from calibkit.recipe import Recipe
    from calibkit.store import Store
    from calibkit.sweep.dry_run import DryRun
    from calibkit.sweep.estimate import Probed
    from calibkit.sweep.plan import Plan, Shard

SHOWN = ("state", "model", "model_seed", "policy", "size", "seed", "bits", "rounding", "preset")

MOST_SUBSETS = 10
"""So many subsets that cannot be had are told one by one; the column ``reason`` has them all."""

TYPES = {
    **dict.fromkeys(("model_seed", "size", "seed", "bits"), "BIGINT"),
    **dict.fromkeys(("seconds", "peak_mb"), "DOUBLE"),
    "feasible": "BOOLEAN",
}


def show_dry_run(
    store: Store,
    recipe: Recipe,
    output: Output,
    *,
    workers: int,
    limit_documents: int | None,
    where: str | None,
    shard: Shard | None,
    again: bool,
    probe: bool,
) -> None:
    """Print the plan as rows, and its totals, feasibility and estimates as notes."""
    from calibkit.sweep.dry_run import dry_run
    from calibkit.sweep.plan import plan

    planned = plan(
        store, recipe, limit_documents=limit_documents, where=where, shard=shard, again=again
    )
    found = dry_run(store, planned, _probed(store, planned) if probe else None)
    _show_cells(found, output)
    _tell_counts(found)
    _tell_subsets(found)
    if found.counts["cells"]:
        _tell_time(found, workers)
        _tell_memory(found, workers)


def _probed(store: Store, plan: Plan) -> dict[str, Probed]:
    from calibkit.sweep.dry_run import unknown_kinds

    kinds = unknown_kinds(store, plan)
    if plan.corpus is None or not kinds:
        why = "its corpus is not in the store yet" if plan.corpus is None else "all is timed"
        note(f"nothing to probe: {why}")
        return {}
    from calibkit.sweep.probe import probe

    note(f"probing: timing a small cell of {' and '.join(kinds)} models on one core ...")
    return probe(store, plan, kinds)


def _show_cells(found: DryRun, output: Output) -> None:
    rows = found.rows()
    if output.is_for_people:
        doubted = any(row["feasible"] is not True for row in rows)
        words = {True: "yes", False: "NO", None: "open"}
        shown = [row | {"feasible": words[row["feasible"]]} for row in rows]
        output.table(Table.of(shown, (*SHOWN, "feasible") if doubted else SHOWN))
        return
    table = Table.of(rows)
    types = tuple(TYPES.get(name, "VARCHAR") for name in table.columns)
    output.table(Table(table.columns, table.rows, types))


def _tell_counts(found: DryRun) -> None:
    whole, counts = found.plan.counts, found.counts
    note(
        f"{counted(whole['planned'], 'cell')} planned: {whole['done']:,} done,"
        f" {whole['failed']:,} failed, {whole['missing']:,} missing"
    )
    note(
        f"a run would measure {counted(counts['cells'], 'cell')} at"
        f" {counted(counts['levels'], 'noise level')} each ="
        f" {counted(counts['evaluations'], 'evaluation')},"
        f" from {counted(counts['models'], 'float model')} and"
        f" {counted(counts['subsets'], 'subset')}"
    )
    card = found.plan.recipe.measure.card
    if card != "none":
        note(f"and make the coverage cards of the subsets that the store lacks (card: {card})")
    there = [
        f"{counts[f'{what} there']:,} of the {counted(counts[what], noun)}"
        for what, noun in (("models", "float model"), ("subsets", "subset"))
        if counts[f"{what} there"]
    ]
    if there:
        note(f"already there: {' and '.join(there)}")


def _tell_subsets(found: DryRun) -> None:
    refused, doubted = found.judged(False), found.judged(None)
    if refused:
        cells = sum(map(len, refused.values()))
        note(
            f"{counted(len(refused), 'subset')} cannot be had, so"
            f" {counted(cells, 'cell')} would fail:"
        )
        told = [f"{s.text}: {one_line(found.verdicts[s].reason)}" for s in refused]
        _tell_some(told)
    if doubted and found.plan.corpus is not None:
        note(f"whether {counted(len(doubted), 'subset')} can be had is not known yet:")
        alike = Counter((s.policy, found.verdicts[s].reason) for s in doubted)
        _tell_some(
            [
                f"{policy}, {counted(number, 'subset')}: {one_line(reason)}"
                for (policy, reason), number in alike.items()
            ]
        )
    elif doubted:
        note("whether its subsets can be had is known when the corpus is in the store")


def _tell_some(lines: Sequence[str]) -> None:
    for line in lines[:MOST_SUBSETS]:
        note(f"  {line}")
    if len(lines) > MOST_SUBSETS:
        note(f"  and {len(lines) - MOST_SUBSETS:,} more: --json has them all")


def _tell_time(found: DryRun, workers: int) -> None:
    """Note how long a run would take, and what that rests on."""
    estimate = found.estimate
    seconds = estimate.seconds(workers)
    if seconds is None:
        if found.plan.corpus is None:
            note("estimated time: unknown, the corpus is not in the store yet")
            return
        what = "cells" if estimate.cell_seconds is None else "float models"
        note(
            f"estimated time: unknown, this host has not timed {what} of a kind that is needed;"
            " --probe times small ones"
        )
        return
    timed = [
        counted(count, noun)
        for count, noun in ((estimate.cells, "cell"), (estimate.models, "float model"))
        if count
    ]
    basis = [f"{' and '.join(timed)} timed on this host"] if timed else []
    if estimate.basis == "probed":
        basis.append("a probe of few documents, scaled")
    spent = progress.duration(seconds)
    note(
        f"estimated time: {spent} with {counted(workers, 'worker')}, from"
        f" {' and '.join(basis) or 'nothing that has to be timed'}; choosing subsets is not counted"
    )


def _tell_memory(found: DryRun, workers: int) -> None:
    """Note how much memory workers would take, and what that rests on."""
    most, basis = found.estimate.peak_mb, found.estimate.basis
    if most is None:
        note("estimated memory: unknown, as the time is")
        return
    whose = {"timed": "the most that a worker took for such cells on this host"}
    told = whose.get(basis, "the most of what was timed here and of a probe of few documents")
    each = f"in each of {counted(workers, 'worker')}" if workers > 1 else "in the one worker"
    note(f"estimated memory: {most:,.0f} MB {each}, {told}")
