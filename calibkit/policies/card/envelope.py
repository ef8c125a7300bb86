"""How a subset compares with random draws of the same size from the same pool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibkit.errors import BadInput
from calibkit.policies.card.documents import CardDocuments, Reference
from calibkit.policies.card.measures import Values
from calibkit.policies.card.metrics import Metric
from calibkit.policies.draw import Draw, Rows

DRAWS = 200
LEAST_DRAWS = 20
"""Fewer draws have no 5th and 95th percentile worth the name."""
ENDS = (0.05, 0.5, 0.95)

OUTSIDE, OUTSIDE_ALL = "outside", "outside_all"
"""Names of the lines that count metrics outside of their own range: of those without a model, and
of all of them."""

_SAME = 1e-9
"""Values that differ by less, relative to the largest draw, are equal but for rounding."""


@dataclass(frozen=True)
class Line:
    """One value of a card beside those of random draws.

    site: an activation site, or '' for the mean over sites and for what has none. low, median,
    high: the 5th, 50th and 95th percentile over the draws. rank: share of the draws below the
    value, equal ones counted half. verdict: inside, low or high. is_bad: whether that is the side
    on which a subset stands for its pool less well. What is None is not defined, for ``reason``.
    """

    metric: str
    site: str
    value: float | None
    low: float | None = None
    median: float | None = None
    high: float | None = None
    rank: float | None = None
    verdict: str | None = None
    is_bad: bool | None = None
    reason: str = ""


Envelope = Mapping[str, Values]
"""Metric -> values of the random draws, float64 (draws, columns): the first column is the metric's,
the mean over sites where it has sites, which follow."""


def random_rows(documents: int, size: int, draws: int) -> Rows:
    """Return keyed random draws without repetition: intp (draws, size), rows rising.

    Draw i is that of seed i and purpose 'envelope': the same whatever the number of draws.
    """
    if not 0 < size <= documents:
        raise BadInput(f"a draw of {size:,} documents from {documents:,} is not possible")
    found = np.empty((draws, size), dtype=np.intp)
    for seed in range(draws):
        # raw 64-bit numbers: unlike numpy's own ways to draw, the same in every version of numpy
        bits = Draw(seed, "envelope").generator(str(documents)).bit_generator
        keys = np.asarray(bits.random_raw(documents))
        found[seed] = np.sort(np.argsort(keys, kind="stable")[:size])
    return found


def measured(metric: Metric, documents: CardDocuments, reference: Reference, rows: Rows) -> Values:
    """Return a metric for sets of documents: float64 (sets, columns), see `Envelope`."""
    values = metric.of(documents, reference, rows)
    if metric.by_site:
        return np.concatenate([values.mean(axis=1, keepdims=True), values], axis=1)
    return values


def envelope(
    metrics: Sequence[Metric], pool: CardDocuments, reference: Reference, rows: Rows
) -> dict[str, Values]:
    """Return the metrics of random draws (`random_rows`) of a pool's documents."""
    return {one.name: measured(one, pool, reference, rows) for one in metrics}


def lines_of(
    metric: Metric,
    subset: CardDocuments,
    reference: Reference,
    draws: Values | None,
    *,
    reasons: Mapping[str, str],
) -> list[Line]:
    """Return a metric's lines for a subset: one, or one for all sites and one for each.

    draws: of random subsets, as `envelope` gives them; None where there are none. reasons: why
    what a metric needs is not known, by need; ``envelope``: why there are no draws.
    """
    columns = ("", *reference.sites) if metric.by_site else ("",)
    missing = [need for need in metric.needs if getattr(subset, need) is None]
    if missing:
        return [Line(metric.name, "", None, reason=reasons.get(missing[0], "not known"))]
    rows = np.arange(len(subset), dtype=np.intp)[None]
    values = measured(metric, subset, reference, rows)[0]
    if not np.isfinite(values).all():
        return [Line(metric.name, "", None, reason="the subset has a label that the pool lacks")]
    if draws is None:
        reason = reasons.get("envelope", "no draws")
        bad = True if metric.harmful and values[0] > 0 else None
        return [
            Line(metric.name, site, rounded(value), is_bad=bad, reason=reason)
            for site, value in zip(columns, values, strict=True)
        ]
    return [
        _line(metric, site, float(value), draws[:, place])
        for place, (site, value) in enumerate(zip(columns, values, strict=True))
    ]


def _line(metric: Metric, site: str, value: float, draws: NDArray[np.float64]) -> Line:
    low, median, high = (float(end) for end in np.quantile(draws, ENDS))
    verdict = _verdict(value, draws, low, high)
    bad = verdict == metric.bad or (metric.harmful and value > 0)
    ends = (rounded(low), rounded(median), rounded(high))
    return Line(metric.name, site, rounded(value), *ends, _rank(value, draws), verdict, bad)


def _verdict(value: float, draws: NDArray[np.float64], low: float, high: float) -> str:
    slack = _SAME * float(np.abs(draws).max())
    if value < low - slack:
        return "low"
    return "high" if value > high + slack else "inside"


def _rank(value: float, draws: NDArray[np.float64]) -> float:
    slack = _SAME * float(np.abs(draws).max())
    below, above = (draws < value - slack).mean(), (draws > value + slack).mean()
    return float(below + (1 - below - above) / 2)


def line_of_all(name: str, lines: Sequence[Line], draws: Envelope) -> Line:
    """Return the line that says how many of the metrics are outside of their range.

    Beside how many of them are for the random draws: a tenth of the metrics, more or less, as
    they depend on each other.
    """
    judged = [line for line in lines if not line.site and line.verdict is not None]
    if not judged:
        return Line(name, "", None, reason="no metric could be compared with random draws")
    found = sum(line.verdict != "inside" for line in judged)
    outside = np.zeros(len(next(iter(draws.values()))))
    for line in judged:
        values = draws[line.metric][:, 0]
        low, high = np.quantile(values, [ENDS[0], ENDS[2]])
        slack = _SAME * float(np.abs(values).max())
        outside += (values < low - slack) | (values > high + slack)
    low, median, high = (float(end) for end in np.quantile(outside, ENDS, method="inverted_cdf"))
    verdict = _verdict(found, outside, low, high)
    rank = _rank(found, outside)
    # unlike a random draw may be better than one: what is bad, the metrics say
    return Line(name, "", float(found), low, median, high, rank, verdict, is_bad=False)


def rounded(value: float) -> float:
    """Return a value with 12 significant digits, where the order of a sum hardly ever shows."""
    return float(f"{float(value):.12g}")
