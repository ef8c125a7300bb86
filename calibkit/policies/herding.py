"""The subset whose documents are distributed as the pool's."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from calibkit.policies.candidates import FeaturePolicy
from calibkit.policies.draw import Draw, Rows
from calibkit.policies.mmd import MOST_DIMS, fourier_kernel
from calibkit.policies.pool import Pool
from calibkit.policies.threads import one_thread


class Herding(FeaturePolicy, name="herding"):
    """Take, again and again, the document that brings the subset's distribution nearest the pool's.

    Kernel herding: Chen, Welling & Smola, "Super-samples from kernel herding", UAI 2010. Each step
    makes the maximum mean discrepancy (MMD) of the subset to the WHOLE pool as small as one more
    candidate can make it; it falls about as 1 / size, for random draws as 1 / sqrt(size). The
    kernel is RBF, its bandwidth the median distance in a keyed sample, by random Fourier features
    (Rahimi & Recht, "Random features for large-scale kernel machines", 2007).

    ``features``: ``tfidf-svd`` (the pool's ``vectors``), ``hidden`` (states of the float model) or
    ``given`` (vectors that came with the corpus).
    ``candidates``: the selection runs on so many documents of the keyed draw, by default on half
    the pool (rounded up); what differs between seeds is which documents are candidates, and the
    random features.
    ``dims``: random features per document, an even number up to 1,024.

    Ties go to the first document id. By default, when more than half of the pool is asked for, the
    rest follows in the order of the keyed draw: subsets stay nested. Candidates that are all the
    same are Infeasible. For n documents of d dimensions and m candidates O(n d dims) time for the
    target, in blocks, and O(m dims) time for each document taken; the candidates' random features,
    5 bytes each, are what takes memory.
    """

    nested: ClassVar[bool] = True

    dims: Annotated[int, Field(ge=2, le=MOST_DIMS, multiple_of=2)] = 512

    def pick(self, pool: Pool, size: int, draw: Draw) -> Rows:
        """Return the herding order of the candidates, cut to ``size``."""
        candidates, keyed = self.keyed(pool, size, draw)
        features = pool.need(self.needs[0], self.name)
        generator = draw.generator(self.name)
        kernel = fourier_kernel(features, keyed[: len(candidates)], generator, self.dims)
        steps = kernel.steps(features[candidates])
        self.require_differences(steps, size)
        order = herding_order(steps, kernel.total(features), len(pool), min(size, len(candidates)))
        return self.filled(candidates[order], keyed, size)


@one_thread()
def herding_order(
    steps: NDArray[np.int8], total: NDArray[np.int64], documents: int, count: int
) -> Rows:
    """Return ``count`` rows, each bringing the mean of those so far nearest ``total / documents``.

    steps: int8 (m, dims), whole numbers up to 127, dims up to 1,024. total: int64 (dims,), the sum
    over all ``documents``. After t rows with sum S the next is the row f, of those left, that
    minimises |(S + f) / (t + 1) - total / documents|^2, that is f.f + 2 f.S - 2 (t + 1) f.mean;
    ties go to the lower row. Products of rows are below 2^24, so exact in float32; the rest is
    int64. O(count m dims) time.
    """
    rows = steps.astype(np.float32)
    # the mean in steps of 2^-bits, as fine as int64 allows: what is compared is below
    # 2^(24 + 2 + bits) times the number of rows taken
    bits = min(16, 36 - len(rows).bit_length())
    mean = ((total << bits) // documents).astype(np.float64)
    own = np.einsum("ij,ij->i", rows, rows).astype(np.int64) << bits
    to_mean = _products(steps, mean)
    to_chosen = np.zeros(len(rows), dtype=np.int64)
    order = np.empty(count, dtype=np.intp)
    taken = np.zeros(len(rows), dtype=bool)
    for place in range(count):
        gaps = own + (to_chosen << (bits + 1)) - 2 * (place + 1) * to_mean
        gaps[taken] = np.iinfo(np.int64).max
        chosen = order[place] = np.argmin(gaps)
        taken[chosen] = True
        to_chosen += (rows @ rows[chosen]).astype(np.int64)
    return order


def _products(steps: NDArray[Any], vector: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return ``steps @ vector``, exact, without a float64 copy of all rows."""
    parts = [
        (steps[start : start + 4096] @ vector).astype(np.int64)
        for start in range(0, len(steps), 4096)
    ]
    return np.concatenate(parts)
