"""The control that every other policy is compared with."""

from __future__ import annotations

from typing import ClassVar

from calibkit.policies.base import Policy
from calibkit.policies.draw import Draw, Rows
from calibkit.policies.pool import Pool


class Random(Policy, name="random"):
    """Draw uniformly from the whole pool, blind to labels (class-unconditional).

    ``ORDER BY md5 key, doc_id LIMIT size``: the first documents of the keyed draw, in its order.
    """

    nested: ClassVar[bool] = True

    def pick(self, pool: Pool, size: int, draw: Draw) -> Rows:
        """Return the first ``size`` rows of the keyed draw."""
        pool.require_size(size, self.name)
        return draw.ranked(pool)[:size]
