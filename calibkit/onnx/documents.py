"""What every graph reads and answers: token ids and lengths in, scores and a label out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from calibkit.corpora.vocabulary import UNK
from calibkit.onnx.graph import Graph

IDS, LENGTHS = "ids", "lengths"
SCORES, LABEL = "scores", "label"
STATES, TOKEN_SCORES = "states", "token_scores"
"""Values of the float graph that are outputs where a cell is measured."""
EMBEDDING, RECURRENCE, LINEAR = "embedding", "lstm", "linear"
"""Names of the nodes of the float graph that have weights."""
LINEAR_INPUT, LINEAR_OUTPUT = "linear.input", "linear.output"
"""What the last matrix product reads and gives."""


@dataclass(frozen=True)
class Read:
    """Documents inside of a graph: ids (length, batch) int64, steps first, as a recurrence reads.

    lengths (batch,) int64, from 1 on; steps (1,) int64: the padded length; batch (1,) int64.
    """

    ids: str
    lengths: str
    steps: str
    batch: str


def inputs(graph: Graph) -> list[Any]:
    """Return the declarations of ids (batch, length) and lengths (batch,), int64."""
    return [
        graph.value(IDS, np.int64, ["batch", "length"]),
        graph.value(LENGTHS, np.int64, ["batch"]),
    ]


def outputs(graph: Graph, labels: int) -> list[Any]:
    """Return the declarations of scores (batch, labels) float64 and label (batch,) int64."""
    return [
        graph.value(SCORES, np.float64, ["batch", labels]),
        graph.value(LABEL, np.int64, ["batch"]),
    ]


def read(graph: Graph, vocabulary: int) -> Read:
    """Add what makes any input safe: ids outside of the vocabulary are <unk>, a length is real.

    A length counts real tokens, <bos> and <eos> among them; one below 1 counts as 1, one above the
    padded length as that.
    """
    ids = graph.add("Transpose", IDS, perm=[1, 0])
    inside = graph.add("Clip", ids, _whole(graph, 0), _whole(graph, vocabulary - 1))
    known = graph.add("Equal", ids, inside)
    ids = graph.add("Where", known, ids, _whole(graph, UNK))
    shape = graph.add("Shape", ids)
    steps, batch = graph.add_many("Split", shape, outputs=2, num_outputs=2)
    most = graph.add("Squeeze", steps)
    lengths = graph.add("Clip", LENGTHS, _whole(graph, 1), most)
    return Read(ids, lengths, steps, batch)


def positions(graph: Graph, documents: Read, *, last: int) -> str:
    """Return which positions (length, batch) bool are real; ``last`` are left out at the end."""
    zero, one = _whole(graph, 0), _whole(graph, 1)
    steps = graph.add("Range", zero, graph.add("Squeeze", documents.steps), one)
    steps = graph.add("Unsqueeze", steps, graph.constant([1], np.int64))
    ends = graph.add("Sub", documents.lengths, _whole(graph, last)) if last else documents.lengths
    return graph.add("Less", steps, ends)


def _whole(graph: Graph, value: int) -> str:
    return graph.constant(value, np.int64)
