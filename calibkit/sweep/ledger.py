"""What a run writes into the store, and what it asks the store about what is there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from calibkit.curate.encoding import artefacts_of
from calibkit.curate.float_models import ModelArtefact
from calibkit.errors import StoreBusy, StoreDamaged
from calibkit.identity import content_id
from calibkit.models.settings import ModelSettings
from calibkit.store.carry import write_notes
from calibkit.store.connection import Store
from calibkit.store.fragments import merge, write_fragment
from calibkit.store.rows import insert
from calibkit.sweep import provenance
from calibkit.sweep.executors import Failure
from calibkit.sweep.jobs import CellJob
from calibkit.sweep.plan import Plan, PlannedCell, noise_levels
from calibkit.sweep.rows import fragment, now

MERGE_EVERY_SECONDS = 20.0


class Ledger:
    """The books of one run: its plan and provenance, failures, and merging of fragments."""

    def __init__(
        self, store: Store, plan: Plan, *, workers: int, note: Callable[[str], None]
    ) -> None:
        self.store = store
        self.plan = plan
        self.recipe = plan.recipe
        self.workers = workers
        self.note = note
        self.host = provenance.host()
        self.run_id = content_id("run", [plan.recipe_id, now(), self.host, time.time_ns()])
        self._merged_at = time.monotonic()
        self.conflicts = 0

    def register(self) -> None:
        """Write the run, its provenance, and the whole plan, so that SQL can tell what is left."""
        commit, dirty = provenance.git_state()
        run_row = {
            "run_id": self.run_id,
            "recipe": self.recipe.name,
            "recipe_id": self.plan.recipe_id,
            "recipe_text": self.recipe.text,
            "command": provenance.command_line(),
            "workers": self.workers,
            "started_at": now(),
            "host": self.host,
            "git_commit": commit,
            "git_dirty": dirty,
            "versions": provenance.versions(),
        }
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
            insert(con, "runs", [run_row])

    @contextmanager
    def merging(self, *, with_notes: bool = False) -> Iterator[None]:
        """Merge what was measured, however the block ends.

        with_notes: also keep what the recipe's cells refer to beside their fragments.
        """
        try:
            yield
        finally:
            self.merge()
            if with_notes and write_notes(self.store, self.plan.recipe_id):
                self.merge()

    def merge_now_and_then(self) -> None:
        """Merge when the last time is a while ago: readers see progress, writers rarely wait."""
        if time.monotonic() - self._merged_at > MERGE_EVERY_SECONDS:
            try:
                self.merge()
            except StoreBusy as error:  # nothing is lost: fragments wait for the next merge
                self._merged_at = time.monotonic()
                self.note(f"{error}; the run goes on and merges later")

    def merge(self) -> None:
        """Merge the fragments that workers have written."""
        report = merge(self.store)
        self.conflicts += len(report.conflicts)
        self._merged_at = time.monotonic()
        for problem in report.problems:
            self.note(problem)

    def fail(self, cells: Iterable[PlannedCell], stage: str, failure: Failure) -> None:
        """Write one failure row per cell, as a fragment: the store may be busy just now."""
        self._fail([(str(cell.plan_key), cell.plan_key) for cell in cells], stage, failure)

    def fail_apart(self, what: str, stage: str, failure: Failure) -> None:
        """Write a failure of something that is no cell: its row has no plan key."""
        self._fail([(what, None)], stage, failure)

    def _fail(self, keys: Sequence[tuple[str, str | None]], stage: str, failure: Failure) -> None:
        rows = [
            {
                "failure_id": content_id("fragment", [self.run_id, what, stage]),
                "run_id": self.run_id,
                "recipe_id": self.plan.recipe_id,
                "plan_key": plan_key,
                "stage": stage,
                "error_type": failure.error_type,
                "message": failure.message,
                "traceback": failure.traceback,
                "host": self.host,
                "failed_at": now(),
            }
            for what, plan_key in keys
        ]
        name = content_id("fragment", [row["failure_id"] for row in rows])
        write_fragment(self.store.fragments, name, fragment("failure", {"failures": rows}))

    def model_ids(self, keys: Iterable[str]) -> dict[str, str]:
        """Return, by model key, the content of the models that were ever trained here."""
        with self.store.reading() as con:
            rows = con.execute(
                "SELECT model_key, model_id FROM models WHERE list_contains(?, model_key)",
                [list(keys)],
            ).fetchall()
        return dict(rows)

    def known_models(self, wanted: Mapping[str, ModelSettings]) -> dict[str, ModelArtefact]:
        """Return the models that are both in the store and, whole, on disk."""
        shelf = artefacts_of(self.store)
        found: dict[str, ModelArtefact] = {}
        for key, identity in self.model_ids(wanted).items():
            if not shelf.has("model", key):
                continue
            try:
                stored = shelf.load("model", key).config["model_id"]
            except StoreDamaged as error:
                self.note(f"{error} (it is trained anew now)")
                continue
            if stored != identity:
                raise StoreDamaged(
                    f"the artefact {key} holds the float model {stored}, but the store's cells "
                    f"were measured with {identity}; put that artefact back into "
                    f"{self.store.artefacts}, or measure into a new store (--store)"
                )
            found[key] = ModelArtefact(key, identity, wanted[key])
        return found

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
