"""The quantized embedding in ONNX: from token ids to the codes that the gates read."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from calibkit.engine.integer.grids import grids, weight
from calibkit.export.network import Frozen
from calibkit.onnx.documents import Read
from calibkit.onnx.graph import Graph, stored_width
from calibkit.quantize.networks import quantized_weight

WORDS = "codes.input"
"""Name of the value in the graph that the gates read."""


def add_words(graph: Graph, frozen: Frozen, documents: Read) -> str:
    """Add the embedding; returns the codes (length, batch, embedding) float32 of every token.

    They are what the gates read. Stored are each word's codes on the first grid that it goes
    through, where they take no more bits than its weights do; otherwise the weights, which are
    quantized when they have been looked up.
    """
    site, names = grids(frozen.network), frozen.network.input_sites
    bits, first = frozen.scheme.bits_of("embedding"), site[names[0]]
    reach = 1 << (stored_width(bits) - 1)
    if first.low < -reach or first.high >= reach:
        return _quantized_words(graph, frozen, documents)
    codes = first.codes(quantized_weight(frozen.network, "embedding"))
    found = _looked_up(graph, codes.numpy(), bits, documents)
    if len(names) == 1:
        return graph.cast(found, np.float32, name=WORDS)
    values = torch.arange(first.low, first.high + 1).to(torch.float32) * first.scale
    # a negative index counts from the end
    table = np.roll(site[names[1]].codes(values).numpy(), first.low)
    places = graph.cast(found, np.int32)
    return graph.add("Gather", graph.constant(table, np.float32), places, axis=0, name=WORDS)


def _quantized_words(graph: Graph, frozen: Frozen, documents: Read) -> str:
    """Return the same from stored weights: Brevitas's operations, in float32 the same anywhere."""
    site = grids(frozen.network)
    rows = weight(frozen.network, "embedding")
    found = _looked_up(graph, rows.codes.numpy(), frozen.scheme.bits_of("embedding"), documents)
    found = graph.cast(found, np.float32)
    scale = rows.scale.numpy()
    if (scale == scale[0]).all():
        found = graph.add("Mul", found, graph.constant(scale[0], np.float32))
    else:
        each = graph.add(
            "Gather", graph.named("embedding.scale", scale[:, None]), documents.ids, axis=0
        )
        found = graph.add("Mul", found, each)
    names = frozen.network.input_sites
    for place, name in enumerate(names):
        step = graph.constant(site[name].scale.numpy(), np.float32)
        found = graph.add("Round", graph.add("Div", found, step))
        last = place + 1 == len(names)
        ends = site[name].low, site[name].high
        found = graph.clip(found, *ends, np.float32, name=WORDS if last else None)
        if not last:
            found = graph.add("Mul", found, step)
    return found


def _looked_up(graph: Graph, codes: NDArray[Any], bits: int, documents: Read) -> str:
    """Return the stored codes (length, batch, embedding) int8 of every token."""
    stored = graph.codes("embedding", codes, bits)
    # INT4 cannot be looked up: all of it becomes INT8, once, when the file is loaded
    return graph.add("Gather", graph.cast(stored, np.int8), documents.ids, axis=0)
