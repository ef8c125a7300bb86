"""Documents that were chosen before, and other orders of a choice."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from pydantic import NonNegativeInt

from calibkit.errors import Infeasible
from calibkit.policies.base import Policy, foreseen, select
from calibkit.policies.draw import Draw, Rows
from calibkit.policies.nested import Part, labels_in, needs_of, version_with
from calibkit.policies.pool import Pool
from calibkit.policies.simple import Random


class Subset(Policy, name="subset"):
    """Take the documents of a stored subset, in its order.

    ``id``: the subset's id (`calibkit list subsets`). At most as many as it has; a smaller size is
    its beginning. Ignores the seed, so it has one draw. O(n log n).
    """

    nested: ClassVar[bool] = True
    uses_seed: ClassVar[bool] = False

    id: str  # noqa: A003  # what a recipe calls it

    @classmethod
    def example(cls) -> Self:
        """Return the policy for the subset ``example`` of ``calibkit.testing.example_pool``."""
        return cls(id="example")

    @property
    def needs(self) -> tuple[str, ...]:  # type: ignore[override]  # depends on a parameter here
        """``subset:ID``."""
        return (f"subset:{self.id}",)

    def pick(self, pool: Pool, size: int, draw: Draw) -> Rows:
        """Return the first ``size`` documents of the subset."""
        pool.require_size(size, self.name)
        places = pool.need(self.needs[0], self.name)
        members = np.flatnonzero(places >= 0)
        if len(members) < size:
            raise Infeasible(
                f"{self.name}: asked for {size:,} documents, the subset {self.id} has "
                f"{len(members):,} of this pool's {len(pool):,}; ask for at most {len(members):,}"
            )
        return members[np.argsort(places[members], kind="stable")][:size]


class Shuffle(Policy, name="shuffle"):
    """Take what another policy chooses, in another order: a control that should change nothing.

    ``of``: the policy that chooses, ``{use: NAME, ...}``; ``{use: subset, id: ID}`` for documents
    chosen before. It is drawn once, with ``of_seed`` (default 0), whatever the seed; the seed keys
    the order alone. So the spread over seeds is what order does: nothing under calibkit's observer,
    a measured quantity under ``observer: brevitas``. O(n log n) beside the other policy.
    """

    of: Part
    of_seed: NonNegativeInt = 0

    @classmethod
    def example(cls) -> Self:
        """Return the policy that shuffles a random draw."""
        return cls(of=Random())

    @property
    def version(self) -> int:  # type: ignore[override]  # depends on a parameter here
        """Rises when the version of a part does."""
        return version_with([self.of])

    @property
    def needs(self) -> tuple[str, ...]:  # type: ignore[override]  # depends on a parameter here
        """What the other policy needs."""
        return needs_of([self.of])

    def labels_named(self) -> tuple[tuple[str, str], ...]:
        """Return the labels that the other policy's parameters mention."""
        return labels_in("of", self.of)

    def foresee(self, pool: Pool, size: int, draw: Draw) -> str:
        """Return what is open about the other policy."""
        return foreseen(self.of, pool, size, Draw(self.of_seed, draw.purpose))

    def pick(self, pool: Pool, size: int, draw: Draw) -> Rows:
        """Return the other policy's documents in the order of the keyed draw."""
        rows = select(self.of, pool, size, Draw(self.of_seed, draw.purpose))
        return draw.about(f"{draw.purpose}-shuffle").ranked(pool, rows)
