"""The draw by changes of the predicted label along falling bit widths."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from calibkit.errors import BadInput, Infeasible
from calibkit.policies import BitChain, Draw, Pool, make_policy

# predicted labels as float, then at 8, 4 and 2 bits
PREDICTED = [
    ("sea", "sea", "sea", "sea"),
    ("sea", "sea", "sea", "sky"),
    ("sky", "sky", "sea", "sky"),
    ("sky", "sea", "sky", "sea"),
    ("sky", "sky", "sky", "sky"),
    ("sea", "sea", "sky", "sky"),
]
CHANGES = [0, 1, 2, 3, 0, 1]


def pool_of(changes, need="chain:8,4,2"):
    n = len(changes)
    array = np.array(changes, dtype=np.int32)
    return Pool(tuple(f"d{i:03}" for i in range(n)), ("x",) * n, np.ones(n), {need: array})


@pytest.fixture
def chained():
    changes = [sum(a != b for a, b in zip(p, p[1:], strict=False)) for p in PREDICTED]
    assert changes == CHANGES
    return pool_of(changes)


def test_the_mass_function_of_the_changes_is_drawn_from(chained):
    """P = 2/6, 2/6, 1/6, 1/6; of four documents 1.33, 1.33, 0.67, 0.67."""
    for seed in range(20):
        rows = BitChain(bits=[8, 4, 2]).pick(chained, 4, Draw(seed))
        assert sorted(CHANGES[r] for r in rows) == [0, 1, 2, 3]


def test_the_weighted_draw_is_in_proportion_to_the_changes(chained):
    policy, seeds = BitChain(bits=[8, 4, 2], draw="weighted"), 3000
    seen = Counter(int(policy.pick(chained, 1, Draw(s))[0]) for s in range(seeds))
    assert set(seen) == {1, 2, 3, 5}
    for row, weight in {1: 1, 2: 2, 3: 3, 5: 1}.items():
        p = weight / 7
        assert abs(seen[row] - seeds * p) < 4 * math.sqrt(seeds * p * (1 - p))


def test_only_the_weighted_draw_is_nested(pool):
    assert (BitChain().nested, BitChain(draw="weighted").nested) == (False, True)
    weighted = BitChain(draw="weighted")
    large = weighted.pick(pool, 60, Draw(2)).tolist()
    assert weighted.pick(pool, 13, Draw(2)).tolist() == large[:13]


def test_too_few_changes_are_infeasible_with_the_numbers(chained):
    policy = BitChain(bits=[8, 4, 2], draw="weighted")
    message = r"asked for 5 documents, the predicted label of 4 of the pool's 6 changes at 8,4,2"
    with pytest.raises(Infeasible, match=message) as caught:
        policy.pick(chained, 5, Draw(0))
    assert str(caught.value).endswith("or set draw: pmf")
    assert len(BitChain(bits=[8, 4, 2]).pick(chained, 6, Draw(0))) == 6


def test_the_chain_falls_however_it_is_written():
    assert BitChain(bits=[2, 4, 8]).needs == ("chain:8,4,2",)
    assert BitChain().needs == ("chain:8,6,5,4,3,2",)
    with pytest.raises(BadInput, match="bits: 4 stands there more than once"):
        make_policy("bit-chain", {"bits": [4, 4]})
    with pytest.raises(BadInput, match="draw is 'all'; it must be 'pmf' or 'weighted'"):
        make_policy("bit-chain", {"draw": "all"})


def test_counts_that_are_none_are_refused():
    with pytest.raises(BadInput, match="the smallest -2"):
        BitChain(bits=[8, 4, 2]).pick(pool_of([1, -2, 0]), 1, Draw(0))
