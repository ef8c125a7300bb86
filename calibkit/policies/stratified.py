"""Shares by label (class-conditional): the same for all labels, or those of the pool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from calibkit.policies.draw import Draw
from calibkit.policies.draw_plan import DrawnPolicy, DrawPlan
from calibkit.policies.pool import require_quotas


class Stratified(DrawnPolicy, name="stratified"):
    """Draw at random within labels, with fixed shares of the labels.

    ``mix: equal`` gives every label of the pool the same number of documents (those left over go
    to the first labels by name). ``mix: proportional`` gives each label its share of the pool:
    at every size, each label's count is less than one document away from the exact share.

    Labels take turns by ``label_turns``, so both mixes are nested. (For unequal shares the
    largest-remainder method could not be: there a label may lose a document as the size grows.)
    """

    nested: ClassVar[bool] = True

    mix: Literal["equal", "proportional"] = "equal"

    def draw_plan(self, counts: Mapping[str, int], size: int, draw: Draw) -> DrawPlan:
        """Return the plan in which labels take turns."""
        shares = counts if self.mix == "proportional" else dict.fromkeys(counts, 1)
        turns = label_turns(shares, size)
        names = list(shares)
        taken = np.bincount(turns, minlength=len(names))
        quotas = {name: int(n) for name, n in zip(names, taken, strict=True)}
        remedy = "ask for fewer documents, or for mix: proportional"
        require_quotas(quotas, counts, self.name, remedy)
        return DrawPlan(size, quotas, turns)


def label_turns(shares: Mapping[str, int], size: int) -> NDArray[np.intp]:
    """Return whose turn it is at each of ``size`` places, so that every prefix has fair counts.

    intp (size,), positions in ``shares`` (label -> positive integer weight). After n places each
    label has been named within 1 - 1/(2K - 2) of n times its share, K being the number of labels
    (for two labels: rounded to the nearest); equal shares give plain rounds, so that the counts
    are those of the largest-remainder method. Ties go to the label that stands first.

    The chairman assignment of Tijdeman, "The chairman assignment problem", Discrete Mathematics 32,
    1980: among the labels that are not ahead, the one whose next turn falls due first.
    """
    weights = np.array(list(shares.values()), dtype=np.int64)
    total, slack = int(weights.sum()), 2 * len(weights) - 2
    turns = np.zeros(size, dtype=np.intp)
    if len(weights) == 1:
        return turns
    named = np.zeros(len(weights), dtype=np.int64)
    for place in range(size):
        due = slack * ((place + 1) * weights - total * named)  # in units of 1 / (slack * total)
        until = (total * (slack - 1) - due) / weights
        until[due < total] = np.inf
        turns[place] = int(np.argmin(until))
        named[turns[place]] += 1
    return turns
