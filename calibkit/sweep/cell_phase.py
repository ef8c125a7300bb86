"""The phase that measures cells: those that the store lacks, and that no other run is at."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from calibkit.curate.float_models import ModelArtefact
from calibkit.curate.subsets import BuiltSubset
from calibkit.store.rows import insert
from calibkit.sweep.content import arithmetic_of, cell_content
from calibkit.sweep.executors import Executor, Progress, Task
from calibkit.sweep.jobs import CellJob, ModelRef, TestSet
from calibkit.sweep.plan import PlannedCell, quantities
from calibkit.sweep.rows import measured_name
from calibkit.words import counted, is_or_are

if TYPE_CHECKING:
    from calibkit.sweep.phases import Sweep

LOOK_AGAIN_SECONDS = 1.0
"""So long a run waits for cells that another run is at, when nothing else is left to do."""


def measure_cells(
    sweep: Sweep,
    pool: Executor,
    cells: Sequence[PlannedCell],
    models: Mapping[str, ModelArtefact],
    subsets: Mapping[str, BuiltSubset],
    tests: Mapping[str, TestSet],
) -> int:
    """Measure cells; plan cells that come to the same content share one measurement.

    Returns how many were measured. Cells that another run over the store is at just now are left
    for later, and then found done, or measured if that run has ended without them.
    """
    phase = _CellPhase(sweep, {}, {})
    for cell in cells:
        job = _job(
            sweep,
            cell,
            models[str(cell.model_key)],
            subsets[str(cell.plan_key)],
            tests[cell.point.model],
        )
        phase.members.setdefault(job.cell_id, []).append(cell)
        phase.jobs.setdefault(job.cell_id, job)
    with sweep.store.writing() as con:
        rows = [
            {"plan_key": cell.plan_key, "cell_id": cell_id}
            for cell_id, found in phase.members.items()
            for cell in found
        ]
        insert(con, "plan_cells", rows)
    return phase.run(pool)


@dataclass
class _CellPhase:
    """Cells by what they come to: the plan's cells that share a measurement, and the job."""

    sweep: Sweep
    members: dict[str, list[PlannedCell]]
    jobs: dict[str, CellJob]
    measured: int = 0
    elsewhere: int = 0

    def run(self, pool: Executor) -> int:
        sweep = self.sweep
        again = sweep.manner.again
        # before the store is asked: what is merged later is there for what the store still lacks
        merged = sweep.places.merged_names()
        needed = self.jobs if again else sweep.ledger.still_missing(self.jobs)
        tasks = []
        for cell_id, job in needed.items():
            # a fragment merged before says nothing: the store has lost its rows
            anew = again or measured_name(cell_id, job) in merged
            affinity = f"{job.model.id} {job.subset_id}"
            tasks.append(Task(cell_id, replace(job, anew=anew), affinity))
        sweep.watcher.phase("cells", len(tasks))
        left = len(tasks)
        while tasks:
            ended, tasks_left = self._pass(pool, tasks)
            left -= ended
            if not ended and tasks_left and not sweep.no_more():
                time.sleep(LOOK_AGAIN_SECONDS)
            tasks = [] if sweep.no_more() else tasks_left
        if self.elsewhere:
            found = counted(self.elsewhere, "cell")
            sweep.watcher.note(f"another run over this store measured {found} of these meanwhile")
        if left:
            why = "--max-time is over" if sweep.out_of_time() else "--fail-fast: a cell failed"
            verb = is_or_are(left)
            sweep.watcher.note(f"{why}: {counted(left, 'cell')} {verb} not measured")
        return self.measured

    def _pass(self, pool: Executor, tasks: Sequence[Task]) -> tuple[int, list[Task]]:
        """Run tasks once; return how many have ended, and those that another run is at."""
        sweep, manner = self.sweep, self.sweep.manner
        told: dict[str, str] = {}
        busy: list[Task] = []
        ended = 0
        for event in pool.run(tasks, limits=manner.limits, stop=sweep.no_more):
            key = event.task.key
            if isinstance(event, Progress):
                told[key] = str(event.facts.get("elsewhere", ""))
                continue
            if event.failure is None and told.get(key) == "at it":
                busy.append(event.task)
                continue
            ended += 1
            found = self.members[key]
            text = cell_text(found[0])
            if event.failure is not None:
                sweep.failed_one = True
                sweep.ledger.fail(found, "cell", event.failure)
                sweep.watcher.step(f"{text}: {event.failure.message}", failed=True)
            elif told.get(key) == "done":
                self.elsewhere += 1
                sweep.watcher.step(f"{text} (by another run)")
            else:
                self.measured += 1
                sweep.watcher.step(f"{text} ({event.seconds:.1f} s)")
            sweep.ledger.merge_now_and_then()
        return ended, busy


def _job(
    sweep: Sweep, cell: PlannedCell, model: ModelArtefact, subset: BuiltSubset, test: TestSet
) -> CellJob:
    scheme = cell.point.scheme
    return CellJob(
        places=sweep.places,
        cell_id=cell_content(model.id, subset.subset_id, scheme, test.id),
        model=ModelRef(model.key, model.id, cell.model_kind),
        corpus_id=sweep.corpus.corpus_id,
        subset_id=subset.subset_id,
        subset_tokens=sweep.subset_tokens(cell.point.model, subset),
        scheme=scheme.as_dict(),
        arithmetic=arithmetic_of(scheme),
        test=test,
        distributions=quantities(sweep.recipe, cell),
        engine=sweep.manner.engine,
        run_id=sweep.ledger.run_id,
        host=sweep.ledger.host,
    )


def cell_text(cell: PlannedCell) -> str:
    """Return a cell in a few words, for progress lines."""
    point = cell.point
    return (
        f"{point.model} {point.model_seed}, {point.policy}, size {point.size}, seed {point.seed}, "
        f"{point.bits} bits, {point.preset}, {point.rounding}"
    )
