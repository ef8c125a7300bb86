"""The rounding methods by the names that schemes give them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from calibkit.quantize.rounding.gpfq import gpfq
from calibkit.quantize.rounding.gptq import gptq
from calibkit.quantize.rounding.grams import Gram
from calibkit.quantize.rounding.least_squares import least_squares
from calibkit.quantize.rounding.nearest import round_nearest
from calibkit.quantize.rounding.qronos import qronos
from calibkit.quantize.schemes import Rounding

ROWS = 4096
"""Rows that are rounded at a time."""

METHODS: dict[str, Callable[[Tensor, Tensor, int, Gram], Tensor]] = {
    "gpfq": gpfq,
    "gptq": gptq,
    "qronos": qronos,
    "least-squares": least_squares,
}
"""Name -> method (weight, scale, bits, moments of the inputs).

All but ``nearest``, which needs no moments, and ``distill``, which is not done layer by layer
(`calibkit.engine.distill`).
"""


def round_by(method: Rounding, weight: Tensor, scale: Tensor, bits: int, gram: Gram) -> Tensor:
    """Return integer codes (rows, columns) float32 of a weight matrix by the named method.

    weight: (rows, columns) float32; scale: () or (rows, 1), frozen. Nearest rounding does not
    look at the inputs. Rows do not depend on each other: a large vocabulary is rounded block by
    block, in the memory of one.
    """
    if method == "nearest":
        return round_nearest(weight, scale, bits)
    return torch.cat(
        [
            METHODS[method](weight[at], scale[at] if scale.ndim else scale, bits, gram)
            for at in (slice(start, start + ROWS) for start in range(0, len(weight), ROWS))
        ]
    )
