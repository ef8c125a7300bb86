"""One typical document for each of as many clusters as there are places."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from calibkit.policies.candidates import FeaturePolicy
from calibkit.policies.distances import blocks, distances, squared_distances, squared_norms
from calibkit.policies.draw import Draw, Rows
from calibkit.policies.pool import Pool
from calibkit.policies.threads import one_thread

NEAR_THE_MIDDLE = 64
"""Members of a cluster, those nearest its mean, that are tried as its medoid."""


class KMedoids(FeaturePolicy, name="k-medoids"):
    """Cluster the candidates, and take the medoid of each cluster.

    The medoid is the member from which the others are least far in sum, by Euclidean distance
    (Kaufman & Rousseeuw, "Clustering by means of medoids", 1987). Clusters and medoids alternate
    (Park & Jun, "A simple and fast algorithm for K-medoids clustering", 2009) from a keyed start in
    the manner of k-means++ (Arthur & Vassilvitskii, 2007: each next medoid with probability
    proportional to the distance from those before), until nothing changes or for ``rounds`` rounds.
    In clusters of more than 64 documents only the 64 nearest the mean are tried as the medoid.

    ``features``: ``tfidf-svd`` (the pool's ``vectors``), ``hidden`` (states of the float model) or
    ``given`` (vectors that came with the corpus).
    ``candidates``: the selection runs on so many documents of the keyed draw, by default on half
    the pool (rounded up).
    ``rounds``: at most so many.

    Where fewer candidates differ than documents are asked for, the rest follows in the order of
    the keyed draw. Candidates that are all the same are Infeasible. Not nested. O(m k d) time a
    round for k of m candidates with d dimensions.
    """

    rounds: PositiveInt = 20

    def pick(self, pool: Pool, size: int, draw: Draw) -> Rows:
        """Return the medoids of ``size`` clusters, in a keyed order."""
        candidates, keyed = self.keyed(pool, size, draw)
        points = self.points(pool, candidates, size)
        start = spread_start(points, min(size, len(points)), draw.generator(self.name))
        medoids, _ = k_medoids(points, start, self.rounds)
        return self.filled(draw.shuffled(pool, candidates[medoids]), keyed, size)


@one_thread()
def spread_start(points: NDArray[np.float64], count: int, generator: np.random.Generator) -> Rows:
    """Return up to ``count`` different points, each drawn by its distance from those before.

    points: float64 (m, d) as from ``on_grid``. Fewer when no more differ. O(count m d) time.
    """
    bits = generator.bit_generator
    squares = squared_norms(points)
    order = [_below(len(points), bits)]
    nearest: NDArray[np.int64] | None = None
    while len(order) < count:
        new = points[order[-1]]
        squared = squares + new @ new - 2.0 * (points @ new)
        gaps = np.ceil(np.sqrt(squared)).astype(np.int64)  # 0 for equal points only
        nearest = gaps if nearest is None else np.minimum(nearest, gaps)
        mass = np.cumsum(nearest)
        if mass[-1] == 0:
            break
        order.append(int(np.searchsorted(mass, _below(int(mass[-1]), bits), side="right")))
    return np.array(order, dtype=np.intp)


@one_thread()
def k_medoids(points: NDArray[np.float64], start: Rows, rounds: int) -> tuple[Rows, list[int]]:
    """Return the medoids to which ``start`` leads, and the cost before each round and at the end.

    points: float64 (m, d) as from ``on_grid``. start: rows of different points. The cost, a whole
    number, is the sum of the distances (rounded down to steps of the grid) from each point to its
    nearest medoid: it never rises. A medoid is replaced only by one that is better, the lower row
    of equal ones.
    """
    medoids = start.copy()
    costs: list[int] = []
    for _ in range(rounds):
        owner, cost = assigned(points, medoids)
        costs.append(cost)
        by_owner = np.argsort(owner, kind="stable")
        starts = np.searchsorted(owner[by_owner], np.arange(len(medoids) + 1))
        clusters = zip(starts, starts[1:], medoids, strict=False)
        better = [_medoid(points, by_owner[a:b], int(now)) for a, b, now in clusters]
        if better == medoids.tolist():
            return medoids, costs
        medoids = np.array(better, dtype=np.intp)
    costs.append(assigned(points, medoids)[1])
    return medoids, costs


def assigned(points: NDArray[np.float64], medoids: Rows) -> tuple[NDArray[np.intp], int]:
    """Return the place in ``medoids`` of each point's nearest (the first of equals), and the cost.

    intp (m,), and the sum of the distances rounded down.
    """
    owner = np.empty(len(points), dtype=np.intp)
    cost = 0
    for block in blocks(len(points), len(medoids)):
        squared = squared_distances(points[block], points[medoids])
        owner[block] = squared.argmin(axis=1)
        nearest = squared[np.arange(len(squared)), owner[block]]
        cost += int(np.floor(np.sqrt(nearest)).sum())
    return owner, cost


def _medoid(points: NDArray[np.float64], members: Rows, now: int) -> int:
    """Return the best medoid of a cluster; ``members`` rise, ``now`` is one of them."""
    if len(members) <= 2:  # neither of two is better than the other
        return now
    tried = members
    if len(members) > NEAR_THE_MIDDLE:
        middle = np.rint(points[members].sum(axis=0) / len(members))
        far = squared_distances(points[members], middle[None])[:, 0]
        tried = np.sort(members[np.argsort(far, kind="stable")[:NEAR_THE_MIDDLE]])
    tried = np.concatenate([[now], tried])  # first, so that it stays unless another is better
    costs = np.zeros(len(tried))
    for block in blocks(len(members), len(tried)):
        costs += distances(points[members[block]], points[tried]).sum(axis=0)
    return int(tried[np.argmin(costs)])


def _below(bound: int, bits: np.random.BitGenerator) -> int:
    """Return a whole number from 0 to ``bound`` - 1, from 64 raw bits."""
    return int(bits.random_raw()) * bound >> 64
