"""Nearest rounding, which the other methods correct."""

from __future__ import annotations

import torch
from torch import Tensor


def round_nearest(weight: Tensor, scale: Tensor, bits: int) -> Tensor:
    """Return integer codes (as float) of ``weight``, half to even, clamped to the narrow range."""
    top = 2 ** (bits - 1) - 1
    return torch.clamp(torch.round(weight / scale), -top, top)
