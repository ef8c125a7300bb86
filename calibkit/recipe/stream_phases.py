"""The phases of a stream: written one by one, drifting from one content to another, or by order."""

from __future__ import annotations

import math
from collections.abc import Mapping

from calibkit.recipe.stream_model import (
    Column,
    ContentSection,
    DriftSection,
    OrderSection,
    PhaseSection,
    StreamSection,
)
from calibkit.recipe.streams import Phase

_DECIMALS = 12
"""Of levels and quantiles between two ends, so that a third is the same on every way to it."""


def phases_of(stream: StreamSection) -> tuple[Phase, ...]:
    """Return the phases of a checked section ``stream``, in the order in which they come."""
    if stream.drift is not None:
        return _drifting(stream.drift)
    if stream.order is not None:
        return _ordered(stream.order)
    return tuple(_written(section) for section in stream.phases or [])


def _written(section: PhaseSection) -> Phase:
    return _phase(
        section.name,
        section.batches,
        section,
        None if section.labels is None else dict(section.labels),
        _noise(section),
        {column: (ends[0], ends[1]) for column, ends in section.between.items()},
    )


def _drifting(drift: DriftSection) -> tuple[Phase, ...]:
    first, last = drift.first, drift.last
    mixes = None
    if first.labels is not None and last.labels is not None:
        mixes = _shares(first.labels), _shares(last.labels)
    kind = next(iter([*first.noise, *last.noise]), "none")
    levels = first.noise.get(kind, 0.0), last.noise.get(kind, 0.0)
    columns = list(dict.fromkeys([*first.between, *last.between]))

    def phase(place: int) -> Phase:
        at = place / (drift.phases - 1)
        between: dict[Column, tuple[float, float]] = {}
        for column in columns:
            ends = [section.between.get(column, [0.0, 1.0]) for section in (first, last)]
            between[column] = (
                _on_line(ends[0][0], ends[1][0], at),
                _on_line(ends[0][1], ends[1][1], at),
            )
        labels = None
        if mixes is not None:
            names = list(dict.fromkeys([*mixes[0], *mixes[1]]))
            labels = {n: _on_line(mixes[0].get(n, 0.0), mixes[1].get(n, 0.0), at) for n in names}
        noise = (kind, _on_line(*levels, at))
        return _phase(f"drift-{place + 1}", drift.batches, first, labels, noise, between)

    return tuple(phase(place) for place in range(drift.phases))


def _ordered(order: OrderSection) -> tuple[Phase, ...]:
    ends = [_on_line(0.0, 1.0, place / order.phases) for place in range(order.phases + 1)]
    return tuple(
        Phase(
            name=f"{order.by}-{place + 1}",
            batches=order.batches,
            between={order.by: (ends[place], ends[place + 1])},
        )
        for place in range(order.phases)
    )


def _phase(
    name: str,
    batches: int,
    section: ContentSection,
    labels: Mapping[str, float] | None,
    noise: tuple[str, float],
    between: Mapping[Column, tuple[float, float]],
) -> Phase:
    """Return a phase in its one form: what has no effect is not in it."""
    kind, level = noise if noise[1] > 0 else ("none", 0.0)
    return Phase(
        name=name,
        batches=batches,
        corpus=section.corpus,
        labels=None if labels is None else {n: float(w) for n, w in labels.items() if w > 0},
        noise_kind=kind,
        noise=level,
        between={column: ends for column, ends in between.items() if ends != (0.0, 1.0)},
    )


def _noise(section: ContentSection) -> tuple[str, float]:
    return next(((kind, float(level)) for kind, level in section.noise.items()), ("none", 0.0))


def _shares(weights: Mapping[str, float]) -> dict[str, float]:
    total = math.fsum(weights.values())
    return {label: weight / total for label, weight in weights.items()}


def _on_line(first: float, last: float, at: float) -> float:
    return round(first + (last - first) * at, _DECIMALS)
