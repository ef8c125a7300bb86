"""Activation quantizers in place, with Brevitas's operations in Brevitas's order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from calibkit.quantize.scaling import RowScaling, row_thresholds


@dataclass(frozen=True)
class Quantizer:
    """A frozen quantizer: scale () or one per column, and the range of its integer codes.

    low, high: plain numbers wherever they are one for all columns, which is twice as fast.
    """

    scale: Tensor
    low: Tensor | float
    high: Tensor | float

    def apply_(self, x: Tensor) -> Tensor:
        """Quantize and dequantize ``x`` in place."""
        x.div_(self.scale).round_()
        return x.clamp_(self.low, self.high).mul_(self.scale)  # type: ignore[arg-type]

    @classmethod
    def beside(cls, several: Sequence[Quantizer], width: int) -> Quantizer:
        """Return one quantizer for values that stand side by side, ``width`` columns each."""

        def spread(values: list[Tensor]) -> Tensor:
            return torch.cat([value.reshape(1).expand(width) for value in values])

        def one_or_spread(ends: list[Tensor | float]) -> Tensor | float:
            same = all(float(end) == float(ends[0]) for end in ends)
            return float(ends[0]) if same else spread([torch.as_tensor(float(e)) for e in ends])

        return cls(
            spread([q.scale for q in several]),
            one_or_spread([q.low for q in several]),
            one_or_spread([q.high for q in several]),
        )


@dataclass(frozen=True)
class RowQuantizer:
    """A dynamic quantizer: each row of each block of columns has a step of its own.

    threshold: the code of a row's largest magnitude; low, high: the range of codes. All are
    (blocks, 1).
    """

    threshold: Tensor
    low: Tensor
    high: Tensor

    def apply_(self, x: Tensor) -> Tensor:
        """Quantize and dequantize ``x`` (rows, columns) in place."""
        blocks = x.view(len(x), len(self.threshold), -1)
        steps = row_thresholds(blocks) / self.threshold
        blocks.div_(steps).round_().clamp_(self.low, self.high).mul_(steps)
        return x

    @classmethod
    def beside(cls, several: Sequence[RowQuantizer]) -> RowQuantizer:
        """Return one quantizer for rows that stand side by side, of equal width."""
        return cls(
            torch.cat([q.threshold for q in several]),
            torch.cat([q.low for q in several]),
            torch.cat([q.high for q in several]),
        )


def quantizer_of(impl: Any) -> Quantizer | RowQuantizer:
    """Read a Brevitas activation quantizer whose step is frozen, or taken from each row."""
    _, scale, _, bits = impl(torch.zeros(1))
    low, high = (
        torch.as_tensor(end(bits)) for end in (impl.int_quant.min_int, impl.int_quant.max_int)
    )
    if isinstance(impl.scaling_impl, RowScaling):
        threshold = impl.int_scaling_impl(bits)
        return RowQuantizer(*(end.reshape(1, 1) for end in (threshold, low, high)))
    return Quantizer(scale.detach(), float(low), float(high))


def side_by_side(
    several: Sequence[Quantizer | RowQuantizer], width: int
) -> Quantizer | RowQuantizer:
    """Return one quantizer for the values of several, ``width`` columns each, side by side."""
    rows = [q for q in several if isinstance(q, RowQuantizer)]
    if rows:
        return RowQuantizer.beside(rows)
    return Quantizer.beside([q for q in several if isinstance(q, Quantizer)], width)
