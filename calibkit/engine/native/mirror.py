"""The hidden states of a frozen network by the native kernels: the torch mirror's numbers.

Every quantized nonlinearity has at most 2^bits inputs, so it is a table that torch itself fills;
the input-to-hidden product depends on the token alone, so it is one table row a word.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from calibkit.engine.batches import Batch
from calibkit.engine.mirror import COLUMNS, Mirror
from calibkit.engine.native.layout import in_vectors
from calibkit.engine.native.library import Level, address, check_memory, levels, library
from calibkit.engine.quantizers import Quantizer
from calibkit.quantize.networks import QuantClassifier

_OVERHANG = 16  # the kernels may read, and ignore, one vector past the end of a row


class NativeMirror(Mirror):
    """The hidden states of a calibrated, frozen network; independent of batch and threads.

    Equal bit for bit to Brevitas where the BLAS under it sums products one after the other with
    fused multiply-adds, which `calibkit.engine.choice.agrees` checks on the documents at hand.
    Raises BadInput without the extension. level: the instruction set, the fastest if not given.
    """

    def __init__(self, network: QuantClassifier, *, level: Level | None = None) -> None:
        super().__init__(network)
        self.library = library()
        self.level = level or levels()[0]
        gates = self.bias.numel()
        vectors = in_vectors(self.hidden_weight)
        self.columns = vectors.shape[0] * vectors.shape[2]
        self.packed = vectors
        self.bias_row = self.bias.new_zeros(gates + _OVERHANG)
        self.bias_row[:gates] = self.bias
        nonlinear = {gate: torch.sigmoid for gate in COLUMNS[:3]} | {"cell": torch.tanh}
        sites = {gate: f"lstm.sigmoid_{gate}" for gate in COLUMNS[:3]} | {"cell": "lstm.tanh_cell"}
        accumulators = [self._fixed(f"lstm.acc_{gate}") for gate in COLUMNS]
        self.tables = [
            self.site[sites[gate]].apply_(nonlinear[gate](_levels(accumulator)))
            for gate, accumulator in zip(COLUMNS, accumulators, strict=True)
        ]
        state = self._fixed("lstm.cell")
        self.tables.append(self.site["lstm.tanh_hidden"].apply_(torch.tanh(_levels(state))))
        self.quantizers = np.array(
            [
                [float(q.scale), float(q.low), float(q.high)]
                for q in (*accumulators, state, self._fixed("lstm.io"))
            ],
            dtype=np.float32,
        )
        self.inputs = self._input_table()

    def _fixed(self, site: str) -> Quantizer:
        found = self.site[site]
        if not isinstance(found, Quantizer):
            raise TypeError(f"{site}: the native kernels need one step for all rows")
        return found

    def _input_table(self) -> Tensor:
        """Return every word's input-to-hidden products, flat, with a vector's overhang."""
        rows = self.embedding.clone()
        for site in self.network.input_sites:
            self.site[site].apply_(rows)
        size = len(rows) * len(self.input_weight)
        flat = rows.new_zeros(size + _OVERHANG)
        torch.mm(rows, self.input_weight.T, out=flat[:size].view(len(rows), -1))
        return flat

    def states(self, batch: Batch) -> Tensor:
        """Return the hidden states (total, hidden) of the batch's packed positions."""
        ids = batch.pack(batch.ids[:, :, None])[:, 0].contiguous()
        words = len(self.embedding)
        if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < words:
            raise IndexError(f"a token is outside the vocabulary of {words} words")
        active = np.array(batch.active, dtype=np.int64)
        found = self.bias.new_empty((batch.total, self.hidden_size))
        status = self.library.calibkit_states(
            self.level.place,
            len(batch.rows),
            len(active),
            self.hidden_size,
            self.columns,
            address(active),
            address(ids),
            address(self.inputs),
            address(self.packed),
            address(self.bias_row),
            address(self.quantizers),
            *(address(table) for table in self.tables),
            address(found),
        )
        check_memory(status)
        return found


def _levels(quantizer: Quantizer) -> Tensor:
    """Return every value that a quantizer can give, lowest first, as it would give it."""
    codes = torch.arange(int(quantizer.low), int(quantizer.high) + 1, dtype=torch.float32)
    return codes.mul_(quantizer.scale)
