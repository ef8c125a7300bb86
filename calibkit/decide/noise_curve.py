"""Accuracy over noise levels as one number: the area under the curve."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from calibkit.decide.evidence_rows import Row


def areas(rows: Sequence[Row]) -> list[Row]:
    """Return one row per cell and noise kind: the mean of its curve, by trapezoids.

    The clean documents are level 0 of every kind. The mean is over levels, not over the levels that
    happen to have been measured: the area divided by the width. ``noise`` becomes the highest
    level; ``levels`` are those that the curve has, so that only equal ones are compared.
    """
    cells: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        same = tuple(v for name, v in row.keys.items() if name not in ("noise_kind", "noise"))
        cells[(*same, row.arm, row.model_seed, row.seed)].append(row)
    found = []
    for of_cell in cells.values():
        clean = [row for row in of_cell if row.keys["noise_kind"] == "none"]
        for kind in sorted({row.keys["noise_kind"] for row in of_cell} - {"none"}):
            noisy = [row for row in of_cell if row.keys["noise_kind"] == kind]
            curve = {row.keys["noise"]: row for row in (*clean, *noisy)}
            levels = sorted(curve)
            if len(levels) < 2:
                continue
            area = sum(
                (right - left) * (curve[left].value + curve[right].value) / 2
                for left, right in zip(levels, levels[1:], strict=False)
            )
            found.append(
                replace(
                    curve[levels[-1]],
                    value=area / (levels[-1] - levels[0]),
                    levels=tuple(levels),
                )
            )
    return found
