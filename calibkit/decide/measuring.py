"""Schemes that differ in bits only, measured on the same documents; nothing is measured twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from calibkit.decide.subject import Subject
from calibkit.decide.targets import PARTS, fixed_bits, sites_of
from calibkit.engine.calibrate import brevitas_thresholds, calibrate
from calibkit.engine.choice import kernels_by
from calibkit.engine.plain import Evaluation, evaluate
from calibkit.engine.statistics import collect_statistics
from calibkit.measure.accuracy import classification
from calibkit.quantize.ranges import SiteStatistics
from calibkit.quantize.schemes import Scheme, SchemeSettings, merged_settings, resolve
from calibkit.sweep.float_side import (
    FloatReference,
    collapse_flags,
    float_evaluation,
    reference_on,
)
from calibkit.sweep.jobs import Engine

Assignment = Mapping[str, int]
"""Bits of every quantizer, by site name."""


@dataclass(frozen=True)
class Measured:
    """How one network does on the subject's n documents.

    accuracy and majority_share are fractions; nll is the mean of minus the score of the true
    label, nats: -log p(y|x), or -log p(x, y) of a generative model. right: (n,) whether each
    document is; predicted: (labels,) how often each label is predicted.
    scheme: what the network was quantized by; None for the float model.
    """

    accuracy: float
    nll: float
    right: NDArray[np.bool_]
    predicted: NDArray[np.int64]
    majority_share: float
    mean_abs_h: float
    flags: tuple[str, ...]
    scheme: Scheme | None


class Meter:
    """Measures a subject under a base scheme with the bits changed.

    settings: the base scheme; the widths that it or its preset gives to quantizers stay as they
    are. nominal: what stands for the grid's bits in schemes that do not depend on them.
    engine: what evaluates; never changes a number.

    sites: all quantizers; fixed: those whose width the base scheme gives, with it; free: the rest.
    on_measured: is told of every network that is measured.
    """

    def __init__(
        self, subject: Subject, settings: SchemeSettings, *, nominal: int, engine: Engine = "auto"
    ) -> None:
        self.subject = subject
        self.settings = settings
        self.nominal = nominal
        self.engine = engine
        self.fixed = fixed_bits(subject.kind, settings)
        self.sites = tuple(site for part in PARTS for site in sites_of(subject.kind, part))
        self.free = tuple(site for site in self.sites if site not in self.fixed)
        self.on_measured: Callable[[Measured], None] = lambda found: None
        self._found: dict[tuple[int, ...], Measured] = {}

    @property
    def evaluations(self) -> int:
        """How many schemes have been measured."""
        return len(self._found)

    def assignment(self, bits: int) -> dict[str, int]:
        """Return ``bits`` for every quantizer but the fixed ones, which keep theirs."""
        return dict.fromkeys(self.sites, bits) | self.fixed

    def quantize(self, bits: Assignment) -> SchemeSettings:
        """Return what a recipe's `quantize:` says to give every quantizer its bits.

        The most frequent width is that of a last pattern ``*``, so that the grid's bits have no
        part in it.
        """
        widths = Counter(bits[site] for site in self.free)
        rest = min(widths, key=lambda width: (-widths[width], width))
        said = {site: bits[site] for site in self.free if bits[site] != rest}
        patterns = merged_settings(self.settings)["bits"]
        return self.settings.model_copy(update={"bits": {**said, **patterns, "*": rest}})

    def scheme(self, bits: Assignment) -> Scheme:
        """Return the scheme of an assignment; a uniform one is what a grid's bits would give."""
        widths = {bits[site] for site in self.free}
        if len(widths) == 1:
            return resolve(self.settings, bits=widths.pop())
        return resolve(self.quantize(bits), bits=self.nominal)

    def known(self, bits: Assignment) -> bool:
        """Say whether an assignment has been measured."""
        return self._key(bits) in self._found

    def missing(self, wanted: Iterable[Assignment]) -> int:
        """Return how many of these assignments have yet to be measured."""
        return len({self._key(bits) for bits in wanted} - self._found.keys())

    def measure(self, bits: Assignment) -> Measured:
        """Return how the subject does with these bits; measured once."""
        key = self._key(bits)
        if key not in self._found:
            self._found[key] = self._measure(self.scheme(bits))
            self.on_measured(self._found[key])
        return self._found[key]

    def _key(self, bits: Assignment) -> tuple[int, ...]:
        return tuple(bits[site] for site in self.sites)

    @cached_property
    def exact(self) -> Measured:
        """The float model."""
        return self._summary(self._float, (), None)

    @cached_property
    def _float(self) -> Evaluation:
        one = self.subject
        return float_evaluation(one.arrays, one.config, one.tokens, one.label_ids)

    @cached_property
    def _reference(self) -> FloatReference:
        one = self.subject
        return reference_on(one.kind, one.arrays, one.config, one.tokens, one.label_ids)

    @cached_property
    def _statistics(self) -> dict[str, SiteStatistics]:
        one = self.subject
        percentile = float(merged_settings(self.settings)["percentile"])
        return collect_statistics(one.kind, one.arrays, one.subset, percentile=percentile)

    @cached_property
    def _observed(self) -> dict[str, float]:
        """The thresholds of Brevitas's own observer, which bits have no part in."""
        one, scheme = self.subject, resolve(self.settings, bits=self.nominal)
        return brevitas_thresholds(one.kind, one.arrays, one.subset, scheme)

    def _measure(self, scheme: Scheme) -> Measured:
        one = self.subject
        by_brevitas = scheme.observer == "brevitas"
        done = calibrate(
            one.kind,
            one.arrays,
            one.subset,
            scheme,
            statistics=None if by_brevitas or scheme.dynamic else self._statistics,
            observed=self._observed if by_brevitas else None,
        )
        kernels = kernels_by(self.engine, done.network, one.tokens, arithmetic=scheme.arithmetic)
        found = evaluate(done.network, one.tokens, one.label_ids, kernels=kernels)
        expected = self._reference
        marks = collapse_flags(one.kind, done, found, expected.behaviour, expected.largest)
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
        )
