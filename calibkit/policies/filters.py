"""Documents that a policy does not get to see, whatever the policy."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from calibkit.policies.draw import Rows
from calibkit.policies.minhash import HASHES, LEAST, matches_needed, repeats
from calibkit.policies.pool import Pool

Similarity = Annotated[float, Field(ge=LEAST, le=1)]

NEEDS = {"near_test": "near-test", "duplicates": "duplicates", "near_duplicates": "minhash"}
"""Filter -> the array that it reads; the lengths are always there."""


class Filters(BaseModel):
    """What is left out of the pool before a policy chooses from it.

    ``min_tokens``, ``max_tokens``: documents shorter or longer than that. ``near_test``: documents
    that are as similar as that to a document of the test split. (Documents whose very text stands
    there are never in a pool.) ``duplicates: drop``: all but the first, by document id, of equal
    texts. ``near_duplicates``: documents that are as similar as that to an earlier one, by document
    id, which is not itself left out for that.

    Similarity is the Jaccard similarity of the sets of word 3-grams as 64 MinHash values estimate
    it (`calibkit.policies.minhash`), from 0.5 to 1; its standard error is .05 at .8. The filters
    apply in this order, so no document goes because of one that is not there either.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    min_tokens: PositiveInt | None = None
    max_tokens: PositiveInt | None = None
    near_test: Similarity | None = None
    duplicates: Literal["drop"] | None = None
    near_duplicates: Similarity | None = None

    @model_validator(mode="after")
    def _some_and_in_order(self) -> Self:
        if not self.model_dump(exclude_none=True):
            raise ValueError(f"no filter is given; known are {', '.join(type(self).model_fields)}")
        if self.min_tokens and self.max_tokens and self.min_tokens > self.max_tokens:
            raise ValueError(
                f"min_tokens is {self.min_tokens} and max_tokens {self.max_tokens}: no document "
                "has so many and so few"
            )
        return self

    @property
    def needs(self) -> tuple[str, ...]:
        """What must be known of the documents."""
        return tuple(need for filter_, need in NEEDS.items() if getattr(self, filter_) is not None)

    def known_from(self, pool: Pool) -> Self | None:
        """Return those of the filters that can be applied to what the pool has; None for none."""
        kept = {
            name: value
            for name, value in self.model_dump(exclude_none=True).items()
            if name not in NEEDS or pool.has(NEEDS[name])
        }
        return type(self)(**kept) if kept else None

    def named(self) -> str:
        """Return the filters in words: ``min_tokens 5``."""
        return ", ".join(f"{k} {v}" for k, v in self.model_dump(exclude_none=True).items())

    def keep(self, pool: Pool) -> Rows:
        """Return the rows that stay, in order."""
        stay = np.ones(len(pool), dtype=bool)
        if self.min_tokens is not None:
            stay &= pool.lengths >= self.min_tokens
        if self.max_tokens is not None:
            stay &= pool.lengths <= self.max_tokens
        if self.near_test is not None:
            equal = np.rint(pool.need("near-test", "near_test") * HASHES)
            stay &= equal < matches_needed(self.near_test)
        rows = np.flatnonzero(stay)
        if self.duplicates is not None:
            _, first = np.unique(pool.need("duplicates", "duplicates")[rows], return_index=True)
            rows = rows[np.sort(first)]
        if self.near_duplicates is not None:
            found = pool.need("minhash", "near_duplicates")[rows]
            rows = rows[~repeats(found, self.near_duplicates)]
        return rows
