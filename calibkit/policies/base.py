"""What a policy is: its validated parameters, and a way to pick documents from a pool."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import BaseModel, ConfigDict

from calibkit.errors import BadInput
from calibkit.policies.draw import Draw, Rows
from calibkit.policies.pool import Pool

REGISTERED: dict[str, type[Policy]] = {}
"""Name -> class of every policy that has been defined in this process."""


class Policy(BaseModel, ABC):
    """A way to choose calibration documents; an instance is nothing but its parameters.

    Write ``class Longest(Policy, name="longest")``, declare the parameters as pydantic fields, and
    implement ``pick``: the class statement registers the policy. The class attributes below may be
    properties where they depend on a parameter. ``calibkit.testing.check_policy`` checks the rest
    of the contract.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    name: ClassVar[str]
    """The registry name, from the class statement."""
    version: ClassVar[int] = 1
    """To be raised whenever the same parameters begin to pick other documents."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Names of the arrays that ``pick`` reads from the pool: vectors, hidden, ..."""
    nested: ClassVar[bool] = False
    """Whether a smaller subset is a prefix of every larger one of the same draw."""
    uses_seed: ClassVar[bool] = True
    """Whether another seed picks other documents; if not, there is only one draw."""

    def __init_subclass__(cls, *, name: str | None = None, **config: Any) -> None:
        super().__init_subclass__(**config)

    @classmethod
    def __pydantic_init_subclass__(cls, *, name: str | None = None, **config: Any) -> None:
        super().__pydantic_init_subclass__(**config)
        if name is None:
            return
        known = REGISTERED.get(name)
        if known is not None and _origin(known) != _origin(cls):
            raise BadInput(
                f"the policy name {name!r} of {_origin(cls)} is taken by {_origin(known)}; "
                "choose another name"
            )
        cls.name = name
        REGISTERED[name] = cls

    @abstractmethod
    def pick(self, pool: Pool, size: int, draw: Draw) -> Rows:
        """Return ``size`` distinct rows of ``pool`` in calibration order.

        Raises Infeasible, with the numbers, when the pool cannot give them.
        """

    @classmethod
    def example(cls) -> Self:
        """Return an instance for any labelled pool; override it if parameters are required."""
        return cls()

    def params(self) -> dict[str, Any]:
        """Return the parameters as JSON values, defaults included and unset ones left out.

        Two ways to write the same policy give the same dictionary, which is what identities hash.
        """
        return dict(sorted(self.model_dump(mode="json", exclude_none=True).items()))


def select(policy: Policy, pool: Pool, size: int, draw: Draw) -> Rows:
    """Return what ``policy`` picks, after checking that it kept its promises.

    intp (size,), distinct rows of ``pool`` in calibration order. Raises Infeasible for a size that
    the pool cannot give or an array that is not there, and BadInput, naming the policy, when what
    it returned is not ``size`` distinct rows.
    """
    pool.require_size(size, policy.name)
    for array in policy.needs:
        pool.need(array, policy.name)
    rows = np.asarray(policy.pick(pool, size, draw))
    if rows.ndim != 1 or not np.issubdtype(rows.dtype, np.integer):
        wrong = f"an array of shape {rows.shape} and type {rows.dtype}"
    elif len(rows) != size:
        wrong = f"{len(rows):,} rows"
    elif rows.min() < 0 or rows.max() >= len(pool):
        wrong = f"rows from {rows.min()} to {rows.max()}"
    elif len(np.unique(rows)) != size:
        wrong = f"only {len(np.unique(rows)):,} distinct rows"
    else:
        return rows.astype(np.intp, copy=False)
    raise BadInput(
        f"the policy {policy.name!r} ({_origin(type(policy))}) returned {wrong} where {size:,} "
        f"distinct rows of a pool of {len(pool):,} were asked for; this is a defect of the policy"
    )


def _origin(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
