"""Policies made of policies: shares of a subset each, or turns until there are enough."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

from calibkit.errors import Infeasible, UnknownName
from calibkit.identity import share_out
from calibkit.policies.base import Policy, foreseen, labels_gone
from calibkit.policies.by_length import Longest
from calibkit.policies.candidates import CandidatePolicy
from calibkit.policies.draw import Draw, Rows
from calibkit.policies.draw_plan import DrawnPolicy
from calibkit.policies.nested import (
    Part,
    foresee_part,
    labels_in,
    needs_of,
    select_part,
    version_with,
)
from calibkit.policies.pool import Pool
from calibkit.policies.simple import Random


class SharePart(BaseModel):
    """A part of a mixture: a policy, and its share in proportion to the other parts' shares."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    policy: Part
    share: PositiveFloat


class Mixture(Policy, name="mixture"):
    """Let several policies choose a share of the subset each, shuffled together.

    ``parts``: a list of ``{policy: {use: NAME, ...}, share: POSITIVE NUMBER}``. Sizes by largest
    remainder (ties to the first part). The parts choose one after the other, each from the
    documents that those before it left, with the draw that it would have alone; so what it measures
    against the pool (quantiles, candidates, labels) it measures against what is left. The order is
    that of the keyed draw, which says nothing of the parts; where no part uses the seed, it is the
    same for every seed.
    """

    parts: Annotated[list[SharePart], Field(min_length=1)]

    @classmethod
    def example(cls) -> Self:
        """Return half a random draw and half the longest documents."""
        halves = (Random(), Longest())
        return cls(parts=[SharePart(policy=policy, share=0.5) for policy in halves])

    @property
    def version(self) -> int:  # type: ignore[override]  # depends on a parameter here
        """Rises when the version of a part does."""
        return version_with(part.policy for part in self.parts)

    @property
    def needs(self) -> tuple[str, ...]:  # type: ignore[override]  # depends on a parameter here
        """What the parts need."""
        return needs_of(part.policy for part in self.parts)

    @property
    def uses_seed(self) -> bool:  # type: ignore[override]  # depends on a parameter here
        """Whether a part does."""
        return any(part.policy.uses_seed for part in self.parts)

    def labels_named(self) -> tuple[tuple[str, str], ...]:
        """Return the labels that the parts' parameters mention."""
        return tuple(
            label
            for i, part in enumerate(self.parts)
            for label in labels_in(f"parts[{i}].policy", part.policy)
        )

    def pick(self, pool: Pool, size: int, draw: Draw) -> Rows:
        """Return each part's share, chosen from what earlier parts left."""
        pool.require_size(size, self.name)
        left = np.arange(len(pool))
        chosen: list[Rows] = []
        for i, count in enumerate(self.sizes(size)):
            if not count:
                continue
            where = self._where(i, len(left), pool)
            with labels_gone(pool.label_names, f"{where}: the parts before it leave"):
                own = left[select_part(where, self.parts[i].policy, pool.take(left), count, draw)]
            chosen.append(own)
            left = np.setdiff1d(left, own, assume_unique=True)
        order = draw if self.uses_seed else replace(draw, seed=0)
        return order.shuffled(pool, np.concatenate(chosen))

    def foresee(self, pool: Pool, size: int, draw: Draw) -> str:
        """Return the first thing that is open about a part.

        Parts pick, where everything that they need is there. Behind one that cannot, a part is sure
        of its share where it would be if all that others may take were taken from each label.
        """
        pool.require_size(size, self.name)
        asked = [(i, count) for i, count in enumerate(self.sizes(size)) if count]
        left, unsure = np.arange(len(pool)), 0  # of `left`, so many are taken as well: which?
        opens = []
        for i, count in asked:
            part, there = self.parts[i].policy, pool.take(left)
            where = (
                f"{self.name}: parts[{i}], choosing from {len(left) - unsure:,} of {len(pool):,}"
            )
            there.require_size(count + unsure, where)
            if unsure:
                opens.append(_surely(where, part, there, count, draw, taken=unsure))
                unsure += count
                continue
            with labels_gone(pool.label_names, f"{where}: the parts before it leave"):
                opens.append(foresee_part(where, part, there, count, draw))
                if (i, count) == asked[-1]:
                    break
                if all(there.has(need) for need in part.every_need):
                    own = left[select_part(where, part, there, count, draw)]
                    left = np.setdiff1d(left, own, assume_unique=True)
                else:
                    unsure = count
        return next(filter(None, opens), "")

    def _where(self, i: int, left: int, pool: Pool) -> str:
        return f"{self.name}: parts[{i}], choosing from {left:,} of {len(pool):,}"

    def sizes(self, size: int) -> list[int]:
        """Return how many of ``size`` documents each part chooses."""
        digits = len(str(len(self.parts)))  # share_out breaks ties by name: names sort like parts
        shares = {f"{i:0{digits}}": part.share for i, part in enumerate(self.parts)}
        return list(share_out(size, shares).values())


class Union(Policy, name="union"):
    """Let several policies take turns until there are enough distinct documents.

    ``parts``: a list of policies, ``{use: NAME, ...}``. Each part's documents come in its own
    order, with the draw that it would have alone; at its turn a part gives its first one that is
    not there yet, so each gives an equal share, the first parts one more. A part is asked for so
    many documents, and for more where others gave some of its documents first; one that has no more
    is Infeasible (in a ``mixture`` each part chooses from what the others left). Nested if all
    parts are. At most O(parts x log size) choices.
    """

    parts: Annotated[list[Part], Field(min_length=1)]

    @classmethod
    def example(cls) -> Self:
        """Return the longest documents and a random draw, in turns."""
        return cls(parts=[Longest(), Random()])

    @property
    def version(self) -> int:  # type: ignore[override]  # depends on a parameter here
        """Rises when the version of a part does."""
        return version_with(self.parts)

    @property
    def needs(self) -> tuple[str, ...]:  # type: ignore[override]  # depends on a parameter here
        """What the parts need."""
        return needs_of(self.parts)

    @property
    def nested(self) -> bool:  # type: ignore[override]  # depends on a parameter here
        """Whether all parts are."""
        return all(part.nested for part in self.parts)

    @property
    def uses_seed(self) -> bool:  # type: ignore[override]  # depends on a parameter here
        """Whether a part does."""
        return any(part.uses_seed for part in self.parts)

    def labels_named(self) -> tuple[tuple[str, str], ...]:
        """Return the labels that the parts' parameters mention."""
        return tuple(
            label for i, part in enumerate(self.parts) for label in labels_in(f"parts[{i}]", part)
        )

    def pick(self, pool: Pool, size: int, draw: Draw) -> Rows:
        """Return the parts' documents in turn, each document once."""
        pool.require_size(size, self.name)
        given = [self._asked(pool, i, count, draw) for i, count in enumerate(self._turns(size))]
        while True:
            taken, short = taking_turns(given, size)
            if short is None:
                return taken
            given[short] = self._more(pool, short, len(given[short]), size, draw)

    def foresee(self, pool: Pool, size: int, draw: Draw) -> str:
        """Return the first thing that is open about a part.

        A part that could give all documents is sure to have enough, whatever the others give.
        """
        pool.require_size(size, self.name)
        opens = []
        for i, part in enumerate(self.parts):
            where = f"{self.name}: parts[{i}]"
            if count := self._turns(size)[i]:
                opens.append(foresee_part(where, part, pool, count, draw))
                try:
                    foreseen(part, pool, size, draw)
                except Infeasible:
                    opens.append(f"{where}: whether others give some of its documents is not known")
        if any(opens) and all(pool.has(need) for need in self.needs):
            self.pick(pool, size, draw)
            return ""
        return next(filter(None, opens), "")

    def _turns(self, size: int) -> list[int]:
        """Return how many documents each part gives if no two have one in common."""
        many = len(self.parts)
        return [max(0, -(-(size - i) // many)) for i in range(many)]

    def _more(self, pool: Pool, i: int, have: int, size: int, draw: Draw) -> Rows:
        """Return more documents of a part: half as many again, or one more if that is all."""
        step = max(1, min(size - have, have // 2))
        while True:
            try:
                return self._asked(pool, i, have + step, draw)
            except Infeasible:
                if step == 1:
                    raise
                step //= 2

    def _asked(self, pool: Pool, i: int, count: int, draw: Draw) -> Rows:
        if not count:
            return np.zeros(0, dtype=np.intp)
        return select_part(f"{self.name}: parts[{i}]", self.parts[i], pool, count, draw)


def taking_turns(given: list[Rows], size: int) -> tuple[Rows, int | None]:
    """Return up to ``size`` distinct rows, the lists in turn, and who had nothing left to give.

    At its turn a list gives its first row that nobody gave before. The second value is None when
    there are ``size`` rows, otherwise the position of the list at whose turn it ended.
    """
    taken: dict[int, None] = {}
    waiting = [iter(rows.tolist()) for rows in given]
    while len(taken) < size:
        for i, own in enumerate(waiting):
            row = next((row for row in own if row not in taken), None)
            if row is None:
                return np.array(list(taken), dtype=np.intp), i
            taken[row] = None
            if len(taken) == size:
                break
    return np.array(list(taken), dtype=np.intp), None


def _surely(parameter: str, part: Policy, pool: Pool, size: int, draw: Draw, *, taken: int) -> str:
    """Return what is open about a part where unknown documents are taken before; empty: nothing."""
    unknown = f"{parameter}: what the parts before it leave is not known yet"
    if part.filters is not None or not isinstance(part, (DrawnPolicy, CandidatePolicy)):
        return unknown
    rank = np.zeros(len(pool), dtype=np.int64)
    for number in range(len(pool.label_names)):
        own = np.flatnonzero(pool.label_ids == number)
        rank[own] = np.arange(len(own))
    fewest = np.flatnonzero(rank >= taken)
    try:
        return part.foresee(pool.take(fewest), size, draw) if len(fewest) else unknown
    except (Infeasible, UnknownName):
        return unknown
