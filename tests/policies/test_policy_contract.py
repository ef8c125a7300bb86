"""Every policy keeps the contract, and the contract's checks notice when one does not."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from calibkit.errors import BadInput, Infeasible
from calibkit.policies import (
    BitChain,
    DOptimal,
    Draw,
    KCenter,
    Margin,
    MissPmf,
    MissWeighted,
    Policy,
    Skewed,
    Stratified,
    find_policy,
    policy_names,
    select,
)
from calibkit.policies.base import REGISTERED
from calibkit.testing import CHECKS, check_policy, example_policy, example_pool

CHOOSING = [name for name in policy_names() if issubclass(find_policy(name), Policy)]
VARIANTS = [
    Stratified(mix="proportional"),
    Skewed(weights={"label 0": 3, "label 2": 1}),
    KCenter(features="hidden"),
    KCenter(candidates=100),
    DOptimal(ridge=0.5, candidates=100),
    Margin(side="large"),
    MissPmf(never_learned="keep"),
    MissPmf(never_learned="cap", cap_share=0.05),
    MissWeighted(never_learned="keep"),
    MissWeighted(never_learned="cap"),
    BitChain(draw="weighted"),
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", CHOOSING)
def test_every_registered_policy_keeps_the_contract(name, check, pool):
    check(example_policy(name), pool)


@pytest.mark.parametrize("policy", VARIANTS, ids=str)
def test_the_contract_holds_for_other_parameters_too(policy, pool):
    check_policy(policy, pool)


@pytest.mark.parametrize("name", CHOOSING)
def test_the_whole_pool_can_be_asked_for_by_policies_that_do_not_fix_a_mix(name):
    policy = Stratified(mix="proportional") if name == "stratified" else example_policy(name)
    if name in {"skewed", "miss-weighted", "one-label"}:
        pytest.skip("its mix is not the pool's")
    pool = example_pool(documents=60, labels=3)
    assert sorted(policy.pick(pool, 60, Draw(3))) == list(range(60))


@pytest.mark.parametrize("name", CHOOSING)
@pytest.mark.parametrize("size", [0, -1])
def test_a_size_below_one_is_refused(name, size, pool):
    with pytest.raises(BadInput, match="at least 1"):
        example_policy(name).pick(pool, size, Draw(0))


@pytest.fixture
def defective():
    """Define policies that break one clause each; forget them afterwards."""
    before = dict(REGISTERED)

    class Repeats(Policy, name="test-repeats"):
        """Return the first document again and again."""

        def pick(self, pool, size, draw):
            pool.require_size(size, self.name)
            return np.zeros(size, dtype=np.intp)

    class Careless(Policy, name="test-careless"):
        """Draw from numpy's global generator."""

        def pick(self, pool, size, draw):
            pool.require_size(size, self.name)
            return np.random.permutation(len(pool))[:size]

    class Stubborn(Policy, name="test-stubborn"):
        """Ignore the seed without saying so."""

        nested: ClassVar[bool] = True

        def pick(self, pool, size, draw):
            pool.require_size(size, self.name)
            return np.arange(size)

    class Backwards(Policy, name="test-backwards"):
        """Promise nesting and turn the order round."""

        nested: ClassVar[bool] = True

        def pick(self, pool, size, draw):
            pool.require_size(size, self.name)
            return draw.ranked(pool)[:size][::-1]

    class Obliging(Policy, name="test-obliging"):
        """Return fewer documents than asked for rather than refuse."""

        def pick(self, pool, size, draw):
            return draw.ranked(pool)[:size]

    class Silent(Policy, name="test-silent"):
        def pick(self, pool, size, draw):
            pool.require_size(size, self.name)
            return draw.ranked(pool)[:size]

    Silent.__doc__ = None
    yield
    REGISTERED.clear()
    REGISTERED.update(before)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("test-repeats", "only 1 distinct rows"),
        ("test-careless", "global generator"),
        ("test-stubborn", "same documents for several seeds"),
        ("test-backwards", "not nested"),
        ("test-obliging", "claims to find 401 documents"),
        ("test-silent", "no docstring"),
    ],
)
def test_the_contract_catches_a_policy_that_breaks_it(name, complaint, defective):
    with pytest.raises(AssertionError, match=complaint):
        check_policy(name)


@pytest.mark.parametrize(
    ("returned", "complaint"),
    [
        (np.arange(3), "3 rows"),
        (np.array([0, 1, 2, 400]), "rows from 0 to 400"),
        (np.array([-1, 1, 2, 3]), "rows from -1 to 3"),
        (np.array([1, 1, 2, 3]), "only 3 distinct"),
        (np.array([0.0, 1.0, 2.0, 3.0]), "float64"),
        (np.zeros((2, 2), dtype=int), r"shape \(2, 2\)"),
    ],
)
def test_select_names_the_policy_whose_result_is_no_subset(returned, complaint, pool, defective):
    class Wrong(Policy, name="test-wrong"):
        """Return what the test says."""

        def pick(self, pool, size, draw):
            return returned

    with pytest.raises(BadInput, match=complaint) as caught:
        select(Wrong(), pool, 4, Draw(0))
    assert "test-wrong" in str(caught.value)


def test_select_says_how_to_come_by_a_missing_array():
    bare = example_pool(40, 2)
    without = type(bare)(bare.doc_ids, bare.labels, bare.lengths)
    with pytest.raises(Infeasible, match="'hidden'.*--model"):
        select(KCenter(features="hidden"), without, 4, Draw(0))
    with pytest.raises(Infeasible, match="'vectors'.*tfidf_svd"):
        select(KCenter(), without, 4, Draw(0))
