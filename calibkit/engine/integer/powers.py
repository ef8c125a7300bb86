"""Powers of two and binary logarithms of whole numbers, by small tables and 32-bit products.

Logits are in bits, with 16 fraction bits. The tables are computed in decimal arithmetic, which is
the same on every machine; nothing here depends on a libm.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import cache

import torch
from torch import Tensor

ONE = 1 << 16
"""One bit, as logits and token scores count it."""

POWER_BITS = 29
"""Fraction bits of a power of two."""

# 2^-j for the low 11 bits j of a fraction: 1 - j * (SLOPE - (j * BEND >> 16)) * 2^-31
SLOPE, BEND = 22712, 7760

_LOG_INTERVALS = 512


@cache
def power_table() -> tuple[int, ...]:
    """Return 2^(-i / 32) for i = 0 .. 31 with 30 fraction bits; the first is 2^30 - 1."""
    with localcontext(prec=40):
        exact = [Decimal(2) ** (30 - Decimal(i) / 32) for i in range(32)]
        return tuple(min(round(value), (1 << 30) - 1) for value in exact)


@cache
def log_table() -> tuple[int, ...]:
    """Return log2(1 + i / 512) for i = 0 .. 512 with 24 fraction bits."""
    with localcontext(prec=40):
        one = Decimal(2).ln()
        return tuple(
            round((1 + Decimal(i) / _LOG_INTERVALS).ln() / one * (1 << 24))
            for i in range(_LOG_INTERVALS + 1)
        )


def power(distance: Tensor) -> Tensor:
    """Return 2^-distance with 29 fraction bits, for int64 distances >= 0 with 16 fraction bits.

    Within 1.5e-6 of the exact value, relatively, and half a unit. The five high bits of the
    fraction go through a table, the low eleven through a parabola; each product fits 32 bits.
    """
    table = torch.tensor(power_table())
    low = distance & 2047
    bend = SLOPE - ((low * BEND) >> 16)
    high = table[(distance >> 11) & 31]
    fraction = high - (((high >> 15) * ((low * bend) >> 11)) >> 5)
    return ((fraction >> (distance >> 16).clamp_(max=31)) + 1) >> 1


def log2(values: Tensor) -> Tensor:
    """Return the binary logarithm of int64 values >= 1 with 16 fraction bits, to 9e-6 bits."""
    exponent = torch.zeros_like(values)
    rest = values
    for step in (32, 16, 8, 4, 2, 1):
        above = (rest >> step) > 0
        exponent += above * step
        rest = torch.where(above, rest >> step, rest)
    # 25 bits behind the leading one: 9 choose the interval, 16 the place in it
    scaled = torch.where(
        exponent >= 25, values >> (exponent - 25).clamp_(min=0), values << (25 - exponent).clamp_(0)
    )
    interval, place = (scaled >> 16) & (_LOG_INTERVALS - 1), scaled & 0xFFFF
    table = torch.tensor(log_table())
    start = table[interval]
    fraction = start + (((table[interval + 1] - start) * place) >> 16)
    return (exponent << 16) + ((fraction + 128) >> 8)
