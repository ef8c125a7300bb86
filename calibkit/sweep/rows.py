"""The rows of one fragment, and the name that says what was measured."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibkit.engine.plain import Evaluation
from calibkit.identity import content_id
from calibkit.measure.accuracy import classification
from calibkit.sweep.jobs import BaselineJob, CellJob, NoiseLevel


@dataclass
class Rows:
    """Rows of one fragment, by table."""

    labels: int

    def __post_init__(self) -> None:
        self.cells: list[dict[str, Any]] = []
        self.evaluations: list[dict[str, Any]] = []
        self.baselines: list[dict[str, Any]] = []
        self.distributions: list[dict[str, Any]] = []
        self.label_rows: list[dict[str, Any]] = []
        self.predictions: list[dict[str, Any]] = []

    def add(
        self, owner: str, level: NoiseLevel, found: Evaluation, labels: NDArray[np.int64]
    ) -> dict[str, Any]:
        """Keep label rows and predictions under ``owner``; return the measured columns."""
        quality = classification(found.predicted, labels, found.nll, self.labels)
        key = {"cell_id": owner, **level_columns(level)}
        packed = base64.b64encode(found.predicted.astype("<u2").tobytes()).decode()
        self.predictions.append(key | {"predicted": packed})
        for label in range(self.labels):
            counts = {
                "label_id": label,
                "documents": int(quality.documents[label]),
                "predicted": int(quality.predicted[label]),
                "correct": int(quality.correct[label]),
                "f1": float(quality.f1[label]),
            }
            self.label_rows.append(key | counts)
        return {
            "documents": len(labels),
            "accuracy": quality.accuracy,
            "macro_f1": quality.macro_f1,
            "worst_label_accuracy": quality.worst_label_accuracy,
            "majority_share": quality.majority_share,
            "nll": quality.nll,
            "mean_abs_h": found.mean_abs_h,
        }

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Return the rows by table name, empty tables left out."""
        found = {
            "cells": self.cells,
            "evaluations": self.evaluations,
            "baseline_evaluations": self.baselines,
            "distributions": self.distributions,
            "label_evaluations": self.label_rows,
            "predictions": self.predictions,
        }
        return {table: rows for table, rows in found.items() if rows}


def level_columns(level: NoiseLevel) -> dict[str, Any]:
    """Return the columns that identify a measurement of a test set."""
    return {"noise_kind": level.kind, "noise": level.level, "noise_seed": level.seed}


def fragment(kind: str, rows: Mapping[str, Any]) -> dict[str, Any]:
    """Return a fragment's payload: rows by table."""
    return {"fragment": 1, "kind": kind, "rows": dict(rows)}


def measured_name(owner: str, job: BaselineJob | CellJob) -> str:
    """Name a fragment by what it measured: the same work always gives the same name."""
    parts = getattr(job, "distributions", ())
    measured = [list(level.key) for level in job.test.levels]
    return content_id("fragment", [owner, job.test.id, measured, sorted(parts)])


def now() -> str:
    """Return the time in UTC, as timestamps are stored."""
    return datetime.now(UTC).replace(tzinfo=None).isoformat(sep=" ")
