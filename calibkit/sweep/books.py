"""What every run writes into the store: itself, its failures, and the fragments of its workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from calibkit.curate.encoding import artefacts_of
from calibkit.curate.float_models import ModelArtefact
from calibkit.errors import StoreBusy, StoreDamaged
from calibkit.identity import content_id
from calibkit.models.settings import ModelSettings
from calibkit.store.carry import write_notes
from calibkit.store.connection import Store
from calibkit.store.fragments import merge, write_fragment
from calibkit.sweep import provenance
from calibkit.sweep.executors import Failure
from calibkit.sweep.rows import fragment, now

MERGE_EVERY_SECONDS = 20.0


class Books:
    """The books of one run: its provenance, failures, and merging of fragments.

    recipe_id: of what is run, under which its failures stand.
    """

    def __init__(
        self,
        store: Store,
        recipe: str,
        recipe_id: str,
        text: str,
        *,
        workers: int,
        note: Callable[[str], None],
    ) -> None:
        self.store = store
        self.recipe_name = recipe
        self.recipe_id = recipe_id
        self.text = text
        self.workers = workers
        self.note = note
        self.host = provenance.host()
        self.run_id = content_id("run", [recipe_id, now(), self.host, time.time_ns()])
        self._merged_at = time.monotonic()
        self.conflicts = 0

    def run_row(self) -> dict[str, Any]:
        """Return the row of the table ``runs``: what was asked, when, where and by which code."""
        commit, dirty = provenance.git_state()
        return {
            "run_id": self.run_id,
            "recipe": self.recipe_name,
            "recipe_id": self.recipe_id,
            "recipe_text": self.text,
            "command": provenance.command_line(),
            "workers": self.workers,
            "started_at": now(),
            "host": self.host,
            "git_commit": commit,
            "git_dirty": dirty,
            "versions": provenance.versions(),
        }

    @contextmanager
    def merging(self, *, with_notes: bool = False) -> Iterator[None]:
        """Merge what was measured, however the block ends.

        with_notes: also keep what the recipe's cells refer to beside their fragments.
        """
        try:
            yield
        finally:
            self.merge()
            if with_notes and write_notes(self.store, self.recipe_id):
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

    def fail_apart(self, what: str, stage: str, failure: Failure) -> None:
        """Write a failure of something that is no cell: its row has no plan key."""
        self.fail_keys([(what, None)], stage, failure)

    def fail_keys(
        self, keys: Sequence[tuple[str, str | None]], stage: str, failure: Failure
    ) -> None:
        """Write one failure row for each of (what it is, its plan key or None).

        As a fragment: the store may be busy just now.
        """
        rows = [
            {
                "failure_id": content_id("fragment", [self.run_id, what, stage]),
                "run_id": self.run_id,
                "recipe_id": self.recipe_id,
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
