"""What a pool's values are like at each activation site, and how much of them a range covers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibkit.quantize.estimators import SHIFT, Histogram

TAIL = 0.001
"""The pool's range at a site is that between this share of its values and 1 - this share."""


@dataclass(frozen=True, eq=False)
class SiteReference:
    """The pool's values at one activation site.

    levels: float64 (bins,), middles of the bins, rising. below: float64 (bins + 1,), share of the
    values in the bins before each. low, high: the levels at p0.1 and p99.9.
    """

    levels: NDArray[np.float64]
    below: NDArray[np.float64]
    low: float
    high: float

    @classmethod
    def of(cls, seen: Histogram) -> SiteReference:
        """Describe a histogram of all values that the pool's documents have at a site."""
        below = np.concatenate([[0.0], np.cumsum(seen.counts) / max(1, seen.counts.sum())])
        low, high = np.searchsorted(below[1:], [TAIL, 1 - TAIL])
        return cls(seen.levels, below, float(seen.levels[low]), float(seen.levels[high]))

    def covered(
        self, smallest: NDArray[np.float64], largest: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return which share of what lies between ``low`` and ``high`` each range covers.

        smallest, largest: the ranges' ends, as middles of bins (`bin_middles`).
        """
        whole = self.high - self.low
        both = np.minimum(largest, self.high) - np.maximum(smallest, self.low)
        if whole <= 0:  # the site always says the same
            return (both >= 0).astype(np.float64)
        share: NDArray[np.float64] = np.maximum(both, 0.0) / whole
        return share

    def clipped(
        self, smallest: NDArray[np.float64], largest: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return which share of the pool's values lies outside each range, ends as for `covered`.

        Values in the same bin as an end count as inside.
        """
        under = self.below[np.searchsorted(self.levels, smallest, side="left")]
        over = 1.0 - self.below[np.searchsorted(self.levels, largest, side="right")]
        outside: NDArray[np.float64] = under + np.maximum(over, 0.0)
        return outside


def bin_middles(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return, for each value, the middle of its bin in a `Histogram`; never changes the order."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.int32)
    forgotten = np.int32((1 << SHIFT) - 1)
    low = (bits & ~forgotten).view(np.float32).astype(np.float64)
    high = (bits | forgotten).view(np.float32).astype(np.float64)
    return (low + high) / 2
