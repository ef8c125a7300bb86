"""What a frozen network is made of, as integers: grids of quantizers, codes of weights, biases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calibkit.engine.quantizers import Quantizer, quantizer_of
from calibkit.errors import BadInput
from calibkit.quantize.networks import (
    QuantClassifier,
    activation_impl,
    activation_proxies,
    weight_proxies,
    weight_tensors,
)

Scales = NDArray[np.float64]

_INT32 = 1 << 31


@dataclass(frozen=True)
class Grid:
    """The values of a frozen activation quantizer: ``low`` .. ``high`` times a float32 scale.

    There are at most 256, and 0 is one of them; low and high need not be each other's opposite.
    """

    scale: Tensor
    low: int
    high: int

    @property
    def step(self) -> float:
        """The scale as float64, in which ratios are taken."""
        return float(self.scale)

    @property
    def largest(self) -> int:
        """The largest magnitude of a code."""
        return max(-self.low, self.high)

    def codes(self, values: Tensor) -> Tensor:
        """Return the nearest codes int64 of float values, halves to the even one."""
        return (values / self.scale).round_().clamp_(self.low, self.high).to(torch.int64)

    def values(self) -> Tensor:
        """Return every value of the grid as float64, lowest first."""
        codes = torch.arange(self.low, self.high + 1, dtype=torch.float64)
        return codes * self.scale.to(torch.float64)

    def nearest(self, exact: Tensor) -> Tensor:
        """Return codes int64 of float64 values: a table that is computed once."""
        codes = (exact / self.scale.to(torch.float64)).round_()
        return codes.clamp_(self.low, self.high).to(torch.int64)


def grids(network: QuantClassifier) -> dict[str, Grid]:
    """Return the grid of every activation quantizer by site."""
    return {site: _grid(site, proxy) for site, proxy in activation_proxies(network).items()}


def _grid(site: str, proxy: Any) -> Grid:
    found = quantizer_of(activation_impl(proxy))
    if not isinstance(found, Quantizer):
        raise BadInput(f"{site}: a dynamic quantizer has no one grid; use arithmetic float-torch")
    return Grid(found.scale.reshape(()), int(found.low), int(found.high))


@dataclass(frozen=True)
class Weight:
    """A quantized matrix: codes (rows, columns) int8 and one float32 scale a row."""

    codes: Tensor
    scale: Tensor

    @property
    def steps(self) -> Scales:
        """The scales (rows,) as float64."""
        found: Scales = self.scale.to(torch.float64).numpy()
        return found


def weight(network: QuantClassifier, name: str) -> Weight:
    """Return a weight matrix by the name that `weight_tensors` gives it."""
    site = name.rsplit(".", 1)[0] if name.startswith("lstm.") else name
    tensor = weight_tensors(network)[name]
    value, scale = weight_proxies(network)[site].tensor_quant(tensor)[:2]
    codes = torch.round(value / scale).to(torch.int8)
    return Weight(codes, scale.detach().reshape(-1).expand(len(tensor)).contiguous())


def bias_codes(bias: Tensor, grid: Grid, scale: Tensor) -> Tensor:
    """Return a bias (rows,) in units of input scale times weight scale: int64 within 32 bits.

    In float32, as Brevitas's Int32Bias does.
    """
    codes = torch.round(bias.detach() / (grid.scale * scale)).to(torch.float64)
    return codes.clamp_(-_INT32, _INT32 - 1).to(torch.int64)
