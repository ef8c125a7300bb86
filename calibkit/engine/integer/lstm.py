"""The LSTM on integers: everything that is fixed, and the reference loop over the steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from calibkit.engine.batches import Batch
from calibkit.engine.integer.fixed_point import (
    RESULT_BELOW,
    Multipliers,
    Requantizer,
    WholeMatrix,
    check,
    rescaled,
    too_large,
)
from calibkit.engine.integer.grids import Grid, Weight, bias_codes, grids, weight
from calibkit.engine.mirror import COLUMNS
from calibkit.quantize.networks import QuantClassifier, gate_modules, quantized_weight

SQUASHED = {gate: f"lstm.sigmoid_{gate}" for gate in COLUMNS[:3]} | {"cell": "lstm.tanh_cell"}
"""The quantizer behind each gate's nonlinearity."""

_ROWS = 4096  # words whose sums are computed at one time


@dataclass(frozen=True)
class Gate:
    """One gate: from its two sums of products to the codes of its quantized nonlinearity.

    from_input, from_hidden (hidden,) int64: what a unit of either sum is worth in accumulator
    codes, times 2^shift. table: the nonlinearity's codes by accumulator code, ``low`` first.
    """

    from_input: Tensor
    from_hidden: Tensor
    shift: int
    low: int
    high: int
    table: Tensor

    def __call__(self, inputs: Tensor, hidden: Tensor) -> Tensor:
        """Return the gate's codes of sums over inputs and hidden codes, (n, hidden) int64."""
        codes = rescaled(inputs * self.from_input + hidden * self.from_hidden, self.shift)
        return self.table[codes.clamp_(self.low, self.high) - self.low]


@dataclass(frozen=True)
class IntegerLSTM:
    """A frozen LSTM as integers (see the package's text).

    inputs (words, 4 hidden) int32: every word's input sums with the bias, gates in the order of
    COLUMNS. hidden: the hidden-to-hidden matrix, rows likewise. kept, fresh: f * c and i * g on
    the grid of the cell state. squash: tanh by cell code. out: o * tanh on that of the hidden
    state, ``output``.
    """

    inputs: Tensor
    hidden: WholeMatrix
    gates: tuple[Gate, ...]
    kept: Requantizer
    fresh: Requantizer
    cell: Grid
    squash: Tensor
    out: Requantizer
    output: Grid

    @property
    def width(self) -> int:
        """Number of hidden units."""
        return self.hidden.codes.shape[1]

    @classmethod
    def of(cls, network: QuantClassifier) -> Self:
        """Return the integers of a calibrated, frozen network.

        Raises BadInput, naming the site, where its scales lead out of the range of the integers.
        """
        site = grids(network)
        output, cell, word = site["lstm.io"], site["lstm.cell"], site[network.input_sites[-1]]
        names = [f"lstm.weight_{gate}" for gate in COLUMNS]
        read = [weight(network, f"{name}.input") for name in names]
        recurrent = [weight(network, f"{name}.hidden") for name in names]
        hidden = WholeMatrix(
            torch.cat([one.codes for one in recurrent]), largest=output.largest, site="lstm.io"
        )
        inputs = _input_sums(network, site, read)
        bounds = (
            torch.maximum(-inputs.amin(dim=0), inputs.amax(dim=0)).to(torch.int64),
            hidden.bound,
        )
        if int((bounds[0] + bounds[1]).max()) >= RESULT_BELOW:
            raise too_large("lstm.weight_*", "a sum of products and bias leaves 32 bits")
        width, gates = hidden.codes.shape[1], []
        for place, (name, one) in enumerate(zip(COLUMNS, read, strict=True)):
            rows = slice(place * width, (place + 1) * width)
            gates.append(
                _gate(name, one, word, output, site, bounds=(bounds[0][rows], bounds[1][rows]))
            )
        squashed, candidate = site["lstm.tanh_hidden"], site["lstm.tanh_cell"]
        taken, forget, shown = (site[SQUASHED[gate]] for gate in COLUMNS[:3])
        return cls(
            inputs,
            hidden,
            tuple(gates),
            _product(forget, cell, cell, "lstm.cell"),
            _product(taken, candidate, cell, "lstm.cell"),
            cell,
            squashed.nearest(torch.tanh(cell.values())),
            _product(shown, squashed, output, "lstm.io"),
            output,
        )

    def states(self, batch: Batch) -> Tensor:
        """Return the hidden states (total, hidden) of the batch's packed positions.

        They are float32 multiples of the output's scale, from which `hidden_codes` takes the codes
        back without loss.
        """
        width = self.width
        ids = batch.pack(batch.ids[:, :, None])[:, 0]
        found = torch.empty((batch.total, width), dtype=torch.float32)
        before = torch.zeros((batch.active[0], width), dtype=torch.int64)
        cell = torch.zeros_like(before)
        start = 0
        for count in batch.active:
            inputs = self.inputs[ids[start : start + count]].to(torch.int64)
            sums = self.hidden(before[:count])
            taken, forget, shown, candidate = (
                gate(inputs[:, k * width : (k + 1) * width], sums[:, k * width : (k + 1) * width])
                for k, gate in enumerate(self.gates)
            )
            cell = self.kept(forget * cell[:count]) + self.fresh(taken * candidate)
            cell = cell.clamp_(self.cell.low, self.cell.high)
            before = self.out(shown * self.squash[cell - self.cell.low])
            found[start : start + count] = before.to(torch.float32) * self.output.scale
            start += count
        return found

    def hidden_codes(self, states: Tensor) -> Tensor:
        """Return the codes int64 of hidden states that `states` gave."""
        return self.output.codes(states)


def input_codes(network: QuantClassifier, site: dict[str, Grid]) -> Tensor:
    """Return the codes (words, columns) int64 that the gates read of every word.

    site: the grids by site, see `grids`.
    """
    rows = codes = quantized_weight(network, "embedding")
    for name in network.input_sites:
        codes = site[name].codes(rows)
        rows = codes.to(torch.float32) * site[name].scale
    return codes


def _input_sums(network: QuantClassifier, site: dict[str, Grid], read: list[Weight]) -> Tensor:
    """Return every word's input sums and biases: int32 (words, 4 hidden)."""
    grid, codes = site[network.input_sites[-1]], input_codes(network, site)
    matrix = WholeMatrix(
        torch.cat([one.codes for one in read]), largest=grid.largest, site="lstm.weight_*"
    )
    modules = gate_modules(network)
    pairs = zip(COLUMNS, read, strict=True)
    bias = torch.cat([bias_codes(modules[gate].bias, grid, one.scale) for gate, one in pairs])
    if int((matrix.bound + bias.abs()).max()) >= RESULT_BELOW:
        raise too_large("lstm.weight_*", "a sum of products and bias leaves 32 bits")
    found = torch.empty((len(codes), len(bias)), dtype=torch.int32)
    for start in range(0, len(codes), _ROWS):
        found[start : start + _ROWS] = matrix(codes[start : start + _ROWS]) + bias
    return found


def _gate(
    name: str,
    read: Weight,
    word: Grid,
    output: Grid,
    site: dict[str, Grid],
    *,
    bounds: tuple[Tensor, Tensor],
) -> Gate:
    """Return a gate; bounds: the largest magnitudes of both sums by row."""
    where = f"lstm.acc_{name}"
    accumulator, squashed = site[where], site[SQUASHED[name]]
    ratios = np.stack([grid.step * read.steps / accumulator.step for grid in (word, output)])
    both = Multipliers.of(ratios, where)
    worst = bounds[0] * both.values[0] + bounds[1] * both.values[1]
    check(int(worst.max()), both.shift, where)
    squash = torch.tanh if name == "cell" else torch.sigmoid
    return Gate(
        both.values[0],
        both.values[1],
        both.shift,
        accumulator.low,
        accumulator.high,
        squashed.nearest(squash(accumulator.values())),
    )


def _product(a: Grid, b: Grid, to: Grid, site: str) -> Requantizer:
    """Return the requantizer of products of two codes."""
    largest = a.largest * b.largest
    return Requantizer.of(a.step * b.step / to.step, to.low, to.high, largest=largest, site=site)
