"""The gate of an ONNX export: it answers as calibkit's integers do, or the first site is named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibkit.errors import Infeasible
from calibkit.export.network import Frozen, Tested
from calibkit.export.onnx.network import MODEL
from calibkit.export.onnx.tracing import first_difference
from calibkit.onnx.packages import required_runtime
from calibkit.onnx.running import BATCH, answers, session
from calibkit.quantize.networks import linear_name

LEAST_AGREEMENT = 0.999
"""The share of documents whose label has to be that of arithmetic integer."""

MOST_DISTANCE = 1e-3
"""How far a document's score may be off, relative to it."""


@dataclass(frozen=True)
class OnnxParity:
    """How an exported graph compares with arithmetic integer on n documents.

    agreement: share of equal labels. distance: the largest relative difference of a score of the
    true label. accuracy: that of the graph. runtime: what it ran in, with its version.
    """

    documents: int
    agreement: float
    distance: float
    accuracy: float
    runtime: str


def check_onnx(folder: Path, frozen: Frozen, tested: Tested, *, batch: int = BATCH) -> OnnxParity:
    """Run every document through an exported graph in ONNX Runtime, and compare.

    Labels have to be equal on 99.9 % of the documents, and the score of every document's label has
    to be within 1e-3 of calibkit's, relatively. Raises Infeasible otherwise, which names the first
    site of the graph that has another code than the integer engine; BadInput for a file that does
    not load, MissingExtra without onnxruntime.
    """
    path = folder / MODEL
    scores, labels = answers(session(path), tested.tokens, len(frozen.labels), batch=batch)
    distances = _distances(scores, tested)
    found = OnnxParity(
        len(labels),
        float((labels == tested.predicted).mean()),
        float(distances.max(initial=0.0)),
        float((labels == tested.labels).mean()),
        f"onnxruntime {required_runtime().__version__}",
    )
    wrong = np.flatnonzero(labels != tested.predicted)
    if found.agreement < LEAST_AGREEMENT:
        what = (
            f"{len(wrong):,} of {len(labels):,} documents get another label than by arithmetic"
            f" integer, and at least {LEAST_AGREEMENT:.1%} have to agree"
        )
        raise _refusal(path, frozen, tested, int(wrong[0]), what)
    if not found.distance <= MOST_DISTANCE:
        worst = int(np.argmax(distances))
        what = (
            f"the score of document {worst} is off by {found.distance:.2g} of it, and"
            f" {MOST_DISTANCE:g} is allowed"
        )
        raise _refusal(path, frozen, tested, worst, what)
    return found


def _distances(scores: NDArray[np.float64], tested: Tested) -> NDArray[np.float64]:
    """Return by how much the score of each document's label is off, relative to its magnitude.

    Scores below one nat count as one: log p(y | x) of a label that is sure is nearly 0.
    """
    every = np.arange(len(scores))
    ours, theirs = (one[every, tested.labels] for one in (tested.scores, scores))
    found: NDArray[np.float64] = np.abs(theirs - ours) / np.maximum(np.abs(ours), 1.0)
    return np.where(np.isnan(found), np.inf, found)


def _refusal(path: Path, frozen: Frozen, tested: Tested, document: int, what: str) -> Infeasible:
    """Return the error of a graph that does not answer as it should, with the first site."""
    one = first_difference(path, frozen, tested.tokens[document])
    if one is None:
        last = linear_name(frozen.kind)
        where = f"of document {document} all codes are equal up to {last}.input, so that the"
        where += f" difference is in {last}"
    else:
        where = (
            f"in document {document}, {one.site} is the first site that differs, at step"
            f" {one.step}, unit {one.unit}: code {one.found} instead of {one.expected}"
        )
    return Infeasible(
        f"{path}: {what}; {where}. Do not use this file: export the cell anew, or with --to c"
    )
