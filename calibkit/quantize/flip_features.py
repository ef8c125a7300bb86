"""What is known of each integer code when it is asked whether to move it by one.

All of it comes from the codes, the float weights and the moments of the layer's inputs on a small
subset: nothing that back-propagation would give. For each code one move is considered, the one
against the slope of the objective, and features with a sign are given in that direction: positive
speaks for the move.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from calibkit.quantize.rounding.problem import CodeProblem

FEATURES = (
    "residual",
    "optimum",
    "correlation",
    "share",
    "need",
    "power",
    "redundancy",
    "step",
    "position",
    "layer",
)
"""Features of a code, in the order of the columns.

- residual: how far the float weight lies from the code, in steps;
- optimum: the change, in steps, that alone would lower the objective most (arsinh);
- correlation: of the output's error with the input;
- share: the same, relative to the input that correlates most with the row's error;
- need: that largest correlated error, relative to the other rows (log);
- power: mean square of the input, relative to the layer's mean (log): the Gram diagonal;
- redundancy: mean squared correlation of the input with all inputs of the layer (log);
- step: of the row, relative to the layer's mean (log);
- position: in the range of codes, 1 at the end that the move goes to, -1 at the other;
- layer: 1 for the linear layer, 0 for the gates.
"""

SiteKind = Literal["gates", "linear"]

_LEAST = 1e-30


def site_kind(site: str) -> SiteKind:
    """Return the kind of layer that a weight site belongs to."""
    return "gates" if site.startswith("lstm.") else "linear"


def features(kind: SiteKind, problem: CodeProblem) -> Tensor:
    """Return the features of all codes, row by row: (rows * columns, features) float32.

    Raises ValueError for a problem without the float inputs' second moments.
    """
    evidence = Evidence.of(kind, problem)
    every = torch.arange(problem.codes.shape[1]).expand(problem.codes.shape)
    return evidence.features(every).flatten(0, 1)


@dataclass(frozen=True)
class Evidence:
    """The codes of some rows of a layer and what their inputs say of them, as moves are made.

    By row (rows, 1): step, error (mean square of the output's error), size (log step, relative).
    By column: power, loudness (log power, relative), redundancy (log). By code: codes, residual,
    slope, moved. level: the root mean square over all rows at the start of the largest correlated
    error. h: H of the inputs. All float64 but moved.
    """

    kind: SiteKind
    top: int
    codes: Tensor
    residual: Tensor
    slope: Tensor
    moved: Tensor
    step: Tensor
    size: Tensor
    error: Tensor
    power: Tensor
    loudness: Tensor
    redundancy: Tensor
    level: Tensor
    h: Tensor

    @classmethod
    def of(cls, kind: SiteKind, problem: CodeProblem) -> Evidence:
        """Return what is known before any move.

        Raises ValueError for a problem without the float inputs' second moments.
        """
        h, power = problem.gram.quantized, problem.power.clamp_min(_LEAST)
        related = h.square() / torch.outer(power, power)
        codes, step = problem.codes.to(torch.float64), problem.step
        strongest = (problem.slope.abs() / power.sqrt()).max(dim=1).values
        return cls(
            kind=kind,
            top=problem.top,
            codes=codes,
            residual=problem.weight.to(torch.float64) / step - codes,
            slope=problem.slope.clone(),
            moved=torch.zeros(codes.shape, dtype=torch.bool),
            step=step,
            size=torch.log(step / step.mean()),
            error=problem.objective[:, None].clone(),
            power=power,
            loudness=torch.log(power / power.mean()).clamp_min(-8),
            redundancy=torch.log(related.mean(0).clamp_min(1e-8)),
            level=strongest.square().mean().sqrt().clamp_min(_LEAST),
            h=h,
        )

    def take(self, rows: Tensor) -> Evidence:
        """Return the same of some rows only, by number or by mask."""
        by_row = ("codes", "residual", "slope", "moved", "step", "size", "error")
        return replace(self, **{name: getattr(self, name)[rows] for name in by_row})

    @property
    def direction(self) -> Tensor:
        """The move considered for each code, against the slope: (rows, columns) of -1, 1."""
        return torch.where(self.slope > 0, -1.0, 1.0).to(torch.float64)

    @property
    def open(self) -> Tensor:  # noqa: A003 - what it is
        """Where a move is possible: not made yet, and within the range."""
        ended = torch.where(self.slope > 0, self.codes <= -self.top, self.codes >= self.top)
        return ~(ended | self.moved)

    @property
    def optimum(self) -> Tensor:
        """Steps in the considered direction that alone would lower the objective most, >= 0."""
        return self.slope.abs() / (self.step * self.power)

    @property
    def stake(self) -> Tensor:
        """What one step more or less than the optimum costs: (rows, columns)."""
        return self.step.square() * self.power

    @property
    def gain(self) -> Tensor:
        """By how much each move lowers the objective on the sample; -inf where there is none."""
        found = 2 * self.step * self.slope.abs() - self.stake
        return found.masked_fill_(~self.open, -torch.inf)

    def features(self, columns: Tensor) -> Tensor:
        """Return the features of some codes of each row: (rows, k, features) float32.

        columns: which of them, (rows, k) int64.
        """
        correlated = self.slope.abs() / self.power.sqrt()
        strongest = correlated.max(dim=1, keepdim=True).values.clamp_min(_LEAST)

        def chosen(values: Tensor) -> Tensor:
            return values.expand(self.codes.shape).gather(1, columns)

        direction, correlated = chosen(self.direction), chosen(correlated)
        by_name = {
            "residual": (direction * chosen(self.residual)).clamp(-4, 4),
            "optimum": torch.asinh(chosen(self.optimum)),
            "correlation": correlated / self.error.clamp_min(_LEAST).sqrt(),
            "share": correlated / strongest,
            "need": torch.log(strongest / self.level).clamp_min(-8).expand(columns.shape),
            "power": chosen(self.loudness),
            "redundancy": chosen(self.redundancy),
            "step": self.size.expand(columns.shape),
            "position": direction * chosen(self.codes) / self.top,
            "layer": torch.full(columns.shape, float(self.kind == "linear")),
        }
        return torch.stack([by_name[name].to(torch.float32) for name in FEATURES], dim=-1)

    def after(self, column: Tensor) -> Evidence:
        """Return what is known once each row has moved one code in the considered direction.

        column: which one, (rows,) int64.
        """
        at = column[:, None]
        move = self.direction.gather(1, at)
        delta = move * self.step
        change = 2 * delta * self.slope.gather(1, at) + delta.square() * self.power[at]
        return replace(
            self,
            codes=self.codes.scatter_add(1, at, move),
            residual=self.residual.scatter_add(1, at, -move),
            slope=self.slope + delta * self.h[column],
            moved=self.moved.scatter(1, at, value=True),
            error=(self.error + change).clamp_min(0),
        )
