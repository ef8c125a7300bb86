"""The loop: make what cells need, run the cells that are missing, merge what comes back.

Running the same recipe again measures only what the store lacks; that is all there is to resuming.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from calibkit.curate.corpus import ensure_corpus
from calibkit.recipe.recipe import Recipe
from calibkit.store.connection import Store
from calibkit.store.fragments import merge
from calibkit.store.presence import in_use
from calibkit.sweep.card_phase import CardCounts, make_cards
from calibkit.sweep.executors import NO_LIMITS, Executor, Limits, Serial
from calibkit.sweep.jobs import Engine
from calibkit.sweep.live import broadcasting
from calibkit.sweep.local import Local
from calibkit.sweep.phases import Manner, Sweep
from calibkit.sweep.plan import Shard, check_labels, plan
from calibkit.sweep.train_phase import require_models
from calibkit.sweep.watcher import Watcher
from calibkit.words import counted

WORK = "calibkit.sweep.worker:work"

ExecutorName = Literal["local", "serial", "ray"]
"""Where cells run; it never changes a number."""


@dataclass(frozen=True)
class RunReport:
    """How a run ended: cells measured by it, and the state of the recipe after it.

    done, failed, missing, planned: of the whole recipe, whatever was asked for.
    """

    measured: int
    done: int
    failed: int
    missing: int
    planned: int
    seconds: float
    conflicts: int = 0
    """Numbers that came back different from those stored; rows of the table ``conflicts``."""
    cards: CardCounts = CardCounts()
    """Coverage cards that this run made, or could not make."""
    asked: int = 0
    """Cells that the run was asked for: those that ``where`` and ``shard`` select, done or not."""
    asked_missing: int = 0
    """Of these, the ones that are still missing."""
    failed_keys: tuple[str, ...] = ()
    """Of these, the plan keys of the ones that have failed."""


def run(
    store: Store,
    recipe: Recipe,
    *,
    workers: int,
    watcher: Watcher,
    executor: ExecutorName = "local",
    address: str | None = None,
    engine: Engine = "auto",
    where: str | None = None,
    max_time: float | None = None,
    limit_documents: int | None = None,
    limits: Limits = NO_LIMITS,
    fail_fast: bool = False,
    shard: Shard | None = None,
    train: bool = True,
    again: bool = False,
) -> RunReport:
    """Measure every cell of the recipe that the store lacks.

    executor, engine: where cells run, and what evaluates one; they never change a number, only the
    time. address: of the Ray cluster to join, with the executor ray; by default one is started.
    max_time: minutes after which no further cell is started. fail_fast: start none after one has
    failed. limits: what one cell may take. where, shard: measure only this part of the cells, and
    keep what they refer to beside them (`calibkit.store.carry`), to be merged elsewhere. train:
    train float models that are not there; otherwise Incomplete is raised before anything is
    written. again: measure also what is there, and compare. Whatever is finished is kept, also when
    the process is killed. Raises what planning and the store raise, MissingExtra where the executor
    is not installed; a cell that fails is a row in ``failures`` and does not stop the others.
    """
    start = time.monotonic()
    deadline = None if max_time is None else start + 60 * max_time
    pool = executor_for(
        executor, WORK, workers, store, address
    )  # an extra that is missing is told first
    before = merge(store)
    for problem in before.problems:
        watcher.note(problem)
    # refuse before any work
    first = plan(
        store, recipe, limit_documents=limit_documents, where=where, shard=shard, again=again
    )
    if not train:
        require_models(store, first)
    with broadcasting(watcher, store, recipe.name, recipe.id(limit_documents), workers) as told:
        told.phase("corpus", 1)
        corpus, notes = ensure_corpus(store, recipe.corpus.name, recipe.corpus.source)
        for text in notes:
            told.note(text)
        told.step(f"{corpus.name}: {sum(corpus.documents.values()):,} documents")
        check_labels(recipe, corpus)
        planned = plan(
            store, recipe, limit_documents=limit_documents, where=where, shard=shard, again=again
        )
        how = Manner(engine, deadline, limits, fail_fast=fail_fast, train=train, again=again)
        sweep = Sweep(store, recipe, corpus, planned, told, how, workers=workers)
        sweep.ledger.register()
        measured = 0
        in_parts = shard is not None or where is not None  # perhaps to be brought together
        if where is not None and not planned.wanted:
            whole = counted(len(planned.cells), "cell")
            told.note(f"--where {where!r} selects none of the recipe's {whole}")
        if planned.to_do():
            with in_use(store), pool, sweep.ledger.merging(with_notes=in_parts):
                measured = sweep.measure(pool)
        else:
            with in_use(store), sweep.ledger.merging(with_notes=in_parts):
                sweep.cards = make_cards(sweep, (), {}, {})
    after = plan(store, recipe, limit_documents=limit_documents)
    asked = [cell for cell in after.cells if cell.ordinal in planned.wanted]
    counts = after.counts
    return RunReport(
        measured,
        counts["done"],
        counts["failed"],
        counts["missing"],
        counts["planned"],
        time.monotonic() - start,
        len(before.conflicts) + sweep.ledger.conflicts,
        sweep.cards,
        len(asked),
        sum(cell.state == "missing" for cell in asked),
        tuple(str(cell.plan_key) for cell in asked if cell.state == "failed"),
    )


def executor_for(
    name: ExecutorName, function: str, workers: int, store: Store, address: str | None
) -> Executor:
    """Return the executor of this name for a function, ``"module:function"``.

    Raises MissingExtra where it is not installed.
    """
    if name == "ray":
        from calibkit.sweep.on_ray import OnRay

        return OnRay(function, workers, folder=store.folder, address=address)
    return Serial(function) if name == "serial" else Local(function, workers)
