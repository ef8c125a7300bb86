"""Follow every trajectory of a stream recipe that the store lacks; go on where one stopped."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from calibkit.corpora.reading import Corpus
from calibkit.curate.corpus import ensure_corpus
from calibkit.curate.encoding import Encoder, Library
from calibkit.curate.float_models import ModelArtefact
from calibkit.curate.subsets import BuiltSubset, SubsetBuilder
from calibkit.errors import CalibkitError, StoreError
from calibkit.identity import canonical
from calibkit.recipe.recipe import ModelChoice
from calibkit.recipe.streams import StreamRecipe
from calibkit.store.connection import Store
from calibkit.store.fragments import merge
from calibkit.store.presence import in_use
from calibkit.store.rows import insert
from calibkit.stream.documents import StreamSource
from calibkit.stream.following import StreamBooks, TrajectoryPhase
from calibkit.stream.jobs import (
    Arrival,
    PredictorJob,
    Start,
    TrajectoryJob,
    step_fragment,
)
from calibkit.stream.plan import (
    PlannedTrajectory,
    StreamPlan,
    check_stream_labels,
    plan_stream,
)
from calibkit.stream.versions import LEARNED
from calibkit.sweep.executors import (
    NO_LIMITS,
    Executor,
    Failure,
    Limits,
    Progress,
    Task,
)
from calibkit.sweep.jobs import Engine, ModelRef, Places
from calibkit.sweep.live import broadcasting
from calibkit.sweep.run import ExecutorName, executor_for
from calibkit.sweep.train_phase import train_models
from calibkit.sweep.watcher import Watcher
from calibkit.words import counted

WORK = "calibkit.stream.trajectory:work"


@dataclass(frozen=True)
class StreamReport:
    """How a run ended: trajectories followed by it, and the state of the recipe after it.

    followed: those that it took to their end. done, failed, missing, planned: of the whole recipe.
    asked, asked_missing: of those that ``where`` selects. failed_ids: of these.
    """

    followed: int
    done: int
    failed: int
    missing: int
    planned: int
    seconds: float
    conflicts: int
    asked: int
    asked_missing: int
    failed_ids: tuple[str, ...] = ()


def run_stream(
    store: Store,
    recipe: StreamRecipe,
    *,
    workers: int,
    watcher: Watcher,
    executor: ExecutorName = "local",
    address: str | None = None,
    engine: Engine = "auto",
    where: str | None = None,
    max_time: float | None = None,
    limits: Limits = NO_LIMITS,
    fail_fast: bool = False,
) -> StreamReport:
    """Follow every trajectory of the recipe that the store lacks.

    The arguments mean what they mean for `calibkit.sweep.run.run`; none of them changes a number.
    A trajectory that was cut off goes on from its last whole step. Raises what planning and the
    store raise, Infeasible where a phase has too few documents; a trajectory that fails is a row in
    ``failures`` and does not stop the others.
    """
    began = time.monotonic()
    deadline = None if max_time is None else began + 60 * max_time
    # first, so that an extra that is missing is told before anything is done
    pool = executor_for(executor, WORK, workers, store, address)
    before = merge(store)
    for problem in before.problems:
        watcher.note(problem)
    first = plan_stream(store, recipe, where=where)  # refuse before any work
    with broadcasting(watcher, store, recipe.name, first.recipe_id, workers) as told:
        told.phase("corpus", 1)
        corpus, notes = ensure_corpus(store, recipe.corpus.name, recipe.corpus.source)
        for text in notes:
            told.note(text)
        told.step(f"{corpus.name}: {sum(corpus.documents.values()):,} documents")
        # before the plan, which then has the rows of all of them: unless the store has lost some
        merged = Places(store.artefacts, store.fragments).merged_names()
        planned = plan_stream(store, recipe, where=where)
        check_stream_labels(planned)
        run = _StreamRun(store, planned, corpus, told, engine, deadline, workers, fail_fast, merged)
        run.source.check()
        run.register()
        followed = 0
        if where is not None and not planned.wanted:
            whole = counted(len(planned.trajectories), "trajectory", "trajectories")
            told.note(f"--where {where!r} selects none of the recipe's {whole}")
        if planned.to_do():
            with in_use(store), pool, run.ledger.merging(with_notes=where is not None):
                followed = run.follow(pool, limits)
    after = plan_stream(store, recipe, where=where)
    asked = [one for one in after.trajectories if one.ordinal in after.wanted]
    counts = after.counts
    return StreamReport(
        followed,
        counts["done"],
        counts["failed"],
        counts["missing"],
        counts["planned"],
        time.monotonic() - began,
        len(before.conflicts) + run.ledger.conflicts,
        len(asked),
        sum(one.state == "missing" for one in asked),
        tuple(str(one.trajectory_id) for one in asked if one.state == "failed"),
    )


class _StreamRun:
    """One run of one stream recipe over one store."""

    def __init__(
        self,
        store: Store,
        planned: StreamPlan,
        corpus: Corpus,
        watcher: Watcher,
        engine: Engine,
        deadline: float | None,
        workers: int,
        fail_fast: bool,  # noqa: FBT001
        merged: frozenset[str],
    ) -> None:
        recipe = planned.recipe
        self.store, self.plan, self.recipe, self.corpus = store, planned, recipe, corpus
        self.watcher, self.engine, self.deadline = watcher, engine, deadline
        self.fail_fast, self.merged = fail_fast, merged
        self.places = Places(store.artefacts, store.fragments)
        self.library = Library(store, corpus, recipe.corpus.share)
        self.builder = SubsetBuilder(self.library, recipe.corpus.pool, watcher.note)
        self.source = StreamSource(store, recipe, corpus)
        self.ledger = StreamBooks(
            store,
            recipe.name,
            planned.recipe_id,
            recipe.text,
            workers=workers,
            note=watcher.note,
        )
        self._encoders: dict[str, Encoder] = {}

    # ------------------------------------------------------- what training float models asks for

    @property
    def choices(self) -> Mapping[str, ModelChoice]:
        """The recipe's models by alias."""
        return self.recipe.models

    @property
    def share(self) -> float:
        """The share of the corpus that models are trained on."""
        return self.recipe.corpus.share

    @property
    def may_train(self) -> bool:
        """Whether float models that are missing are trained."""
        return True

    def encoder(self, alias: str) -> Encoder:
        """Return what a model of this alias reads text through."""
        if alias not in self._encoders:
            settings = self.recipe.models[alias].settings
            self._encoders[alias] = Encoder.of(self.library, settings)
        return self._encoders[alias]

    # -------------------------------------------------------------------------------- the phases

    def register(self) -> None:
        """Write the run, the stream's phases and all trajectories, so that SQL can tell them."""
        plan, recipe = self.plan, self.recipe
        phases = [
            {
                "stream_id": plan.stream_id,
                "phase": place,
                "name": phase.name,
                "batches": phase.batches,
                "corpus": phase.corpus or recipe.corpus.name,
                "noise_kind": phase.noise_kind,
                "noise": phase.noise,
                "labels": None if phase.labels is None else canonical(dict(phase.labels)),
                "between_": canonical({c: list(ends) for c, ends in phase.between.items()}),
                "documents": recipe.stream.batch,
            }
            for place, phase in enumerate(recipe.stream.phases)
        ]
        rows = []
        for one in plan.trajectories:
            columns = one.columns()
            for name in ("state", "steps", "steps_done"):
                del columns[name]
            identity = {"recipe_id": plan.recipe_id, "trajectory_id": one.trajectory_id}
            also = {"stream_id": plan.stream_id, "params": canonical(dict(one.params))}
            rows.append(identity | also | {"ordinal": one.ordinal} | columns)
        with self.store.writing() as con:
            insert(con, "stream_phases", phases)
            insert(con, "stream_trajectories", rows)
            insert(con, "runs", [self.ledger.run_row()])

    def follow(self, pool: Executor, limits: Limits) -> int:
        """Run all phases for the trajectories to do; return how many came to their end."""
        found = list(self.plan.to_do())
        models = train_models(self, pool, found)
        found = [one for one in found if set(one.models().values()) <= models.keys()]
        starts = self._starts(found, models)
        found = [one for one in found if one.trajectory_id in starts]
        found = self._predictors(pool, found, models)
        return self._trajectories(pool, found, models, starts, limits)

    def _starts(
        self, found: Sequence[PlannedTrajectory], models: Mapping[str, ModelArtefact]
    ) -> dict[str, BuiltSubset]:
        """Build the first subsets; trajectories whose subset the pool cannot give have failed."""
        groups: dict[tuple[str, int, int, str | None], list[PlannedTrajectory]] = {}
        for one in found:
            point = one.point
            model = one.subset_model.key if one.subset_model else None
            groups.setdefault((point.policy, point.size, point.seed, model), []).append(one)
        built: dict[str, BuiltSubset] = {}
        self.watcher.phase("subsets", len(groups))
        for (alias, size, seed, model), members in groups.items():
            text = f"{alias}, size {size}, seed {seed}"
            try:
                policy = self.recipe.policies[alias].policy
                subset = self.builder.build(policy, size, seed, model=models.get(model or ""))
            except StoreError:
                raise
            except Exception as error:  # noqa: BLE001 - a policy may be anybody's; others go on
                told = "" if isinstance(error, CalibkitError) else traceback.format_exc()
                self.ledger.fail(members, "subset", Failure(type(error).__name__, str(error), told))
                self.watcher.step(f"{text}: {error}", failed=True)
                continue
            built |= {str(one.trajectory_id): subset for one in members}
            self.watcher.step(f"{text}: {subset.subset_id}")
        return built

    def _predictors(
        self,
        pool: Executor,
        found: Sequence[PlannedTrajectory],
        models: Mapping[str, ModelArtefact],
    ) -> list[PlannedTrajectory]:
        """Train the flip predictors first, so that workers do not wait for each other's."""
        needing: dict[str, list[PlannedTrajectory]] = {}
        jobs: dict[str, PredictorJob] = {}
        for one in found:
            if one.model_update not in LEARNED:
                continue
            point = one.point
            job = PredictorJob(
                self.places,
                self._model(one, models),
                point.scheme.as_dict(),
                self.encoder(point.model).split_tokens("train"),
                point.size,
                self.recipe.methods[point.method].without,
                self.recipe.methods[point.method].most_flips,
            )
            about = [job.size, job.most_flips, sorted(job.without)]
            key = canonical([job.model.id, point.scheme.id, *about])
            needing.setdefault(key, []).append(one)
            jobs.setdefault(key, job)
        if not jobs:
            return list(found)
        lost: set[int] = set()
        self.watcher.phase("flip predictors", len(jobs))
        for event in pool.run([Task(key, job, job.model.id) for key, job in jobs.items()]):
            if isinstance(event, Progress):
                continue
            members = needing[event.task.key]
            point = members[0].point
            text = f"{point.model} {point.model_seed}, size {point.size}, {point.bits} bits"
            if event.failure is not None:
                self.ledger.fail(members, "predictor", event.failure)
                lost |= {one.ordinal for one in members}
                text += f": {event.failure.message}"
            self.watcher.step(text, failed=event.failure is not None)
        return [one for one in found if one.ordinal not in lost]

    def _trajectories(
        self,
        pool: Executor,
        found: Sequence[PlannedTrajectory],
        models: Mapping[str, ModelArtefact],
        starts: Mapping[str, BuiltSubset],
        limits: Limits,
    ) -> int:
        phase = TrajectoryPhase(self.watcher, self.ledger, self.deadline, self.fail_fast)
        for one in found:
            key = str(one.trajectory_id)
            if key not in phase.jobs:
                phase.jobs[key] = self._job(one, models, starts[key])
            phase.members.setdefault(key, []).append(one)
        return phase.run(pool, limits)

    def _job(
        self,
        one: PlannedTrajectory,
        models: Mapping[str, ModelArtefact],
        start: BuiltSubset,
    ) -> TrajectoryJob:
        point, stream = one.point, self.recipe.stream
        encoder = self.encoder(point.model)
        corpora = {name: found.corpus_id for name, found in self.plan.corpora.items()}
        batches = []
        for step, phase in enumerate(stream.steps):
            named = stream.phases[phase].corpus
            corpus_id = corpora.get(named or "", self.corpus.corpus_id)
            tokens = self.source.encoded_batch(encoder, point.seed, step)
            batches.append(Arrival(phase, tokens, corpus_id))
        hold_outs = tuple(
            self.source.encoded_hold_out(encoder, phase) for phase in range(len(stream.phases))
        )
        tokens = encoder.subset_tokens(
            start.subset_id, lambda: self.builder.documents(start.doc_ids)
        )
        known = sum(
            step_fragment(str(one.trajectory_id), s) in self.merged for s in range(one.steps)
        )
        return TrajectoryJob(
            places=self.places,
            trajectory_id=str(one.trajectory_id),
            model=self._model(one, models),
            corpus_id=self.corpus.corpus_id,
            labels=self.corpus.labels,
            scheme=point.scheme.as_dict(),
            method=self.recipe.methods[point.method],
            size=point.size,
            seed=point.seed,
            start=Start(start.subset_id, start.doc_ids, tokens),
            batches=tuple(batches),
            hold_outs=hold_outs,
            train_tokens=encoder.split_tokens("train"),
            engine=self.engine,
            run_id=self.ledger.run_id,
            host=self.ledger.host,
            anew=known > one.steps_done,
        )

    def _model(self, one: PlannedTrajectory, models: Mapping[str, ModelArtefact]) -> ModelRef:
        found = models[str(one.model_key)]
        return ModelRef(found.key, found.id, one.model_kind)
