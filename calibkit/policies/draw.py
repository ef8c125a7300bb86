"""A keyed draw: all the randomness that a policy may use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from calibkit.identity import draw_key, draw_order, draw_uniform, keyed_generator

if TYPE_CHECKING:
    from calibkit.policies.pool import Pool

Rows = NDArray[np.intp]
"""Row numbers of a pool, int (k,)."""


@dataclass(frozen=True)
class Draw:
    """Repeatable randomness: a seed and what it is used for.

    A document's place depends on its id, the seed and the purpose alone, so a draw is the same for
    any row order, thread count and machine, can be made in SQL as ``ORDER BY key, doc_id``, and the
    first 16 documents of it are the first 16 of its first 64.
    """

    seed: int
    purpose: str = "select"

    def about(self, purpose: str) -> Draw:
        """Return the draw of the same seed for another purpose, independent of this one."""
        return replace(self, purpose=purpose)

    def order(self, doc_ids: Sequence[str]) -> Rows:
        """Return positions in ``doc_ids`` sorted by (key, doc_id)."""
        return draw_order(self.seed, self.purpose, doc_ids)

    def uniform(self, doc_ids: Sequence[str]) -> NDArray[np.float64]:
        """Return one number in (0, 1) per document id."""
        return draw_uniform(self.seed, self.purpose, doc_ids)

    def seeds(self, names: Sequence[str]) -> list[int]:
        """Return one whole number (60 bits) per name, for what is drawn elsewhere."""
        return [int(draw_key(self.seed, self.purpose, name)[:15], 16) for name in names]

    def generator(self, *what: str) -> np.random.Generator:
        """Return a numpy generator of this seed and purpose, for what is not drawn per document."""
        return keyed_generator(self.seed, self.purpose, *what)

    def ranked(self, pool: Pool, rows: Rows | None = None) -> Rows:
        """Return ``rows`` of the pool (default: all of them) in the order of the draw."""
        if rows is None:
            return self.order(pool.doc_ids) if pool.ranking is None else pool.ranking(self)
        return rows[self.order(pool.ids(rows))]

    def first(self, pool: Pool, rows: Rows, count: int) -> Rows:
        """Return the first ``count`` of ``rows`` in the order of the draw, or all if fewer."""
        return self.ranked(pool, rows)[:count]

    def shuffled(self, pool: Pool, rows: Rows) -> Rows:
        """Return ``rows`` in a calibration order that says nothing about how they were chosen."""
        return self.about(f"{self.purpose}-order").ranked(pool, rows)
