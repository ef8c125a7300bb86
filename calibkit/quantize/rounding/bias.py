"""Bias correction from means."""

from __future__ import annotations

import torch
from torch import Tensor

from calibkit.quantize.rounding.grams import Gram


def bias_shift(weight: Tensor, chosen: Tensor, gram: Gram) -> Tensor:
    """Return what a layer's bias must gain so that its mean output is the float layer's.

    That is W E[x] - W_q E[x_q] (rows,) float64: the quantizers' mean errors, of weights and of
    inputs (Nagel et al. 2019, section 4.2, with both means measured). weight, chosen: (rows,
    columns), the float weights and the dequantized ones. Raises ValueError without means.
    """
    quantized, exact = gram.means()
    return weight.to(torch.float64) @ exact - chosen.to(torch.float64) @ quantized
