"""Which codes to move by one: the greedy choice, and the random one that others must beat."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calibkit.quantize.rounding.problem import CodeProblem
from calibkit.quantize.rounding.sequences import Sequences


def greedy_flips(problem: CodeProblem, most: float) -> Tensor:
    """Return moves (rows, columns) int8 of -1, 0, 1: the best one, again and again.

    Coordinate descent on the objective: of all codes that have not moved yet, the one whose step
    up or down lowers the objective most, given the moves before it, until none lowers it or a
    share ``most`` of the codes has moved. Ties go to the lowest row, then the lowest column. Codes
    never leave their range.

    Rows do not depend on each other, so every row's own sequence of moves is found at once, one
    move of all rows a round; merging the sequences by what they gain gives the sequence of the
    whole matrix. Rows that cannot get into it any more are left out of later rounds.
    """
    rows, columns = problem.codes.shape
    found = Sequences.up_to(most, problem.codes)
    if found.budget <= 0:
        return found.moves()
    slope, step = problem.slope.clone(), problem.step
    h, power = problem.gram.quantized, problem.power
    at = torch.arange(rows)
    codes = problem.codes.to(torch.float64)
    moved = torch.zeros((rows, columns), dtype=torch.bool)
    # the least that a row's sequence gained so far: its later moves come after that one
    bound = torch.full((rows,), torch.inf, dtype=torch.float64)
    for _ in range(columns):
        # moving by +-1 adds +-2 step slope + step^2 H_jj: only against the slope can it help
        gain = slope.abs().mul_(2 * step).sub_(step.square() * power)
        stuck = torch.where(slope > 0, codes <= -problem.top, codes >= problem.top)
        gain.masked_fill_(stuck | moved, -torch.inf)
        best, column = gain.max(dim=1)
        bound = torch.minimum(bound, best)
        kept = (best > 0) & (bound > found.least())
        if not bool(kept.any()):
            break
        at, slope, step, codes, moved, bound, column = (
            part[kept] for part in (at, slope, step, codes, moved, bound, column)
        )
        direction = -torch.sign(slope.gather(1, column[:, None]))
        found.add(bound, at, column, direction[:, 0])
        slope += (direction * step) * h[column]
        moved.scatter_(1, column[:, None], value=True)
    return found.moves()


def random_flips(
    codes: NDArray[np.int8], top: int, count: int, generator: np.random.Generator
) -> NDArray[np.int8]:
    """Return moves (rows, columns) int8 of ``count`` codes, at random places, up or down.

    codes: from ``-top`` to ``top``; one at the end of its range moves inwards. Raises ValueError
    for more moves than codes.
    """
    if not 0 <= count <= codes.size:
        raise ValueError(f"{count} moves of {codes.size} codes")
    moves = np.zeros(codes.size, dtype=np.int8)
    places = generator.choice(codes.size, size=count, replace=False)
    up = generator.integers(0, 2, size=count).astype(bool)
    held = codes.reshape(-1)[places]
    up = np.where(held >= top, False, np.where(held <= -top, True, up))
    moves[places] = np.where(up, 1, -1)
    return moves.reshape(codes.shape)
