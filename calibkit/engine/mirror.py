"""The torch engine: a frozen quantized LSTM in one step loop, the same numbers as Brevitas.

A quantizer is a few operations in place; weights are quantized once; the input-to-hidden products
of all steps are one matrix product; finished documents leave the batch.
Each arithmetic step is the one that Brevitas does, in its order, so that states are equal bit for
bit wherever the BLAS sums a row of 100 products the same way for every shape (`agrees` checks).
"""

from __future__ import annotations

import torch
from torch import Tensor

from calibkit.engine.batches import Batch
from calibkit.engine.quantizers import Quantizer, RowQuantizer, quantizer_of, side_by_side
from calibkit.quantize.networks import (
    QuantClassifier,
    activation_impl,
    activation_proxies,
    gate_modules,
    quantized_weight,
)

SMALLEST_PRODUCT = 8
"""Rows of the smallest matrix product: BLAS libraries sum those of very few rows (MKL: up to 4)
in another order than those of many, and Brevitas multiplies a whole batch at every step."""

COLUMNS = ("input", "forget", "output", "cell")
"""Order of the gates in the mirror's matrices: the three sigmoids side by side."""


class Mirror:
    """The hidden states of a calibrated, frozen network."""

    def __init__(self, network: QuantClassifier) -> None:
        self.network = network
        layer = network.lstm.layers[0][0]
        proxies = activation_proxies(network)
        self.site = {site: quantizer_of(activation_impl(proxies[site])) for site in proxies}
        gates = gate_modules(network)
        names = [f"lstm.weight_{gate}" for gate in COLUMNS]
        self.input_weight = torch.cat([quantized_weight(network, f"{n}.input") for n in names])
        self.hidden_weight = torch.cat([quantized_weight(network, f"{n}.hidden") for n in names])
        self.hidden_size = self.hidden_weight.shape[1]
        probe = layer.maybe_quantize_input(
            network.input(torch.zeros(1, self.input_weight.shape[1]))
        )
        biases = [layer.gate_params_fwd(gates[gate], probe)[2] for gate in COLUMNS]
        self.bias = torch.cat([b.value if hasattr(b, "value") else b for b in biases])
        self.embedding: Tensor = quantized_weight(network, "embedding")
        self.accumulator = self._columns([f"lstm.acc_{gate}" for gate in COLUMNS])
        self.sigmoid = self._columns([f"lstm.sigmoid_{gate}" for gate in COLUMNS[:3]])

    def _columns(self, sites: list[str]) -> Quantizer | RowQuantizer:
        """Put the quantizers of several gates side by side, one column block each."""
        return side_by_side([self.site[site] for site in sites], self.hidden_size)

    def states(self, batch: Batch) -> Tensor:
        """Return the hidden states (total, hidden) of the batch's packed positions."""
        return self._run(batch, None)

    def values(self, batch: Batch) -> dict[str, list[Tensor]]:
        """Return what every quantizer of embedding and LSTM gives, packed, call by call."""
        found: dict[str, list[Tensor]] = {}
        self._run(batch, found)
        return found

    def _run(self, batch: Batch, kept: dict[str, list[Tensor]] | None) -> Tensor:
        width = self.hidden_size
        inputs = self.embedding[batch.pack(batch.ids[:, :, None])[:, 0]]
        self.site["input"].apply_(inputs)
        if kept is not None:
            kept["input"] = [inputs.clone()]
        for site in self.network.input_sites[1:]:
            self.site[site].apply_(inputs)
        gates = inputs @ self.input_weight.T
        found = inputs.new_empty(batch.total, width)
        before = inputs.new_zeros(batch.active[0], width)
        cell = torch.zeros_like(before)
        few = inputs.new_zeros(SMALLEST_PRODUCT, width)
        state, io = self.site["lstm.cell"], self.site["lstm.io"]
        steps: list[tuple[Tensor, ...]] = []
        start = 0
        for count in batch.active:
            here = gates[start : start + count]
            if count < SMALLEST_PRODUCT:  # rows that are done only keep the shape
                few[:count] = before[:count]
                here += (few @ self.hidden_weight.T)[:count]
            else:
                here += before[:count] @ self.hidden_weight.T
            here += self.bias
            self.accumulator.apply_(here)
            sigmoids = self.sigmoid.apply_(torch.sigmoid(here[:, : 3 * width]))
            candidate = self.site["lstm.tanh_cell"].apply_(torch.tanh(here[:, 3 * width :]))
            forgotten = state.apply_(sigmoids[:, width : 2 * width] * cell[:count])
            taken = state.apply_(candidate * sigmoids[:, :width])
            cell = state.apply_(forgotten + taken)
            squashed = self.site["lstm.tanh_hidden"].apply_(torch.tanh(cell))
            before = found[start : start + count]
            io.apply_(torch.mul(squashed, sigmoids[:, 2 * width :], out=before))
            if kept is not None:
                steps.append((sigmoids, candidate, forgotten, taken, cell, squashed))
            start += count
        if kept is not None:
            every = [torch.cat(part) for part in zip(*steps, strict=True)]
            kept["lstm.io"] = [inputs, found] if "lstm.io" in self.network.input_sites else [found]
            for place, gate in enumerate(COLUMNS):
                columns = slice(place * width, (place + 1) * width)
                kept[f"lstm.acc_{gate}"] = [gates[:, columns]]
                if gate != "cell":
                    kept[f"lstm.sigmoid_{gate}"] = [every[0][:, columns]]
            kept["lstm.tanh_cell"] = [every[1]]
            kept["lstm.cell"] = every[2:5]
            kept["lstm.tanh_hidden"] = [every[5]]
        return found
