"""Label scores in nats from whole numbers: IEEE additions, multiplications and divisions only.

No libm has a say in them, so they are the same on every machine.
"""

from __future__ import annotations

import torch
from torch import Tensor

LN2 = float.fromhex("0x1.62e42fefa39efp-1")
_LN2_HIGH = float.fromhex("0x1.62e42feep-1")  # its multiples by whole numbers to 2^20 are exact
_LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")  # the rest
_FACTORIALS = 13
_LOG_TERMS = 12


def log_softmax(logits: Tensor, shift: int) -> Tensor:
    """Return float64 log-softmax (n, labels) of logits (n, labels) int64 / 2^shift, in nats.

    The largest logits of a row have its largest score, and no other one: with shifts up to 46 the
    next smaller logit differs by more than the last digit of a score of up to 3,000 labels.
    """
    below = (logits - logits.amax(dim=1, keepdim=True)).to(torch.float64) * 2.0**-shift
    powers = _exp(below.clamp(min=-700.0))
    total = torch.zeros(len(logits), dtype=torch.float64)
    for column in powers.T:  # in the order of the labels
        total += column
    return below - _log(total)[:, None]


def _exp(x: Tensor) -> Tensor:
    """Return e^x for float64 x in -700 .. 0."""
    n = torch.round(x * (1 / LN2))
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    found = torch.ones_like(r)
    for k in range(_FACTORIALS, 0, -1):
        found = found * r / k + 1.0
    return found * ((n.to(torch.int64) + 1023) << 52).view(torch.float64)


def _log(x: Tensor) -> Tensor:
    """Return ln x for float64 x >= 1: ln 2 times an exponent, and 2 artanh((m - 1) / (m + 1))."""
    mantissa, exponent = torch.frexp(x)  # in 1/2 .. 1
    small = mantissa < 0.70710678
    mantissa = torch.where(small, mantissa * 2.0, mantissa)
    power = (exponent - small.to(exponent.dtype)).to(torch.float64)
    z = (mantissa - 1.0) / (mantissa + 1.0)
    square, series = z * z, torch.zeros_like(z)
    for k in range(_LOG_TERMS, -1, -1):
        series = series * square + 1.0 / (2 * k + 1)
    return power * LN2 + 2.0 * z * series
