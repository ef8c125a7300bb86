"""GPFQ: greedy path following."""

from __future__ import annotations

import torch
from torch import Tensor

from calibkit.quantize.rounding.grams import Gram
from calibkit.quantize.rounding.nearest import round_nearest


def gpfq(weight: Tensor, scale: Tensor, bits: int, gram: Gram) -> Tensor:
    """Return integer codes (rows, columns) that follow the float layer's path greedily.

    GPFQ (Lybrand & Saab 2021; Zhang, Zhou & Saab 2023): column t is rounded after adding what
    the columns before it got wrong, measured on the subset; minimises ||W X - W_q X_q||. The
    scale is frozen. A column whose input is 0 on the whole subset is rounded to nearest.

    weight: (rows, columns) float32; scale: () or (rows, 1).
    """
    h, g = gram.quantized, gram.mixed
    step = scale.to(torch.float64).reshape(-1)
    diagonal = h.diagonal()
    # columns of W as contiguous rows: each step reads all that came before
    codes = round_nearest(weight, scale, bits).to(torch.float64).T.contiguous()
    chosen = codes * step
    targets = g.tril() @ weight.to(torch.float64).T
    for t in range(len(codes)):
        if diagonal[t] <= 0:
            continue
        target = targets[t] - h[t, :t] @ chosen[:t]
        codes[t] = round_nearest(target / diagonal[t], step, bits)
        chosen[t] = codes[t] * step
    return codes.T.to(torch.float32).contiguous()
