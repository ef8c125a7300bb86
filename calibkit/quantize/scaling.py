"""What a Brevitas quantizer is made of: steps from a threshold or from the row at hand, codes."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from calibkit.quantize.estimators import Codes

with warnings.catch_warnings():  # brevitas and torch.jit deprecate each other at import
    warnings.simplefilter("ignore")
    from brevitas.core.quant import IntQuant
    from brevitas.core.scaling import ParameterScaling

SMALLEST = 1e-30
"""Rows of smaller values are rows of zeros: their steps would be no float32 numbers."""


def frozen(threshold: Any) -> nn.Module:
    """Return a scaling that always gives this threshold, () or (rows, 1) float32."""
    value = torch.tensor(np.asarray(threshold, dtype=np.float32))
    shape = tuple(value.shape) if value.ndim else None
    scaling: nn.Module = ParameterScaling(value, scaling_shape=shape, scaling_min_val=1e-10)
    scaling.requires_grad_(False)  # noqa: FBT003
    return scaling.eval()


class CodeRange(IntQuant):  # type: ignore[misc]
    """Integer codes from low to high, counted from the one that means 0.

    That is an unsigned quantizer with the integer zero point -low, rounded as ONNX defines it
    (first the quotient, then the shift); Brevitas's own shifts first, so that halves may round to
    the other side.
    """

    low: Tensor
    high: Tensor

    def __init__(self, codes: Codes) -> None:
        super().__init__(narrow_range=False, signed=True, input_view_impl=nn.Identity())
        self.register_buffer("low", torch.tensor(float(codes.low)))
        self.register_buffer("high", torch.tensor(float(codes.high)))

    def min_int(self, bit_width: Tensor) -> Tensor:
        """Return the lowest code."""
        return self.low

    def max_int(self, bit_width: Tensor) -> Tensor:
        """Return the highest code."""
        return self.high


class PerThreshold(nn.Module):
    """The number of steps that make up a threshold, whatever the bit width."""

    steps: Tensor

    def __init__(self, codes: Codes) -> None:
        super().__init__()
        self.register_buffer("steps", torch.tensor(float(codes.per_threshold)))

    def forward(self, bit_width: Tensor) -> Tensor:
        """Return the number."""
        return self.steps


class RowScaling(nn.Module):
    """Dynamic quantization: every row of values has its own threshold, its largest magnitude.

    A row is what one document shows a quantizer at one time step, the last dimension. Brevitas's
    own dynamic quantizers take one threshold a call, which depends on what else is in the batch.
    """

    def forward(self, values: Tensor, threshold: Tensor) -> Tensor:
        """Return steps (..., 1); threshold: the code that the largest magnitude gets."""
        return row_thresholds(values) / threshold


def row_thresholds(values: Tensor) -> Tensor:
    """Return the largest magnitude of every row (..., 1), and 1 for a row of zeros."""
    top = values.detach().abs().amax(dim=-1, keepdim=True)
    return torch.where(top > SMALLEST, top, torch.ones_like(top))
