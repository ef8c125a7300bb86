"""Rounding of weights to integer codes, from Gram matrices alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Gram:
    """Second moments of a layer's inputs over a subset, both (columns, columns) float64.

    quantized: H = mean of x_q x_q^T; mixed: G = mean of x_q x^T, where x is the float network's
    input at the same place and x_q the quantized network's.
    """

    quantized: Tensor
    mixed: Tensor


def round_nearest(weight: Tensor, scale: Tensor, bits: int) -> Tensor:
    """Return integer codes (as float) of ``weight``, half to even, clamped to the narrow range."""
    top = 2 ** (bits - 1) - 1
    return torch.clamp(torch.round(weight / scale), -top, top)


def gpfq(weight: Tensor, scale: Tensor, bits: int, gram: Gram) -> Tensor:
    """Return integer codes (rows, columns) that follow the float layer's path greedily.

    GPFQ (Lybrand & Saab 2021; Zhang, Zhou & Saab 2023): column t is rounded after adding what
    the columns before it got wrong, measured on the subset; minimises ||W X - W_q X_q||. The
    scale is frozen. A column whose input is 0 on the whole subset is rounded to nearest.

    weight: (rows, columns) float32; scale: () or (rows, 1).
    """
    h, g = gram.quantized, gram.mixed
    exact = weight.to(torch.float64)
    step = scale.to(torch.float64)
    diagonal = h.diagonal()
    codes = round_nearest(weight, scale, bits).to(torch.float64)
    chosen = codes * step
    for t in range(exact.shape[1]):
        if diagonal[t] <= 0:
            continue
        target = exact[:, : t + 1] @ g[t, : t + 1] - chosen[:, :t] @ h[t, :t]
        column = round_nearest((target / diagonal[t])[:, None], step, bits)[:, 0]
        codes[:, t] = column
        chosen[:, t] = (column[:, None] * step)[:, 0]
    return codes.to(torch.float32)
