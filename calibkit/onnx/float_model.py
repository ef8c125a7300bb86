"""The float model as ONNX, with the standard LSTM operator: what all exports are compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibkit.onnx.decoder import LabelLogits, add_decoder
from calibkit.onnx.documents import (
    EMBEDDING,
    LABEL,
    LINEAR,
    LINEAR_INPUT,
    LINEAR_OUTPUT,
    RECURRENCE,
    SCORES,
    STATES,
    TOKEN_SCORES,
    Read,
    inputs,
    outputs,
    positions,
    read,
)
from calibkit.onnx.graph import Graph
from calibkit.onnx.packages import OPSET, checked_opset
from calibkit.quantize.networks import Arrays

TO_ONNX = (0, 3, 1, 2)
"""Torch stacks gates as input, forget, cell, output; ONNX as input, output, forget, cell."""


def write_float_onnx(
    kind: str, arrays: Arrays, path: Path, *, opset: int = OPSET, measured: bool = False
) -> Path:
    """Write a float model: kind discriminative or generative, arrays its state dict.

    Inputs: ids (batch, length) int64, padded on the right with anything; lengths (batch,) int64.
    Outputs: scores (batch, labels) float64, log p(y | x) or log p(x, y) in nats; label (batch,).
    measured: as a cell is measured, one document at a time. The decoder has no loop over blocks of
    tokens, and there are further outputs: states (length, batch, width) float32, and of a
    generative model token_scores (length, batch, labels) float64, the log p(next token | h, y)
    that its scores are sums of.
    Raises BadInput for an opset that cannot be written, MissingExtra without the package onnx.
    """
    graph = Graph(checked_opset(opset))
    words = len(arrays["embedding.weight"])
    documents = read(graph, words)
    hidden = _states(graph, arrays, documents)
    if kind == "discriminative":
        labels = len(arrays["classifier.weight"])
        _add_classifier(graph, arrays, documents, hidden)
    else:
        logits = label_logits(arrays)
        labels = logits.below.shape[1]
        width = _width(arrays)
        matrix = graph.named("decoder.weight", _float(arrays["decoder.weight"][:, :width].T))
        add_decoder(graph, documents, hidden, matrix, None, logits, blocks=not measured)
    told = outputs(graph, labels)
    if measured:
        told.append(graph.value(STATES, np.float32, ["length", "batch", _width(arrays)]))
    if measured and kind == "generative":
        told.append(graph.value(TOKEN_SCORES, np.float64, ["length", "batch", labels]))
    path.write_bytes(graph.model(inputs(graph), told, {"calibkit.kind": kind}))
    return path


def _states(graph: Graph, arrays: Arrays, documents: Read) -> str:
    """Return the hidden states (length, batch, width) float32."""
    vectors = graph.named("embedding.weight", _float(arrays["embedding.weight"]))
    words = graph.add("Gather", vectors, documents.ids, axis=0, node=EMBEDDING)
    weights = [
        graph.named(name, _gates(arrays[name])[None])
        for name in ("lstm.weight_ih_l0", "lstm.weight_hh_l0")
    ]
    parts = [_gates(arrays[name]) for name in ("lstm.bias_ih_l0", "lstm.bias_hh_l0")]
    bias = graph.named("lstm.bias", np.concatenate(parts)[None])
    states = graph.add("LSTM", words, *weights, bias, hidden_size=_width(arrays), node=RECURRENCE)
    return graph.add("Squeeze", states, graph.constant([1], np.int64), name=STATES)


def _add_classifier(graph: Graph, arrays: Arrays, documents: Read, hidden: str) -> None:
    real = graph.cast(positions(graph, documents, last=0), np.float32)
    real = graph.add("Unsqueeze", real, graph.constant([2], np.int64))
    sums = graph.add(
        "ReduceSum", graph.add("Mul", hidden, real), graph.constant([0], np.int64), keepdims=0
    )
    lengths = graph.cast(documents.lengths, np.float32)
    lengths = graph.add("Unsqueeze", lengths, graph.constant([1], np.int64))
    matrix = graph.named("classifier.weight", _float(arrays["classifier.weight"].T))
    bias = graph.named("classifier.bias", _float(arrays["classifier.bias"]))
    means = graph.add("Div", sums, lengths, name=LINEAR_INPUT)
    logits = graph.add("MatMul", means, matrix, name=LINEAR_OUTPUT, node=LINEAR)
    logits = graph.cast(graph.add("Add", logits, bias), np.float64)
    graph.add("LogSoftmax", logits, axis=1, name=SCORES)
    graph.add("ArgMax", logits, axis=1, keepdims=0, name=LABEL)


def label_logits(arrays: Arrays) -> LabelLogits:
    """Return what label and bias add to a generative model's logits, W_v v_y + b."""
    width = _width(arrays)
    of_label = np.asarray(arrays["decoder.weight"], dtype=np.float64)[:, width:]
    logits = np.asarray(arrays["label_embedding.weight"], dtype=np.float64) @ of_label.T
    logits = logits + arrays["decoder.bias"]
    return LabelLogits.of(logits, np.asarray(arrays["log_prior"], dtype=np.float64))


def _width(arrays: Arrays) -> int:
    return int(arrays["lstm.weight_hh_l0"].shape[1])


def _gates(stacked: NDArray[Any]) -> NDArray[np.float32]:
    parts = np.split(stacked, 4)
    return _float(np.concatenate([parts[place] for place in TO_ONNX]))


def _float(values: NDArray[Any]) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, dtype=np.float32)
