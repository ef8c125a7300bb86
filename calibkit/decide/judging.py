"""Networks that one float model is quantized to, judged on the same documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from calibkit.decide.subject import Subject
from calibkit.engine.calibrate import brevitas_thresholds, calibrate
from calibkit.engine.choice import kernels_by
from calibkit.engine.plain import Evaluation, evaluate
from calibkit.engine.statistics import collect_statistics
from calibkit.measure.accuracy import classification
from calibkit.quantize.ranges import SiteStatistics, activation_thresholds
from calibkit.quantize.schemes import Scheme
from calibkit.ragged import Ragged
from calibkit.sweep.float_side import (
    FloatReference,
    collapse_flags,
    float_evaluation,
    reference_on,
)
from calibkit.sweep.jobs import Engine


@dataclass(frozen=True)
class Measured:
    """How one network does on the subject's n documents.

    accuracy and majority_share are fractions; nll is the mean of minus the score of the true
    label, nats: -log p(y|x), or -log p(x, y) of a generative model. right: (n,) whether each
    document is; predicted: (labels,) how often each label is predicted.
    scheme: what the network was quantized by; None for the float model. losses: (n,) what ``nll``
    is the mean of.
    """

    accuracy: float
    nll: float
    right: NDArray[np.bool_]
    predicted: NDArray[np.int64]
    majority_share: float
    mean_abs_h: float
    flags: tuple[str, ...]
    scheme: Scheme | None
    losses: NDArray[np.float64]


@dataclass(frozen=True)
class Seen:
    """What a scheme's observer saw of calibration documents; it serves all bits.

    statistics: of calibkit's own observer. thresholds: of Brevitas's. Neither for a dynamic scheme.
    """

    statistics: Mapping[str, SiteStatistics] | None
    thresholds: Mapping[str, float] | None

    def ranges(self, kind: str, scheme: Scheme) -> dict[str, float]:
        """Return the threshold of every activation site; none for a dynamic scheme."""
        if self.statistics is not None:
            return activation_thresholds(kind, self.statistics, scheme)
        return dict(self.thresholds or {})


class Judge:
    """Quantizes a subject's float model and measures the outcome on the subject's documents.

    engine: what evaluates; never changes a number.
    """

    def __init__(self, subject: Subject, engine: Engine = "auto") -> None:
        self.subject = subject
        self.engine = engine

    @cached_property
    def exact(self) -> Measured:
        """The float model."""
        one = self.subject
        found = float_evaluation(one.arrays, one.config, one.tokens, one.label_ids)
        return self._summary(found, (), None)

    @cached_property
    def _reference(self) -> FloatReference:
        one = self.subject
        return reference_on(one.kind, one.arrays, one.config, one.tokens, one.label_ids)

    def see(self, subset: Ragged, scheme: Scheme) -> Seen:
        """Return what the scheme's observer sees of calibration documents, whatever the bits."""
        one = self.subject
        if scheme.dynamic:
            return Seen(None, None)
        if scheme.observer == "brevitas":
            return Seen(None, brevitas_thresholds(one.kind, one.arrays, subset, scheme))
        found = collect_statistics(one.kind, one.arrays, subset, percentile=scheme.percentile)
        return Seen(found, None)

    def measure(self, subset: Ragged, scheme: Scheme, seen: Seen | None = None) -> Measured:
        """Return how the model does when quantized with calibration documents, in this order.

        seen: what `see` returns for these documents, where it is at hand.
        """
        one, seen = self.subject, seen or self.see(subset, scheme)
        done = calibrate(
            one.kind,
            one.arrays,
            subset,
            scheme,
            statistics=seen.statistics,
            observed=seen.thresholds,
        )
        kernels = kernels_by(self.engine, done.network, one.tokens, arithmetic=scheme.arithmetic)
        found = evaluate(done.network, one.tokens, one.label_ids, kernels=kernels)
        expected = self._reference
        marks = collapse_flags(
            one.kind, done.activation_thresholds, found, expected.behaviour, expected.largest
        )
        return self._summary(found, marks, scheme)

    def _summary(
        self, found: Evaluation, flags: tuple[str, ...], scheme: Scheme | None
    ) -> Measured:
        one = self.subject
        quality = classification(found.predicted, one.label_ids, found.nll, len(one.labels))
        return Measured(
            quality.accuracy,
            quality.nll,
            found.predicted == one.label_ids,
            quality.predicted,
            quality.majority_share,
            found.mean_abs_h,
            flags,
            scheme,
            np.asarray(found.nll, dtype=np.float64),
        )
