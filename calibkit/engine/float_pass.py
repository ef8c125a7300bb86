"""The float model's values at every activation site, over real tokens only.

A plain step loop over packed positions: finished documents drop out of the batch, so padding is
never computed, let alone observed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from calibkit.engine.batches import BATCH, Batch, batches
from calibkit.quantize.networks import Arrays, linear_name
from calibkit.quantize.sites import GATES
from calibkit.ragged import Ragged


@dataclass(frozen=True)
class Values:
    """Values of one site from one batch; each stands for ``times`` occurrences."""

    values: Tensor
    times: int = 1


@dataclass(frozen=True)
class FloatBatch:
    """What the float model did with one batch.

    sites: values per activation site, in the order of the quantizer's calls. hidden: h of every
    packed position (total, hidden). linear_input: input rows of the linear layer, pooled (n,
    hidden) for the discriminative model; for the generative one the h part only (total, hidden).
    """

    batch: Batch
    sites: dict[str, list[Values]]
    hidden: Tensor
    linear_input: Tensor


class RememberedStates:
    """Hidden states of the float model over the batches of one list of documents, computed once.

    Several moments of one update read them, and the pass that ranges are chosen by has them anyway.
    """

    def __init__(self, model: FloatModel) -> None:
        self.model = model
        self._of: dict[bytes, Tensor] = {}

    @property
    def known(self) -> bool:
        """Whether there are any."""
        return bool(self._of)

    def __call__(self, one: Batch) -> Tensor:
        """Return the hidden states (total, hidden) of a batch's packed positions."""
        key = one.rows.tobytes()
        if key not in self._of:
            self._of[key] = self.model.hidden(one)
        return self._of[key]

    def remember(self, done: FloatBatch) -> None:
        """Keep those of a pass that was for something else."""
        self._of[done.batch.rows.tobytes()] = done.hidden


STEPS = ("i", "f", "g", "o", "fc", "ig", "c", "t", "h")
"""What a step computes: gates, f * c, i * g, cell state, its tanh, hidden state."""


@dataclass(frozen=True)
class FloatModel:
    """A float model's weights as torch tensors, ready for passes."""

    kind: str
    embedding: Tensor
    input_weight: Tensor
    hidden_weight: Tensor
    bias: Tensor
    label_vectors: Tensor | None

    @classmethod
    def of(cls, kind: str, arrays: Arrays) -> FloatModel:
        """Take the weights by their torch state-dict names."""

        def tensor(name: str) -> Tensor:
            return torch.from_numpy(np.array(arrays[name], dtype=np.float32))

        return cls(
            kind,
            tensor("embedding.weight"),
            tensor("lstm.weight_ih_l0"),
            tensor("lstm.weight_hh_l0"),
            tensor("lstm.bias_ih_l0") + tensor("lstm.bias_hh_l0"),
            tensor("label_embedding.weight") if kind == "generative" else None,
        )

    def passes(self, tokens: Ragged, *, size: int = BATCH) -> Iterator[FloatBatch]:
        """Yield the site values of all documents, batch by batch."""
        for batch in batches(tokens, drop_last=self.kind == "generative", size=size):
            yield self.run(batch)

    def hidden(self, batch: Batch) -> Tensor:
        """Return the hidden states (total, hidden) of one batch's packed positions."""
        return self._steps(batch, ("h",))[1]["h"]

    def run(self, batch: Batch) -> FloatBatch:
        """Run one batch and keep what every site saw."""
        accumulators, kept = self._steps(batch, STEPS)
        inputs = kept["x"]
        acc = dict(zip(GATES, accumulators.chunk(4, dim=1), strict=True))
        last, linear_input = self._linear_input(batch, kept["h"])
        sites = {
            "input": [Values(inputs)],
            "lstm.io": [Values(inputs), Values(kept["h"])],
            **{f"lstm.acc_{gate}": [Values(value)] for gate, value in acc.items()},
            "lstm.sigmoid_input": [Values(kept["i"])],
            "lstm.sigmoid_forget": [Values(kept["f"])],
            "lstm.tanh_cell": [Values(kept["g"])],
            "lstm.sigmoid_output": [Values(kept["o"])],
            "lstm.cell": [Values(kept[name]) for name in ("fc", "ig", "c")],
            "lstm.tanh_hidden": [Values(kept["t"])],
            f"{linear_name(self.kind)}.input": last,
        }
        return FloatBatch(batch, sites, kept["h"], linear_input)

    def _steps(self, batch: Batch, names: Sequence[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return gate accumulators (total, 4 width) and the named values of every position."""
        inputs = self.embedding[batch.pack(batch.ids[:, :, None])[:, 0]]
        accumulators = inputs @ self.input_weight.T + self.bias
        width = self.hidden_weight.shape[1]
        kept = {name: inputs.new_empty(batch.total, width) for name in names}
        hidden = cell = inputs.new_zeros(batch.active[0], width)
        start = 0
        for count in batch.active:
            here = slice(start, start + count)
            start += count
            gates = accumulators[here]
            gates += hidden[:count] @ self.hidden_weight.T
            i, f, g, o = gates.chunk(4, dim=1)
            take, forget, show = torch.sigmoid(i), torch.sigmoid(f), torch.sigmoid(o)
            candidate = torch.tanh(g)
            forget_cell = forget * cell[:count]
            input_cell = take * candidate
            cell = forget_cell + input_cell
            squashed = torch.tanh(cell)
            hidden = show * squashed
            gate_values = (take, forget, candidate, show)
            found = (*gate_values, forget_cell, input_cell, cell, squashed, hidden)
            for name, value in zip(STEPS, found, strict=True):
                if name in kept:
                    kept[name][here] = value
        return accumulators, kept | {"x": inputs}

    def _linear_input(self, batch: Batch, hidden: Tensor) -> tuple[list[Values], Tensor]:
        if self.label_vectors is not None:
            # the decoder reads [h_t ; v_y] at every position, once for every label
            return [
                Values(hidden, times=len(self.label_vectors)),
                Values(self.label_vectors, times=batch.total),
            ], hidden
        pooled = batch.mean(hidden)
        return [Values(pooled)], pooled
