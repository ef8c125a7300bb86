"""The lopsided control: every document of one label."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator

from calibkit.errors import UnknownName
from calibkit.policies.base import Policy
from calibkit.policies.draw import Draw, Rows
from calibkit.policies.pool import Pool


def _name_as_text(label: Any) -> Any:
    """Read ``1`` as ``'1'``: YAML turns labels that look like numbers into numbers."""
    return str(label) if isinstance(label, int) and not isinstance(label, bool) else label


class OneLabel(Policy, name="one-label"):
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

    def pick(self, pool: Pool, size: int, draw: Draw) -> Rows:
        """Return the label's first documents of the keyed draw.

        Raises UnknownName for a label that the pool does not have.
        """
        pool.require_size(size, self.name)
        label = self.label
        if label is None:
            label = pool.label_names[draw.seed % len(pool.label_names)]
        if label not in pool.label_names:
            raise UnknownName("label of the pool", label, pool.label_names, "(one-label: label)")
        remedy = "ask for fewer documents, or for another label with `label:`"
        pool.require({label: size}, self.name, remedy)
        return draw.first(pool, pool.rows(label), size)
