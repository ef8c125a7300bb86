"""QCore without labels or checkpoints: documents whose label changes as bits are taken away."""

from __future__ import annotations

from typing import Literal

import numpy as np

from calibkit.errors import BadInput, Infeasible
from calibkit.policies.base import Policy
from calibkit.policies.draw import Draw, Rows
from calibkit.policies.mass import by_quota, quotas, weighted_order
from calibkit.policies.pool import Pool
from calibkit.policies.widths import BitWidths, option


class BitChain(Policy, name="bit-chain"):
    """Draw by how often the predicted label changes on the way from float to few bits.

    A variant of QCore (arXiv 2404.13990, 2024) that needs neither labels nor checkpoints: in the
    place of misses during training it counts changes of the predicted label along float -> 8 -> 6
    -> 5 -> 4 -> 3 -> 2 bits (``bits``) of one trained model.

    ``draw: pmf``: so that the counts are distributed as in the pool, by largest remainder, and
    uniform among documents of the same count. ``draw: weighted``: with probability proportional to
    the count (Efraimidis & Spirakis, 2006); documents without a change are never drawn. O(n log n).
    """

    bits: BitWidths = [8, 6, 5, 4, 3, 2]
    draw: Literal["pmf", "weighted"] = "pmf"

    @property
    def needs(self) -> tuple[str, ...]:  # type: ignore[override]  # depends on a parameter here
        """``chain:BITS,BITS,...``."""
        return (f"chain:{option(self.bits)}",)

    @property
    def nested(self) -> bool:  # type: ignore[override]  # depends on a parameter here
        """Only the weighted draw is."""
        return self.draw == "weighted"

    def foresee(self, pool: Pool, size: int, draw: Draw) -> str:
        """Return nothing for ``draw: pmf``, which has a place for every document."""
        if self.draw == "pmf":
            pool.require_size(size, self.name)
            return ""
        return super().foresee(pool, size, draw)

    def pick(self, pool: Pool, size: int, draw: Draw) -> Rows:
        """Return ``size`` rows by their number of changes."""
        pool.require_size(size, self.name)
        changes = pool.need(self.needs[0], self.name)
        if changes.shape != (len(pool),) or (changes < 0).any():
            raise BadInput(
                f"{self.name}: {self.needs[0]!r} must be one count per document; the shape is "
                f"{changes.shape} and the smallest {changes.min(initial=0)}"
            )
        levels = changes.astype(np.int64)
        if self.draw == "pmf":
            return by_quota(pool, levels, quotas(levels, size), draw)
        order = weighted_order(pool, levels.astype(np.float64), draw)
        if len(order) < size:
            raise Infeasible(
                f"{self.name}: asked for {size:,} documents, the predicted label of {len(order):,} "
                f"of the pool's {len(pool):,} changes at {option(self.bits)} bits; ask for fewer, "
                "add narrower widths to 'bits', or set draw: pmf"
            )
        return order[:size]
