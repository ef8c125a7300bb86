"""Cover the pool: no document far from a chosen one."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from calibkit.policies.candidates import FeaturePolicy
from calibkit.policies.draw import Draw, Rows
from calibkit.policies.pool import Pool


class KCenter(FeaturePolicy, name="k-center"):
    """Take the document nearest the middle, then always the one farthest from all taken so far.

    Greedy farthest-first traversal (Gonzalez, "Clustering to minimize the maximum intercluster
    distance", 1985), within a factor 2 of the smallest possible radius; proposed for choosing
    training data by Sener & Savarese, arXiv 1708.00489, 2018. Euclidean distance.

    ``features``: ``tfidf-svd`` (the pool's ``vectors``), ``hidden`` (states of the float model) or
    ``given`` (vectors that came with the corpus).
    ``candidates``: the selection runs on so many documents of the keyed draw, by default on half
    the pool (rounded up); what differs between seeds is which documents are candidates.

    The start is the candidate nearest the candidates' mean, ties go to the first document id. When
    all remaining candidates equal a taken one, or, by default, when more than half of the pool is
    asked for, the rest follows in the order of the keyed draw: subsets stay nested. Candidates that
    are all the same are Infeasible.
    """

    nested: ClassVar[bool] = True

    def pick(self, pool: Pool, size: int, draw: Draw) -> Rows:
        """Return the farthest-first order of the candidates, cut to ``size``."""
        candidates, keyed = self.keyed(pool, size, draw)
        points = self.points(pool, candidates, size)
        chosen = candidates[farthest_first(points, min(size, len(points)))]
        return self.filled(chosen, keyed, size)


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
