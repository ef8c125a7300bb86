"""The quantized heads in ONNX: from codes of hidden states to scores and a label."""

from __future__ import annotations

import numpy as np

from calibkit.engine.integer import IntegerClassifier, IntegerDecoder
from calibkit.engine.integer.powers import ONE
from calibkit.engine.integer.scores import LN2
from calibkit.export.network import Frozen
from calibkit.export.onnx.recurrence import add_product
from calibkit.onnx.decoder import LabelLogits, add_decoder
from calibkit.onnx.documents import LABEL, SCORES, Read, positions
from calibkit.onnx.graph import Graph

_NATS = LN2 / ONE
"""What a unit of the integer decoder's logits is worth."""


HEAD_INPUT = "codes.head.input"
"""Name of the value in the graph that the last layer reads."""


def add_head(graph: Graph, frozen: Frozen, documents: Read, hidden: str) -> None:
    """Add what turns hidden codes (length, batch, width) float32 into the model's outputs."""
    head = frozen.head
    if isinstance(head, IntegerClassifier):
        _add_classifier(graph, frozen, head, documents, hidden)
    else:
        _add_decoder(graph, frozen, head, documents, hidden)


def _add_classifier(
    graph: Graph, frozen: Frozen, head: IntegerClassifier, documents: Read, hidden: str
) -> None:
    """Add the mean code, the linear layer and the softmax: whole numbers in int64, to the label."""
    real = graph.cast(positions(graph, documents, last=0), np.float32)
    real = graph.add("Unsqueeze", real, graph.constant([2], np.int64))
    zero, one = (graph.constant([k], np.int64) for k in (0, 1))
    # whole numbers again, exact below 2^24: that is 131,072 tokens of the largest code
    sums = graph.add("ReduceSum", graph.add("Mul", hidden, real), zero, keepdims=0)
    codes = _mean_codes(graph, head, graph.cast(sums, np.int64), documents)
    bits = frozen.scheme.bits_of("classifier")
    rows = graph.cast(codes, np.float32)
    products = add_product(graph, rows, "classifier", head.matrix, bits)
    logits = graph.add("Add", graph.cast(products, np.int64), _wholes(graph, head.bias.numpy()))
    logits = graph.add("Mul", logits, _wholes(graph, head.logits.values.numpy()))
    graph.add("ArgMax", logits, axis=1, keepdims=0, name=LABEL)
    peak = graph.add("ReduceMax", logits, one, keepdims=1)
    below = graph.cast(graph.add("Sub", logits, peak), np.float64)
    nats = graph.add("Mul", below, graph.constant(2.0**-head.logits.shift, np.float64))
    graph.add("LogSoftmax", nats, axis=1, name=SCORES)


def _mean_codes(graph: Graph, head: IntegerClassifier, sums: str, documents: Read) -> str:
    """Return the classifier's input codes (batch, width) int64.

    floor((2 S M + L 2^s) / (2 L 2^s)); ONNX divides towards zero, so the quotient is lifted above
    it and lowered again.
    """
    multiplier, shift = int(head.pooled.values), head.pooled.shift
    lift = (head.output.largest * multiplier >> shift) + 2
    lengths = graph.add("Unsqueeze", documents.lengths, graph.constant([1], np.int64))
    whole = graph.add("Mul", lengths, _wholes(graph, 2 << shift))
    start = graph.add("Mul", lengths, _wholes(graph, (1 << shift) + (lift * 2 << shift)))
    raised = graph.add("Add", graph.add("Mul", sums, _wholes(graph, 2 * multiplier)), start)
    codes = graph.add("Sub", graph.add("Div", raised, whole), _wholes(graph, lift))
    return graph.clip(codes, head.input.low, head.input.high, np.int64, name=HEAD_INPUT)


def _add_decoder(
    graph: Graph, frozen: Frozen, head: IntegerDecoder, documents: Read, hidden: str
) -> None:
    """Add the decoder: products of codes are exact, what follows is float32."""
    # a negative index counts from the end
    table = np.roll(head.read.numpy(), head.output.low)
    places = graph.cast(hidden, np.int32)
    codes = graph.add("Gather", graph.constant(table, np.float32), places, axis=0, name=HEAD_INPUT)
    stored = graph.codes("decoder", head.matrix.codes.numpy().T, frozen.scheme.bits_of("decoder"))
    units = head.units.values.numpy() * (2.0**-head.units.shift * _NATS)
    labels = LabelLogits.of(head.label_logits.numpy() * _NATS, head.prior.numpy() * _NATS)
    matrix = graph.cast(stored, np.float32)
    add_decoder(graph, documents, codes, matrix, units.astype(np.float32), labels)


def _wholes(graph: Graph, values: object) -> str:
    return graph.constant(values, np.int64)
