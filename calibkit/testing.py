"""The contract of a policy as checks that any package can run on its own policies.

``check_policy("mine")`` runs all of them; under pytest, one test per check reads better::

    @pytest.mark.parametrize("check", calibkit.testing.CHECKS)
    def test_my_policy_keeps_the_contract(check):
        check(calibkit.testing.example_policy("mine"), calibkit.testing.example_pool())

``check_generator`` does the same for what makes documents.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibkit.errors import BadInput, Infeasible
from calibkit.identity import keyed_generator
from calibkit.policies import (
    Draw,
    Generator,
    Policy,
    Pool,
    Rows,
    Source,
    find_policy,
    select,
)
from calibkit.policies.generator_checks import (
    GENERATOR_CHECKS,
    ExampleSource,
    wrong_with_parameters,
)
from calibkit.ragged import Ragged

SIZES = (1, 16, 64)
"""Sizes of subset that a policy's example must be able to give."""
SEEDS = (0, 1, 2)


def example_pool(documents: int = 400, labels: int = 4, dims: int = 8) -> Pool:
    """Return a made-up pool: labels of unequal frequency, with what policies need to know.

    The rarest label has at least 64 documents while ``documents >= 100 * labels``, so that every
    mix of up to 64 documents is feasible.
    """
    rng = keyed_generator(0, "calibkit.testing", str(documents), str(labels))
    floor = min(64, documents // labels)
    extra = rng.choice(labels, documents - labels * floor, p=_falling(labels))
    numbers = rng.permutation(np.concatenate([np.repeat(np.arange(labels), floor), extra]))
    centres = rng.standard_normal((labels, dims))
    vectors = centres[numbers] + rng.standard_normal((documents, dims))
    hidden = np.tanh(rng.standard_normal((documents, dims)) + centres[numbers])
    doc_ids = tuple(f"d1-{i:020x}" for i in rng.permutation(documents))
    lengths = rng.integers(5, 80, documents)
    return Pool(
        doc_ids=doc_ids,
        labels=tuple(f"label {n}" for n in numbers),
        lengths=lengths,
        arrays={
            "vectors": vectors.astype(np.float32),
            "hidden": hidden.astype(np.float32),
            **_seen_by_a_model(documents, labels),
            **_seen_at_sites(documents, labels),
            **_likeness(documents, labels),
        },
        tokens=_tokens(lengths),
    )


def example_policy(name: str) -> Policy:
    """Return the example of the policy called ``name``, found as a recipe would find it."""
    found = find_policy(name).example()
    if not isinstance(found, Policy):
        raise AssertionError(f"{name!r} makes documents, it is not a policy that chooses them")
    return found


def check_policy(policy: str | Policy, pool: Pool | None = None) -> None:
    """Raise AssertionError, saying what is wrong, unless the policy keeps the whole contract.

    ``policy`` is a registry name (its ``example()`` is checked) or an instance. ``pool`` replaces
    ``example_pool()``; give one of at least 128 documents that has the arrays your policy needs.
    """
    if isinstance(policy, str):
        policy = example_policy(policy)
    for check in CHECKS:
        check(policy, pool if pool is not None else example_pool())


def check_generator(
    generator: str | Generator, pool: Pool | None = None, source: Source | None = None
) -> None:
    """Raise AssertionError, saying what is wrong, unless the generator keeps the whole contract.

    ``generator`` is a registry name (its ``example()`` is checked) or an instance. ``pool`` and
    ``source`` replace ``example_pool()`` and ``ExampleSource``, which has made-up texts.
    """
    if isinstance(generator, str):
        found = find_policy(generator).example()
        if not isinstance(found, Generator):
            raise AssertionError(f"{generator!r} chooses documents, it does not make any")
        generator = found
    pool = example_pool() if pool is None else pool
    for check in GENERATOR_CHECKS:
        check(generator, pool, source or ExampleSource(pool))


def check_declaration(policy: Policy, pool: Pool) -> None:
    """The policy is registered, documented, and says what it needs and promises."""
    cls = type(policy)
    _expect(find_policy(policy.name) is cls, policy, "is not what its name finds")
    _expect(bool((cls.__doc__ or "").strip()), policy, "has no docstring")
    _expect(isinstance(policy.version, int), policy, "has a version that is not an integer")
    _expect(
        isinstance(policy.needs, tuple) and all(isinstance(n, str) for n in policy.needs),
        policy,
        f"must declare needs as a tuple of names, not {policy.needs!r}",
    )
    for array in policy.needs:
        there = pool.tokens is not None if array == "tokens" else array in pool.arrays
        _expect(there, policy, f"needs {array!r}, which the pool for testing lacks")


def check_parameters(policy: Policy, pool: Pool) -> None:
    """Parameters are JSON, give the same policy back, and unknown or changed ones are refused."""
    wrong = wrong_with_parameters(policy)
    _expect(not wrong, policy, wrong)


def check_size(policy: Policy, pool: Pool) -> None:
    """Exactly the size asked for: distinct rows of the pool."""
    for size in SIZES:
        for seed in SEEDS:
            try:
                select(policy, pool, size, Draw(seed))
            except BadInput as error:
                raise AssertionError(str(error)) from error


def check_determinism(policy: Policy, pool: Pool) -> None:
    """The same draw gives the same documents, whatever numpy's global generator holds."""
    first = policy.pick(pool, 16, Draw(0)).tolist()
    before = _global_state()
    second = policy.pick(pool, 16, Draw(0)).tolist()
    _expect(_global_state() == before, policy, "draws from numpy's global generator")
    _expect(first == second, policy, "picks other documents when asked again")


def check_storage_order(policy: Policy, pool: Pool) -> None:
    """The order in which the pool's documents were stored makes no difference."""
    expected = pool.ids(policy.pick(pool, 64, Draw(0)))
    for order in (np.arange(len(pool))[::-1], keyed_generator(1, "storage").permutation(len(pool))):
        stored = _stored_as(pool, order)
        found = stored.ids(policy.pick(stored, 64, Draw(0)))
        _expect(found == expected, policy, "depends on the order in which documents are stored")


def check_nesting(policy: Policy, pool: Pool) -> None:
    """A policy that promises nesting gives prefixes."""
    if not policy.nested:
        return
    for seed in SEEDS:
        largest = policy.pick(pool, max(SIZES), Draw(seed)).tolist()
        for size in SIZES:
            smaller = policy.pick(pool, size, Draw(seed)).tolist()
            _expect(
                largest[:size] == smaller,
                policy,
                f"is not nested: its {size} documents do not begin its {max(SIZES)} (seed {seed})",
            )


def check_seeds(policy: Policy, pool: Pool) -> None:
    """Another seed is another subset, or another order, exactly when the policy says so."""
    subsets = {tuple(policy.pick(pool, 16, Draw(seed)).tolist()) for seed in SEEDS}
    if policy.uses_seed:
        _expect(len(subsets) == len(SEEDS), policy, "picks the same documents for several seeds")
    else:
        _expect(len(subsets) == 1, policy, "says that it ignores the seed, and does not")


def check_too_large(policy: Policy, pool: Pool) -> None:
    """More documents than the pool has is Infeasible, with both numbers."""
    size = len(pool) + 1
    try:
        policy.pick(pool, size, Draw(0))
    except Infeasible as error:
        text = str(error).replace(",", "")
        _expect(
            str(size) in text and str(len(pool)) in text,
            policy,
            f"must say how many were asked for and how many there are, not {str(error)!r}",
        )
    else:
        _expect(False, policy, f"claims to find {size} documents in a pool of {len(pool)}")


CHECKS: tuple[Callable[[Policy, Pool], None], ...] = (
    check_declaration,
    check_parameters,
    check_size,
    check_determinism,
    check_storage_order,
    check_nesting,
    check_seeds,
    check_too_large,
)
"""Every clause of the contract: functions of (policy, pool) that raise AssertionError."""


def _expect(kept: bool, policy: Policy, otherwise: str) -> None:
    if not kept:
        raise AssertionError(f"the policy {policy.name!r} {otherwise}")


def _falling(labels: int) -> NDArray[np.float64]:
    weights = 1.0 / np.arange(1, labels + 1)
    return np.asarray(weights / weights.sum())


def _global_state() -> str:
    state = np.random.get_state(legacy=False)
    return repr({**state, "state": {k: np.asarray(v).tolist() for k, v in state["state"].items()}})


def _seen_by_a_model(documents: int, labels: int) -> dict[str, NDArray[Any]]:
    """Return made-up arrays for the policies that look at documents through a model."""
    rng = keyed_generator(1, "calibkit.testing", str(documents), str(labels))
    owner = np.repeat(np.arange(documents), rng.integers(5, 80, documents))
    inputs = rng.standard_normal((len(owner), 4)) + rng.standard_normal((documents, 4))[owner]
    inputs @= np.linalg.inv(np.linalg.cholesky(inputs.T @ inputs / len(owner))).T
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    hard = rng.gamma(1.0, 1.0, documents)
    misses = rng.poisson(np.outer(hard, (0.2, 0.6, 1.5)))
    never = rng.random(documents) < 0.05
    return {
        "gram": np.add.reduceat(np.einsum("ti,tj->tij", inputs, inputs), first).astype(np.float32),
        "margins": rng.gamma(2.0, 1.0 / (0.2 + hard)).astype(np.float32),
        "disagreement:4": (hard * rng.gamma(0.5, 1.0, documents)).astype(np.float32),
        "misses:8,4,2": np.column_stack([misses * ~never[:, None], never]).astype(np.int32),
        "chain:8,6,5,4,3,2": rng.binomial(6, hard / (3.0 + hard)).astype(np.int32),
    }


def _seen_at_sites(documents: int, labels: int) -> dict[str, NDArray[Any]]:
    """Return made-up ``given`` vectors, and what three activation sites say of each document.

    ``ranges`` and ``moments`` are of the same values, of 5 to 79 tokens with 2 values each.
    """
    rng = keyed_generator(2, "calibkit.testing", str(documents), str(labels))
    owner = np.repeat(np.arange(documents), 2 * rng.integers(5, 80, documents))
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    shift, scale = rng.normal(0.0, 0.5, (documents, 3)), rng.gamma(4.0, 0.25, (documents, 3))
    values = shift[owner] + scale[owner] * rng.standard_t(5, (len(owner), 3))
    values = np.column_stack([values[:, 0], np.tanh(values[:, 1]), np.abs(values[:, 2])])
    below = values[:, :, None] < np.quantile(values, (0.001, 0.1, 0.5, 0.9, 0.999), axis=0).T
    counted = [np.ones_like(values), values, values**2]
    per_value = np.concatenate([np.stack(counted, axis=2), below], axis=2)
    ends = [np.minimum.reduceat(values, first), np.maximum.reduceat(values, first)]
    return {
        "given": rng.normal(shift @ rng.standard_normal((3, 6)), 1.0).astype(np.float32),
        "ranges": np.stack(ends, axis=2).astype(np.float32),
        "moments": np.add.reduceat(per_value, first).astype(np.float32),
    }


def _likeness(documents: int, labels: int) -> dict[str, NDArray[Any]]:
    """Return made-up places in the subset ``example``, and who resembles whom.

    One document in ten is a near copy of another one, one in twenty has the text of another one.
    """
    rng = keyed_generator(3, "calibkit.testing", str(documents), str(labels))
    found = rng.integers(0, 1 << 32, (documents, 64), dtype=np.uint32)
    number = np.arange(documents)
    for row in range(1, documents):
        kind = rng.random()
        if kind < 0.15:
            like = int(rng.integers(row))
            found[row] = found[like]
            if kind < 0.1:
                found[row, rng.permutation(64)[: rng.integers(1, 30)]] = row
            else:
                number[row] = number[like]
    in_test = np.where(rng.random(documents) < 0.1, rng.integers(32, 65, documents) / 64, 0.0)
    return {
        "minhash": found,
        "duplicates": number,
        "near-test": in_test.astype(np.float32),
        "subset:example": rng.permutation(documents),
    }


def _tokens(lengths: NDArray[np.int64]) -> Ragged:
    """Return made-up documents of these lengths: types by a Zipf law, some tokens unknown."""
    rng = keyed_generator(4, "calibkit.testing", str(len(lengths)))
    share = 1.0 / np.arange(2, 600)
    types = np.concatenate([[1], np.arange(4, 601)])
    drawn = rng.choice(types, int(lengths.sum()), p=share / share.sum())
    parts = np.split(drawn, np.cumsum(lengths)[:-1])
    return Ragged.of([[2, *part.tolist(), 3] for part in parts])


def _stored_as(pool: Pool, order: Rows | NDArray[Any]) -> Pool:
    return Pool(
        doc_ids=pool.ids(order),
        labels=tuple(pool.labels[int(row)] for row in order),
        lengths=pool.lengths[order],
        arrays={name: array[order] for name, array in pool.arrays.items()},
        tokens=None if pool.tokens is None else pool.tokens.take(order),
    )
