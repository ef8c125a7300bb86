"""An ONNX graph while it is written: nodes, constants, and weights stored as integer codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibkit.onnx.packages import PACKED_FROM, required_onnx

Dimensions = Sequence[str | int]

PRODUCER = "calibkit"
_PACKED_BITS = 4


@dataclass
class Graph:
    """Nodes and tensors in the order in which they are added; names are numbered, so never twice.

    opset: the version of ONNX's own operators, the only ones there are. A graph that `inner`
    returns is the body of a Scan or a Loop; it sees the names of the graph around it, and its
    constants belong to that one.
    """

    opset: int
    nodes: list[Any] = field(default_factory=list)
    tensors: list[Any] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    _known: dict[tuple[str, tuple[int, ...], bytes], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.onnx: Any = required_onnx()

    def inner(self) -> Graph:
        """Return an empty graph for the body of a Scan or a Loop of this one."""
        return Graph(self.opset, [], self.tensors, self.names, self._known)

    def name(self, what: str) -> str:
        """Return a name that no other value has."""
        self.names.append(what)
        return f"{what}.{len(self.names)}"

    def add(
        self,
        operator: str,
        *inputs: str,
        name: str | None = None,
        node: str | None = None,
        **attributes: Any,
    ) -> str:
        """Add a node with one output; returns the output's name, which can be given.

        node: a name of the node itself, by which tools that change graphs are told of it.
        """
        outputs = (name or self.name(operator),)
        return self.add_many(operator, *inputs, outputs=outputs, node=node, **attributes)[0]

    def add_many(
        self,
        operator: str,
        *inputs: str,
        outputs: Sequence[str] | int,
        node: str | None = None,
        **attributes: Any,
    ) -> tuple[str, ...]:
        """Add a node with several outputs, named or counted; returns their names."""
        if isinstance(outputs, int):
            outputs = [self.name(operator) for _ in range(outputs)]
        made = self.onnx.helper.make_node(operator, inputs, outputs, name=node, **attributes)
        self.nodes.append(made)
        return tuple(outputs)

    def cast(self, value: str, to: type[np.generic], *, name: str | None = None) -> str:
        """Add a conversion to another type."""
        return self.add("Cast", value, name=name, to=self._type(to))

    def clip(
        self, value: str, low: int, high: int, dtype: type[np.generic], *, name: str | None = None
    ) -> str:
        """Add a clamp to whole numbers."""
        ends = (self.constant(end, dtype) for end in (low, high))
        return self.add("Clip", value, *ends, name=name)

    def constant(self, values: Any, dtype: type[np.generic]) -> str:
        """Return the name of a constant tensor; equal ones are one."""
        array = np.asarray(values, dtype=dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = self.name("constant")
            self.tensors.append(self.onnx.numpy_helper.from_array(array, self._known[key]))
        return self._known[key]

    def named(self, name: str, values: NDArray[Any]) -> str:
        """Add a constant tensor under a name of its own, which readers of the file know it by."""
        self.tensors.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def codes(self, name: str, values: NDArray[np.integer], bits: int) -> str:
        """Add a matrix of integer codes under its own name, as INT4 where that holds ``bits``.

        INT8 for more bits, and in opsets that have no INT4.
        """
        whole = np.ascontiguousarray(values, dtype=np.int8)
        if stored_width(bits) != _PACKED_BITS or self.opset < PACKED_FROM:
            return self.named(name, whole)
        kinds = self.onnx.TensorProto
        self.tensors.append(
            self.onnx.helper.make_tensor(
                name, kinds.INT4, whole.shape, packed_nibbles(whole), raw=True
            )
        )
        return name

    def value(self, name: str, dtype: type[np.generic], shape: Dimensions) -> Any:
        """Return the declaration of an input or output; a dimension may be a name."""
        return self.onnx.helper.make_tensor_value_info(name, self._type(dtype), list(shape))

    def body(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
        """Return the graph as the attribute ``body`` of a Scan or a Loop."""
        return self.onnx.helper.make_graph(self.nodes, "step", inputs, outputs)

    def model(
        self, inputs: Sequence[Any], outputs: Sequence[Any], facts: Mapping[str, str]
    ) -> bytes:
        """Return the file's bytes, checked by ONNX's own checker; facts become metadata."""
        helper = self.onnx.helper
        versions = [helper.make_opsetid("", self.opset)]
        graph = helper.make_graph(self.nodes, PRODUCER, inputs, outputs, self.tensors)
        found = helper.make_model(graph, opset_imports=versions, producer_name=PRODUCER)
        found.ir_version = helper.find_min_ir_version_for(versions)
        helper.set_model_props(found, dict(facts))
        self.onnx.checker.check_model(found, full_check=True)
        written: bytes = found.SerializeToString(deterministic=True)
        return written

    def _type(self, dtype: type[np.generic]) -> int:
        return int(self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def stored_width(bits: int) -> int:
    """Return how many bits a stored weight has: 4 (INT4), or 8 (INT8) for more than these."""
    return _PACKED_BITS if bits <= _PACKED_BITS else 8


def packed_nibbles(codes: NDArray[np.int8]) -> bytes:
    """Return codes -8 .. 7 two a byte, the earlier in the low half, as ONNX stores INT4."""
    flat = codes.reshape(-1).astype(np.uint8) & 0xF
    if len(flat) % 2:
        flat = np.append(flat, np.uint8(0))
    packed: bytes = (flat[0::2] | (flat[1::2] << 4)).tobytes()
    return packed
