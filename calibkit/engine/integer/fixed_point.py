"""Real ratios as whole multipliers and a shift; rescaling and matrix products, exact in int64."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calibkit.errors import BadInput

MOST_SHIFT = 62
PRODUCT_BELOW = 1 << 62
"""A product of value and multiplier stays below this, so that adding one half cannot overflow."""

RESULT_BELOW = 1 << 31
"""A rescaled value stays below this before it is clamped: it fits 32 bits."""

_MULTIPLIER_BITS = 31
LARGEST_RATIO = 512.0
"""A larger ratio counts as this one: either sends all codes but 0 to the end of a grid."""


@dataclass(frozen=True)
class Multipliers:
    """Positive ratios at one common shift: ``values`` * 2^-shift, values int64 of any shape.

    The largest value is in [2^30, 2^31), or below where the shift would pass ``most``.
    """

    values: Tensor
    shift: int

    @classmethod
    def of(
        cls, ratios: NDArray[np.float64] | float, site: str, *, most: int = MOST_SHIFT
    ) -> Multipliers:
        """Round ratios to whole multiples of the smallest power of two that serves them all.

        Raises BadInput for a ratio of 2^31 or more, naming the site.
        """
        every = np.asarray(ratios, dtype=np.float64)
        largest = float(every.max())
        exponent = int(np.frexp(largest)[1])  # largest < 2^exponent
        shift = min(_MULTIPLIER_BITS - exponent, most)
        if np.rint(np.ldexp(largest, shift)) >= 1 << _MULTIPLIER_BITS:
            shift -= 1
        if shift < 0:
            raise too_large(site, f"the ratio of its scales is {largest:.3g}")
        whole = np.rint(np.ldexp(every, shift))
        return cls(torch.from_numpy(np.asarray(whole, dtype=np.int64)), shift)


def rescaled(products: Tensor, shift: int) -> Tensor:
    """Return int64 ``products`` / 2^shift, rounded to the nearest whole number, halves upward."""
    return (products + half(shift)) >> shift


def half(shift: int) -> int:
    """Return what is added before a shift, so that it rounds halves upward."""
    return 1 << (shift - 1) if shift else 0


@dataclass(frozen=True)
class Requantizer:
    """From whole numbers on one grid to codes ``low`` .. ``high`` on another."""

    multiplier: int
    shift: int
    low: int
    high: int

    @classmethod
    def of(cls, ratio: float, low: int, high: int, *, largest: int, site: str) -> Requantizer:
        """Return the requantizer of a ratio of scales, for values up to ``largest`` in magnitude.

        A ratio above 512 counts as 512: either one sends every value but 0 to the end of a grid.
        Raises BadInput where a product could overflow, naming the site.
        """
        found = Multipliers.of(min(ratio, LARGEST_RATIO), site)
        multiplier = int(found.values)
        check(largest * multiplier, found.shift, site)
        return cls(multiplier, found.shift, low, high)

    def __call__(self, values: Tensor) -> Tensor:
        """Return the codes of int64 values."""
        return rescaled(values * self.multiplier, self.shift).clamp_(self.low, self.high)


def check(largest_product: int, shift: int, site: str) -> None:
    """Raise BadInput where a product or what it is rescaled to leaves its range."""
    if largest_product >= PRODUCT_BELOW or (largest_product >> shift) >= RESULT_BELOW:
        raise too_large(
            site, f"its sums of products come up to {largest_product * 2.0**-shift:.3g}"
        )


def too_large(site: str, what: str) -> BadInput:
    """Return the error of a network whose scales do not go together."""
    return BadInput(
        f"{site}: {what}, which is too large for arithmetic integer: the scales around this "
        "quantizer do not go together; calibrate with other documents or ranges, or use "
        "arithmetic float-torch"
    )


class WholeMatrix:
    """A matrix of integer codes whose products with codes are exact, whatever the order of sums.

    codes: (rows, columns) within a byte; largest: the largest magnitude of what they meet.
    ``bound`` (rows,) int64 is the largest magnitude that a product can have. Raises BadInput where
    that does not fit 32 bits, naming the site.
    """

    def __init__(self, codes: Tensor, *, largest: int, site: str) -> None:
        self.codes = codes.to(torch.int8).contiguous()
        self.bound = codes.abs().sum(dim=1) * largest
        top = int(self.bound.max())
        if top >= RESULT_BELOW:
            raise too_large(site, f"its sums of products come up to {top}")
        # a whole number is exact in float32 below 2^24, and so are all partial sums of such a sum
        self.columns = codes.to(torch.float32 if top < 1 << 24 else torch.float64).T.contiguous()

    def __call__(self, rows: Tensor, *, words: slice = slice(None)) -> Tensor:
        """Return rows (n, columns) of codes times the matrix's rows at ``words``: int64."""
        columns: Any = self.columns[:, words]
        product: Tensor = rows.to(columns.dtype) @ columns
        return product.to(torch.int64)
