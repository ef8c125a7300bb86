"""How far a subset's documents are from the pool's as a distribution: MMD by random features.

The maximum mean discrepancy is the distance of two mean feature vectors (Gretton, Borgwardt, Rasch,
Schoelkopf & Smola, "A kernel two-sample test", JMLR 2012). The features here are random Fourier
features of the RBF kernel exp(-|x - y|^2 / (2 h^2)) (Rahimi & Recht, "Random features for
large-scale kernel machines", 2007): cosine and sine of each random projection, whose inner products
have the kernel as their expectation.

Everything up to the last square root is whole numbers: documents and frequencies lie on grids on
which projections are exact, a projection's phase is one of 4,096, and cosine and sine are read from
a table of whole numbers from -127 to 127. So features and their sums are the same for any thread
count, block size and order, and sums over a pool of millions need one pass and little memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibkit.policies.candidates import grid_bits, grid_exponent, on_grid
from calibkit.policies.distances import squared_distances
from calibkit.policies.draw import Rows

AMPLITUDE = 127
"""Cosines and sines are whole multiples of 1 / 127: their products sum up exactly in float32."""
MOST_DIMS = 1024
"""Up to here a sum of ``dims`` products is below 2^24."""
SAMPLE = 1000
"""Documents among which the median distance is sought."""

_PHASES = 1 << 12
_COSINES = np.rint(AMPLITUDE * np.cos(2 * np.pi * np.arange(_PHASES) / _PHASES)).astype(np.int8)
_BLOCK = 1 << 11


@dataclass(frozen=True, eq=False)
class FourierKernel:
    """An RBF kernel as random frequencies.

    frequencies: float64 (d, dims / 2), whole numbers; a document's projections on them, times
    2^-shift, are its phases in turns. exponent: of the grid on which all documents lie.
    bandwidth: h, in the units of the documents' features.
    """

    frequencies: NDArray[np.float64]
    shift: int
    exponent: int
    bandwidth: float

    @property
    def dims(self) -> int:
        """Number of random features of a document."""
        return 2 * int(self.frequencies.shape[1])

    def steps(self, features: NDArray[Any]) -> NDArray[np.int8]:
        """Return the random features of documents (n, d) in steps of 1 / 127: int8 (n, dims).

        First the cosines, then the sines. The documents must be among those that the kernel was
        made for, or no larger in any value than the largest of them.
        """
        found = np.empty((len(features), self.dims), dtype=np.int8)
        for block in _blocks(len(features)):
            turns = on_grid(features[block], self.exponent) @ self.frequencies
            turns *= 2.0**-self.shift * _PHASES
            phases = np.rint(turns, out=turns).astype(np.int64)
            half = self.dims // 2
            found[block, :half] = _COSINES[phases & (_PHASES - 1)]
            found[block, half:] = _COSINES[(phases - _PHASES // 4) & (_PHASES - 1)]
        return found

    def total(self, features: NDArray[Any]) -> NDArray[np.int64]:
        """Return the sum of the random features of documents (n, d), in steps: int64 (dims,)."""
        found = np.zeros(self.dims, dtype=np.int64)
        for block in _blocks(len(features)):
            found += self.steps(features[block]).sum(axis=0, dtype=np.int64)
        return found


def fourier_kernel(
    features: NDArray[Any], sample: Rows, generator: np.random.Generator, dims: int = 512
) -> FourierKernel:
    """Return an RBF kernel for documents whose features are ``features`` (n, d).

    sample: rows of documents, drawn by a key; the bandwidth is the median distance of those that
    differ, the first `SAMPLE` being looked at. generator: gives the frequencies. dims: even, at
    most `MOST_DIMS`. Raises BadInput for features that are not finite.
    """
    if not 2 <= dims <= MOST_DIMS or dims % 2:
        raise ValueError(f"dims is {dims}; it must be even and from 2 to {MOST_DIMS}")
    exponent = grid_exponent(features)
    sampled = on_grid(features[sample[:SAMPLE]], exponent)
    width, bits = sampled.shape[1], grid_bits(sampled.shape[1])
    steps = median_distance(sampled)
    turns = _normals(generator, (width, dims // 2)) / (2 * math.pi * steps)
    largest = int(np.frexp(np.abs(turns).max())[1])
    # a projection is at most width * 2^bits * 2^(shift + largest): it must stay below 2^53
    shift = min(20, 53 - width.bit_length() - bits) - largest
    whole = np.rint(np.ldexp(turns, shift))
    return FourierKernel(whole, shift, exponent, math.ldexp(steps, exponent - bits))


def random_fourier_features(features: NDArray[Any], kernel: FourierKernel) -> NDArray[np.float32]:
    """Return the random Fourier features of documents (n, d): float32 (n, dims).

    Inner products of rows approach the kernel's values as ``dims`` grows (error about
    1 / sqrt(dims)); every row has length 1 (but for rounding to steps of 1 / 127).
    """
    unit = np.float32(_unit(kernel))
    found: NDArray[np.float32] = kernel.steps(features).astype(np.float32)
    found *= unit
    return found


def mmd(
    features: NDArray[Any], subsets: Sequence[Rows], kernel: FourierKernel
) -> NDArray[np.float64]:
    """Return the MMD of each subset of rows to all documents (n, d): float64 (subsets,).

    The root of the biased estimate, between 0 and sqrt(2); for random draws it falls as
    1 / sqrt(size). One pass over all documents, and one over each subset.
    """
    pool = kernel.total(features)
    return np.array(
        [
            discrepancy(kernel, kernel.total(features[rows]), len(rows), pool, len(features))
            for rows in subsets
        ]
    )


def discrepancy(
    kernel: FourierKernel,
    total: NDArray[np.int64],
    count: int,
    pool_total: NDArray[np.int64],
    pool_count: int,
) -> float:
    """Return the MMD of ``count`` documents to ``pool_count``, from their sums of `total`."""
    gaps = total * pool_count - pool_total * count
    scale = _unit(kernel) / (count * pool_count)
    return math.sqrt(math.fsum((gaps.astype(np.float64) * scale) ** 2))


def median_distance(points: NDArray[np.float64]) -> float:
    """Return the (lower) median distance of different points (m, d), as from ``on_grid``.

    The usual bandwidth of an RBF kernel; 1 step of the grid where all points are the same.
    """
    squares = squared_distances(points, points)[np.triu_indices(len(points), 1)]
    apart = squares[squares > 0]
    if not len(apart):
        return 1.0
    middle = (len(apart) - 1) // 2
    return math.sqrt(float(np.partition(apart, middle)[middle]))


def _unit(kernel: FourierKernel) -> float:
    """The value of one step, so that every document's features have length 1."""
    return 1.0 / (AMPLITUDE * math.sqrt(kernel.dims / 2))


def _normals(generator: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return standard normal numbers, by Box & Muller (1958) from raw bits.

    (numpy may change its own way to draw them from one version to the next.)
    """
    count = math.prod(shape)
    raw = np.asarray(generator.bit_generator.random_raw(2 * count)) >> np.uint64(11)
    uniform = (raw.astype(np.float64) + 0.5) * 2.0**-53
    radius = np.sqrt(-2.0 * np.log(uniform[:count]))
    return np.asarray(radius * np.cos(2 * np.pi * uniform[count:])).reshape(shape)


def _blocks(rows: int) -> Iterator[slice]:
    for start in range(0, rows, _BLOCK):
        yield slice(start, start + _BLOCK)
