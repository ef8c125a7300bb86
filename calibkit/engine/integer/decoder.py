"""The generative head on integers: token likelihoods of all labels in one pass over the words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calibkit.engine.batches import Batch
from calibkit.engine.integer.fixed_point import (
    Multipliers,
    Requantizer,
    WholeMatrix,
    check,
    rescaled,
    too_large,
)
from calibkit.engine.integer.grids import Grid, Weight, bias_codes, grids, weight
from calibkit.engine.integer.powers import ONE, POWER_BITS, log2, power
from calibkit.engine.integer.scores import LN2
from calibkit.engine.plain import next_tokens
from calibkit.quantize.networks import QuantGenerative
from calibkit.ragged import Ragged

BLOCK = 768
"""Words whose powers are summed before the sum is shortened: at most 2^53 * 768 < 2^63."""

FACTOR_BITS = 24
TOTAL_BITS = 37
"""Fraction bits of a label's factors, and of its sum over the vocabulary after shortening."""

SHORTENED = POWER_BITS + FACTOR_BITS - TOTAL_BITS

LEAST_TOTAL = 1 << (TOTAL_BITS - 10)
"""A smaller sum lies so far below the shared peak that its label is summed for itself."""

LOGIT_BELOW = 1 << 29
"""Logits, in 2^-16 bits, stay below this: 8,192 bits."""

_TOKENS = 512  # whose powers exist at one time, of one block
_PAIRS = 32  # of token and label whose powers exist at one time, of all words
_HALVES = 12  # a factor is multiplied in two parts, which keeps float64 products exact
_LEAST_PRIOR = -float(1 << 40)  # stands for the prior 0


@dataclass(frozen=True)
class IntegerDecoder:
    """A frozen decoder [h ; v] -> vocabulary as integers; logits count 2^-16 bits.

    read: codes of the decoder's input by hidden code, lowest first. matrix (words, hidden), units
    (words,): the part of h and what a unit of it is worth. label_logits (labels, words) int32: the
    part of label and bias. tops (words,) int32: the largest of these by word. factors (labels,
    words) int32: 2^(label's - largest) with 24 fraction bits. prior (labels,) int64.
    """

    output: Grid
    read: Tensor
    matrix: WholeMatrix
    units: Multipliers
    label_logits: Tensor
    tops: Tensor
    factors: Tensor
    prior: Tensor

    @classmethod
    def of(cls, network: QuantGenerative) -> Self:
        """Return the integers of a calibrated, frozen network; raises BadInput as the LSTM does."""
        site = grids(network)
        output, read = site["lstm.io"], site["decoder.input"]
        ratio = output.step / read.step
        requantizer = Requantizer.of(
            ratio, read.low, read.high, largest=output.largest, site="decoder.input"
        )
        table = requantizer(torch.arange(output.low, output.high + 1))
        layer = weight(network, "decoder")
        width = layer.codes.shape[1] // 2
        matrix = WholeMatrix(layer.codes[:, :width], largest=read.largest, site="decoder")
        units = Multipliers.of(read.step * layer.steps * (ONE / LN2), "decoder")
        check(int((matrix.bound * units.values).max()), units.shift, "decoder")
        logits = _label_logits(network, layer, read)
        largest = int((matrix.bound * units.values).max() >> units.shift) + 1
        largest += int(logits.abs().max())
        if largest >= LOGIT_BELOW:
            raise too_large("decoder", f"its logits come up to {largest / ONE:.0f} bits")
        prior = (network.log_prior.to(torch.float64) * (ONE / LN2)).clamp_(min=_LEAST_PRIOR)
        prior = prior.round_().to(torch.int64)
        return cls(output, table, matrix, units, logits, *by_word(logits), prior)

    def codes(self, states: Tensor) -> Tensor:
        """Return the decoder's input codes (T, hidden) int64 of hidden states."""
        return self.read[self.output.codes(states) - self.output.low]

    def shared_logits(self, codes: Tensor, words: slice) -> Tensor:
        """Return what h adds to the logits of some words: (T, words) int64."""
        products = self.matrix(codes, words=words)
        return rescaled(products * self.units.values[words], self.units.shift)

    def sums(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Return (peaks (T,), totals (T, labels)), int64: sums of powers over the vocabulary.

        A total is the sum over words of 2^(logit - peak) with 37 fraction bits; the peak, in whole
        bits, is the same for all labels and not below any logit.
        """
        parts = [self._sums(codes[i : i + _TOKENS]) for i in range(0, len(codes), _TOKENS)]
        if not parts:
            return codes.new_zeros(0), codes.new_zeros((0, len(self.factors)))
        return torch.cat([peak for peak, _ in parts]), torch.cat([total for _, total in parts])

    def _sums(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        peaks = codes.new_full((len(codes),), -(1 << 14))
        totals = codes.new_zeros((len(codes), len(self.factors)))
        for start in range(0, len(self.tops), BLOCK):
            words = slice(start, start + BLOCK)
            logits = self.shared_logits(codes, words) + self.tops[words]
            higher = torch.maximum(peaks, _whole_bits(logits.amax(dim=1)))
            totals >>= (higher - peaks).clamp_(max=63)[:, None]
            peaks = higher
            powers = power((peaks * ONE)[:, None] - logits).to(torch.float64)
            factors = self.factors[:, words].T
            high = powers @ (factors >> _HALVES).to(torch.float64)
            low = powers @ (factors & ((1 << _HALVES) - 1)).to(torch.float64)
            found = (high.to(torch.int64) << _HALVES) + low.to(torch.int64)
            totals += found >> SHORTENED
        return peaks, totals

    def log_masses(self, codes: Tensor) -> Tensor:
        """Return log2 of the sum over words of 2^logit for every label: (T, labels) int64."""
        peaks, totals = self.sums(codes)
        found = (peaks * ONE)[:, None] + log2(totals.clamp(min=1)) - TOTAL_BITS * ONE
        alone = (totals < LEAST_TOTAL).nonzero()
        for start in range(0, len(alone), _PAIRS):
            rows, labels = alone[start : start + _PAIRS].T
            found[rows, labels] = self._own_log_masses(codes[rows], labels)
        return found

    def _own_log_masses(self, codes: Tensor, labels: Tensor) -> Tensor:
        """Return the same for pairs of a token and a label, each summed relative to its peak."""
        logits = self.shared_logits(codes, slice(None)) + self.label_logits[labels]
        peaks = _whole_bits(logits.amax(dim=1))
        masses = power((peaks * ONE)[:, None] - logits).sum(dim=1)
        return peaks * ONE + log2(masses) - POWER_BITS * ONE

    def token_scores(self, codes: Tensor, targets: Tensor) -> Tensor:
        """Return log2 p(target | h, y) of every token and label: (T, labels) int64."""
        chosen = self.matrix.codes[targets].to(torch.int32)
        products = (codes.to(torch.int32) * chosen).sum(dim=1)
        shared = rescaled(products * self.units.values[targets], self.units.shift)
        return shared[:, None] + self.label_logits[:, targets].T - self.log_masses(codes)

    def score(
        self, one: Batch, packed: Tensor, tokens: Ragged, labels: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return log p(x, y) (n, labels) and the true label's token cross-entropies (total,).

        In nats. A document's score is one product of its whole total, so that equal totals, and
        only these, are equal scores.
        """
        found = self.token_scores(self.codes(packed), next_tokens(one, tokens))
        totals = self.prior.repeat(len(one.rows), 1)
        totals.index_add_(0, one.documents, found)
        truth = torch.from_numpy(labels[one.rows])[one.documents]
        own = -found.gather(1, truth[:, None])[:, 0]
        nats = LN2 / ONE
        token_nll = (own.to(torch.float64) * nats).to(torch.float32)
        return (totals.to(torch.float64) * nats).numpy(), token_nll.numpy()


def _whole_bits(logits: Tensor) -> Tensor:
    """Return the whole number of bits that is not below a logit."""
    return (logits + (ONE - 1)) >> 16


def by_word(label_logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return the largest logit of every word (words,) and every label's factor below it."""
    tops = label_logits.amax(dim=0)
    factors = torch.empty_like(label_logits)
    for to, logits in zip(factors, label_logits, strict=True):  # few labels' powers at one time
        distance = tops.to(torch.int64) - logits
        to.copy_(rescaled(power(distance), POWER_BITS - FACTOR_BITS))
    return tops, factors


def _label_logits(network: QuantGenerative, layer: Weight, read: Grid) -> Tensor:
    """Return what label and bias add to every logit: (labels, words) int32."""
    vectors = network.decoder_labels()
    if network.separate_hv:
        steps, largest = weight(network, "label_embedding").steps, 128
        codes = weight(network, "label_embedding").codes
    else:
        steps, largest = np.full(len(vectors), read.step), read.largest
        codes = read.codes(vectors)
    of_labels = layer.codes[:, vectors.shape[1] :]
    matrix = WholeMatrix(of_labels, largest=largest, site="decoder")
    bias = bias_codes(network.decoder.bias, read, layer.scale)
    bits = layer.steps * (ONE / LN2)
    both = Multipliers.of(np.vstack([steps[:, None] * bits, read.step * bits[None]]), "decoder")
    of_bias = bias * both.values[-1]
    found = torch.empty((len(codes), len(bias)), dtype=torch.int32)
    for label, to in enumerate(found):
        sums = matrix(codes[label : label + 1])[0] * both.values[label]
        check(int((sums.abs() + of_bias.abs()).max()), both.shift, "decoder")
        to.copy_(rescaled(sums + of_bias, both.shift))
    return found
