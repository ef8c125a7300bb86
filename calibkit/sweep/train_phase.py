"""The phase that makes float models: those that the cells name and the store does not have yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from calibkit.curate.float_models import ModelArtefact
from calibkit.sweep.executors import Executor, Failure, Progress, Task
from calibkit.sweep.jobs import TrainJob
from calibkit.sweep.plan import PlannedCell, training_device

if TYPE_CHECKING:
    from calibkit.sweep.phases import Sweep


def train_models(
    sweep: Sweep, pool: Executor, cells: Sequence[PlannedCell]
) -> dict[str, ModelArtefact]:
    """Train the float models that are not there yet; return all of them by key."""
    wanted = {str(key): name for cell in cells for name, key in cell.models().items()}
    settings = {key: sweep.recipe.models[alias].settings for key, (alias, _) in wanted.items()}
    found = sweep.ledger.known_models(settings)
    expected = sweep.ledger.model_ids(settings)
    failed: set[str] = set()
    tasks = []
    for key, (alias, seed) in wanted.items():
        if key in found:
            continue
        choice = sweep.recipe.models[alias]
        encoder = sweep.encoder(alias)
        job = TrainJob(
            places=sweep.places,
            model_key=key,
            kind=choice.kind,
            settings=choice.settings.as_dict(),
            seed=seed,
            device=training_device(),
            train_tokens=encoder.split_tokens("train"),
            valid_tokens=encoder.split_tokens("valid"),
            vocabulary_id=encoder.vocabulary.id,
            vocabulary_size=len(encoder.vocabulary),
            labels=sweep.corpus.labels,
            corpus_id=sweep.corpus.corpus_id,
            share=sweep.recipe.corpus.share,
            expected=expected.get(key),
        )
        tasks.append(Task(key, job))
    if tasks and not sweep.manner.train:
        for task in tasks:
            failed.add(task.key)
            message = (
                "its float model is not in the store, and shards train none of their own; run "
                f"the recipe once with --where \"model = '{wanted[task.key][0]}'\" and without "
                "--shard, copy the store, or say --train"
            )
            affected = [c for c in cells if task.key in c.models().values()]
            sweep.ledger.fail(affected, "model", Failure("NotTrained", message, ""))
            sweep.watcher.note(f"{wanted[task.key][0]} {wanted[task.key][1]}: {message}")
    elif tasks:
        epochs = sum(int(task.payload.settings["epochs"]) for task in tasks)
        sweep.watcher.phase("models", epochs)
        for event in pool.run(tasks):
            alias, seed = wanted[event.task.key]
            if isinstance(event, Progress):
                facts = event.facts
                sweep.watcher.step(
                    f"{alias} {seed}: epoch {facts['epoch']} of {facts['of']}, "
                    f"valid accuracy {facts['accuracy']:.3f}"
                )
            elif event.failure is not None:
                failed.add(event.task.key)
                affected = [c for c in cells if event.task.key in c.models().values()]
                sweep.ledger.fail(affected, "model", event.failure)
                sweep.watcher.step(f"{alias} {seed}: {event.failure.message}", failed=True)
        sweep.ledger.merge()
        found = sweep.ledger.known_models(settings)
        for key in wanted.keys() - found.keys() - failed:
            message = f"the float model {key} was trained, but it is not in the store"
            affected = [c for c in cells if key in c.models().values()]
            sweep.ledger.fail(affected, "model", Failure("StoreError", message, ""))
            sweep.watcher.note(message)
    return {
        key: replace(model, name=f"{wanted[key][0]} {wanted[key][1]}")
        for key, model in found.items()
    }
