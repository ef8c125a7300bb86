"""QCore: documents by how often quantized checkpoints of the training unlearned them."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from calibkit.errors import BadInput, Infeasible
from calibkit.policies.base import Policy
from calibkit.policies.draw import Draw, Rows
from calibkit.policies.mass import at_most, by_quota, quotas, share_of, weighted_order
from calibkit.policies.pool import Pool
from calibkit.policies.widths import BitWidths, option

NEVER = -1
"""The level of documents that were never learned."""


class _ByMisses(Policy, ABC):
    """What the two policies have in common: the widths, and what becomes of the never learned."""

    bits: BitWidths = [8, 4, 2]
    never_learned: Literal["drop", "cap", "keep"] = "drop"
    cap_share: Annotated[float, Field(gt=0, lt=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _cap_has_a_share(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        if given.get("never_learned") == "cap":
            return {**given, "cap_share": given.get("cap_share", 0.1)}
        if given.get("cap_share") is not None:
            raise ValueError("'cap_share' goes with never_learned: cap; add that, or leave it out")
        return given

    @property
    def needs(self) -> tuple[str, ...]:  # type: ignore[override]  # depends on a parameter here
        """``misses:BITS,BITS,...``."""
        return (f"misses:{option(self.bits)}",)

    def levels(self, pool: Pool) -> NDArray[np.int64]:
        """Return int64 (n,): misses of each document over all widths; NEVER if never learned."""
        misses = pool.need(self.needs[0], self.name)
        expected = (len(pool), len(self.bits) + 1)
        if misses.shape != expected or (misses < 0).any():
            raise BadInput(
                f"{self.name}: {self.needs[0]!r} must be counts of the shape {expected}, a column "
                f"per bit width and one for the never learned; the shape is {misses.shape} and the "
                f"smallest {misses.min(initial=0)}"
            )
        counts = misses[:, :-1].astype(np.int64).sum(axis=1)
        return np.where(misses[:, -1] > 0, NEVER, counts)

    def most_never(self, size: int, there: int) -> int:
        """Return how many of ``size`` documents may be among the ``there`` never learned."""
        if self.never_learned == "drop":
            return 0
        return there if self.cap_share is None else min(there, share_of(size, self.cap_share))

    def short(self, pool: Pool, size: int, which: str, usable: int, never: int) -> Infeasible:
        """Return the error for too few documents; ``which``: what the usable ones are."""
        most = self.most_never(size, never)
        also = f", and {most:,} of the {never:,} never learned may join them" if most else ""
        keep = ", or set never_learned: keep" if never > most else ""
        other = ""
        if self.name == "miss-weighted":
            other = (
                ", add narrower widths to 'bits', or use miss-pmf, which also draws documents "
                "without misses"
            )
        return Infeasible(
            f"{self.name}: asked for {size:,} documents, {usable:,} of the pool's {len(pool):,} "
            f"{which}{also}; ask for fewer{other}{keep}"
        )


class MissPmf(_ByMisses, name="miss-pmf"):
    """Draw so that the numbers of quantization misses are distributed as in the pool.

    A quantization miss of a document at a bit width is a change from correct to wrong between two
    consecutive checkpoints of the training, both quantized to that width; a document's level is
    the sum of its misses over ``bits``. Of n documents, level k gets the largest remainder of
    n P(k), P being the pool's mass function; within a level the draw is uniform. QCore: arXiv
    2404.13990, 2024. O(n).

    ``never_learned``: documents that no checkpoint got right at any width are left out (``drop``),
    are a level of their own (``keep``), or that, but at most ``cap_share`` of the subset (``cap``,
    by default 0.1); what the cap takes from them goes to the others by their mass.
    """

    def foresee(self, pool: Pool, size: int, draw: Draw) -> str:
        """Return nothing for ``never_learned: keep``, which has a place for every document."""
        if self.never_learned == "keep":
            pool.require_size(size, self.name)
            return ""
        return super().foresee(pool, size, draw)

    def pick(self, pool: Pool, size: int, draw: Draw) -> Rows:
        """Return each level's share from the keyed draw, shuffled together."""
        pool.require_size(size, self.name)
        levels = self.levels(pool)
        learned = levels[levels != NEVER]
        never = len(pool) - len(learned)
        most = self.most_never(size, never)
        if len(learned) + most < size:
            raise self.short(pool, size, "were learned at some time", len(learned), never)
        shares = quotas(learned if self.never_learned == "drop" else levels, size)
        if shares.get(NEVER, 0) > most:
            shares = {NEVER: most} | (quotas(learned, size - most) if size > most else {})
        return by_quota(pool, levels, shares, draw)


class MissWeighted(_ByMisses, name="miss-weighted"):
    """Draw with probability proportional to the number of quantization misses.

    A quantization miss of a document at a bit width is a change from correct to wrong between two
    consecutive checkpoints of the training, both quantized to that width; misses are summed over
    ``bits``. Without replacement (Efraimidis & Spirakis, "Weighted random sampling with a
    reservoir", 2006); documents without misses are never drawn. QCore: arXiv 2404.13990, 2024.
    O(n log n).

    ``never_learned``: documents that no checkpoint got right at any width have no misses to count.
    They are left out (``drop``), or weigh as much as the most missed document, as never-learned
    examples rank with the most forgotten in Toneva et al., arXiv 1812.05159, 2019 (``keep``), or
    that, but they are at most ``cap_share`` of the subset (``cap``, by default 0.1).
    """

    nested: ClassVar[bool] = True

    def pick(self, pool: Pool, size: int, draw: Draw) -> Rows:
        """Return the first ``size`` rows of the weighted draw."""
        pool.require_size(size, self.name)
        levels = self.levels(pool)
        never = levels == NEVER
        weights = levels.astype(np.float64)
        kept = self.never_learned != "drop"
        weights[never] = max(1.0, weights.max(initial=0.0)) if kept else 0.0
        missed, there = int((levels > 0).sum()), int(never.sum())
        if missed + self.most_never(size, there) < size:
            raise self.short(pool, size, "have misses", missed, there)
        order = weighted_order(pool, weights, draw)
        if self.cap_share is None:
            return order[:size]
        return at_most(never, order, self.cap_share, size)
