"""Token likelihoods under every label, fused: the logits never leave the first-level cache.

The arithmetic is defined, not left to a BLAS: a dot product is one chain of fused multiply-adds
(whole numbers, hence exact, for integer codes), exponentials are one polynomial, and the sums
over the vocabulary run in 16 lanes that are added up in a fixed order. The numbers are the same
at every instruction set, for any batch and any number of threads. They differ from those of
`calibkit.models.likelihood.label_token_log_probs` in the last digits (about 1e-6 nats a token).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from calibkit.engine.native.layout import bytes_in_vectors, in_vectors, quads, whole_vectors
from calibkit.engine.native.library import Level, address, check_memory, levels, library

LEAST_MASS = math.exp(-60.0)
"""A sum of exponentials above this lost less than 1e-7 of itself to underflow."""

EXACT_BELOW = 1 << 24
"""Whole numbers up to here are exact in float32."""

_GROUP = 8  # tokens per cache block, as in kernels.h


class Scorer:
    """log p(target | state, label) for all labels, with everything prepared that is fixed.

    weight (V, H), biases (K, V): float32. unit (V,) float64, where given, says that rows of
    ``weight`` and the states are integer codes whose products are worth ``unit`` nats; products
    must be whole numbers below 2^24. level: the instruction set; the fastest when not given.
    """

    def __init__(
        self,
        weight: Tensor,
        biases: Tensor,
        *,
        unit: Tensor | None = None,
        level: Level | None = None,
    ) -> None:
        self.library = library()
        self.level = level or levels()[0]
        self.weight = weight.to(torch.float32).contiguous()
        self.biases = biases.to(torch.float32).contiguous()
        self.words, self.hidden = weight.shape
        self.as_codes = unit is not None and self.level.codes
        if unit is None:
            unit = torch.ones(self.words, dtype=torch.float64)
        self.unit = unit.to(torch.float64).expand(self.words).contiguous()
        self.tops = self.biases.amax(dim=1)
        self.factors = whole_vectors((self.biases - self.tops[:, None]).exp())
        self.scale = whole_vectors((self.unit * math.log2(math.e)).to(torch.float32)[None])
        self.packed = bytes_in_vectors(self.weight) if self.as_codes else in_vectors(self.weight)

    def __call__(self, states: Tensor, targets: Tensor) -> Tensor:
        """Return log p (T, K) float32 for states (T, H), floats or codes, and targets (T,)."""
        count, labels = len(states), len(self.biases)
        rows = states.new_zeros((-(-count // _GROUP) * _GROUP, self.hidden), dtype=torch.float32)
        rows[:count] = states
        codes = quads(rows) if self.as_codes else None
        peaks = rows.new_empty(len(rows))
        masses = rows.new_empty((len(rows), labels))
        found = rows.new_empty((count, labels))
        sizes = (self.hidden, self.words, labels)
        wanted = targets.to(torch.int64).contiguous()
        if count and not 0 <= int(wanted.min()) <= int(wanted.max()) < self.words:
            raise IndexError(f"a target is outside the vocabulary of {self.words} words")
        status = self.library.calibkit_score(
            self.level.place,
            len(rows),
            *sizes,
            address(rows),
            None if codes is None else address(codes),
            address(self.packed),
            address(self.scale),
            address(self.factors),
            address(peaks),
            address(masses),
        )
        check_memory(status)
        self.library.calibkit_log_probs(
            self.level.place,
            count,
            *sizes,
            address(rows),
            address(self.weight),
            address(self.unit),
            address(self.biases),
            address(self.tops),
            address(wanted),
            address(peaks),
            address(masses),
            LEAST_MASS,
            address(found),
        )
        return found


def label_token_log_probs(
    states: Tensor, weight: Tensor, biases: Tensor, targets: Tensor, *, level: Level | None = None
) -> Tensor:
    """Return log p(target_t | h_t, y) for every token and every label: float32 (T, K).

    states (T, H), weight (V, H), biases (K, V), targets int64 (T,); the native counterpart of the
    function of this name in `calibkit.models.likelihood`. Raises BadInput without the extension.
    """
    return Scorer(weight, biases, level=level)(states, targets)
