"""A small made-up piece of a study, timed: what a host takes that has measured no cell yet.

The sizes are the recipe's own (vocabulary, states, labels, lengths of its documents), the documents
few, and times are scaled by their number. Each kind of model is probed in a process of its own.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calibkit.corpora.vocabulary import Vocabulary
from calibkit.curate.encoding import Library
from calibkit.errors import CalibkitError
from calibkit.models.settings import settings_from_dict
from calibkit.quantize.schemes import scheme_from_dict
from calibkit.ragged import Ragged
from calibkit.store.connection import Store
from calibkit.sweep.clock import peak_mb
from calibkit.sweep.estimate import Probed
from calibkit.sweep.executors import Outcome, Progress, Report, Task
from calibkit.sweep.local import Local
from calibkit.sweep.pace import CellPace, ModelPace
from calibkit.sweep.plan import Plan

if TYPE_CHECKING:
    from calibkit.quantize.networks import Arrays

TRAINED = 512
"""Training documents of a probe."""
TESTED = 96
"""Test documents of a probe; so many calibrate as well."""


class ProbeFailed(CalibkitError):
    """A probe ended with an error."""


@dataclass(frozen=True)
class ProbeJob:
    """What to time: one float model of one epoch, and one cell of it, on few documents.

    distilled: a scheme that is, where one is asked for; its calibration alone is timed.
    """

    settings: Mapping[str, Any]
    scheme: Mapping[str, Any]
    distilled: Mapping[str, Any] | None
    labels: int
    vocabulary: int
    train: Ragged
    test: Ragged
    distributions: bool


def probe(store: Store, plan: Plan, kinds: Sequence[str]) -> dict[str, Probed]:
    """Return what cells and models of these kinds take on this host, by kind.

    Reads documents, keeps nothing. Takes some ten seconds a kind. Raises ProbeFailed.
    """
    assert plan.corpus is not None
    corpus, share = plan.corpus, plan.recipe.corpus.share
    library = Library(store, corpus, share)
    tasks = []
    for kind in kinds:
        cells = sorted(plan.to_do(), key=lambda one: one.point.scheme.by_peer)
        own = [c.point.scheme for c in cells if c.model_kind == kind]
        distilled = next((scheme for scheme in own if scheme.distilled), None)
        schemes = [*own, cells[0].point.scheme]
        usual = (one for one in schemes if not one.distilled and not one.by_peer)
        scheme = next(usual, schemes[0])
        named = (plan.recipe.models[alias].settings for c in cells for alias, _ in c.models())
        settings = next(found for found in named if found.kind == kind)
        vocabulary = Vocabulary.build(
            library.texts("train"), min_count=settings.min_count, most=settings.most_types
        )
        texts = {
            split: library.split(split, limit=limit).texts
            for split, limit in (("train", TRAINED), (plan.recipe.corpus.test, TESTED))
        }
        train, test = (
            vocabulary.encode(found, most_tokens=settings.most_tokens) for found in texts.values()
        )
        job = ProbeJob(
            settings.as_dict() | {"epochs": 1},
            scheme.as_dict(),
            None if distilled is None else distilled.as_dict(),
            len(corpus.labels),
            len(vocabulary),
            train,
            test,
            bool(plan.recipe.measure.distributions),
        )
        tasks.append(Task(kind, job))
    whole = {split: round(corpus.documents[split] * share) for split in ("train", "valid")}
    found: dict[str, Probed] = {}
    for task in tasks:
        with Local("calibkit.sweep.probe:time_one", 1) as pool:
            for event in pool.run([task]):
                if isinstance(event, Progress):
                    found[task.key] = _scaled(event.facts, task.payload, whole)
                elif isinstance(event, Outcome) and event.failure is not None:
                    raise ProbeFailed(
                        f"probing a {task.key} model failed: {event.failure.message}; leave "
                        "--probe out, the dry run does without an estimate of the time"
                    )
    return found


def _scaled(facts: Mapping[str, Any], job: ProbeJob, whole: Mapping[str, int]) -> Probed:
    trained, tested = len(job.train), len(job.test)
    per_epoch = facts["training"] / trained * whole["train"]
    per_epoch += facts["scoring"] / tested * whole["valid"]  # after each epoch
    cell = CellPace(
        facts["calibrating"] / tested,
        facts["testing"] / tested,
        0.0,
        facts["shifting"],
        facts["peak_mb"],
    )
    distilled = None
    if job.distilled is not None:  # as long for any number of documents
        fixed = cell.fixed + facts["distilling"]
        distilled = replace(cell, per_calibrated=0.0, fixed=fixed)
    models = ModelPace(per_epoch, (facts["scoring"] + facts["porting"]) / tested)
    return Probed(cell, models, distilled)


def time_one(job: ProbeJob, report: Report) -> None:
    """Time the stages of a probe on one thread; report their seconds."""
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    with threadpool_limits(1):
        report(_times(job))


def _times(job: ProbeJob) -> dict[str, float]:
    import torch

    from calibkit.engine.calibrate import calibrate
    from calibkit.engine.choice import kernels_by
    from calibkit.engine.plain import evaluate
    from calibkit.engine.shifts import (
        activation_shifts,
        float_sites,
        ordered_weights,
        weight_shifts,
    )
    from calibkit.models.checkpoints import from_arrays, network_config, to_arrays
    from calibkit.models.scoring import score
    from calibkit.models.training import train
    from calibkit.quantize.networks import PORT, build

    settings, scheme = settings_from_dict(job.settings), scheme_from_dict(job.scheme)
    kind = settings.kind
    labels = np.arange(len(job.train)) % job.labels
    few = job.test.take(range(min(8, len(job.test))))
    size, documents = (job.labels, job.vocabulary), len(job.test)
    start = time.perf_counter()
    done = train(settings, job.train, labels, few, labels[: len(few)], *size, seed=0)
    found = {"training": time.perf_counter() - start}
    arrays, config = to_arrays(done.model)
    truth = np.arange(documents) % job.labels
    start = time.perf_counter()
    score(from_arrays(dict(arrays), network_config(config)), job.test)
    found["scoring"] = time.perf_counter() - start
    port = build(kind, arrays, PORT)
    evaluate(port, few, truth[: len(few)])  # what is done once is not timed
    start = time.perf_counter()
    evaluate(port, job.test, truth)
    found["porting"] = time.perf_counter() - start
    if scheme.by_peer:
        return found | _times_of_peer(job, arrays, truth) | {"peak_mb": peak_mb()}
    start = time.perf_counter()
    cell = calibrate(kind, arrays, job.test, scheme)
    found["calibrating"] = time.perf_counter() - start
    if job.distilled is not None:
        start = time.perf_counter()
        calibrate(kind, arrays, job.test, scheme_from_dict(job.distilled))
        found["distilling"] = time.perf_counter() - start
    kernels = kernels_by("auto", cell.network, few, arithmetic=scheme.arithmetic)
    evaluate(cell.network, few, truth[: len(few)], kernels=kernels)
    start = time.perf_counter()
    evaluate(cell.network, job.test, truth, kernels=kernels)
    found["testing"] = time.perf_counter() - start
    start = time.perf_counter()
    if job.distributions:
        with torch.inference_mode():
            reference = float_sites(kind, arrays, job.test)
            exact = ordered_weights(kind, arrays)
            start = time.perf_counter()
            weight_shifts(arrays, cell, scheme, exact)
            states = None if scheme.arithmetic == "integer" else kernels.states
            activation_shifts(cell, scheme, job.test, reference, states=states)
    found["shifting"] = time.perf_counter() - start
    return found | {"peak_mb": peak_mb()}


def _times_of_peer(job: ProbeJob, arrays: Arrays, truth: NDArray[np.int64]) -> dict[str, float]:
    """Time another tool's quantizer, and its network."""
    from calibkit.onnx.quantized import onnx_quantized
    from calibkit.onnx.shifts import weight_shifts

    kind, quantizer = settings_from_dict(job.settings).kind, job.scheme["quantizer"]
    start = time.perf_counter()
    made = onnx_quantized(kind, arrays, quantizer, job.test)
    found = {"calibrating": time.perf_counter() - start}
    one = job.test.take(range(1))
    made.evaluate(one, truth[:1])  # what is done once is not timed
    start = time.perf_counter()
    made.evaluate(job.test, truth)
    found["testing"] = time.perf_counter() - start
    start = time.perf_counter()
    if job.distributions:
        weight_shifts(arrays, made)
    found["shifting"] = time.perf_counter() - start
    return found
