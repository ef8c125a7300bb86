"""The quantized LSTM in ONNX: integer codes in float tensors, one Scan over the steps.

The arithmetic is that of `calibkit.engine.integer`, written with the operators that every runtime
has. Sums of products are whole numbers below 2^24 and so exact in float32, whatever the order;
what the integer engine multiplies by M / 2^s and rounds is float64 here, exact below 2^53. The
nonlinearities are tables by code. Whatever is constant is folded into as few operators as can be:
a step of the Scan costs more in operators than in arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calibkit.engine.integer.fixed_point import Requantizer, WholeMatrix, rescaled
from calibkit.engine.integer.grids import bias_codes, grids, weight
from calibkit.engine.integer.lstm import SQUASHED, IntegerLSTM
from calibkit.engine.mirror import COLUMNS
from calibkit.export.network import Frozen
from calibkit.export.onnx.words import add_words
from calibkit.onnx.documents import Read
from calibkit.onnx.graph import Graph
from calibkit.quantize.networks import gate_modules

Doubles = NDArray[np.float64]

EXACT = 1 << 24
"""Whole numbers below this are exact in float32."""


ACCUMULATORS, HIDDEN = "places.lstm.acc", "codes.lstm.io"
"""Names of values in the graph: where the gates look in the table of all nonlinearities, before
rounding down, and the codes of the hidden states."""

GATES = tuple(f"products.{SQUASHED[gate]}" for gate in COLUMNS)
"""Nonlinearities, as what their codes are worth in the products that they go into."""

CELL, SQUASHED_CELL = "codes.lstm.cell", "codes.lstm.tanh_hidden"


def add_recurrence(graph: Graph, frozen: Frozen, documents: Read) -> str:
    """Add embedding and LSTM; returns the codes of the hidden states (length, batch, width).

    They are float32.
    """
    lstm = frozen.lstm
    table = Tables.of(lstm)
    inputs = _input_products(graph, frozen, lstm, table, add_words(graph, frozen, documents))
    body = _step(graph, frozen, lstm, table)
    width = graph.constant([lstm.width], np.int64)
    shape = graph.add("Concat", documents.batch, width, axis=0)
    start = [
        graph.add("Expand", graph.constant(0, dtype), shape) for dtype in (np.float32, np.float64)
    ]
    names = (graph.name("hidden"), graph.name("cell"), HIDDEN)
    graph.add_many("Scan", *start, inputs, outputs=names, body=body, num_scan_inputs=1)
    return HIDDEN


@dataclass(frozen=True)
class Tables:
    """All gates' nonlinearities one after the other, and where each of the 4 * width columns looks.

    values: by place in the table, what a code is worth in the product that it goes into: f and i
    in cell codes, o in output codes, times 2^-shift; g is a plain code. places: what is added to
    an accumulator code; first, last: the places of the gate's lowest and highest code. units: what
    one code is worth in ``values``, by gate.
    """

    values: Doubles
    places: Doubles
    first: Doubles
    last: Doubles
    units: tuple[float, ...]

    @classmethod
    def of(cls, lstm: IntegerLSTM) -> Tables:
        """Return the tables of an LSTM."""
        factors = {"input": lstm.fresh, "forget": lstm.kept, "output": lstm.out}
        units = tuple(_ratio(factors[gate]) if gate in factors else 1.0 for gate in COLUMNS)
        sizes = [len(gate.table) for gate in lstm.gates]
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        values = [gate.table.numpy() * u for gate, u in zip(lstm.gates, units, strict=True)]
        lows = np.array([gate.low for gate in lstm.gates])

        def columns(by_gate: NDArray[np.int64]) -> Doubles:
            return np.repeat(by_gate.astype(np.float64), lstm.width)

        return cls(
            np.concatenate(values).astype(np.float64),
            columns(starts - lows),
            columns(starts),
            columns(starts + np.array(sizes) - 1),
            units,
        )


def _input_products(
    graph: Graph, frozen: Frozen, lstm: IntegerLSTM, table: Tables, codes: str
) -> str:
    """Return what the input adds to every gate's place in the table (length, batch, 4 width)."""
    network, site = frozen.network, grids(frozen.network)
    word = site[network.input_sites[-1]]
    read = [weight(network, f"lstm.weight_{gate}.input") for gate in COLUMNS]
    modules = gate_modules(network)
    pairs = zip(COLUMNS, read, strict=True)
    bias = torch.cat([bias_codes(modules[gate].bias, word, one.scale) for gate, one in pairs])
    matrix = WholeMatrix(
        torch.cat([one.codes for one in read]), largest=word.largest, site="lstm.weight_*"
    )
    products = add_product(graph, codes, "lstm.weight_input", matrix, _gate_bits(frozen))
    ratio = np.concatenate([g.from_input.numpy() * 2.0**-g.shift for g in lstm.gates])
    start = bias.numpy() * ratio + (table.places + 0.5)
    scaled = graph.add("Mul", graph.cast(products, np.float64), graph.constant(ratio, np.float64))
    return graph.add("Add", scaled, graph.constant(start, np.float64))


def add_product(graph: Graph, rows: str, name: str, matrix: WholeMatrix, bits: int) -> str:
    """Return codes (..., columns) float32 times the transpose of a stored matrix, exactly."""
    stored = graph.codes(name, matrix.codes.numpy().T, bits)
    if int(matrix.bound.max()) < EXACT:
        return graph.add("MatMul", rows, graph.cast(stored, np.float32))
    return graph.add("MatMul", graph.cast(rows, np.float64), graph.cast(stored, np.float64))


def _step(graph: Graph, frozen: Frozen, lstm: IntegerLSTM, table: Tables) -> Any:
    """Return the body of the Scan: from a step's hidden and cell codes to the next ones."""
    part, width = graph.inner(), lstm.width
    before, cell, inputs = (graph.name(what) for what in ("hidden", "cell", "inputs"))
    half = graph.constant(0.5, np.float64)
    # the matrix is stored outside of the Scan: a cast of it there happens once
    recurrent = graph.codes("lstm.weight_hidden", lstm.hidden.codes.numpy().T, _gate_bits(frozen))
    wide = np.float32 if int(lstm.hidden.bound.max()) < EXACT else np.float64
    recurrent = graph.cast(recurrent, wide)
    rows = before if wide is np.float32 else part.cast(before, wide)
    ratio = np.concatenate([g.from_hidden.numpy() * 2.0**-g.shift for g in lstm.gates])
    sums = part.cast(part.add("MatMul", rows, recurrent), np.float64)
    places = part.add("Add", part.add("Mul", sums, graph.constant(ratio, np.float64)), inputs)
    places = part.add("Max", places, graph.constant(table.first, np.float64))
    last = graph.constant(table.last, np.float64)
    places = part.add("Min", places, last, name=ACCUMULATORS)
    values = graph.constant(table.values, np.float64)
    # what is not negative any more is rounded down by the conversion
    gates = part.add("Gather", values, part.cast(places, np.int32), axis=0)
    taken, forget, shown, candidate = part.add_many(
        "Split", gates, outputs=GATES, axis=1, num_outputs=len(GATES)
    )
    kept = _rounded(part, part.add("Mul", forget, cell), half)
    kept = _within(part, kept, lstm.kept, lstm.gates[1].table, (lstm.cell.low, lstm.cell.high))
    fresh = _rounded(part, part.add("Mul", taken, candidate), half)
    fresh = _within(part, fresh, lstm.fresh, lstm.gates[0].table, _extent(lstm.gates[3].table))
    after = part.add("Add", kept, fresh)
    after = part.clip(after, lstm.cell.low, lstm.cell.high, np.float64, name=CELL)
    # a negative index counts from the end
    squash_table = graph.constant(np.roll(lstm.squash.numpy(), lstm.cell.low), np.float64)
    squashed = part.add(
        "Gather", squash_table, part.cast(after, np.int32), axis=0, name=SQUASHED_CELL
    )
    out = _rounded(part, part.add("Mul", shown, squashed), half)
    out = _within(part, out, lstm.out, lstm.gates[2].table, _extent(lstm.squash))
    hidden = part.cast(out, np.float32)
    given: list[tuple[str, type[np.generic], int]] = [
        (before, np.float32, width),
        (cell, np.float64, width),
        (inputs, np.float64, 4 * width),
    ]
    made: list[tuple[str, type[np.generic], int]] = [
        (hidden, np.float32, width),
        (after, np.float64, width),
    ]
    made.append((part.add("Identity", hidden), np.float32, width))
    return part.body(
        [part.value(name, dtype, ["batch", size]) for name, dtype, size in given],
        [part.value(name, dtype, ["batch", size]) for name, dtype, size in made],
    )


def _rounded(part: Graph, value: str, half: str) -> str:
    """Return a value rounded to whole numbers, halves upward."""
    return part.add("Floor", part.add("Add", value, half))


def _within(
    part: Graph, codes: str, to: Requantizer, factors: Tensor, others: tuple[int, int]
) -> str:
    """Return requantized products clamped to their grid, where any of them can leave it at all."""
    ends = torch.stack([factors.min(), factors.max()])
    products = torch.outer(ends, torch.tensor(others)) * to.multiplier
    reached = rescaled(products, to.shift)
    if to.low <= int(reached.min()) and int(reached.max()) <= to.high:
        return codes
    return part.clip(codes, to.low, to.high, np.float64)


def _ratio(to: Requantizer) -> float:
    return to.multiplier * 2.0**-to.shift


def _extent(table: Tensor) -> tuple[int, int]:
    return int(table.min()), int(table.max())


def _gate_bits(frozen: Frozen) -> int:
    """Return the bits of the widest gate: the four are stored as one matrix."""
    return max(frozen.scheme.bits_of(f"lstm.weight_{gate}") for gate in COLUMNS)
