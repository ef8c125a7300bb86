"""Policies by margin and by disagreement."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calibkit.errors import BadInput, Infeasible
from calibkit.policies import Disagreement, Draw, Margin, Pool, make_policy

VALUES = hnp.arrays(np.float32, st.integers(2, 20), elements=st.sampled_from([0, 0.5, 1, 2, 7]))


def pool_of(order=None, **arrays):
    n = len(next(iter(arrays.values())))
    rows = np.arange(n) if order is None else np.asarray(order)
    ids = tuple(f"d{i:03}" for i in rows)
    columns = {name.replace("_", ":"): np.asarray(a)[rows] for name, a in arrays.items()}
    return Pool(ids, ("x",) * n, np.ones(n), columns)


@settings(deadline=None)
@given(VALUES, st.integers(0, 4), st.data())
def test_candidates_are_sorted_and_the_rest_is_in_keyed_order(values, seed, data):
    if len(np.unique(values)) == 1:
        return
    pool = pool_of(data.draw(st.permutations(range(len(values)))), margins=values)
    count = data.draw(st.integers(1, len(values)))
    policy = Margin(side=data.draw(st.sampled_from(["small", "large"])), candidates=count)
    sign = 1 if policy.side == "small" else -1
    candidates = Draw(seed, "select-candidates").ranked(pool)[:count].tolist()
    if len({values[r] for r in candidates}) == 1 < count:
        with pytest.raises(Infeasible):
            policy.pick(pool, count, Draw(seed))
        return
    expected = sorted(candidates, key=lambda r: (sign * float(values[r]), r))
    size = data.draw(st.integers(1, count))
    if size > 1 or count == 1:
        assert policy.pick(pool, size, Draw(seed)).tolist() == expected[:size]


def test_small_margins_and_large_divergences_come_first():
    pool = pool_of(margins=[3.0, 0.5, 9.0, 0.1], disagreement_4=[0.1, 0.0, 0.3, 0.2])
    assert Margin(candidates=4).pick(pool, 4, Draw(0)).tolist() == [3, 1, 0, 2]
    assert Margin(side="large", candidates=4).pick(pool, 2, Draw(0)).tolist() == [2, 0]
    assert Disagreement(candidates=4).pick(pool, 3, Draw(0)).tolist() == [2, 3, 0]


def test_the_default_is_the_best_of_half_the_pool(pool):
    half = set(Draw(7, "select-candidates").ranked(pool)[:200].tolist())
    chosen = Margin().pick(pool, 32, Draw(7))
    margins = pool.arrays["margins"]
    assert set(chosen.tolist()) <= half
    assert margins[chosen].max() <= min(margins[r] for r in half - set(chosen.tolist())) + 1e-4
    more = Margin().pick(pool, 220, Draw(7))
    assert more[200:].tolist() == Draw(7, "select-candidates").ranked(pool)[200:220].tolist()


def test_what_differs_by_a_rounding_error_is_tied():
    values = np.array([5.0, 1.0000001, 1.0, 4.0], dtype=np.float32)
    assert Margin(candidates=4).pick(pool_of(margins=values), 2, Draw(0)).tolist() == [1, 2]


def test_bits_say_which_divergences_are_needed():
    assert Disagreement().needs == ("disagreement:4",)
    pool = pool_of(disagreement_3=[0.0, 1.0], disagreement_4=[1.0, 0.0])
    picked = [Disagreement(bits=b, candidates=2).pick(pool, 1, Draw(0)).tolist() for b in (3, 4)]
    assert picked == [[1], [0]]
    with pytest.raises(BadInput, match="disagreement: bits is 9; it must be less than or equal to"):
        make_policy("disagreement", {"bits": 9})
    with pytest.raises(BadInput, match="margin: side is 'middle'; it must be 'small' or 'large'"):
        make_policy("margin", {"side": "middle"})


def test_what_cannot_be_told_apart_or_is_no_number_is_an_error():
    with pytest.raises(Infeasible, match="'margins' of all 5 candidates are 2, so none"):
        Margin(candidates=5).pick(pool_of(margins=[2.0] * 5), 2, Draw(0))
    with pytest.raises(BadInput, match="'margins' of 2 documents are not finite"):
        Margin(candidates=3).pick(pool_of(margins=[np.nan, np.inf, 1.0]), 2, Draw(0))
    with pytest.raises(BadInput, match="one number per document"):
        Margin(candidates=3).pick(pool_of(margins=np.ones((3, 2))), 2, Draw(0))
    with pytest.raises(Infeasible, match="asked for 4 documents out of 2 candidates"):
        Margin(candidates=2).pick(pool_of(margins=np.arange(6.0)), 4, Draw(0))
