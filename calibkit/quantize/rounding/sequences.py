"""Sequences of moves that every row of codes makes for itself, merged into one of the matrix."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor


def allowed(most: float, codes: Tensor) -> int:
    """Return how many codes a share ``most`` of these (rows, columns) is, rounded down.

    Whoever chooses moves and whoever checks them must come to one number: in floating point,
    0.043 * 100 * 100 is 430, and 0.043 * 10,000 is less.
    """
    rows, columns = codes.shape
    return int(most * rows * columns)


@dataclass
class Sequences:
    """Moves found round by round, at most one a row; the first ``budget`` are made.

    shape: of the codes (rows, columns). A move comes after those of its row that were found before,
    so it is worth no more than the least of them; moves of equal worth go by row, then by round.
    """

    shape: tuple[int, int]
    budget: int
    _rounds: list[tuple[Tensor, Tensor, Tensor, Tensor]] = field(default_factory=list)

    @classmethod
    def up_to(cls, most: float, codes: Tensor) -> Sequences:
        """Return sequences with room for a share ``most`` of these codes (rows, columns)."""
        rows, columns = codes.shape
        return cls((rows, columns), allowed(most, codes))

    def add(self, worth: Tensor, rows: Tensor, columns: Tensor, directions: Tensor) -> None:
        """Take in a round: what each move is worth float64, where it is, and which way (n,)."""
        self._rounds.append((worth, rows, columns, directions.to(torch.int8)))

    def least(self) -> float:
        """Return what a move must be worth, at the least, to be among the first ``budget``.

        0 while fewer are known; a move that is worth just as much may still come first.
        """
        if not self._rounds:
            return 0.0
        worth = torch.cat([part[0] for part in self._rounds])
        if len(worth) < self.budget:
            return 0.0
        least = float(torch.topk(worth, self.budget, sorted=False).values.min())
        return float(np.nextafter(least, 0.0))

    def moves(self) -> Tensor:
        """Return the moves that are made: (rows, columns) int8 of -1, 0, 1."""
        found = torch.zeros(self.shape, dtype=torch.int8)
        if not self._rounds:
            return found
        worth, rows, columns, directions = (
            torch.cat(part) for part in zip(*self._rounds, strict=True)
        )
        counts = [len(part[0]) for part in self._rounds]
        rounds = np.repeat(np.arange(len(counts)), counts)
        order = np.lexsort((rounds, rows.numpy(), -worth.numpy()))[: self.budget]
        first = torch.from_numpy(order)
        found[rows[first], columns[first]] = directions[first]
        return found
