"""Networks and documents made by hand, for exports to ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from calibkit.corpora.vocabulary import SPECIALS, Vocabulary
from calibkit.engine.calibrate import calibrate
from calibkit.engine.choice import kernels_by
from calibkit.engine.plain import evaluate
from calibkit.export.network import Frozen, Tested
from calibkit.quantize.schemes import SchemeSettings, resolve
from calibkit.ragged import Ragged

onnx = pytest.importorskip("onnx", reason="the extra `onnx` is not installed")

LONGEST = 20


def quantized(model: Any, documents: Ragged, *, bits: int, site_bits: Any = None, **given: Any):
    scheme = resolve(SchemeSettings(bits=site_bits, **given), bits=bits)
    network = calibrate(model.kind, model.arrays, documents, scheme).network
    words = [f"w{number}" for number in range(4, model.config["vocabulary"])]
    labels = tuple(f"label {number}" for number in range(model.config["labels"]))
    vocabulary = Vocabulary((*SPECIALS, *words))
    return Frozen(network, model.arrays, scheme, vocabulary, labels, LONGEST)


def answered(frozen: Frozen, tokens: Ragged) -> Tested:
    """The documents with the scores of arithmetic integer; every other label is wrong."""
    nobody = np.zeros(len(tokens), dtype=np.int64)
    kernels = kernels_by("auto", frozen.network, tokens, arithmetic="integer")
    found = evaluate(frozen.network, tokens, nobody, kernels=kernels)
    labels = (found.predicted + np.arange(len(tokens)) % 2) % len(frozen.labels)
    texts = tuple(" ".join(frozen.vocabulary.decode(ids)) for ids in every(tokens))
    return Tested(texts, tokens, labels, found.scores, found.predicted)


def every(tokens: Ragged) -> list[np.ndarray]:
    return [tokens[row] for row in range(len(tokens))]


def stored(path: Any) -> dict[str, Any]:
    """The tensors of a graph by name."""
    return {tensor.name: tensor for tensor in onnx.load(path).graph.initializer}


def operators(graph: Any) -> set[tuple[str, str]]:
    """Domain and name of every operator of a graph, and of the bodies in it."""
    found = {(node.domain, node.op_type) for node in graph.node}
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name == "body":
                found |= operators(attribute.g)
    return found
