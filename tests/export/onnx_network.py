"""What stands in exports to ONNX."""

from __future__ import annotations

from typing import Any

import pytest

onnx = pytest.importorskip("onnx", reason="the extra `onnx` is not installed")


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
