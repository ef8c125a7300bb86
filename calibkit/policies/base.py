"""What a policy is: its validated parameters, and a way to pick documents from a pool."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from pydantic import BaseModel, ConfigDict

from calibkit.errors import BadInput, Infeasible, UnknownName
from calibkit.policies.draw import Draw, Rows
from calibkit.policies.filters import Filters
from calibkit.policies.pool import Pool

if TYPE_CHECKING:
    from calibkit.policies.generators import Generator

REGISTERED: dict[str, type[Policy | Generator]] = {}
"""Name -> class of every policy and generator that has been defined in this process."""


class Choice(BaseModel, ABC):
    """What policies and generators have in common: a name, validated parameters, needs.

    The class attributes below may be properties where they depend on a parameter.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    name: ClassVar[str]
    """The registry name, from the class statement."""
    version: ClassVar[int] = 1
    """To be raised whenever the same parameters begin to choose other documents."""
    needs: ClassVar[tuple[str, ...]] = ()
    """What is to be computed before: ``vectors``, ``hidden``, ``misses:8,4``, ..."""
    nested: ClassVar[bool] = False
    """Whether a smaller subset is a prefix of every larger one of the same draw."""
    uses_seed: ClassVar[bool] = True
    """Whether another seed chooses other documents or another order; if not, one draw is all."""

    def __init_subclass__(cls, *, name: str | None = None, **config: Any) -> None:
        super().__init_subclass__(**config)

    @classmethod
    def __pydantic_init_subclass__(cls, *, name: str | None = None, **config: Any) -> None:
        super().__pydantic_init_subclass__(**config)
        if name is None:
            return
        known = REGISTERED.get(name)
        if known is not None and origin(known) != origin(cls):
            raise BadInput(
                f"the policy name {name!r} of {origin(cls)} is taken by {origin(known)}; "
                "choose another name"
            )
        cls.name = name
        REGISTERED[name] = cls  # type: ignore[assignment]  # a policy or a generator

    @classmethod
    def example(cls) -> Self:
        """Return an instance for any labelled pool; override it if parameters are required."""
        return cls()

    @property
    def every_need(self) -> tuple[str, ...]:
        """What must be computed before: what the choice itself needs, and its filters."""
        return self.needs

    def labels_named(self) -> tuple[tuple[str, str], ...]:
        """Return (parameter, label) for every label that a parameter mentions."""
        return ()

    def params(self) -> dict[str, Any]:
        """Return the parameters as JSON values, defaults included and unset ones left out.

        Two ways to write the same policy give the same dictionary, which is what identities hash.
        """
        return dict(sorted(self.model_dump(mode="json", exclude_none=True).items()))


class Policy(Choice):
    """A way to choose calibration documents; an instance is nothing but its parameters.

    Write ``class Longest(Policy, name="longest")``, declare the parameters as pydantic fields, and
    implement ``pick``: the class statement registers the policy. ``calibkit.testing.check_policy``
    checks the rest of the contract. ``filters`` is every policy's: it leaves documents out of the
    pool before the policy sees it.
    """

    filters: Filters | None = None

    @property
    def every_need(self) -> tuple[str, ...]:
        """What must be computed before: what the policy itself needs, and its filters."""
        asked = (*self.needs, *(self.filters.needs if self.filters else ()))
        return tuple(dict.fromkeys(asked))

    def without_filters(self) -> Self:
        """Return the policy for a pool that the filters have been through."""
        return self.model_copy(update={"filters": None})

    @abstractmethod
    def pick(self, pool: Pool, size: int, draw: Draw) -> Rows:
        """Return ``size`` distinct rows of ``pool`` in calibration order.

        Raises Infeasible, with the numbers, when the pool cannot give them.
        """

    def foresee(self, pool: Pool, size: int, draw: Draw) -> str:
        """Return what is open about whether ``pick`` could give the documents; empty: it could.

        Raises Infeasible where it could not. The pool has labels and lengths, and perhaps arrays;
        nothing is computed for this. Features that are all alike are not foreseen. By default it
        picks, where everything that it needs is there; otherwise it only knows about the size.
        """
        pool.require_size(size, self.name)
        missing = [need for need in self.needs if not pool.has(need)]
        if missing:
            return f"{self.name} goes by {', '.join(missing)}, which is not known yet"
        self.pick(pool, size, draw)
        return ""


def foreseen(policy: Policy, pool: Pool, size: int, draw: Draw) -> str:
    """Return what is open about whether `select` could give the documents; empty: it could.

    Raises Infeasible where it surely could not, BadInput for a size below 1.
    """
    if policy.filters is None:
        return policy.foresee(pool, size, draw)
    filters, left = policy.filters, pool
    known = filters.known_from(pool)
    if known is not None:
        kept = known.keep(pool)
        require_left(policy, size, len(kept), len(pool))
        left = pool.take(kept)
    left.require_size(size, policy.name)
    if known != filters:
        return f"how many documents {filters.named()} leaves is not known yet"
    with labels_gone(pool.label_names, f"{policy.name}: {filters.named()} leaves"):
        return policy.without_filters().foresee(left, size, draw)


def select(policy: Policy, pool: Pool, size: int, draw: Draw) -> Rows:
    """Return what ``policy`` picks, after checking that it kept its promises.

    intp (size,), distinct rows of ``pool`` in calibration order. Raises Infeasible for a size that
    the pool cannot give or an array that is not there, and BadInput, naming the policy, when what
    it returned is not ``size`` distinct rows.
    """
    for array in policy.every_need:
        pool.require_array(array, policy.name)
    if policy.filters is not None:
        kept = policy.filters.keep(pool)
        require_left(policy, size, len(kept), len(pool))
        with labels_gone(pool.label_names, f"{policy.name}: {policy.filters.named()} leaves"):
            return kept[select(policy.without_filters(), pool.take(kept), size, draw)]
    pool.require_size(size, policy.name)
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
        f"the policy {policy.name!r} ({origin(type(policy))}) returned {wrong} where {size:,} "
        f"distinct rows of a pool of {len(pool):,} were asked for; this is a defect of the policy"
    )


@contextmanager
def labels_gone(labels: Container[str], what: str) -> Iterator[None]:
    """Raise Infeasible for an unknown label that is one of ``labels``: it is gone, not misspelt.

    what: how it came to be gone, the beginning of a sentence that ends with the label.
    """
    try:
        yield
    except UnknownName as error:
        if error.name not in labels:
            raise
        raise Infeasible(
            f"{what} no document of the label {error.name!r}; ask for another label, or for a pool "
            "that has it"
        ) from error


def require_left(policy: Policy, size: int, left: int, documents: int) -> None:
    """Raise Infeasible where a policy's filters leave too few of a pool's documents."""
    if policy.filters is not None and left < size:
        raise Infeasible(
            f"{policy.name}: asked for {size:,} documents, the filters leave {left:,} of "
            f"{documents:,}; ask for fewer, or loosen {policy.filters.named()}"
        )


def origin(cls: type) -> str:
    """Return where a class is defined, for messages."""
    return f"{cls.__module__}.{cls.__qualname__}"
