"""The quantized network of a cell, as it is measured: calibkit's own, or another tool's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, cast

from calibkit.engine.calibrate import Calibrated, calibrate
from calibkit.engine.choice import kernels_by
from calibkit.engine.plain import Evaluation, Kernels, evaluate
from calibkit.engine.shifts import FLOAT_QUANTIZED, activation_shifts, weight_shifts
from calibkit.errors import Infeasible
from calibkit.measure.shift import Shift, shift_between
from calibkit.onnx import shifts as onnx_shifts
from calibkit.onnx.quantized import OnnxQuantized, OnnxQuantizer, onnx_quantized
from calibkit.quantize.networks import Arrays
from calibkit.quantize.schemes import Scheme, scheme_from_dict
from calibkit.sweep.clock import Clock
from calibkit.sweep.content import arithmetic_of
from calibkit.sweep.float_side import first
from calibkit.sweep.jobs import CellJob
from calibkit.sweep.shared import (
    float_model,
    float_token_nll,
    labelled,
    model_sites,
    model_weights,
    observed_by_brevitas,
    onnx_dynamic,
    onnx_dynamic_evaluation,
    statistics,
)


class CellNetwork(Protocol):
    """A float model, quantized by a cell's scheme with its subset."""

    @property
    def thresholds(self) -> Mapping[str, float]:
        """The largest representable magnitude by activation site, where there are sites."""

    def evaluate(self, tokens: str) -> Evaluation:
        """Return what it says of the documents of a ``tokens`` artefact."""

    def shifts(self, clean: Evaluation | None) -> list[Shift]:
        """Return the distribution shifts that the job asks for.

        clean: what `evaluate` returned for the clean documents, where it is at hand.
        """


def cell_network(job: CellJob, clock: Clock) -> CellNetwork:
    """Quantize the network of a cell; the clock is told what it takes.

    Raises Infeasible where another tool is here in another version than where it was planned.
    """
    scheme = scheme_from_dict(job.scheme)
    arrays, _ = float_model(job.places, job.model.key)
    if not scheme.by_peer:
        return OwnNetwork.of(job, arrays, scheme, clock)
    if arithmetic_of(scheme) != job.arithmetic:
        raise Infeasible(
            f"the cell was planned for {job.arithmetic}, and the machine that was to measure it has"
            f" {arithmetic_of(scheme)}, which quantizes otherwise: install the same version on both"
        )
    return PeerNetwork.of(job, arrays, scheme, clock)


@dataclass(frozen=True)
class OwnNetwork:
    """A network that calibkit quantized; kernels: what evaluates it."""

    job: CellJob
    arrays: Arrays
    scheme: Scheme
    done: Calibrated
    kernels: Kernels

    @classmethod
    def of(cls, job: CellJob, arrays: Arrays, scheme: Scheme, clock: Clock) -> OwnNetwork:
        """Quantize; cells of one model and subset share the float pass."""
        done = _calibrated(job, arrays, scheme, clock)
        sample = labelled(job.places, job.test.clean_tokens)[0]
        with clock.stage("evaluate"):
            kernels = kernels_by(job.engine, done.network, sample, arithmetic=scheme.arithmetic)
        return cls(job, arrays, scheme, done, kernels)

    @property
    def thresholds(self) -> Mapping[str, float]:
        """Those of the activation quantizers; none where they are dynamic."""
        return self.done.activation_thresholds

    def evaluate(self, tokens: str) -> Evaluation:
        """Return what it says of the documents of a ``tokens`` artefact."""
        documents, labels = labelled(self.job.places, tokens)
        return evaluate(self.done.network, documents, labels, kernels=self.kernels)

    def shifts(self, clean: Evaluation | None) -> list[Shift]:
        """Return those of weights, of activations by site, and of cross-entropies."""
        job, scheme = self.job, self.scheme
        found: list[Shift] = []
        if "weights" in job.distributions:
            exact = model_weights(job.places, job.model)
            found += weight_shifts(self.arrays, self.done, scheme, exact)
        if "activations" in job.distributions:
            reference = model_sites(job.places, job.model, job.test.clean_tokens)
            states = None if scheme.arithmetic == "integer" else self.kernels.states
            some = first(labelled(job.places, job.test.clean_tokens)[0])
            found += activation_shifts(self.done, scheme, some, reference, states=states)
        return found + _of_token_nll(job, self, clean)


@dataclass(frozen=True)
class PeerNetwork:
    """A network that another tool quantized, of which its file is all there is."""

    job: CellJob
    arrays: Arrays
    made: OnnxQuantized
    reads_documents: bool

    @classmethod
    def of(cls, job: CellJob, arrays: Arrays, scheme: Scheme, clock: Clock) -> PeerNetwork:
        """Quantize; a quantizer that reads no documents does so once for all of a model's cells."""
        with clock.stage("calibrate"):
            if scheme.reads_documents:
                subset, _ = labelled(job.places, job.subset_tokens)
                quantizer = cast(OnnxQuantizer, scheme.quantizer)
                made = onnx_quantized(job.model.kind, arrays, quantizer, subset)
            else:
                made = onnx_dynamic(job.places, job.model)
        return cls(job, arrays, made, scheme.reads_documents)

    @property
    def thresholds(self) -> Mapping[str, float]:
        """None: the tool has no activation quantizers at calibkit's sites."""
        return {}

    def evaluate(self, tokens: str) -> Evaluation:
        """Return what it says of the documents of a ``tokens`` artefact."""
        if not self.reads_documents:
            return onnx_dynamic_evaluation(self.job.places, self.job.model, tokens)
        return self.made.evaluate(*labelled(self.job.places, tokens))

    def shifts(self, clean: Evaluation | None) -> list[Shift]:
        """Return those of weights and of cross-entropies."""
        asked = "weights" in self.job.distributions
        found = onnx_shifts.weight_shifts(self.arrays, self.made) if asked else []
        return found + _of_token_nll(self.job, self, clean)


def _of_token_nll(job: CellJob, network: CellNetwork, clean: Evaluation | None) -> list[Shift]:
    if "token-nll" not in job.distributions:
        return []
    after = clean or network.evaluate(job.test.clean_tokens)
    before = float_token_nll(job.places, job.model, job.test.clean_tokens)
    return [shift_between("token-nll", "output", FLOAT_QUANTIZED, before, after.token_nll)]


def _calibrated(job: CellJob, arrays: Arrays, scheme: Scheme, clock: Clock) -> Calibrated:
    subset, _ = labelled(job.places, job.subset_tokens)
    source, seen, observed = (job.places, job.model, job.subset_tokens), None, None
    if not scheme.dynamic:
        with clock.stage("calibrate"):
            if scheme.observer == "brevitas":
                observed = observed_by_brevitas(*source, scheme.observer_batch)
            else:
                seen = statistics(*source, scheme.percentile)
    with clock.stage("rounding"):
        kind = job.model.kind
        return calibrate(kind, arrays, subset, scheme, statistics=seen, observed=observed)
