"""Which labels and which documents of a calibration subset carry the result.

Labels: each is left out, beside as many random documents, and the rest really quantized and
measured. Documents: Shapley values of a cheap proxy (`calibkit.decide.proxy`), which are then held
against networks: groups of documents are left out, and what they were predicted to change is
compared with what that changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from threadpoolctl import threadpool_limits

from calibkit.decide.influence_request import InfluenceRequest
from calibkit.decide.judging import Judge, Measured
from calibkit.decide.proxy import Pricing, Proxy
from calibkit.decide.removals import (
    LabelEffect,
    Removal,
    Remover,
    Rows,
    label_effects,
    rows_by_label,
)
from calibkit.decide.subject import Chosen, Subject
from calibkit.errors import BadInput
from calibkit.identity import draw_order, keyed_generator
from calibkit.measure.rank_correlation import RankCorrelation, rank_correlation
from calibkit.measure.shapley import Floats, shapley
from calibkit.models.training import one_thread
from calibkit.sweep.watcher import Watcher

How = Literal["ranked", "random"]
Measure = Literal["nll", "accuracy"]
Source = Literal["values", "proxy"]


@dataclass(frozen=True)
class DocumentValue:
    """What one document of the subset is worth to the others, by the proxy.

    place: in calibration order, from 0. tokens: as the model reads it, markers included. value:
    nats of nll a document that it saves on average, when it joins others; below 0 it costs some.
    error: standard error of the value, 0 where it is exact. rank: 1 is the most useful.
    """

    place: int
    chosen: Chosen
    tokens: int
    value: float
    error: float
    rank: int


@dataclass(frozen=True)
class Group:
    """Documents that were left out together to validate their values.

    how: ranked groups have neighbours by value, number 1 the most useful; random ones anything.
    by_values: the rise of nll that the sum of their values predicts; by_proxy: the one that the
    proxy predicts for exactly this removal.
    """

    how: How
    number: int
    by_values: float
    by_proxy: float
    removal: Removal


@dataclass(frozen=True)
class Agreement:
    """How well predictions rank what was measured: the rise of nll, or the fall of accuracy.

    found: over all groups; None where one side does not vary.
    """

    by: Source
    measure: Measure
    found: RankCorrelation | None

    @property
    def predicts(self) -> bool:
        """Whether the interval of the correlation lies above 0."""
        return self.found is not None and self.found.low > 0


@dataclass(frozen=True)
class Valuation:
    """Documents, best first, and the groups that their values are validated on.

    losses: nats of nll that the proxy sees the whole subset lose, by quantizer, largest first.
    reliability: the share of the values' variance that is not sampling error; None where all are
    the same.
    """

    documents: tuple[DocumentValue, ...]
    groups: tuple[Group, ...]
    agreements: tuple[Agreement, ...]
    losses: Mapping[str, float]
    reliability: float | None


@dataclass(frozen=True)
class Influence:
    """All that `influence` found; exact: the float model, full: with the whole subset.

    labels: empty where the subset has one label only, or none was asked for.
    """

    exact: Measured
    full: Measured
    labels: tuple[LabelEffect, ...]
    valuation: Valuation | None


def influence(subject: Subject, request: InfluenceRequest, watcher: Watcher) -> Influence:
    """Measure what labels and documents of a subject's subset do; nothing is stored.

    Computed on one thread; the engine changes no number, and neither does the order of documents
    in the store. Raises BadInput for a subset of fewer than two documents.
    """
    if len(subject.subset) < 2:
        raise BadInput(
            "the subset has one document; what it carries can only be told by leaving it out, and "
            "nothing would be left: choose a larger subset"
        )
    with one_thread(), threadpool_limits(1):
        return _Study(subject, request, watcher).found()


class _Study:
    """The work of `influence`."""

    def __init__(self, subject: Subject, request: InfluenceRequest, watcher: Watcher) -> None:
        self.subject, self.request, self.watcher = subject, request, watcher
        self.judge = Judge(subject, request.engine)
        self.by_label = rows_by_label(subject)
        self.seen = self.judge.see(subject.subset, request.scheme)

    def found(self) -> Influence:
        request, judge = self.request, self.judge
        labels = request.labels and len(self.by_label) > 1
        sizes = {len(rows) for rows in self.by_label.values()}
        more = len(self.by_label) + len(sizes) * request.controls if labels else 0
        self.watcher.phase("labels" if labels else "subset", 1 + more)
        full = judge.measure(self.subject.subset, request.scheme, self.seen)
        self.watcher.step(f"the whole subset: accuracy {100 * full.accuracy:.1f} %")
        self.remover = Remover(judge, request.scheme, full)
        effects: tuple[LabelEffect, ...] = ()
        if labels:
            effects = label_effects(
                self.remover,
                self.by_label,
                controls=request.controls,
                seed=request.seed,
                watcher=self.watcher,
            )
        valuation = self._valuation(full) if request.documents else None
        return Influence(judge.exact, full, effects, valuation)

    def _valuation(self, full: Measured) -> Valuation:
        request, n = self.request, len(self.subject.subset)
        pricing = Pricing(self.judge, request, full, self.seen)
        self.watcher.phase("proxy", pricing.measurements)
        proxy = pricing.proxy(self.watcher)
        generator = keyed_generator(request.seed, "influence", "orders")
        values = shapley(n, proxy.worth, orders=request.orders, generator=generator)
        best_first = np.argsort(-values.values, kind="stable")
        documents = tuple(
            DocumentValue(
                int(row),
                self.subject.chosen[row],
                int(self.subject.subset.lengths[row]),
                float(values.values[row]),
                float(values.errors[row]),
                rank,
            )
            for rank, row in enumerate(best_first, start=1)
        )
        groups = self._groups(proxy, values.values, best_first) if request.cells else ()
        variance = float(values.values.var())
        noise = float((values.errors**2).mean())
        return Valuation(
            documents,
            groups,
            agreements(groups),
            proxy.losses(),
            max(1 - noise / variance, 0.0) if variance > 0 else None,
        )

    def _groups(self, proxy: Proxy, values: Floats, best_first: Rows) -> tuple[Group, ...]:
        n = len(values)
        ids = [one.doc_id for one in self.subject.chosen]
        drawn = draw_order(self.request.seed, "influence-groups", ids)
        parted: list[tuple[How, int, Rows]] = []
        most = self.request.cells
        plans: tuple[tuple[How, Rows, int], ...] = (
            ("ranked", best_first, (most + 1) // 2),
            ("random", drawn, most // 2),
        )
        for how, order, count in plans:
            for number, rows in enumerate(equal_parts(order, count), start=1):
                parted.append((how, number, np.sort(rows)))
        self.watcher.phase("validation", len(parted))
        whole, everyone = proxy.whole(np.arange(n)), np.arange(n)
        groups = []
        for how, number, rows in parted:
            removal = self.remover.without(rows)
            left = proxy.whole(np.setdiff1d(everyone, rows))
            groups.append(Group(how, number, float(values[rows].sum()), whole - left, removal))
            self.watcher.step(
                f"without {how} group {number}: nll {removal.nll.value:+.4g},"
                f" {groups[-1].by_values:+.4g} by values"
            )
        return tuple(groups)


def equal_parts(order: Rows, parts: int) -> list[Rows]:
    """Return parts of equal size, at most as many as there are documents.

    What does not come out even is left out in the middle of the order.
    """
    parts = min(parts, len(order))
    size = len(order) // parts
    first = parts - parts // 2
    starts = [size * part for part in range(first)]
    starts += [len(order) - size * (parts - part) for part in range(first, parts)]
    return [order[start : start + size] for start in starts]


def agreements(groups: tuple[Group, ...]) -> tuple[Agreement, ...]:
    """Return how both kinds of prediction rank both measures; none without groups."""
    if not groups:
        return ()
    sources: dict[Source, list[float]] = {
        "values": [one.by_values for one in groups],
        "proxy": [one.by_proxy for one in groups],
    }
    measures: dict[Measure, list[float]] = {
        "nll": [one.removal.nll.value for one in groups],
        "accuracy": [-one.removal.accuracy.value for one in groups],
    }
    return tuple(
        Agreement(by, measure, rank_correlation(predicted, measured))
        for measure, measured in measures.items()
        for by, predicted in sources.items()
    )
