"""Cover the pool: no document far from a chosen one."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from calibkit.errors import BadInput, Infeasible
from calibkit.policies.base import Policy
from calibkit.policies.draw import Draw, Rows
from calibkit.policies.pool import Pool


class KCenter(Policy, name="k-center"):
    """Take the document nearest the middle, then always the one farthest from all taken so far.

    Greedy farthest-first traversal (Gonzalez, "Clustering to minimize the maximum intercluster
    distance", 1985), within a factor 2 of the smallest possible radius; proposed for choosing
    training data by Sener & Savarese, arXiv 1708.00489, 2018. Euclidean distance.

    ``features``: ``tfidf-svd`` (the pool's ``vectors``) or ``hidden`` (states of the float model).
    ``candidates``: the selection runs on so many documents of the keyed draw, by default on half
    the pool (rounded up); what differs between seeds is which documents are candidates.

    The start is the candidate nearest the candidates' mean, ties go to the first document id. When
    all remaining candidates equal a taken one, or, by default, when more than half of the pool is
    asked for, the rest follows in the order of the keyed draw: subsets stay nested. Candidates that
    are all the same are Infeasible.
    """

    nested: ClassVar[bool] = True

    features: Literal["tfidf-svd", "hidden"] = "tfidf-svd"
    candidates: PositiveInt | None = None

    @property
    def needs(self) -> tuple[str, ...]:  # type: ignore[override]  # depends on a parameter here
        """``vectors`` for tfidf-svd, ``hidden`` for hidden."""
        return ("vectors",) if self.features == "tfidf-svd" else ("hidden",)

    def pick(self, pool: Pool, size: int, draw: Draw) -> Rows:
        """Return the farthest-first order of the candidates, cut to ``size``."""
        pool.require_size(size, self.name)
        features = pool.need(self.needs[0], self.name)
        keyed = draw.about(f"{draw.purpose}-candidates").ranked(pool)
        candidates = np.sort(keyed[: self._candidates(size, len(pool))])  # in order of id, for ties
        points = on_grid(features[candidates])
        if size > 1 and len(points) > 1 and not (points != points[0]).any():
            raise Infeasible(
                f"{self.name}: the {self.features} features of all {len(points):,} candidates are "
                "the same, so none is farther than another; use other features, or policy random"
            )
        chosen = candidates[farthest_first(points, min(size, len(points)))]
        rest = keyed[~np.isin(keyed, chosen)]
        return np.concatenate([chosen, rest[: size - len(chosen)]])

    def _candidates(self, size: int, documents: int) -> int:
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


def on_grid(features: NDArray[Any]) -> NDArray[np.float64]:
    """Return ``features`` (n, d) rounded to whole multiples of a power of two, as those multiples.

    float64 (n, d) of integers so small that squared distances between rows are exact: then no
    order of summation, thread count or vector unit can change which document is farthest. The
    grid is 2^20 steps for the largest absolute value (fewer beyond 1,024 dimensions), about the
    resolution of float32. Raises BadInput for values that are not finite.
    """
    values = np.asarray(features, dtype=np.float64).reshape(len(features), -1)
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values).all(axis=1)).sum())
        raise BadInput(f"the features of {bad:,} documents are not finite numbers")
    bits = min(20, (51 - values.shape[1].bit_length()) // 2)
    exponent = int(np.frexp(np.abs(values).max(initial=0.0))[1])
    return np.rint(np.ldexp(values, bits - exponent))


def farthest_first(points: NDArray[np.float64], count: int) -> Rows:
    """Return up to ``count`` rows of ``points``, each farthest from those before it.

    points: float64 (n, d) as from ``on_grid``. The first is the one nearest the mean; ties go to
    the lower row. Ends early when every point coincides with one already taken. O(count n d) time.
    """
    squares = np.einsum("ij,ij->i", points, points)

    def squared_distances(to: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(squares + to @ to - 2.0 * (points @ to))

    middle = np.rint(points.sum(axis=0) / len(points))
    order = [int(np.argmin(squared_distances(middle)))]
    distances = squared_distances(points[order[0]])
    while len(order) < count:
        farthest = int(np.argmax(distances))
        if distances[farthest] == 0:
            break
        order.append(farthest)
        np.minimum(distances, squared_distances(points[farthest]), out=distances)
    return np.array(order, dtype=np.intp)
