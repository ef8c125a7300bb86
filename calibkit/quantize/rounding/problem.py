"""Integer codes that stand already, and what moving one of them by a step would change.

Rounding chooses codes from float weights. Updating on a stream begins with codes that are deployed,
and asks which of them to move: the objective is the same, ||W X - W_q X_q||^2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from calibkit.quantize.rounding.grams import Gram

FEW = 0.1
"""Up to this share of moved codes, they are multiplied one by one."""

MOVES = 1 << 15
"""Of these, so many at a time."""


@dataclass(frozen=True)
class CodeProblem:
    """One weight matrix with its present codes and the moments of its inputs.

    weight: float values (rows, columns) float32; scale: () or (rows, 1), frozen; codes: whole
    numbers (rows, columns) float32, from ``-top`` to ``top``; gram: moments of the inputs, float
    and quantized, under the present network, centred where a bias takes up the means. offset:
    (rows,) float64, what a bias that stays as it is has over the float model's; None for nothing.
    """

    weight: Tensor
    scale: Tensor
    bits: int
    codes: Tensor
    gram: Gram
    offset: Tensor | None = None

    @property
    def top(self) -> int:
        """The largest code; the range is narrow, as everywhere."""
        return (1 << (self.bits - 1)) - 1

    @cached_property
    def step(self) -> Tensor:
        """The step of each row: (rows, 1) float64."""
        return self.scale.to(torch.float64).reshape(-1, 1).expand(len(self.codes), 1)

    @cached_property
    def slope(self) -> Tensor:
        """Mean of output error times input: E[(W_q x_q - W x)_i x_q,j], (rows, columns) float64.

        Half the derivative of the objective by the weight (i, j). The offset is part of the error.
        """
        found = self.gram.errors_times_inputs(self.chosen, self.weight.to(torch.float64))
        if self.offset is not None:
            found += torch.outer(self.offset, self.gram.means()[0])
        return found

    @property
    def chosen(self) -> Tensor:
        """The weights that the codes stand for: (rows, columns) float64."""
        return self.codes.to(torch.float64) * self.step

    @cached_property
    def objective(self) -> Tensor:
        """Mean square error of each output, E[(W_q x_q + offset - W x)^2]: (rows,) float64.

        Raises ValueError where the float inputs' second moments were not collected.
        """
        if self.gram.exact is None:
            raise ValueError("these Gram matrices came without the float inputs' second moments")
        exact = self.weight.to(torch.float64)
        # slope . W_q = W_q H W_q - W G W_q, and what the offset adds to it
        error = (self.chosen * self.slope).sum(1) - ((self.chosen @ self.gram.mixed) * exact).sum(1)
        error += self.output_power
        if self.offset is not None:
            quantized, floats = self.gram.means()
            mean = self.chosen @ quantized - 2 * (exact @ floats) + self.offset
            error += self.offset * mean
        return error

    @cached_property
    def output_power(self) -> Tensor:
        """Mean square of each float output without its bias, E[(W x)^2]: (rows,) float64."""
        assert self.gram.exact is not None
        exact = self.weight.to(torch.float64)
        return ((exact @ self.gram.exact) * exact).sum(1)

    @cached_property
    def power(self) -> Tensor:
        """Mean square of each input: (columns,) float64."""
        return self.gram.quantized.diagonal()

    def change(self, move: Tensor) -> Tensor:
        """Return what moving each code alone by ``move`` adds to the objective, float64.

        move: (rows, columns) of -1, 0, 1. Exact for one move in a row; several in one row also
        meet in H, see `objective_change`.
        """
        delta = move.to(torch.float64) * self.step
        return 2 * delta * self.slope + delta.square() * self.power

    def objective_change(self, codes: Tensor) -> Tensor:
        """Return what other codes (rows, columns) would add to the objective of each row: (rows,).

        Exact: 2 (D . slope) + D H D^T, with D the change of the dequantized weights. Where few
        codes move, row by row of H for each of them.
        """
        delta = (codes.to(torch.float64) - self.codes.to(torch.float64)) * self.step
        found = 2 * (delta * self.slope).sum(1)
        if int(delta.count_nonzero()) > FEW * delta.numel():
            return found + ((delta @ self.gram.quantized) * delta).sum(1)
        rows, columns = delta.nonzero(as_tuple=True)
        for start in range(0, len(rows), MOVES):
            at, column = rows[start : start + MOVES], columns[start : start + MOVES]
            met = (self.gram.quantized[column] * delta[at]).sum(1)
            found.index_add_(0, at, met * delta[at, column])
        return found

    def with_codes(self, codes: Tensor) -> CodeProblem:
        """Return the same problem with other codes; their range is checked.

        Raises ValueError for codes out of range.
        """
        if int(codes.abs().max()) > self.top:
            largest = int(codes.abs().max())
            raise ValueError(f"codes up to {largest}; {self.bits} bits have {self.top}")
        return replace(self, codes=codes.to(torch.float32))
