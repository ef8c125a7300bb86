"""GPTQ: each column's rounding error is made up for by the columns that are still to come."""

from __future__ import annotations

import torch
from torch import Tensor

from calibkit.quantize.rounding.grams import Gram, damped
from calibkit.quantize.rounding.nearest import round_nearest

DAMPING = 0.01
"""Share of the mean diagonal of H that is added to its diagonal, as in the authors' code."""


def gptq(
    weight: Tensor, scale: Tensor, bits: int, gram: Gram, *, activation_order: bool = False
) -> Tensor:
    """Return integer codes (rows, columns) that keep the layer's outputs on its quantized inputs.

    GPTQ (Frantar et al. 2023): minimises ||W X_q - W_q X_q|| column by column, with the inverse
    of the damped Hessian H in Cholesky form; the float inputs have no part in it. The scale is
    frozen. activation_order: columns of powerful inputs first. A column whose input is 0 on the
    whole subset is rounded to nearest.

    weight: (rows, columns) float32; scale: () or (rows, 1).
    """
    h = gram.quantized
    if activation_order:
        order = torch.argsort(h.diagonal(), descending=True, stable=True)
        found = error_feedback(weight[:, order], scale, bits, damped(h, DAMPING)[order][:, order])
        return found[:, torch.argsort(order)].contiguous()
    return error_feedback(weight, scale, bits, damped(h, DAMPING))


def error_feedback(target: Tensor, scale: Tensor, bits: int, h: Tensor) -> Tensor:
    """Return integer codes W_q of real-valued ``target`` V with a small (V - W_q) H (V - W_q)^T.

    Columns in order; what a column misses is made up for by those after it, exactly, as if these
    stayed real numbers. target: (rows, columns); h: positive definite (columns, columns) float64.
    """
    step = scale.to(torch.float64).reshape(-1)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(h))
    upper = torch.linalg.cholesky(inverse, upper=True)
    values = target.to(torch.float64).T.contiguous()
    codes = torch.empty_like(values)
    errors = torch.empty_like(values)
    for t in range(len(values)):
        value = values[t] - upper[:t, t] @ errors[:t]
        codes[t] = round_nearest(value, step, bits)
        errors[t] = (value - codes[t] * step) / upper[t, t]
    return codes.T.to(torch.float32).contiguous()
