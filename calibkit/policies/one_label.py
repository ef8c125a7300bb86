"""The lopsided control: every document of one label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import BeforeValidator

from calibkit.errors import UnknownName
from calibkit.policies.draw import Draw
from calibkit.policies.draw_plan import DrawnPolicy, DrawPlan
from calibkit.policies.pool import require_quotas


def _name_as_text(label: Any) -> Any:
    """Read ``1`` as ``'1'``: YAML turns labels that look like numbers into numbers."""
    return str(label) if isinstance(label, int) and not isinstance(label, bool) else label


class OneLabel(DrawnPolicy, name="one-label"):
    """Draw at random among the documents of one label.

    ``label``: which; without it the label rotates with the seed (seed modulo the number of labels,
    labels sorted by name), so that seeds 0, 1, 2, ... go through all of them and no result hangs on
    one label. O(n log n).
    """

    nested: ClassVar[bool] = True

    label: Annotated[str | None, BeforeValidator(_name_as_text)] = None

    def labels_named(self) -> tuple[tuple[str, str], ...]:
        """Return the label, where one is given."""
        return () if self.label is None else (("label", self.label),)

    def draw_plan(self, counts: Mapping[str, int], size: int, draw: Draw) -> DrawPlan:
        """Return the plan that takes the label's first documents of the keyed draw.

        Raises UnknownName for a label that the pool does not have.
        """
        labels, label = tuple(counts), self.label
        if label is None:
            label = labels[draw.seed % len(labels)]
        if label not in labels:
            raise UnknownName("label of the pool", label, labels, "(one-label: label)")
        remedy = "ask for fewer documents, or for another label with `label:`"
        require_quotas({label: size}, counts, self.name, remedy)
        return DrawPlan(size, {label: size}, np.zeros(size, dtype=np.intp))
