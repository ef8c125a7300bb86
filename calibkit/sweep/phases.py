"""The phases of one run: subsets, models, test sets, cards, baselines, cells, in this order."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from calibkit.corpora.reading import Corpus
from calibkit.curate.encoding import Encoder, Library
from calibkit.curate.float_models import ModelArtefact
from calibkit.curate.subsets import BuiltSubset, SubsetBuilder
from calibkit.errors import CalibkitError, StoreError
from calibkit.recipe.recipe import ModelChoice, Recipe
from calibkit.store.connection import Store
from calibkit.store.rows import insert
from calibkit.sweep.card_phase import CardCounts, make_cards
from calibkit.sweep.cell_phase import measure_cells
from calibkit.sweep.content import tested_content
from calibkit.sweep.executors import (
    NO_LIMITS,
    Executor,
    Failure,
    Limits,
    Outcome,
    Task,
)
from calibkit.sweep.jobs import (
    BaselineJob,
    Engine,
    ModelRef,
    NoiseLevel,
    Places,
    TestSet,
)
from calibkit.sweep.ledger import Ledger
from calibkit.sweep.plan import (
    Plan,
    PlannedCell,
    noise_levels,
    test_limit,
)
from calibkit.sweep.rows import measured_name
from calibkit.sweep.train_phase import train_models
from calibkit.sweep.watcher import Watcher


@dataclass(frozen=True)
class Manner:
    """How a run goes about it; none of this changes a number.

    deadline: on the clock of ``time.monotonic``, after which no cell is started. limits: of a cell.
    """

    engine: Engine = "auto"
    deadline: float | None = None
    limits: Limits = NO_LIMITS
    fail_fast: bool = False
    train: bool = True
    again: bool = False


class Sweep:
    """One run of one recipe over one store."""

    def __init__(
        self,
        store: Store,
        recipe: Recipe,
        corpus: Corpus,
        planned: Plan,
        watcher: Watcher,
        manner: Manner,
        *,
        workers: int,
    ) -> None:
        self.store = store
        self.recipe = recipe
        self.corpus = corpus
        self.plan = planned
        self.watcher = watcher
        self.manner = manner
        self.failed_one = False
        self.cards = CardCounts()
        self.library = Library(store, corpus, recipe.corpus.share)
        self.builder = SubsetBuilder(self.library, recipe.corpus.pool, watcher.note)
        self.places = Places(store.artefacts, store.fragments)
        self.ledger = Ledger(store, planned, workers=workers, note=watcher.note)
        self._encoders: dict[str, Encoder] = {}
        self._kept_subsets: dict[tuple[str, str], str] = {}

    # ------------------------------------------------------------------------------------ phases

    def measure(self, pool: Executor) -> int:
        """Run all phases for the cells to do; return how many cells were measured."""
        cells = list(self.plan.to_do())
        early, late = self._subsets_apart(cells)
        subsets = self._build_subsets(early, {})
        needing = {cell.plan_key for cell in late}
        cells = [c for c in cells if c.plan_key in subsets or c.plan_key in needing]
        models = train_models(self, pool, cells)
        # from here on without the cells that have failed
        cells = [cell for cell in cells if set(cell.models().values()) <= models.keys()]
        tests = {alias: self._test_set(alias) for alias in sorted({c.point.model for c in cells})}
        late = [cell for cell in late if set(cell.models().values()) <= models.keys()]
        subsets |= self._build_subsets(late, models)
        cells = [cell for cell in cells if cell.plan_key in subsets]
        self.cards = make_cards(self, cells, models, subsets)
        lost = self._baselines(pool, cells, models, tests)
        cells = [cell for cell in cells if models[str(cell.model_key)].id not in lost]
        return measure_cells(self, pool, cells, models, subsets, tests)

    def _subsets_apart(
        self, cells: Sequence[PlannedCell]
    ) -> tuple[list[PlannedCell], list[PlannedCell]]:
        """Split into cells whose subset needs no model and cells whose subset does."""
        early: list[PlannedCell] = []
        late: list[PlannedCell] = []
        for cell in cells:
            (late if cell.subset_model else early).append(cell)
        return early, late

    def _build_subsets(
        self, cells: Sequence[PlannedCell], models: dict[str, ModelArtefact]
    ) -> dict[str, BuiltSubset]:
        """Build each subset once; cells whose subset the pool cannot give become failures."""
        groups: dict[tuple[Any, ...], list[PlannedCell]] = {}
        for cell in cells:
            point = cell.point
            model = cell.subset_model.key if cell.subset_model else None
            groups.setdefault((point.policy, point.size, point.seed, model), []).append(cell)
        built: dict[str, BuiltSubset] = {}
        if not groups:
            return built
        self.watcher.phase("subsets", len(groups))
        for (alias, size, seed, model), members in groups.items():
            text = f"{alias}, size {size}, seed {seed}"
            try:
                policy = self.recipe.policies[alias].policy
                found = self.builder.build(policy, size, seed, model=models.get(model or ""))
            except StoreError:
                raise
            except Exception as error:  # noqa: BLE001 - a policy may be anybody's; others go on
                told = "" if isinstance(error, CalibkitError) else traceback.format_exc()
                failure = Failure(type(error).__name__, str(error), told)
                self.ledger.fail(members, "subset", failure)
                self.watcher.step(f"{text}: {error}", failed=True)
                continue
            built |= {str(cell.plan_key): found for cell in members}
            self.watcher.step(f"{text}: {found.subset_id}")
        return built

    @property
    def choices(self) -> Mapping[str, ModelChoice]:
        """The recipe's models by alias."""
        return self.recipe.models

    @property
    def share(self) -> float:
        """The share of the corpus that this is about."""
        return self.recipe.corpus.share

    @property
    def may_train(self) -> bool:
        """Whether float models that are missing are trained."""
        return self.manner.train

    def encoder(self, alias: str) -> Encoder:
        """Return what a model of this alias reads text through."""
        if alias not in self._encoders:
            settings = self.recipe.models[alias].settings
            self._encoders[alias] = Encoder.of(self.library, settings)
        return self._encoders[alias]

    def _test_set(self, alias: str) -> TestSet:
        """Keep the test documents under every noise level as artefacts, and note them."""
        split = self.recipe.corpus.test
        limit = test_limit(self.recipe, self.plan.limit_documents)
        chosen = self.library.split(split, limit=limit)
        encoder = self.encoder(alias)
        test_id = tested_content(self.corpus.corpus_id, chosen.ids, chosen.label_ids.tolist())
        levels, rows = [], []
        for kind, level, seed in noise_levels(self.recipe):
            key, facts = encoder.test_tokens(split, kind, level, seed, limit=limit)
            levels.append(NoiseLevel(kind, level, seed, key))
            columns = {"noise_kind": kind, "noise": level, "noise_seed": seed}
            identity = {"test_id": test_id, "vocabulary_id": encoder.vocabulary.id}
            rows.append(identity | columns | facts)
        row = {
            "test_id": test_id,
            "corpus_id": self.corpus.corpus_id,
            "split": split,
            "share": self.recipe.corpus.share,
            "documents": len(chosen.ids),
            "doc_ids": list(chosen.ids),
            "label_ids": chosen.label_ids.tolist(),
        }
        with self.store.writing() as con:
            insert(con, "test_sets", [row])
            insert(con, "noise_sets", rows)
        clean = levels[0].tokens
        return TestSet(test_id, len(self.corpus.labels), tuple(levels), clean)

    def _baselines(
        self,
        pool: Executor,
        cells: Sequence[PlannedCell],
        models: dict[str, ModelArtefact],
        tests: dict[str, TestSet],
    ) -> set[str]:
        """Measure each float model and its port where the store lacks a level.

        Returns the ids of the models for which that failed; their cells have failed with them,
        since results without a float row to compare with would look finished.
        """
        merged = self.places.merged_names()
        with self.store.reading() as con:
            known = set(
                con.execute(
                    "SELECT model_id, test_id, noise_kind, noise, noise_seed "
                    "FROM baseline_evaluations WHERE stage = 'port'"
                ).fetchall()
            )
        tasks: dict[str, Task] = {}
        for cell in cells:
            model, test = models[str(cell.model_key)], tests[cell.point.model]
            levels = tuple(lv for lv in test.levels if (model.id, test.id, *lv.key) not in known)
            if levels and model.id not in tasks:
                ref = ModelRef(model.key, model.id, cell.model_kind)
                job = BaselineJob(
                    self.places,
                    ref,
                    TestSet(test.id, test.labels, levels, test.clean_tokens),
                    self.ledger.run_id,
                )
                job = replace(job, anew=measured_name(model.id, job) in merged)
                tasks[model.id] = Task(f"baseline {cell.point.model}", job, model.id)
        lost: set[str] = set()
        if not tasks:
            return lost
        self.watcher.phase("baselines", len(tasks))
        for event in pool.run(list(tasks.values())):
            if not isinstance(event, Outcome):
                continue
            failure = event.failure
            if failure is not None:
                model_id = event.task.payload.model.id
                lost.add(model_id)
                affected = [c for c in cells if models[str(c.model_key)].id == model_id]
                self.ledger.fail(affected, "baseline", failure)
            text = event.task.key if failure is None else f"{event.task.key}: {failure.message}"
            self.watcher.step(text, failed=failure is not None)
        self.ledger.merge()
        return lost

    def subset_tokens(self, alias: str, subset: BuiltSubset) -> str:
        """Keep a subset as a model of this alias reads it; return the artefact's key."""
        at = (alias, subset.subset_id)
        if at not in self._kept_subsets:
            self._kept_subsets[at] = self.encoder(alias).subset_tokens(
                subset.subset_id, lambda: self.builder.documents(subset.doc_ids)
            )
        return self._kept_subsets[at]

    def out_of_time(self) -> bool:
        """Say whether the time for this run is over."""
        return self.manner.deadline is not None and time.monotonic() > self.manner.deadline

    def no_more(self) -> bool:
        """Say whether no further cell is to be started."""
        return self.out_of_time() or (self.manner.fail_fast and self.failed_one)
