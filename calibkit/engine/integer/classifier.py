"""The discriminative head on integers: the mean of hidden codes, one matrix, the largest logit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calibkit.engine.batches import Batch
from calibkit.engine.integer.fixed_point import Multipliers, WholeMatrix, check, too_large
from calibkit.engine.integer.grids import Grid, bias_codes, grids, weight
from calibkit.engine.integer.scores import log_softmax
from calibkit.quantize.networks import QuantDiscriminative
from calibkit.ragged import Ragged

MEAN_SHIFT = 40
"""The largest shift of the pooled ratio: 2 * tokens * 2^shift stays in 64 bits."""

LOGIT_SHIFT = 46
"""The largest shift of logits: see `scores.log_softmax`."""

MOST_TOKENS = 1 << 20


@dataclass(frozen=True)
class IntegerClassifier:
    """A frozen linear layer on mean hidden codes, as integers.

    pooled: from a mean hidden code to a code of ``input``. logits: by label, what a unit of the
    layer's products is worth in nats.
    """

    output: Grid
    input: Grid
    pooled: Multipliers
    matrix: WholeMatrix
    bias: Tensor
    logits: Multipliers

    @classmethod
    def of(cls, network: QuantDiscriminative) -> IntegerClassifier:
        """Return the integers of a calibrated, frozen network; raises BadInput as the LSTM does."""
        site = grids(network)
        output, read = site["lstm.io"], site["classifier.input"]
        layer = weight(network, "classifier")
        matrix = WholeMatrix(layer.codes, largest=read.largest, site="classifier")
        bias = bias_codes(network.classifier.bias, read, layer.scale)
        logits = Multipliers.of(read.step * layer.steps, "classifier", most=LOGIT_SHIFT)
        check(int(((matrix.bound + bias.abs()) * logits.values).max()), 31, "classifier")
        pooled = Multipliers.of(output.step / read.step, "classifier.input", most=MEAN_SHIFT)
        return cls(output, read, pooled, matrix, bias, logits)

    def input_codes(self, sums: Tensor, lengths: Tensor) -> Tensor:
        """Return the codes int64 (n, hidden) of means of hidden codes.

        sums (n, hidden) int64 over the documents' tokens, lengths (n,) int64.
        """
        if int(lengths.max()) >= MOST_TOKENS:
            raise too_large("classifier.input", f"a document has {int(lengths.max())} tokens")
        multiplier, shift = int(self.pooled.values), self.pooled.shift
        whole = (lengths << shift)[:, None]
        codes = (2 * sums * multiplier + whole).div(2 * whole, rounding_mode="floor")
        return codes.clamp_(self.input.low, self.input.high)

    def logits_of(self, sums: Tensor, lengths: Tensor) -> Tensor:
        """Return int64 logits (n, labels), in units of 2^-shift nats, from sums of hidden codes."""
        return (self.matrix(self.input_codes(sums, lengths)) + self.bias) * self.logits.values

    def score(
        self, one: Batch, packed: Tensor, tokens: Ragged, labels: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], None]:
        """Return log p(y | x) (n, labels) of a batch from its hidden states (total, hidden)."""
        codes = self.output.codes(packed)
        sums = torch.zeros((len(one.rows), codes.shape[1]), dtype=torch.int64)
        start = 0
        for count in one.active:
            sums[:count] += codes[start : start + count]
            start += count
        logits = self.logits_of(sums, one.lengths)
        return log_softmax(logits, self.logits.shift).numpy(), None
