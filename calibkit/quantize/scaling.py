"""Where a Brevitas quantizer gets its step from: a frozen threshold, or the row at hand."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

with warnings.catch_warnings():  # brevitas and torch.jit deprecate each other at import
    warnings.simplefilter("ignore")
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
