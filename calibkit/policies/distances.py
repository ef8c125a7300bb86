"""Distances between documents as whole numbers, so that sums of them are exact in any order."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_CELLS = 1 << 17
"""Distances computed at once: what fits into a core's cache."""


def squared_norms(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the squared length of each of ``points`` (n, d), which are as from ``on_grid``."""
    return np.asarray(np.einsum("ij,ij->i", points, points))


def squared_distances(
    points: NDArray[np.float64], others: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the squared Euclidean distance of each of ``points`` to each of ``others``.

    points: (n, d), others: (m, d), both on the same grid of ``on_grid``. float64 (n, m) of whole
    numbers, exact.
    """
    products = points @ others.T
    products *= -2.0
    products += squared_norms(points)[:, None]
    products += squared_norms(others)
    return products


def distances(points: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Euclidean distances (n, m) in steps of the grid, rounded down to whole numbers.

    Below 2^27, so that sums of up to 2^26 of them are exact.
    """
    found = squared_distances(points, others)
    np.sqrt(found, out=found)
    return np.floor(found, out=found)


def blocks(rows: int, columns: int) -> Iterator[slice]:
    """Yield slices of ``rows`` rows, so that each has few enough cells in ``columns`` columns."""
    step = max(1, _CELLS // max(1, columns))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))
