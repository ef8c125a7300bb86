"""Matrices as the kernels read them: sixteen columns side by side, filled up with zeros."""

from __future__ import annotations

import torch
from torch import Tensor

LANES = 16


def whole_vectors(rows: Tensor) -> Tensor:
    """Fill rows (n, width) up with zeros to whole vectors."""
    width = rows.shape[1]
    filled = rows.new_zeros((len(rows), _round_up(width, LANES)))
    filled[:, :width] = rows
    return filled


def in_vectors(columns: Tensor) -> Tensor:
    """Lay a matrix (columns, depth) out as (columns / 16, depth, 16)."""
    count, depth = columns.shape
    filled = columns.new_zeros((_round_up(count, LANES), depth))
    filled[:count] = columns
    return filled.view(-1, LANES, depth).transpose(1, 2).contiguous()


def bytes_in_vectors(columns: Tensor) -> Tensor:
    """Lay codes (columns, depth) of -127 .. 127 out as (columns / 16, depth / 4, 16, 4) uint8.

    The kernels multiply unsigned by signed bytes, so 128 is added to every code.
    """
    count, depth = columns.shape
    filled = torch.zeros((_round_up(count, LANES), _round_up(depth, 4)), dtype=torch.int16)
    filled[:count, :depth] = columns
    laid = filled.add_(128).to(torch.uint8).view(-1, LANES, filled.shape[1] // 4, 4)
    return laid.transpose(1, 2).contiguous()


def quads(rows: Tensor) -> Tensor:
    """Turn rows of codes -128 .. 127 into int8, filled up to whole groups of four columns."""
    count, depth = rows.shape
    filled = torch.zeros((count, _round_up(depth, 4)), dtype=torch.int8)
    filled[:, :depth] = rows
    return filled


def _round_up(count: int, unit: int) -> int:
    return -(-count // unit) * unit


def packed_matrix(columns: Tensor, *, low: int, as_bytes: bool) -> tuple[Tensor, Tensor]:
    """Lay codes (columns, depth) out as 32-bit groups (columns / 16, groups, 16), and a start.

    as_bytes: four bytes a group, else two 16-bit numbers (see whole.h). start (columns,) int32 is
    what sums begin with: where they multiply bytes, the kernels count codes from the lowest one.
    """
    count, depth = columns.shape
    pack, kind = (4, torch.int8) if as_bytes else (2, torch.int16)
    filled = torch.zeros((_round_up(count, LANES), _round_up(depth, pack)), dtype=kind)
    filled[:count, :depth] = columns
    laid = filled.view(-1, LANES, filled.shape[1] // pack, pack).transpose(1, 2).contiguous()
    start = torch.zeros(len(filled), dtype=torch.int32)
    if as_bytes:
        start[:count] = low * columns.sum(dim=1)
    return laid, start


def packed_rows(rows: Tensor, *, low: int, as_bytes: bool) -> Tensor:
    """Turn rows of codes low .. low + 255 into what meets a `packed_matrix`."""
    count, depth = rows.shape
    pack, kind, first = (4, torch.uint8, low) if as_bytes else (2, torch.int16, 0)
    filled = torch.zeros((count, _round_up(depth, pack)), dtype=kind)
    filled[:, :depth] = rows - first
    return filled
