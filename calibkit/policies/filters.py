"""Documents that a policy does not get to see, whatever the policy."""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, PositiveInt, model_validator

from calibkit.policies.draw import Rows
from calibkit.policies.pool import Pool


class Filters(BaseModel):
    """What is left out of the pool before a policy chooses from it.

    ``min_tokens``, ``max_tokens``: documents shorter or longer than that. (Documents whose text
    stands in the test split are never in a pool.)
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    min_tokens: PositiveInt | None = None
    max_tokens: PositiveInt | None = None

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
        return ()

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
        return np.flatnonzero(stay)
