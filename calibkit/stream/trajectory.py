"""What a worker does for a stream: follow one trajectory, batch by batch.

Every step ends by one fragment, written atomically, and by noting where the trajectory stands. One
that was killed goes on from its last whole step.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from calibkit.engine.calibrate import calibrate
from calibkit.engine.choice import kernels_by
from calibkit.engine.integer_state import IntegerState
from calibkit.engine.plain import Evaluation, Kernels, evaluate
from calibkit.identity import canonical
from calibkit.measure.accuracy import classification
from calibkit.measure.collapse import Behaviour, flags
from calibkit.policies import Draw
from calibkit.quantize.networks import QuantClassifier
from calibkit.quantize.schemes import Scheme, scheme_from_dict
from calibkit.store.fragments import write_fragment
from calibkit.store.presence import claimed
from calibkit.stream.flip_predictor import FlipPredictor, predictor_for
from calibkit.stream.jobs import PredictorJob, StreamJob, TrajectoryJob, step_fragment
from calibkit.stream.look import NetworkLook
from calibkit.stream.members import START, Members
from calibkit.stream.memory import Peak
from calibkit.stream.model_update import UPDATES, Deployed, Updated, flips_between
from calibkit.stream.standing import Standing, forget, keep, resumed
from calibkit.stream.subset_update import Offer, updated
from calibkit.stream.versions import LEARNED
from calibkit.sweep.executors import Report
from calibkit.sweep.float_side import FIRST_DOCUMENTS, float_evaluation
from calibkit.sweep.jobs import ModelRef, Places, TrainJob
from calibkit.sweep.rows import fragment, now
from calibkit.sweep.shared import artefacts, float_model, float_reference, labelled
from calibkit.sweep.worker import AT_IT, DONE, train_model

Row = dict[str, Any]


def work(job: StreamJob | TrainJob, report: Report) -> None:
    """Do one job on one thread, of torch and of every BLAS: threads change the last digits."""
    torch.set_num_threads(1)
    with threadpool_limits(1):
        if isinstance(job, TrainJob):
            train_model(job, report)
            return
        if isinstance(job, PredictorJob):
            _predictor(
                job.places,
                job.model,
                canonical(job.scheme),
                job.train_tokens,
                job.size,
                job.without,
                job.most_flips,
            )
            return
        with claimed(job.places.fragments, job.trajectory_id, wait=False) as mine:
            last = step_fragment(job.trajectory_id, len(job.batches))
            if not mine:
                report(AT_IT)
            elif not job.anew and job.places.has_fragment(last):
                report(DONE)
            else:
                follow(job, report)


def follow(job: TrajectoryJob, report: Report) -> None:
    """Take the trajectory from where it stands to its end, a fragment a step."""
    device = _Device(job)
    standing = None if job.anew else resumed(job.places, job.trajectory_id, job.model.kind)
    if standing is None:
        standing = device.start()
    for step in range(standing.step + 1, len(job.batches) + 1):
        standing = device.step(standing, step)
        report({"step": step, "of": len(job.batches)})
    forget(job.places, job.trajectory_id)


class _Device:
    """Where one trajectory's network is: measured, and updated with what it holds."""

    def __init__(self, job: TrajectoryJob) -> None:
        self.job = job
        self.scheme = scheme_from_dict(job.scheme)
        self.arrays, self.config = float_model(job.places, job.model.key)
        self.draw = Draw(job.seed, "stream")
        predictor = None
        if job.method.model in LEARNED:
            predictor = _predictor(
                job.places,
                job.model,
                canonical(job.scheme),
                job.train_tokens,
                job.size,
                job.method.without,
                job.method.most_flips,
            )
        self.deployed = Deployed(
            job.model.kind, self.arrays, self.scheme, job.method, self.draw, predictor
        )
        self._evaluated: tuple[IntegerState, list[Row]] | None = None

    def start(self) -> Standing:
        """Calibrate with the first subset, measure, and write step 0."""
        job = self.job
        began = time.perf_counter()
        tokens, labels = labelled(job.places, job.start.tokens)
        subset = Members.arrived(job.start.doc_ids, tokens, labels, START)
        state, rows = _started(
            job.places,
            job.model,
            job.start.tokens,
            canonical(job.scheme),
            job.hold_outs,
            job.engine,
        )
        self._evaluated = state, list(rows)
        standing = Standing(0, state, subset, job.start.subset_id)
        step = {
            "phase": None,
            "documents": 0,
            "subset_id": job.start.subset_id,
            "parent_subset_id": None,
            "subset_documents": len(subset),
            "came": len(subset),
            "gone": 0,
        }
        came = self._events(0, None, subset)
        self._write(standing, step, came, began)
        return standing

    def step(self, before: Standing, step: int) -> Standing:
        """Take in one batch: update the subset, then the network; measure, and write the step."""
        job, method = self.job, self.job.method
        began = time.perf_counter()
        arrival = job.batches[step - 1]
        tokens, labels = labelled(job.places, arrival.tokens)
        doc_ids = artefacts(job.places).load("tokens", arrival.tokens).config["doc_ids"]
        batch = Members.arrived(doc_ids, tokens, labels, arrival.phase)
        candidates = before.subset.and_then(batch)

        peak = Peak()
        network, kernels = _running(before.state, self.arrays, self.scheme, job, candidates)
        look = NetworkLook(network, kernels, self.arrays, candidates)
        offer = Offer(candidates, len(before.subset), job.size, self.draw, step, look)
        subset_began = time.perf_counter()
        subset = updated(method.subset, offer)
        subset_seconds = time.perf_counter() - subset_began
        del network, kernels
        done = UPDATES[method.model](self.deployed, before.state, subset, step, before.shadow)
        model_seconds = time.perf_counter() - subset_began - subset_seconds
        megabytes = peak.megabytes()

        standing = Standing(
            step,
            done.state,
            subset,
            before.subset_id if subset.doc_ids == before.subset.doc_ids else subset.content(),
            done.shadow,
        )
        events = self._events(step, before.subset, subset)
        row = {
            "phase": arrival.phase,
            "documents": len(batch),
            "subset_id": standing.subset_id,
            "parent_subset_id": before.subset_id,
            "subset_documents": len(subset),
            "came": sum(e["event"] == "came" for e in events),
            "gone": sum(e["event"] == "left" for e in events),
            "macs_subset": look.macs,
            "seconds_subset": subset_seconds,
            "seconds_model": model_seconds,
            "peak_mb": megabytes,
        }
        row |= _update_columns(before.state, done)
        self._write(standing, row, events, began)
        return standing

    def _write(self, standing: Standing, row: Row, events: Sequence[Row], began: float) -> None:
        job = self.job
        key = {"trajectory_id": job.trajectory_id, "step": standing.step}
        evaluated = self._evaluations(standing.state)
        empty = {
            "flips": 0,
            "flip_share": 0.0,
            "refused": "",
            "objective_before": None,
            "objective_after": None,
            "macs_subset": 0,
            "macs_model": 0,
            "seconds_subset": 0.0,
            "seconds_model": 0.0,
            "peak_mb": None,
        }
        made = {
            "model_bytes": standing.state.bytes(self.scheme),
            "model_id": job.model.id,
            "seconds": time.perf_counter() - began,
            "run_id": job.run_id,
            "host": job.host,
            "measured_at": now(),
        }
        tables = {
            "stream_steps": [key | empty | row | made],
            "stream_evaluations": [key | one for one in evaluated],
            "stream_documents": [key | event for event in events],
        }
        name = step_fragment(job.trajectory_id, standing.step)
        rows = {table: found for table, found in tables.items() if found}
        write_fragment(job.places.fragments, name, fragment("stream", rows))
        keep(job.places, job.trajectory_id, standing)

    def _evaluations(self, state: IntegerState) -> list[Row]:
        """Return one row per phase; a network that an update left alone is not measured again."""
        if self._evaluated is None or self._evaluated[0] is not state:
            job = self.job
            self._evaluated = (
                state,
                _measured(state, job.places, job.model, self.scheme, job.hold_outs, job.engine),
            )
        return self._evaluated[1]

    def _events(self, step: int, before: Members | None, after: Members) -> list[Row]:
        """Return who came and who left, in the order of the subsets."""
        job = self.job
        old = () if before is None else before.doc_ids
        gone, there = set(old) - set(after.doc_ids), set(old)
        found = []
        for members, event, chosen in (
            (after, "came", [d not in there for d in after.doc_ids]),
            (before, "left", [d in gone for d in old]),
        ):
            for row, wanted in enumerate(chosen):
                if members is None or not wanted:
                    continue
                phase = int(members.phases[row])
                corpus = job.corpus_id if phase == START else _corpus_of(job, phase)
                counted = job.method.subset == "miss-pmf"
                found.append(
                    {
                        "doc_id": members.doc_ids[row],
                        "event": event,
                        "corpus_id": corpus,
                        "phase": None if phase == START else phase,
                        "label": job.labels[int(members.labels[row])],
                        "misses": int(members.misses[row]) if counted else None,
                    }
                )
        return found


def _corpus_of(job: TrajectoryJob, phase: int) -> str:
    return next(one.corpus_id for one in job.batches if one.phase == phase)


def _update_columns(before: IntegerState, done: Updated) -> Row:
    flips, codes = flips_between(before, done.state)
    found: Row = {"macs_model": done.macs, "flips": flips, "flip_share": flips / codes}
    if done.report is not None:
        found |= {
            "refused": ",".join(done.report.refused),
            "objective_before": done.report.objective_before,
            "objective_after": done.report.objective_after,
        }
    return found


def _running(
    state: IntegerState,
    arrays: Mapping[str, Any],
    scheme: Scheme,
    job: TrajectoryJob,
    some: Members,
) -> tuple[QuantClassifier, Kernels]:
    network = state.network(arrays, scheme)
    return network, kernels_by(job.engine, network, some.tokens, arithmetic=scheme.arithmetic)


@lru_cache(maxsize=2)
def _predictor(
    places: Places,
    model: ModelRef,
    scheme: str,
    train_tokens: str,
    size: int,
    without: tuple[str, ...],
    most: float,
) -> FlipPredictor:
    return predictor_for(
        places,
        model,
        scheme_from_dict(json.loads(scheme)),
        train_tokens,
        size=size,
        without=without,
        most=most,
    )


@lru_cache(maxsize=2)
def _started(
    places: Places,
    model: ModelRef,
    start_tokens: str,
    scheme: str,
    hold_outs: tuple[str, ...],
    engine: Any,
) -> tuple[IntegerState, tuple[Row, ...]]:
    """Return the network before any batch and what it measures: the same for every method."""
    wanted = scheme_from_dict(json.loads(scheme))
    arrays, _ = float_model(places, model.key)
    tokens, _ = labelled(places, start_tokens)
    state = IntegerState.of(calibrate(model.kind, arrays, tokens, wanted), arrays, wanted)
    return state, tuple(_measured(state, places, model, wanted, hold_outs, engine))


def _measured(
    state: IntegerState,
    places: Places,
    model: ModelRef,
    scheme: Scheme,
    hold_outs: Sequence[str],
    engine: Any,
) -> list[Row]:
    """Return the network's quality on the hold-out of every phase."""
    arrays, _ = float_model(places, model.key)
    network = state.network(arrays, scheme)
    sample, _ = labelled(places, hold_outs[0])
    kernels = kernels_by(engine, network, sample, arithmetic=scheme.arithmetic)
    found = []
    for phase, name in enumerate(hold_outs):
        tokens, labels = labelled(places, name)
        seen = evaluate(network, tokens, labels, kernels=kernels)
        found.append({"phase": phase} | _columns(seen, labels, state, places, model, name))
    return found


def _columns(
    seen: Evaluation,
    labels: NDArray[np.int64],
    state: IntegerState,
    places: Places,
    model: ModelRef,
    hold_out: str,
) -> Row:
    classes = seen.scores.shape[1]
    quality = classification(seen.predicted, labels, seen.nll, classes)
    exact = _float_quality(places, model, hold_out)
    expected = float_reference(places, model, hold_out)
    assert seen.state_spread is not None
    behaviour = Behaviour(
        seen.mean_abs_h, seen.state_spread, float(seen.nll[:FIRST_DOCUMENTS].mean())
    )
    ratios = [t / expected.largest[s] for s, t in state.thresholds.items() if expected.largest[s]]
    marks = flags(
        behaviour,
        expected.behaviour,
        majority_share=quality.majority_share,
        chance_nll=math.log(classes) if model.kind == "discriminative" else 0.0,
        range_ratio=max(ratios, default=0.0),
    )
    return {
        "documents": len(labels),
        "accuracy": quality.accuracy,
        "macro_f1": quality.macro_f1,
        "worst_label_accuracy": quality.worst_label_accuracy,
        "nll": quality.nll,
        "mean_abs_h": seen.mean_abs_h,
        "flags": ",".join(marks),
        "float_accuracy": exact[0],
        "float_nll": exact[1],
    }


@lru_cache(maxsize=64)
def _float_quality(places: Places, model: ModelRef, hold_out: str) -> tuple[float, float]:
    """Return accuracy and mean cross-entropy of the float model on a hold-out."""
    arrays, config = float_model(places, model.key)
    tokens, labels = labelled(places, hold_out)
    found = float_evaluation(arrays, config, tokens, labels)
    return float((found.predicted == labels).mean()), float(found.nll.mean())
