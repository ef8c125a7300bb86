"""What happens without some of the documents of a subset: quantized and measured again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calibkit.decide.judging import Judge, Measured
from calibkit.decide.subject import Subject
from calibkit.identity import draw_order
from calibkit.measure.multiple import holm
from calibkit.measure.paired import paired_difference
from calibkit.measure.prediction import Prediction, prediction
from calibkit.measure.statistics import t_interval
from calibkit.quantize.schemes import Scheme
from calibkit.sweep.watcher import Watcher

Rows = NDArray[np.intp]

LEVEL = 0.05
"""Adjusted p values up to this are told as findings."""


@dataclass(frozen=True)
class Change:
    """How much a measure rises without the documents, with its 95 % interval.

    The interval is over the documents measured on, paired; calibration documents are not sampled
    in it. None for a single document measured on.
    """

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Removal:
    """Documents (places in the subset) that are left out, and how the network does without."""

    rows: Rows
    measured: Measured
    accuracy: Change
    nll: Change


@dataclass(frozen=True)
class Beside:
    """A label's change beside those of as many random documents.

    p: the prediction's, adjusted over the labels (Holm). is_beyond: whether the change is told from
    that of random documents: p is at most 5 %, and no control changed so much.
    """

    controls: Prediction
    p: float

    @property
    def is_beyond(self) -> bool:
        """Whether both say so."""
        return self.p <= LEVEL and self.controls.is_outside


@dataclass(frozen=True)
class LabelEffect:
    """What happens without a label: the change of accuracy and of nll, each beside its controls."""

    label: str
    removal: Removal
    accuracy: Beside
    nll: Beside


class Remover:
    """Measures a subject's subset without some of its documents, in the order that remains."""

    def __init__(self, judge: Judge, scheme: Scheme, full: Measured) -> None:
        self.judge, self.scheme, self.full = judge, scheme, full

    @property
    def subject(self) -> Subject:
        """What is looked at."""
        return self.judge.subject

    def without(self, rows: Rows) -> Removal:
        """Return what happens without the documents at ``rows``; at least one must remain."""
        kept = np.setdiff1d(np.arange(len(self.subject.subset)), rows)
        found = self.judge.measure(self.subject.subset.take(kept), self.scheme)
        paired = paired_difference(found.right, self.full.right)
        rise = found.losses - self.full.losses
        spread = t_interval([float(value) for value in rise])
        return Removal(
            rows,
            found,
            Change(paired.difference, paired.low, paired.high),
            Change(
                float(rise.mean()),
                None if spread is None else spread.low,
                None if spread is None else spread.high,
            ),
        )


def rows_by_label(subject: Subject) -> dict[str, Rows]:
    """Return the places of each label's documents, labels in the corpus's order."""
    labels = [one.label for one in subject.chosen]
    places = {name: [row for row, label in enumerate(labels) if label == name] for name in labels}
    known = sorted(places, key=subject.labels.index)
    return {name: np.array(places[name], dtype=np.intp) for name in known}


def label_effects(
    remover: Remover, by_label: Mapping[str, Rows], *, controls: int, seed: int, watcher: Watcher
) -> tuple[LabelEffect, ...]:
    """Return what happens without each label, beside as many random documents.

    by_label: at least two labels. Controls are keyed draws from the whole subset, whatever their
    label; labels with equally many documents share them.
    """
    ids = [one.doc_id for one in remover.subject.chosen]
    removals = {}
    for label, rows in by_label.items():
        removals[label] = remover.without(rows)
        watcher.step(f"without {label}: {_words(removals[label])}")
    drawn: dict[int, list[Removal]] = {}
    for size in sorted({len(rows) for rows in by_label.values()}):
        drawn[size] = []
        for draw in range(controls):
            rows = np.sort(draw_order(seed, f"influence-control-{draw}", ids)[:size])
            drawn[size].append(remover.without(rows))
            watcher.step(f"without {size:,} random documents: {_words(drawn[size][-1])}")
    beside = {
        measure: _beside(
            [(removals[name], drawn[len(by_label[name])]) for name in by_label], measure
        )
        for measure in ("accuracy", "nll")
    }
    return tuple(
        LabelEffect(label, removals[label], beside["accuracy"][place], beside["nll"][place])
        for place, label in enumerate(by_label)
    )


def _beside(pairs: Sequence[tuple[Removal, Sequence[Removal]]], measure: str) -> list[Beside]:
    found = []
    for removal, controls in pairs:
        changes = [getattr(one, measure).value for one in controls]
        told = prediction(getattr(removal, measure).value, changes)
        assert told is not None  # there are at least two
        found.append(Beside(told, told.p))
    adjusted = holm([one.p for one in found])
    return [replace(one, p=p) for one, p in zip(found, adjusted, strict=True)]


def _words(removal: Removal) -> str:
    return f"accuracy {100 * removal.accuracy.value:+.1f} points, nll {removal.nll.value:+.4g}"
