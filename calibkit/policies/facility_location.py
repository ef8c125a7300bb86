"""Every document of the pool near a chosen one, on the whole."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from calibkit.policies.candidates import FeaturePolicy, grid_exponent, on_grid
from calibkit.policies.distances import blocks, distances
from calibkit.policies.draw import Draw, Rows
from calibkit.policies.pool import Pool
from calibkit.policies.threads import one_thread


class FacilityLocation(FeaturePolicy, name="facility-location"):
    """Take, again and again, the candidate that brings most documents nearest to a chosen one.

    The facility-location function: the sum over the pool's documents of the likeness to the most
    alike of the subset, likeness being a constant minus the Euclidean distance. It is monotone
    submodular, so greedy choice is within 1 - 1/e of the best subset (Nemhauser, Wolsey & Fisher,
    1978).

    ``epsilon``: stochastic greedy (Mirzasoleiman et al., "Lazier than lazy greedy", AAAI 2015):
    each step looks at m / size * ln(1 / epsilon) of the m candidates, drawn by the seed, and is
    within 1 - 1/e - epsilon in expectation. 0 is the exact greedy choice, by lazy evaluation
    (Minoux, 1978); only that is nested.
    ``clients``: the sum is over so many documents of the whole pool, the last of the keyed draw
    (all of them in a smaller pool).
    ``features``: ``tfidf-svd`` (the pool's ``vectors``), ``hidden`` (states of the float model) or
    ``given`` (vectors that came with the corpus).
    ``candidates``: the selection runs on so many documents, the first of the keyed draw, by default
    on half the pool (rounded up).

    Ties go to the first document id. By default, when more than half of the pool is asked for, the
    rest follows in the order of the keyed draw. Candidates that are all the same are Infeasible.
    For c clients, m candidates and d dimensions O(c m d ln(1 / epsilon)) time whatever the size, in
    blocks; no matrix of all distances.
    """

    epsilon: Annotated[float, Field(ge=0, lt=1)] = 0.1
    clients: PositiveInt = 10_000

    @property
    def nested(self) -> bool:  # type: ignore[override]  # depends on a parameter here
        """Whether the choice is the exact greedy one."""
        return self.epsilon == 0

    def pick(self, pool: Pool, size: int, draw: Draw) -> Rows:
        """Return the candidates in the order in which they were taken."""
        candidates, keyed = self.keyed(pool, size, draw)
        features = pool.need(self.needs[0], self.name)
        exponent = grid_exponent(features)
        points = on_grid(features[candidates], exponent)
        self.require_differences(points, size)
        clients = on_grid(features[np.sort(keyed[-self.clients :])], exponent)
        count = min(size, len(candidates))
        if self.epsilon == 0:
            order = lazy_greedy(points, clients, count)
        else:
            generator = draw.generator(self.name)
            order = stochastic_greedy(points, clients, count, self.epsilon, generator)
        return self.filled(candidates[order], keyed, size)


@one_thread()
def lazy_greedy(points: NDArray[np.float64], clients: NDArray[np.float64], count: int) -> Rows:
    """Return ``count`` rows of ``points``, each lowering `total_distance` most; ties: lower row.

    points: float64 (m, d), clients: float64 (c, d), on the same grid of ``on_grid``. Gains never
    grow as more is chosen, so old ones are bounds: only rows whose bound is at least the best gain
    found are looked at again (Minoux, 1978). The choice is that of looking at all. O(c m d) time
    for the first, usually little for the others.
    """
    nearest = _nobody(points, clients)
    bounds = _gains(points, clients, nearest)
    order = [int(np.argmax(bounds))]
    while len(order) < count:
        _serve(nearest, clients, points[order[-1]])
        bounds[order[-1]] = -1.0
        stale = bounds > 0  # what gained nothing never will
        best, looked = 0.0, 32
        while len(rows := np.flatnonzero(stale & (bounds >= best))):
            if len(rows) > looked:
                rows = rows[np.argpartition(-bounds[rows], looked)[:looked]]
            bounds[rows] = _gains(points[rows], clients, nearest)
            stale[rows] = False
            best = max(best, float(bounds[rows].max()))
            looked *= 2
        order.append(int(np.argmax(np.where(stale, -1.0, bounds))))
    return np.array(order, dtype=np.intp)


@one_thread()
def stochastic_greedy(
    points: NDArray[np.float64],
    clients: NDArray[np.float64],
    count: int,
    epsilon: float,
    generator: np.random.Generator,
) -> Rows:
    """Return ``count`` rows of ``points``, each the best of a sample of those left.

    points: float64 (m, d), clients: float64 (c, d), on the same grid of ``on_grid``. The samples
    are m / count * ln(1 / epsilon) rows each, drawn with repetition from raw bits of ``generator``.
    Ties go to the lower row.
    """
    nearest = _nobody(points, clients)
    left = np.arange(len(points))
    looked = math.ceil(len(points) / count * math.log(1.0 / epsilon))
    order = np.empty(count, dtype=np.intp)
    for place in range(count):
        raw = np.asarray(generator.bit_generator.random_raw(looked))
        drawn = np.unique(raw % np.uint64(len(left))).astype(np.intp)
        sample = np.sort(left[drawn])
        chosen = order[place] = sample[np.argmax(_gains(points[sample], clients, nearest))]
        _serve(nearest, clients, points[chosen])
        left = left[left != chosen]
    return order


def total_distance(points: NDArray[np.float64], clients: NDArray[np.float64], rows: Rows) -> int:
    """Return the summed distance of the clients to the nearest of ``points`` at ``rows``.

    A whole number of steps of the grid, distances rounded down: what both ways of choosing lower.
    """
    nearest = _nobody(points, clients)
    for row in rows:
        _serve(nearest, clients, points[row])
    return int(nearest.sum())


def _nobody(points: NDArray[np.float64], clients: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance of every client from nothing at all: above any that there is."""
    longest = max(np.abs(points).max(initial=0.0), np.abs(clients).max(initial=0.0))
    bound = math.ceil(2 * longest * math.sqrt(points.shape[1]))
    return np.full(len(clients), float(bound))


def _gains(
    points: NDArray[np.float64], clients: NDArray[np.float64], nearest: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return by how much each of ``points`` lowers the clients' summed distances: (m,), exact."""
    gains = np.zeros(len(points))
    for columns in blocks(len(points), 512):
        for block in blocks(len(clients), columns.stop - columns.start):
            closer = distances(clients[block], points[columns])
            np.subtract(nearest[block, None], closer, out=closer)
            gains[columns] += np.maximum(closer, 0.0, out=closer).sum(axis=0)
    return gains


def _serve(
    nearest: NDArray[np.float64], clients: NDArray[np.float64], point: NDArray[np.float64]
) -> None:
    np.minimum(nearest, distances(clients, point[None])[:, 0], out=nearest)
