"""The phase that makes float models: those that the cells name and the store does not have yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from calibkit.corpora.reading import Corpus
from calibkit.curate.encoding import Encoder, artefacts_of
from calibkit.curate.float_models import ModelArtefact
from calibkit.errors import Incomplete
from calibkit.recipe.recipe import ModelChoice
from calibkit.store.connection import Store
from calibkit.sweep.executors import Executor, Failure, Progress, Task
from calibkit.sweep.jobs import Places, TrainJob
from calibkit.sweep.plan import Plan, training_device
from calibkit.sweep.watcher import Watcher
from calibkit.words import counted, is_or_are


class NeedsModels(Protocol):
    """What cannot be measured without float models: a cell, a trajectory."""

    def models(self) -> dict[tuple[str, int], str | None]:
        """Return the key of every float model that it needs, by alias and seed."""
        ...


class Trains(Protocol):
    """A run that trains float models.

    ledger: its `calibkit.sweep.books.Books`, which also writes the failures of what needs them.
    """

    places: Places
    corpus: Corpus
    watcher: Watcher
    ledger: Any

    @property
    def choices(self) -> Mapping[str, ModelChoice]:
        """The recipe's models by alias."""
        ...

    @property
    def share(self) -> float:
        """The share of the corpus that models are trained on."""
        ...

    @property
    def may_train(self) -> bool:
        """Whether models that are missing are trained."""
        ...

    def encoder(self, alias: str) -> Encoder:
        """Return what a model of this alias reads text through."""
        ...


def train_models(
    sweep: Trains, pool: Executor, cells: Sequence[NeedsModels]
) -> dict[str, ModelArtefact]:
    """Train the float models that are not there yet; return all of them by key."""
    wanted = {str(key): name for cell in cells for name, key in cell.models().items()}
    settings = {key: sweep.choices[alias].settings for key, (alias, _) in wanted.items()}
    found = sweep.ledger.known_models(settings)
    expected = sweep.ledger.model_ids(settings)
    failed: set[str] = set()
    tasks = []
    for key, (alias, seed) in wanted.items():
        if key in found:
            continue
        choice = sweep.choices[alias]
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
            share=sweep.share,
            expected=expected.get(key),
        )
        tasks.append(Task(key, job))
    if tasks and not sweep.may_train:
        raise _untrained([wanted[task.key] for task in tasks])
    if tasks:
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


def require_models(store: Store, plan: Plan) -> None:
    """Raise Incomplete, naming them, where float models of the cells to do are not in the store."""
    wanted = {name: key for cell in plan.to_do() for name, key in cell.models().items()}
    shelf = artefacts_of(store)
    missing = [name for name, key in wanted.items() if not key or not shelf.has("model", key)]
    if missing:
        raise _untrained(sorted(missing))


def _untrained(names: Sequence[tuple[str, int]]) -> Incomplete:
    told = ", ".join(f"{alias} {seed}" for alias, seed in names)
    have = f"{counted(len(names), 'float model')} {is_or_are(len(names))} not in the store: {told}"
    return Incomplete(
        f"{have}; a shard trains none of its own, and nothing was measured. Train them once where "
        "the shards' stores are copied from (`calibkit evaluate RECIPE --max-time 0.01` trains the "
        "models and measures no cell), copy that store, and run the shards; or say --train"
    )
