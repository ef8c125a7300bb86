"""The control that every other policy is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from calibkit.policies.draw import Draw
from calibkit.policies.draw_plan import DrawnPolicy, DrawPlan


class Random(DrawnPolicy, name="random"):
    """Draw uniformly from the whole pool, blind to labels (class-unconditional).

    ``ORDER BY md5 key, doc_id LIMIT size``: the first documents of the keyed draw, in its order.
    """

    nested: ClassVar[bool] = True

    def draw_plan(self, counts: Mapping[str, int], size: int, draw: Draw) -> DrawPlan:
        """Return the plan that takes the first ``size`` documents of the keyed draw."""
        return DrawPlan(size)
