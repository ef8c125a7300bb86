"""Least squares: the best real-valued weights for the quantized inputs, rounded with feedback."""

from __future__ import annotations

import torch
from torch import Tensor

from calibkit.quantize.rounding.gptq import DAMPING, error_feedback
from calibkit.quantize.rounding.grams import Gram, damped


def least_squares_weights(weight: Tensor, gram: Gram) -> Tensor:
    """Return the real-valued weights V (rows, columns) float64 that reproduce W X from X_q best.

    V = (W G^T + r W) (H + r I)^-1 minimises ||W X - V X_q||^2 / n + r ||W - V||^2, r being GPTQ's
    damping: directions that the inputs hardly take stay what they are, and a column whose input is
    0 on the whole subset is W's.
    """
    exact = weight.to(torch.float64)
    h = damped(gram.quantized, DAMPING)
    ridge = h.diagonal() - gram.quantized.diagonal()
    wanted = exact @ gram.mixed.T + exact * ridge
    return torch.cholesky_solve(wanted.T, torch.linalg.cholesky(h)).T


def least_squares(weight: Tensor, scale: Tensor, bits: int, gram: Gram) -> Tensor:
    """Return integer codes (rows, columns) that reproduce float outputs from quantized inputs.

    What is minimised above is a constant plus (V - W_q) (H + r I) (V - W_q)^T, V being the
    least-squares weights, so the codes follow V with GPTQ's error feedback. On moments about the
    means (`Gram.centred`) this is an affine fit, whose intercept `bias_shift` gives: "least squares
    with means corrected". The scale is frozen.

    weight: (rows, columns) float32; scale: () or (rows, 1).
    """
    target = least_squares_weights(weight, gram)
    return error_feedback(target, scale, bits, damped(gram.quantized, DAMPING))
