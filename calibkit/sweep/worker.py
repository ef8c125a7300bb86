"""What a worker does: train a model, measure a baseline, measure a cell.

Every job reads artefacts and ends by writing one fragment, atomically; a job that was killed
leaves nothing behind and is simply done again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from calibkit.curate.encoding import Content, kept
from calibkit.curate.float_models import checkpoint_name
from calibkit.engine.plain import Evaluation, evaluate
from calibkit.errors import StoreDamaged
from calibkit.identity import HARNESS
from calibkit.models.checkpoints import model_id, to_arrays
from calibkit.models.settings import settings_from_dict
from calibkit.models.training import EpochReport, train
from calibkit.quantize.networks import PORT, Arrays, build
from calibkit.quantize.schemes import scheme_from_dict
from calibkit.ragged import Ragged
from calibkit.store.artefacts import Artefacts
from calibkit.store.fragments import write_fragment
from calibkit.store.presence import claimed
from calibkit.sweep.clock import Clock, peak_mb
from calibkit.sweep.content import arithmetic_of
from calibkit.sweep.executors import Report
from calibkit.sweep.float_side import collapse_flags, float_evaluation
from calibkit.sweep.jobs import BaselineJob, CellJob, Job, NoiseLevel, TrainJob
from calibkit.sweep.provenance import host
from calibkit.sweep.quantized import cell_network
from calibkit.sweep.rows import Rows, fragment, level_columns, measured_name, now
from calibkit.sweep.shared import (
    artefacts,
    float_model,
    float_reference,
    labelled,
)

FLOAT_PASS = "brevitas-float-pass"
"""Flag of cells rounded against Brevitas's float pass, which is not the float model."""

log = logging.getLogger(__name__)


def work(job: Job, report: Report) -> None:
    """Do one job on one thread, of torch and of every BLAS: threads change the last digits."""
    torch.set_num_threads(1)
    with threadpool_limits(1):
        if isinstance(job, TrainJob):
            train_model(job, report)
        elif isinstance(job, BaselineJob):
            _unless_there(job, job.model.id, measure_baseline, report, wait=True)
        else:
            _unless_there(job, job.cell_id, measure_cell, report, wait=False)


AT_IT = {"elsewhere": "at it"}
"""Reported where another run is measuring the same just now; the job has done nothing."""
DONE = {"elsewhere": "done"}
"""Reported where another run has measured the same meanwhile; the job has done nothing."""

J = TypeVar("J", BaselineJob, CellJob)


def _unless_there(
    job: J, owner: str, measure: Callable[[J], None], report: Report, *, wait: bool
) -> None:
    """Measure, unless another run over the same store does or did so since this one began."""
    if job.anew:
        measure(job)
        return
    name = measured_name(owner, job)
    with claimed(job.places.fragments, name, wait=wait) as mine:
        if not mine:
            report(AT_IT)
        elif job.places.has_fragment(name):
            report(DONE)
        else:
            measure(job)


# ------------------------------------------------------------------------------------ training


def train_model(job: TrainJob, report: Report) -> None:
    """Train, keep the best weights and one checkpoint per epoch, and note the model.

    Raises StoreDamaged when a lost model does not come back with the same weights.
    """
    shelf = artefacts(job.places)
    with shelf.lock("model", job.model_key):
        row = _row_of_trained(shelf, job.model_key)  # another sweep trained it while this waited
        if row is None:
            row = _train(shelf, job, report)
        write_fragment(job.places.fragments, job.model_key, fragment("note", {"models": [row]}))


def _row_of_trained(shelf: Artefacts, key: str) -> dict[str, Any] | None:
    if not shelf.has("model", key):
        return None
    try:
        return dict(shelf.load("model", key).config["row"])
    except StoreDamaged as error:
        log.warning("%s (it is trained anew now)", error)
        return None


def _train(shelf: Artefacts, job: TrainJob, report: Report) -> dict[str, Any]:
    settings = settings_from_dict(job.settings)
    tokens, labels = labelled(job.places, job.train_tokens)
    valid_tokens, valid_labels = labelled(job.places, job.valid_tokens)
    start = time.perf_counter()

    def tell(epoch: EpochReport) -> None:
        report({"epoch": epoch.epoch, "of": epoch.epochs, "accuracy": epoch.valid_accuracy})

    done = train(
        settings,
        tokens,
        labels,
        valid_tokens,
        valid_labels,
        len(job.labels),
        job.vocabulary_size,
        job.seed,
        device=job.device,
        progress=tell,
    )
    arrays, config = to_arrays(done.model)
    # how it reads text belongs to the content of a model: the same weights classify otherwise
    config |= {"vocabulary_id": job.vocabulary_id, "labels_in_order": list(job.labels)}
    config |= {"most_tokens": settings.most_tokens}
    identity = model_id(arrays, config)
    if job.expected not in (None, identity):
        raise StoreDamaged(
            f"the float model {job.expected} is lost, and training it again gave other weights "
            f"({identity}): this machine or its packages are not those it was trained with. Put "
            f"its artefact {job.model_key} back, or measure into a new store (--store)"
        )
    best = next(e for e in done.epochs if e.epoch == done.best_epoch)
    row = {
        "model_key": job.model_key,
        "model_id": identity,
        "kind": job.kind,
        "corpus_id": job.corpus_id,
        "share": job.share,
        "seed": job.seed,
        "settings": dict(job.settings),
        "vocabulary_id": job.vocabulary_id,
        "vocabulary_size": job.vocabulary_size,
        "labels": len(job.labels),
        "best_epoch": done.best_epoch,
        "epochs": len(done.epochs),
        "valid_accuracy": best.valid_accuracy,
        "valid_nll": best.valid_nll,
        "seconds": time.perf_counter() - start,
        "trained_at": now(),
    }
    for epoch, weights in zip(done.checkpoint_epochs, done.checkpoints, strict=True):
        name = checkpoint_name(job.model_key, epoch)
        kept(shelf, "checkpoint", name, _content(weights, config | {"epoch": epoch}))
    shelf.save("model", job.model_key, arrays, config | {"model_id": identity, "row": row})
    return row


def _content(tensors: Arrays, config: dict[str, Any]) -> Callable[[], Content]:
    return lambda: (tensors, config)


# ----------------------------------------------------------------------------------- baselines


def measure_baseline(job: BaselineJob) -> None:
    """Measure the float model and the Brevitas graph with quantizers off, at every noise level."""
    arrays, config = float_model(job.places, job.model.key)
    port = build(job.model.kind, arrays, PORT)
    rows = Rows(job.test.labels)
    clean: tuple[Evaluation, Evaluation] | None = None
    seconds: dict[str, float] = {}
    for level in job.test.levels:
        tokens, labels = labelled(job.places, level.tokens)
        unchanged = _unchanged(job, tokens)
        if unchanged and clean is not None:
            exact, ported = clean
        else:
            start = time.perf_counter()
            exact = float_evaluation(arrays, config, tokens, labels)
            seconds["float"] = time.perf_counter() - start
            ported = evaluate(port, tokens, labels)
            seconds["port"] = time.perf_counter() - start - seconds["float"]
        if unchanged:
            clean = exact, ported
        for stage, found in (("float", exact), ("port", ported)):
            base = {"model_id": job.model.id, "test_id": job.test.id, "stage": stage}
            base |= {"model_key": job.model.key, **level_columns(level)}
            agreement = float((found.predicted == exact.predicted).mean())
            measured = rows.add(f"{job.model.id}/{stage}/{job.test.id}", level, found, labels)
            made = {"seconds": seconds[stage], "run_id": job.run_id, "measured_at": now()}
            rows.baselines.append(base | measured | {"agreement": agreement} | made)
    name = measured_name(job.model.id, job)
    write_fragment(job.places.fragments, name, fragment("baseline", rows.tables()))


def _unchanged(job: BaselineJob | CellJob, tokens: Ragged) -> bool:
    """Tell whether a noise level left every test document as it was for the model.

    Then it is not scored twice. Single documents are: in other batches they might get other
    float sums.
    """
    clean, _ = labelled(job.places, job.test.clean_tokens)
    return np.array_equal(tokens.offsets, clean.offsets) and np.array_equal(tokens.ids, clean.ids)


# --------------------------------------------------------------------------------------- cells


def measure_cell(job: CellJob) -> None:
    """Quantize, measure every level that is wanted, and write the cell's fragment."""
    clock = Clock()
    places, scheme = job.places, scheme_from_dict(job.scheme)
    network = cell_network(job, clock)
    rows = Rows(job.test.labels)
    clean: Evaluation | None = None
    for level in job.test.levels:
        tokens, labels = labelled(places, level.tokens)
        start = time.perf_counter()
        with clock.stage("evaluate"):
            unchanged = _unchanged(job, tokens)
            found = (unchanged and clean) or network.evaluate(level.tokens)
        if unchanged:
            clean = found
        with clock.stage("rows"):
            measured = rows.add(job.cell_id, level, found, labels)
            marks = _flags(job, level, network.thresholds, found)
        seconds = time.perf_counter() - start
        measured |= {"flags": ",".join(marks), "seconds": seconds}
        measured |= {"run_id": job.run_id, "measured_at": now()}
        rows.evaluations.append({"cell_id": job.cell_id, **level_columns(level), **measured})
    if job.distributions:
        with clock.stage("distributions"):
            shifts = network.shifts(clean)
        rows.distributions = [{"cell_id": job.cell_id, **s.as_dict()} for s in shifts]
    rows.cells.append(
        {
            "cell_id": job.cell_id,
            "corpus_id": job.corpus_id,
            "model_id": job.model.id,
            "subset_id": job.subset_id,
            "scheme_id": scheme.id,
            "scheme": scheme.as_dict(),
            "arithmetic": arithmetic_of(scheme),
            "device": "cpu",
            "test_id": job.test.id,
            "harness": HARNESS,
            "seconds": clock.total(),
            "stages": clock.stages,
            "peak_mb": peak_mb(),
            "run_id": job.run_id,
            "host": job.host and host(),  # of this process: it may be another one than the run's
            "measured_at": now(),
        }
    )
    name = measured_name(job.cell_id, job)
    write_fragment(places.fragments, name, fragment("cell", rows.tables()))


def _flags(
    job: CellJob, level: NoiseLevel, thresholds: Mapping[str, float], found: Evaluation
) -> tuple[str, ...]:
    """Compare with the float model on the first documents of the level, ranges on clean ones."""
    expected = float_reference(job.places, job.model, level.tokens).behaviour
    largest = float_reference(job.places, job.model, job.test.clean_tokens).largest
    marks = collapse_flags(job.model.kind, thresholds, found, expected, largest)
    told = scheme_from_dict(job.scheme).float_pass == "brevitas"
    return (*marks, FLOAT_PASS) if told else marks
