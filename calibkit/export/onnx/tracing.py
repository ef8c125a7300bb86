"""Codes of every site from inside of an exported graph, held against the integer engine's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibkit.export.network import Frozen
from calibkit.export.onnx.heads import HEAD_INPUT
from calibkit.export.onnx.recurrence import (
    ACCUMULATORS,
    CELL,
    GATES,
    HIDDEN,
    SQUASHED_CELL,
    Tables,
)
from calibkit.export.onnx.words import WORDS
from calibkit.export.trace import trace, traced_sites
from calibkit.onnx.documents import IDS, LENGTHS
from calibkit.onnx.packages import required_onnx
from calibkit.onnx.running import session

_INSIDE = (ACCUMULATORS, *GATES, CELL, SQUASHED_CELL)
_OUTSIDE = (WORDS, HIDDEN, HEAD_INPUT)
_FROM_INSIDE = "traced."

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Differing:
    """The first code of a document that is not the integer engine's.

    step: from 0 on, <bos> is the first. unit: the place in the layer, or the label.
    """

    site: str
    step: int
    unit: int
    expected: int
    found: int


def first_difference(model: Path, frozen: Frozen, ids: NDArray[np.int32]) -> Differing | None:
    """Return the first code of a document that differs, in the order of the data; None for none.

    model: an exported graph of ``frozen``; the graph itself is run, with the codes as further
    outputs.
    """
    values = _values(model, ids)
    found = _codes(values, frozen)
    sites = traced_sites(frozen)
    for step, place, expected in trace(frozen, ids):
        if place >= len(found):  # the last layer's own sums, which are not whole numbers here
            continue
        codes = found[place]
        if codes is None:
            continue
        here = codes[min(step, len(codes) - 1)]
        wrong = np.flatnonzero(here != expected)
        if len(wrong):
            unit = int(wrong[0])
            return Differing(sites[place], step, unit, int(expected[unit]), int(here[unit]))
    return None


def _values(model: Path, ids: NDArray[np.int32]) -> dict[str, NDArray[Any]]:
    """Return the named values of a graph for one document, the batch's dimension taken out."""
    onnx: Any = required_onnx()
    graph = onnx.load(model)
    names = [*_OUTSIDE, *_expose(onnx, graph)]
    known = {one.name: one for one in onnx.shape_inference.infer_shapes(graph).graph.value_info}
    for name in _OUTSIDE:
        graph.graph.output.append(known[name])
    given = {IDS: ids[None].astype(np.int64), LENGTHS: np.array([len(ids)])}
    found = session(graph.SerializeToString()).run(names, given)
    return {
        name.removeprefix(_FROM_INSIDE): value.reshape(-1, value.shape[-1])
        for name, value in zip(names, found, strict=True)
    }


def _expose(onnx: Any, graph: Any) -> Iterator[str]:
    """Make values from inside of the Scan outputs of the graph; yield their names there."""
    (scan,) = (node for node in graph.graph.node if node.op_type == "Scan")
    body = next(one.g for one in scan.attribute if one.name == "body")
    declared, double = onnx.helper.make_tensor_value_info, onnx.TensorProto.DOUBLE
    for name in _INSIDE:
        given, outside = f"given.{name}", f"{_FROM_INSIDE}{name}"
        units = f"units of {name}"
        body.node.append(onnx.helper.make_node("Identity", [name], [given]))
        body.output.append(declared(given, double, ["batch", units]))
        scan.output.append(outside)
        graph.graph.output.append(declared(outside, double, ["length", "batch", units]))
        yield outside


def _codes(values: dict[str, NDArray[Any]], frozen: Frozen) -> list[Codes | None]:
    """Return codes (steps, units) by place in `traced_sites`; None where a code is worth 0."""
    table = Tables.of(frozen.lstm)
    width = frozen.lstm.width
    accumulators = np.floor(values[ACCUMULATORS]) - table.places
    found: list[Codes | None] = [_whole(values[WORDS])]
    found += [_whole(accumulators[:, k * width : (k + 1) * width]) for k in range(len(GATES))]
    for name, unit in zip(GATES, table.units, strict=True):
        found.append(_whole(values[name] / unit) if unit else None)
    return found + [_whole(values[name]) for name in (CELL, SQUASHED_CELL, HIDDEN, HEAD_INPUT)]


def _whole(codes: NDArray[Any]) -> Codes:
    rounded: Codes = np.rint(codes).astype(np.int64)
    return rounded
