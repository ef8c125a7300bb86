"""The generative head in ONNX: token likelihoods of all labels in one pass over the words.

The decoder's logits under label y are a_v + b_yv, a of the hidden state and b of label and bias.
With c_v the largest b_yv of word v, the sum over words of exp(a_v + b_yv) is a matrix product of
exp(a_v + c_v - m), which all labels share, with exp(b_yv - c_v); m is the largest a_v + c_v.
Where labels differ by so much that the second factor could underflow, every label is summed for
itself. Tokens go by in blocks, so that memory grows with the vocabulary and not with the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibkit.onnx.documents import (
    LABEL,
    LINEAR,
    LINEAR_INPUT,
    LINEAR_OUTPUT,
    SCORES,
    TOKEN_SCORES,
    Read,
    positions,
)
from calibkit.onnx.graph import Graph

BLOCK = 64
"""Tokens whose logits exist at one time; fewer where every label is summed for itself."""

SPREAD = 60.0
"""exp(-60) is far above the smallest float32: the product of exponentials is safe."""


@dataclass(frozen=True)
class LabelLogits:
    """What label and bias add to the logits, in nats, taken apart.

    tops (words,) float32: the largest of the labels. below (words, labels) float32, at most 0:
    how far a label's lies below. prior (labels,) float64: log p(y).
    """

    tops: NDArray[np.float32]
    below: NDArray[np.float32]
    prior: NDArray[np.float64]

    @classmethod
    def of(cls, logits: NDArray[np.float64], prior: NDArray[np.float64]) -> LabelLogits:
        """Take logits (labels, words) in nats apart."""
        tops = logits.max(axis=0)
        return cls(tops.astype(np.float32), (logits - tops).T.astype(np.float32), prior)


def add_decoder(
    graph: Graph,
    documents: Read,
    hidden: str,
    matrix: str,
    units: NDArray[np.float32] | None,
    labels: LabelLogits,
    *,
    blocks: bool = True,
) -> None:
    """Add the decoder and the model's outputs.

    hidden (length, batch, width) float32: what the decoder reads; matrix (width, words) float32:
    its part for h, and units (words,): what a unit of its product is worth in nats, None for 1.
    blocks: in a Loop over blocks of tokens; else all at once, for few documents at a time.
    """
    real = positions(graph, documents, last=1)
    places = graph.add("Transpose", graph.add("NonZero", real), perm=[1, 0])
    zero, one = (graph.constant([k], np.int64) for k in (0, 1))
    end = graph.constant([np.iinfo(np.int64).max], np.int64)
    rest = graph.add("Slice", documents.ids, one, end, zero)
    first = graph.add("Slice", documents.ids, zero, one, zero)
    following = graph.add("Concat", rest, first, axis=0)  # what the last step is given is not read
    states = graph.add("GatherND", hidden, places, name=LINEAR_INPUT)
    targets = graph.add("GatherND", following, places)
    parts = _Parts.of(graph, matrix, units, labels)
    if blocks:
        found = _token_scores(graph, states, targets, parts, labels)
    else:
        found = graph.cast(parts.scores(graph, states, targets), np.float64)
    count = graph.constant([labels.below.shape[1]], np.int64)
    shape = graph.add("Concat", documents.steps, documents.batch, count, axis=0)
    nothing = graph.constant(0, np.float64)
    room = graph.add("Expand", nothing, shape)
    every = graph.add("ScatterND", room, places, found, name=TOKEN_SCORES)
    sums = graph.add("ReduceSum", every, zero, keepdims=0)
    prior = graph.named("log_prior", labels.prior)
    scores = graph.add("Add", sums, prior, name=SCORES)
    graph.add("ArgMax", scores, axis=1, keepdims=0, name=LABEL)


@dataclass(frozen=True)
class _Parts:
    """Names of what the scores of tokens are made from, in ``graph``; together: see the module."""

    graph: Graph
    matrix: str
    units: str | None
    tops: str
    below: str
    together: bool

    @classmethod
    def of(
        cls, graph: Graph, matrix: str, units: NDArray[np.float32] | None, labels: LabelLogits
    ) -> _Parts:
        tops = graph.named("label_logits.tops", labels.tops)
        below = graph.named("label_logits.below", labels.below)
        worth = None if units is None else graph.named("decoder.units", units)
        return cls(graph, matrix, worth, tops, below, float(labels.below.min()) > -SPREAD)

    def scores(self, part: Graph, rows: str, wanted: str) -> str:
        """Add log p(target | h, y) (tokens, labels) float32 to a graph: this one or one inside."""
        logits = part.add("MatMul", rows, self.matrix, name=LINEAR_OUTPUT, node=LINEAR)
        if self.units is not None:
            logits = part.add("Mul", logits, self.units)
        logits = part.add("Add", logits, self.tops)
        column = part.add("Unsqueeze", wanted, self.graph.constant([1], np.int64))
        gold = part.add("GatherElements", logits, column, axis=1)
        masses = _log_masses(self.graph, part, logits, self.below, together=self.together)
        of_label = part.add("Gather", self.below, wanted, axis=0)
        return part.add("Sub", part.add("Add", gold, of_label), masses)


def _token_scores(
    graph: Graph, states: str, targets: str, parts: _Parts, labels: LabelLogits
) -> str:
    """Return log p(target | h, y) (tokens, labels) float64 of packed tokens, block by block."""
    count = labels.below.shape[1]
    block = BLOCK if parts.together else max(BLOCK // count, 1)
    zero, size = graph.constant([0], np.int64), graph.constant([block], np.int64)
    tokens = graph.add("Shape", targets)
    room = graph.add("Add", tokens, graph.constant([block - 1], np.int64))
    trips = graph.add("Squeeze", graph.add("Div", room, size))

    part = graph.inner()
    place, going, before = (graph.name(what) for what in ("block", "going", "scores"))
    start = part.add("Mul", place, size)
    stop = part.add("Add", start, size)
    rows = part.add("Slice", states, start, stop, zero)
    wanted = part.add("Slice", targets, start, stop, zero)
    scores = parts.scores(part, rows, wanted)
    after = part.add("Concat", before, part.cast(scores, np.float64), axis=0)
    on = part.add("Identity", going)
    body = part.body(
        [
            part.value(place, np.int64, []),
            part.value(going, np.bool_, []),
            part.value(before, np.float64, ["done", count]),
        ],
        [part.value(on, np.bool_, []), part.value(after, np.float64, ["read", count])],
    )
    none = graph.constant(np.zeros((0, count)), np.float64)
    return graph.add("Loop", trips, graph.constant(True, np.bool_), none, body=body)  # noqa: FBT003


def _log_masses(graph: Graph, part: Graph, logits: str, below: str, *, together: bool) -> str:
    """Return log of the sum over words of exp(logit + below) (tokens, labels) float32."""
    axis = graph.constant([1], np.int64)
    if not together:
        by_label = part.add("Unsqueeze", logits, axis)
        every = part.add("Add", by_label, graph.add("Transpose", below, perm=[1, 0]))
        return part.add("ReduceLogSumExp", every, graph.constant([2], np.int64), keepdims=0)
    peaks = part.add("ReduceMax", logits, axis, keepdims=1)
    powers = part.add("Exp", part.add("Sub", logits, peaks))
    sums = part.add("MatMul", powers, graph.add("Exp", below))
    return part.add("Add", part.add("Log", sums), peaks)
