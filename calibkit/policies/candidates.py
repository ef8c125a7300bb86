"""Deterministic selectors: the draw decides which documents they may choose from."""

from __future__ import annotations

from abc import ABC
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from calibkit.errors import BadInput, Infeasible
from calibkit.policies.base import Policy
from calibkit.policies.draw import Draw, Rows
from calibkit.policies.pool import Pool

FeatureSource = Literal["tfidf-svd", "hidden", "given"]
"""Vectors of documents: of their words, of a float model's states, or brought by the user."""

ARRAYS: dict[FeatureSource, str] = {"tfidf-svd": "vectors", "hidden": "hidden", "given": "given"}
"""The name of the pool's array for each source."""


class CandidatePolicy(Policy, ABC):
    """A policy that chooses the best documents of a keyed share of the pool.

    ``candidates``: the selection runs on so many documents of the keyed draw, by default on half
    the pool (rounded up); what differs between seeds is which documents are candidates.
    """

    candidates: PositiveInt | None = None

    def foresee(self, pool: Pool, size: int, draw: Draw) -> str:
        """Return nothing: there are enough documents, or Infeasible says how many candidates."""
        pool.require_size(size, self.name)
        self._count(size, len(pool))
        return ""

    def keyed(self, pool: Pool, size: int, draw: Draw) -> tuple[Rows, Rows]:
        """Return the candidates' rows, rising, and all rows in the order of the keyed draw.

        The candidates are the first of the keyed rows. Raises Infeasible for more candidates than
        documents, or fewer than ``size``; without ``candidates`` there may be fewer.
        """
        pool.require_size(size, self.name)
        keyed = draw.about(f"{draw.purpose}-candidates").ranked(pool)
        return np.sort(keyed[: self._count(size, len(pool))]), keyed

    def filled(self, chosen: Rows, keyed: Rows, size: int) -> Rows:
        """Return ``chosen`` and, where it is short of ``size``, what comes next in ``keyed``."""
        rest = keyed[~np.isin(keyed, chosen)]
        return np.concatenate([chosen[:size], rest[: max(0, size - len(chosen))]])

    def _count(self, size: int, documents: int) -> int:
        if self.candidates is None:
            return (documents + 1) // 2
        if self.candidates > documents:
            raise Infeasible(
                f"{self.name}: asked for {self.candidates:,} candidates, the pool has "
                f"{documents:,} documents; without 'candidates' half of the pool is used"
            )
        if self.candidates < size:
            raise Infeasible(
                f"{self.name}: asked for {size:,} documents out of {self.candidates:,} candidates; "
                f"set 'candidates' to between {size:,} and {documents:,}"
            )
        return self.candidates


class FeaturePolicy(CandidatePolicy, ABC):
    """A candidate policy that measures distances between documents.

    ``features``: ``tfidf-svd`` (the pool's ``vectors``), ``hidden`` (states of the float model) or
    ``given`` (vectors that came with the corpus).
    """

    features: FeatureSource = "tfidf-svd"

    @property
    def needs(self) -> tuple[str, ...]:  # type: ignore[override]  # depends on a parameter here
        """``vectors`` for tfidf-svd, ``hidden`` for hidden, ``given`` for given."""
        return (ARRAYS[self.features],)

    def points(self, pool: Pool, rows: Rows, size: int) -> NDArray[np.float64]:
        """Return the features at ``rows`` on the exact grid of `on_grid`.

        Raises Infeasible when more than one is asked for and all of them are the same.
        """
        points = on_grid(pool.need(ARRAYS[self.features], self.name)[rows])
        self.require_differences(points, size)
        return points

    def require_differences(self, points: NDArray[Any], size: int) -> None:
        """Raise Infeasible for several documents out of candidates that are all the same."""
        if size > 1 and len(points) > 1 and not (points != points[0]).any():
            raise Infeasible(
                f"{self.name}: the {self.features} features of all {len(points):,} candidates are "
                "the same, so none is farther than another; use other features, or policy random"
            )


def on_grid(features: NDArray[Any], exponent: int | None = None) -> NDArray[np.float64]:
    """Return ``features`` (n, d) rounded to whole multiples of a power of two, as those multiples.

    float64 (n, d) of integers so small that squared distances between rows are exact: then no
    order of summation, thread count or vector unit can change which document is farthest. The
    grid is 2^20 steps for the largest absolute value (fewer beyond 1,024 dimensions), about the
    resolution of float32. ``exponent``: `grid_exponent` of all features, where
    these are only some of them. Raises BadInput, as that does, for values that are not finite.
    """
    values = np.asarray(features, dtype=np.float64).reshape(len(features), -1)
    if exponent is None:
        exponent = grid_exponent(values)
    return np.rint(np.ldexp(values, grid_bits(values.shape[1]) - exponent))


def grid_bits(dims: int) -> int:
    """Return b: on the grid of `on_grid` the values of ``dims`` dimensions are at most 2^b."""
    return min(20, (51 - dims.bit_length()) // 2)


def grid_exponent(features: NDArray[Any]) -> int:
    """Return e: 2^e is above all absolute values of ``features`` (n, ...), read block by block.

    Raises BadInput for values that are not finite.
    """
    largest = 0.0
    for start in range(0, len(features), _BLOCK):
        largest = np.maximum(largest, np.abs(features[start : start + _BLOCK]).max(initial=0.0))
    if not np.isfinite(largest):
        bad = count_not_finite(features)
        raise BadInput(f"the features of {bad:,} documents are not finite numbers")
    return int(np.frexp(largest)[1])


def count_not_finite(array: NDArray[Any]) -> int:
    """Return how many rows of ``array`` (n, ...) have a number that is not finite, in blocks."""
    bad = 0
    for start in range(0, len(array), _BLOCK):
        fine = np.isfinite(array[start : start + _BLOCK])
        bad += int((~fine.reshape(len(fine), -1).all(axis=1)).sum())
    return bad


_BLOCK = 1 << 14
