"""Policies that are nothing but keyed draws: told by label, so that SQL can draw them as well."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from calibkit.policies.base import Policy
from calibkit.policies.draw import Draw, Rows
from calibkit.policies.pool import Pool


@dataclass(frozen=True)
class DrawPlan:
    """Which documents a keyed draw takes, and in what order.

    Without ``quotas``: the first ``size`` documents of the pool in the order of the draw. With
    them: of each label its first ``quotas[label]`` documents in that order. Those of different
    labels take turns: ``turns``, intp (size,), says whose turn it is at each place, by position in
    ``quotas``; without ``turns`` they are shuffled together (`Draw.shuffled`).
    """

    size: int
    quotas: Mapping[str, int] | None = None
    turns: Rows | None = None

    def __post_init__(self) -> None:
        if self.quotas is not None and sum(self.quotas.values()) != self.size:
            raise ValueError(f"the quotas {dict(self.quotas)} are not {self.size} documents")

    def placed(self, by_label: Mapping[str, Sequence[str]], draw: Draw) -> tuple[str, ...]:
        """Return the ids in calibration order, given each label's quota in the order of the draw.

        Labels without a quota may be left out.
        """
        if self.turns is None:
            ids = [doc_id for label in self.quotas or () for doc_id in by_label.get(label, ())]
            return tuple(ids[i] for i in draw.about(f"{draw.purpose}-order").order(ids))
        coming = [iter(by_label.get(label, ())) for label in self.quotas or ()]
        return tuple(next(coming[label]) for label in self.turns.tolist())


class DrawnPolicy(Policy, ABC):
    """A policy that needs to know nothing of documents but their labels: a plan for a keyed draw.

    The plan is all there is to it: it is followed on a pool here, and in SQL where there is none.
    """

    @abstractmethod
    def draw_plan(self, counts: Mapping[str, int], size: int, draw: Draw) -> DrawPlan:
        """Return the plan for a pool with so many documents of each label.

        counts: in the order of the labels' names, each at least 1, at least ``size`` together.
        Raises Infeasible, with the numbers, when a label cannot give what the plan asks of it.
        """

    def foresee(self, pool: Pool, size: int, draw: Draw) -> str:
        """Return nothing: counts of labels decide. Raises Infeasible where the plan does."""
        pool.require_size(size, self.name)
        self.draw_plan(pool.label_counts(), size, draw)
        return ""

    def pick(self, pool: Pool, size: int, draw: Draw) -> Rows:
        """Return the rows that the plan takes, in calibration order."""
        pool.require_size(size, self.name)
        plan = self.draw_plan(pool.label_counts(), size, draw)
        if plan.quotas is None:
            return draw.ranked(pool)[:size]
        firsts = [
            draw.first(pool, pool.rows(label), quota) if quota else np.empty(0, dtype=np.intp)
            for label, quota in plan.quotas.items()
        ]
        if plan.turns is None:
            return draw.shuffled(pool, np.concatenate(firsts))
        rows = np.empty(size, dtype=np.intp)
        for number, own in enumerate(firsts):
            rows[plan.turns == number] = own
        return rows
