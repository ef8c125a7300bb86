"""``calibkit stream --dry-run``: which trajectories a run would follow, and whether it can."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from calibkit.cli import progress
from calibkit.cli.notes import note
from calibkit.cli.output import Output
from calibkit.cli.table import Table
from calibkit.words import counted

if TYPE_CHECKING:
    from calibkit.recipe import StreamRecipe
    from calibkit.store import Store
    from calibkit.stream.plan import PlannedTrajectory, StreamPlan

SHOWN = (
    "state", "steps_done", "steps", "model", "model_seed", "method", "policy", "size", "seed",
    "bits", "preset",
)  # fmt: skip
_NUMBERS = ("model_seed", "size", "seed", "bits", "steps", "steps_done")

_TIMED = """
    SELECT t.model_kind, t.subset_update, t.model_update, avg(s.seconds), count(*)
    FROM stream_trajectories AS t JOIN stream_steps AS s USING (trajectory_id)
    WHERE t.stream_id = ? AND s.host = ? AND s.step > 0 AND s.seconds IS NOT NULL
    GROUP BY ALL
"""
Kind = tuple[str, str, str]


def show_stream_plan(
    store: Store, recipe: StreamRecipe, output: Output, *, workers: int, where: str | None
) -> None:
    """Print the trajectories that ``where`` selects as rows; note totals and the expected time.

    Raises Infeasible where the corpus is there and a phase asks for more than it has.
    """
    from calibkit.stream.plan import check_stream_labels, plan_stream

    plan = plan_stream(store, recipe, where=where)
    rows = [one.columns() for one in plan.trajectories if one.ordinal in plan.wanted]
    if output.is_for_people:
        output.table(Table.of(rows, SHOWN))
    else:
        names = tuple(rows[0]) if rows else SHOWN
        types = tuple("BIGINT" if name in _NUMBERS else "VARCHAR" for name in names)
        table = Table.of(rows, names)
        output.table(Table(table.columns, table.rows, types))
    _tell_stream(recipe)
    _tell_counts(plan)
    if plan.corpus is None:
        note("whether the stream can be had is known when the corpus is in the store")
        return
    from calibkit.stream.documents import StreamSource

    check_stream_labels(plan)
    StreamSource(store, recipe, plan.corpus).check()
    note("every phase has the documents that it asks for")
    if plan.to_do():
        _tell_time(store, plan, workers)


def _tell_stream(recipe: StreamRecipe) -> None:
    stream = recipe.stream
    phases = ", ".join(f"{phase.name} ({phase.batches})" for phase in stream.phases)
    batches = counted(len(stream.steps), "batch", "batches")
    note(f"{batches} of {counted(stream.batch, 'document')} in the phases {phases}")
    note(
        f"each measured on {counted(stream.hold_out, 'document')} of {stream.hold_out_from},"
        " after every batch and before the first"
    )


def _tell_counts(plan: StreamPlan) -> None:
    counts = plan.counts
    whole = counted(counts["planned"], "trajectory", "trajectories")
    note(
        f"{whole} planned: {counts['done']:,} done, {counts['failed']:,} failed,"
        f" {counts['missing']:,} missing"
    )
    to_do = plan.to_do()
    begun = sum(one.steps_done > 0 for one in to_do)
    going_on = f", {begun:,} of them from where they stand" if begun else ""
    batches = counted(sum(map(_left, to_do)), "batch", "batches")
    models = {model for one in to_do for model in one.models()}
    several = counted(len(to_do), "trajectory", "trajectories")
    note(
        f"a run would follow {several}{going_on} = {batches}, from"
        f" {counted(len(models), 'float model')}"
    )


def _left(one: PlannedTrajectory) -> int:
    """Return how many batches a trajectory still has to go through."""
    return one.steps - 1 - max(one.steps_done - 1, 0)


def _tell_time(store: Store, plan: StreamPlan, workers: int) -> None:
    """Note how long a run would take, where this host has timed such steps of this stream."""
    from calibkit.sweep.provenance import host

    with store.reading() as con:
        found = con.execute(_TIMED, [plan.stream_id, host()]).fetchall()
    seconds: dict[Kind, float] = {(k, s, m): mean for k, s, m, mean, _ in found}
    steps: dict[Kind, int] = defaultdict(int)
    for one in plan.to_do():
        steps[one.model_kind, one.subset_update, one.model_update] += _left(one)
    unknown = [kind for kind in steps if kind not in seconds]
    if unknown:
        kind, subset, model = unknown[0]
        note(
            "estimated time: unknown, this host has timed no batch of this stream for"
            f" {subset}/{model} with a {kind} model"
        )
        return
    whole = sum(seconds[kind] * count for kind, count in steps.items()) / workers
    timed = counted(sum(int(row[-1]) for row in found), "batch", "batches")
    note(
        f"estimated time: {progress.duration(whole)} with {counted(workers, 'worker')}, from"
        f" {timed} timed on this host"
    )
