"""What a sweep writes into the store, and what it asks the store about what is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from calibkit.store.connection import Store
from calibkit.store.rows import insert
from calibkit.sweep.books import Books
from calibkit.sweep.executors import Failure
from calibkit.sweep.jobs import CellJob
from calibkit.sweep.plan import Plan, PlannedCell, noise_levels


class Ledger(Books):
    """The books of one sweep: beside those of every run, its plan of cells."""

    def __init__(
        self, store: Store, plan: Plan, *, workers: int, note: Callable[[str], None]
    ) -> None:
        recipe = plan.recipe
        super().__init__(
            store, recipe.name, plan.recipe_id, recipe.text, workers=workers, note=note
        )
        self.plan = plan
        self.recipe = recipe

    def register(self) -> None:
        """Write the run, its provenance, and the whole plan, so that SQL can tell what is left."""
        cells = []
        for cell in self.plan.cells:
            columns = cell.columns()
            del columns["state"]
            identity = {"recipe_id": self.plan.recipe_id, "plan_key": cell.plan_key}
            cells.append(identity | {"ordinal": cell.ordinal} | columns)
        levels = [
            {"recipe_id": self.plan.recipe_id, "noise_kind": k, "noise": p, "noise_seed": s}
            for k, p, s in noise_levels(self.recipe)
        ]
        with self.store.writing() as con:
            insert(con, "recipe_noises", levels)
            insert(con, "recipe_cells", cells)
            insert(con, "runs", [self.run_row()])

    def fail(self, cells: Iterable[PlannedCell], stage: str, failure: Failure) -> None:
        """Write one failure row per cell."""
        self.fail_keys([(str(cell.plan_key), cell.plan_key) for cell in cells], stage, failure)

    def still_missing(self, jobs: dict[str, CellJob]) -> dict[str, CellJob]:
        """Return the jobs with only those noise levels and distributions the store lacks."""
        with self.store.reading() as con:
            measured = set(
                con.execute(
                    "SELECT cell_id, noise_kind, noise, noise_seed FROM evaluations "
                    "SEMI JOIN (SELECT unnest(?::VARCHAR[]) AS cell_id) USING (cell_id)",
                    [list(jobs)],
                ).fetchall()
            )
            recorded = set(
                con.execute(
                    "SELECT DISTINCT cell_id, quantity FROM distributions "
                    "SEMI JOIN (SELECT unnest(?::VARCHAR[]) AS cell_id) USING (cell_id)",
                    [list(jobs)],
                ).fetchall()
            )
        needed: dict[str, CellJob] = {}
        for cell_id, job in jobs.items():
            levels = tuple(lv for lv in job.test.levels if (cell_id, *lv.key) not in measured)
            parts = tuple(q for q in job.distributions if (cell_id, q) not in recorded)
            if levels or parts:
                test = replace(job.test, levels=levels)
                needed[cell_id] = replace(job, test=test, distributions=parts)
        return needed
