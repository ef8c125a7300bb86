"""Documents whose inputs span most: the largest determinant of their common Gram matrix."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from calibkit.errors import BadInput, Infeasible
from calibkit.policies.candidates import CandidatePolicy
from calibkit.policies.draw import Draw, Rows
from calibkit.policies.grams import document_grams
from calibkit.policies.pool import Pool

GRAIN = 20
"""Gains are compared in steps of 2^-20 nats, far above the rounding errors of a factorization."""


class DOptimal(CandidatePolicy, name="d-optimal"):
    """Always take the document that adds most to log det(ridge I + sum of Gram matrices).

    D-optimal design (Fedorov, "Theory of Optimal Experiments", 1972) over the inputs of the linear
    layer that GPFQ rounds, in the pool's at most 32 strongest directions, whitened, so that what
    lies outside of these counts for nothing. The objective is submodular, so the
    greedy choice has at least 1 - 1/e of the largest possible gain (Nemhauser, Wolsey & Fisher,
    1978; Krause, Singh & Guestrin, 2008), and documents whose earlier gain is too small need no
    second look (lazy greedy: Minoux, 1978). O(n k^3) for the first of n candidates in k
    directions; later ones cost a small part of it.

    ``ridge``: what is known of every direction beforehand, in tokens.
    ``candidates``: the selection runs on so many documents of the keyed draw, by default on half
    the pool (rounded up); what differs between seeds is which documents are candidates.

    Ties go to the first document id. When nothing is gained any more, or, by default, when more
    than half of the pool is asked for, the rest follows in the order of the keyed draw. Candidates
    that are all the same are Infeasible.
    """

    needs: ClassVar[tuple[str, ...]] = ("gram",)
    nested: ClassVar[bool] = True

    ridge: Annotated[float, Field(ge=0.01)] = 1.0

    def pick(self, pool: Pool, size: int, draw: Draw) -> Rows:
        """Return the candidates in greedy order, cut to ``size``."""
        candidates, keyed = self.keyed(pool, size, draw)
        grams = document_grams(pool, self.name)[candidates]
        if size > 1 and len(grams) > 1 and not (grams != grams[0]).any():
            raise Infeasible(
                f"{self.name}: the Gram matrices of all {len(grams):,} candidates are the same, so "
                "none adds more than another; use policy random"
            )
        chosen = most_informative(grams, min(size, len(grams)), ridge=self.ridge)
        return self.filled(candidates[chosen], keyed, size)


def most_informative(grams: NDArray[Any], count: int, *, ridge: float = 1.0) -> Rows:
    """Return up to ``count`` rows of ``grams``, each adding most to the log-determinant.

    grams: (n, k, k), symmetric and positive semidefinite. Gains are rounded to a grid before they
    are compared, ties go to the lower row; ends early when no row adds anything. Raises BadInput
    for matrices that are not positive semidefinite.
    """
    design = Design(grams, ridge)
    everything = np.arange(len(grams), dtype=np.intp)
    # gains never grow, so an old gain is a bound; one step more allows for its rounding
    bounds = design.gains(everything)
    order: list[int] = []
    while len(order) < count:
        best = _lazily_best(design, bounds) if order else int(np.argmax(bounds))
        if bounds[best] <= 0:
            break
        order.append(best)
        design.add(best)
        bounds[best] = np.iinfo(np.int64).min // 2  # taken: below every gain
    return np.array(order, dtype=np.intp)


class Design:
    """A growing sum of Gram matrices, ``ridge`` times the identity to begin with.

    The matrices are rounded to the finest grid on which the sum of all of them is exact.
    """

    def __init__(self, grams: NDArray[Any], ridge: float) -> None:
        self._grams = grams
        exponent = int(np.frexp(np.abs(grams).max(initial=0.0))[1])
        self._shift = 52 - len(grams).bit_length() - exponent
        self._ridge = np.ldexp(ridge, self._shift) * np.eye(grams.shape[1])
        self._sum = np.zeros(grams.shape[1:])
        self._block = max(1, 2**21 // self._sum.size)

    def add(self, row: int) -> None:
        """Add the matrix of one row."""
        self._sum += self._on_grid(np.array([row]))[0]

    def gains(self, rows: Rows) -> NDArray[np.int64]:
        """Return what each row would add to the log-determinant, int64 in steps of 2^-GRAIN."""
        now = self._sum + self._ridge
        before = _log_det(now[None])[0]
        gains = np.empty(len(rows), dtype=np.int64)
        for start in range(0, len(rows), self._block):
            part = slice(start, start + self._block)
            after = _log_det(now + self._on_grid(rows[part]))
            gains[part] = np.rint(np.ldexp(after - before, GRAIN))
        return gains

    def _on_grid(self, rows: Rows) -> NDArray[np.float64]:
        return np.rint(np.ldexp(self._grams[rows].astype(np.float64), self._shift))


def _lazily_best(design: Design, bounds: NDArray[np.int64]) -> int:
    """Return the row of largest gain, the lowest of several; ``bounds`` are brought up to date."""
    fresh = np.zeros(len(bounds), dtype=bool)
    best, look = -1, 32
    while True:
        stale = np.flatnonzero(~fresh & (bounds + 1 >= best))
        if len(stale) == 0:
            return int(np.argmax(bounds))
        if len(stale) > look:
            stale = stale[np.argpartition(-bounds[stale], look)[:look]]
        bounds[stale] = design.gains(stale)
        fresh[stale] = True
        best = int(bounds[fresh].max())
        look *= 2


def _log_det(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    try:
        factors = np.linalg.cholesky(matrices)
    except np.linalg.LinAlgError as error:
        raise BadInput(
            "the Gram matrices of the documents are not positive semidefinite: some direction has "
            "negative energy; compute them anew, or set a larger 'ridge'"
        ) from error
    return np.asarray(2.0 * np.log(np.einsum("nii->ni", factors)).sum(axis=1))
