"""Qronos: corrects the past, then spreads what is left over the future columns."""

from __future__ import annotations

import torch
from torch import Tensor

from calibkit.quantize.rounding.gptq import error_feedback
from calibkit.quantize.rounding.grams import Gram
from calibkit.quantize.rounding.nearest import round_nearest

DAMPING = 1e-6
"""Share of H's largest eigenvalue that is added to its diagonal, as in Brevitas."""


def qronos(weight: Tensor, scale: Tensor, bits: int, gram: Gram) -> Tensor:
    """Return integer codes (rows, columns) that reproduce float outputs from quantized inputs.

    Qronos (Zhang et al. 2025), in the form that Brevitas has: the first column is rounded as GPFQ
    would with all columns at hand; the others move to where they reproduce W X best given that
    first code, and are rounded with GPTQ's error feedback. The scale is frozen. A column whose
    input is 0 on the whole subset is rounded to nearest.

    weight: (rows, columns) float32; scale: () or (rows, 1).
    """
    codes = round_nearest(weight, scale, bits)
    alive = gram.quantized.diagonal() > 0
    if not bool(alive.any()):
        return codes
    h, g = gram.quantized[alive][:, alive], gram.mixed[alive]
    exact = weight.to(torch.float64)
    rest = exact[:, alive]
    column = scale.to(torch.float64).reshape(-1, 1)
    damp = DAMPING * torch.linalg.eigvalsh(h)[-1]
    first = (exact @ g[0] - rest[:, 1:] @ h[0, 1:]) / h[0, 0]
    first_codes = round_nearest(first[:, None], column, bits)
    found = [first_codes]
    if len(h) > 1:
        later = h[1:, 1:] + damp * torch.eye(len(h) - 1, dtype=h.dtype)
        wanted = exact @ g[1:].T + damp * rest[:, 1:] - (first_codes * column) * h[0, 1:]
        target = torch.cholesky_solve(wanted.T, torch.linalg.cholesky(later)).T
        found.append(error_feedback(target, scale, bits, later))
    codes[:, alive] = torch.cat([f.to(torch.float32) for f in found], dim=1)
    return codes
