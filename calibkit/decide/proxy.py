"""What a coalition of calibration documents is worth, without quantizing anything.

A coalition sets ranges; under them the values of the judged documents are quantized with some
squared error. How much nll an error costs is measured once per quantizer, with that quantizer
alone at few bits; the worth of a coalition is minus the sum over quantizers, in nats a document.
Where weights are rounded with documents, directions of the linear layer's inputs that a coalition
does not show are added, at the price that rounding to nearest is measured to have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibkit.decide.coalition_ranges import (
    Ladder,
    Largest,
    LeastError,
    Quantile,
    Rule,
    SiteWorth,
    error_sums,
    reach_counts,
)
from calibkit.decide.influence_request import InfluenceRequest
from calibkit.decide.judging import Judge, Measured, Seen
from calibkit.engine.document_grams import directions, document_grams
from calibkit.engine.document_sums import Asked, document_sums, document_tops
from calibkit.engine.statistics import collect_statistics
from calibkit.measure.shapley import Floats, Order
from calibkit.quantize.estimators import Codes, squared_error
from calibkit.quantize.ranges import SiteStatistics, nonlinearity_of, observed_part
from calibkit.quantize.schemes import Scheme, resolve
from calibkit.quantize.sites import ACTIVATION_SITES, UNSIGNED_SITES
from calibkit.sweep.watcher import Watcher

PROBE, REST = 4, 8
"""Bits of the one quantizer whose price is measured, at most, and of all the others."""

DIRECTIONS = 16
"""Directions of the linear layer's inputs that are looked at."""


@dataclass(frozen=True)
class Unseen:
    """How much of the judged inputs of the linear layer a coalition does not show.

    grams: (n, k, k) of each document, in directions in which the judged documents' is the identity
    for each row. The share is the trace of (sum + I)^-1 over k: 1 for no documents, about k / rows
    for many that are like the judged ones. weight: the price of a share of 1.
    """

    grams: NDArray[np.float64]
    weight: float
    name: str = "rounding"

    def loss(self, order: Order) -> Floats:
        """Return the losses of the first 1, 2 ... k documents of each order: (m, k)."""
        return self._loss(np.cumsum(self.grams[order], axis=1))

    def losses_alone(self) -> Floats:
        """Return the loss of every document by itself."""
        return self._loss(self.grams)

    def _loss(self, sums: NDArray[np.float64]) -> Floats:
        k = sums.shape[-1]
        inverse = np.linalg.inv(sums + np.eye(k))
        shares: Floats = np.trace(inverse, axis1=-2, axis2=-1) / k
        return self.weight * shares


Part = SiteWorth | Unseen


@dataclass(frozen=True)
class Proxy:
    """The worth of coalitions of n documents, nats of nll a document; higher is better.

    The empty coalition is worth what one document drawn at random is, so that a document's value
    is what it adds to others rather than that there is one at all.
    """

    documents: int
    parts: tuple[Part, ...]
    nothing: float

    @classmethod
    def of(cls, documents: int, parts: tuple[Part, ...]) -> Proxy:
        """Return the proxy of what its parts lose."""
        alone = sum((part.losses_alone() for part in parts), np.zeros(documents))
        return cls(documents, parts, -float(alone.mean()))

    def worth(self, order: Order) -> Floats:
        """Return the worth of the first 0, 1 ... k documents of each order (m, k): (m, k + 1)."""
        worths = np.full((len(order), order.shape[1] + 1), self.nothing)
        if order.shape[1]:
            losses = sum((part.loss(order) for part in self.parts), np.zeros(order.shape))
            worths[:, 1:] = -losses
        return worths

    def whole(self, coalition: Order) -> float:
        """Return the worth of a coalition (k,)."""
        return float(self.worth(coalition[None])[0, -1])

    def losses(self) -> dict[str, float]:
        """Return what all documents together lose, by the name of the part, largest first."""
        everyone = np.arange(self.documents)[None]
        found = {part.name: float(part.loss(everyone)[0, -1]) for part in self.parts}
        return dict(sorted(found.items(), key=lambda item: -item[1]))


class Pricing:
    """Measures what each quantizer's error costs, and puts the proxy together.

    full: how the network does with the whole subset; seen: what its observer saw of that.
    """

    def __init__(self, judge: Judge, request: InfluenceRequest, full: Measured, seen: Seen) -> None:
        self.judge, self.request, self.full, self.seen = judge, request, full, seen
        self.settings, self.scheme = request.with_rounding, request.scheme
        subject = judge.subject
        self.kind, self.arrays, self.subset = subject.kind, subject.arrays, subject.subset
        self.tokens = subject.tokens
        self.sites = ACTIVATION_SITES[subject.kind]

    @property
    def measurements(self) -> int:
        """How many networks `proxy` measures."""
        return len(self.sites) + 1 + int(self.request.rounds_with_documents)

    def proxy(self, watcher: Watcher) -> Proxy:
        """Return the proxy; every network that is measured for it is told as a step."""
        prices = self._prices(watcher)
        parts = self._site_parts({site: price for site, price in prices.items() if price})
        if self.request.rounds_with_documents:
            plain = self.settings.model_copy(
                update={"rounding": dict.fromkeys(("linear", "gates"), "nearest")}
                | {"bias_correction": False}
            )
            nearest = self._measured(resolve(plain, bits=self.scheme.bits), watcher, "nearest")
            gain = nearest.nll - self.full.nll
            if gain > 0:
                parts.append(self._unseen(gain))
        return Proxy.of(len(self.subset), tuple(parts))

    def _measured(self, scheme: Scheme, watcher: Watcher, name: str) -> Measured:
        found = self.judge.measure(self.subset, scheme, self.seen)
        watcher.step(f"{name}: nll {found.nll:.4g}")
        return found

    def _prices(self, watcher: Watcher) -> dict[str, float]:
        """Return nats of nll per mean squared error, for each site; 0 where it costs nothing."""
        self._judged: Mapping[str, SiteStatistics] = collect_statistics(
            self.kind, self.arrays, self.tokens, percentile=100.0
        )
        probe = min(self.scheme.bits, PROBE)
        rest = self._at({"*": REST})
        base = self._measured(rest, watcher, f"all at {REST} bits")
        prices = {}
        for site in self.sites:
            scheme = self._at({site: probe, "*": REST})
            rise = self._measured(scheme, watcher, f"{site} at {probe} bits").nll - base.nll
            more = self._error(site, scheme) - self._error(site, rest)
            prices[site] = max(rise, 0.0) / more if more > 0 else 0.0
        return prices

    def _at(self, bits: dict[str, int]) -> Scheme:
        return resolve(self.settings.model_copy(update={"bits": bits}), bits=REST)

    def _error(self, site: str, scheme: Scheme) -> float:
        """Return the mean squared error of the judged values under the whole subset's range."""
        threshold = self.seen.ranges(self.kind, scheme)[site]
        return self._judged_error(site, scheme)(self._codes(site, scheme), threshold)

    def _judged_error(self, site: str, scheme: Scheme) -> Callable[[Codes, float], float]:
        seen = self._judged[observed_part(site, scheme)]
        error = squared_error(seen.histogram, through=nonlinearity_of(site))
        return lambda codes, threshold: error(codes, threshold) / seen.count

    def _codes(self, site: str, scheme: Scheme) -> Codes:
        return Codes.activation(scheme.bits_of(site), signed=site not in UNSIGNED_SITES)

    def _site_parts(self, prices: Mapping[str, float]) -> list[Part]:
        scheme = self.scheme
        names = {site: observed_part(site, scheme) for site in prices}
        guarded = scheme.cell_guard and "lstm.cell" in prices
        wanted = [*names.values(), *(["lstm.cell/new"] if guarded else [])]
        tops = document_tops(self.kind, self.arrays, self.subset, wanted)
        ladders = {
            site: Ladder(float(tops[name].max()), self._codes(site, scheme))
            for site, name in names.items()
            if tops[name].max() > 0
        }
        asked = {
            names[site]: Asked(ladder.top, _asked_of(site, ladder, scheme))
            for site, ladder in ladders.items()
            if scheme.estimator_of(site) != "minmax"
        }
        sums = document_sums(self.kind, self.arrays, self.subset, asked)
        parts: list[Part] = []
        for site, ladder in ladders.items():
            rule: Rule
            if names[site] not in sums:
                rule = Largest(ladder.places(tops[names[site]]))
            elif scheme.estimator_of(site) == "percentile":
                rule = Quantile(sums[names[site]], scheme.percentile)
            else:
                rule = LeastError(sums[names[site]])
            cap = None
            if guarded and site == "lstm.cell":
                cap = Largest(ladder.places(tops["lstm.cell/new"] * ladder.codes.per_threshold))
            error = self._judged_error(site, scheme)
            judged = np.array([error(ladder.codes, float(rung)) for rung in ladder.rungs])
            parts.append(SiteWorth(site, rule, judged, prices[site], cap))
        return parts

    def _unseen(self, gain: float) -> Unseen:
        white = directions(self.kind, self.arrays, self.tokens, most=DIRECTIONS)
        grams = document_grams(self.kind, self.arrays, self.subset, white=white).astype(np.float64)
        if self.kind == "discriminative":
            grams *= white.rows / white.tokens  # one row a document
        found = Unseen(grams, 1.0)
        left = float(found.loss(np.arange(len(self.subset))[None])[0, -1])
        return Unseen(grams, gain / (1 - left))


def _asked_of(site: str, ladder: Ladder, scheme: Scheme) -> Callable[[Floats], Floats]:
    estimator = scheme.estimator_of(site)
    if estimator == "percentile":
        return reach_counts(ladder.rungs)
    through = nonlinearity_of(site) if estimator == "output-mse" else np.positive
    return error_sums(ladder.rungs, ladder.codes, through)
