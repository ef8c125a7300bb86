"""QCore's two draws, against hand-computed logs of quantization misses."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.errors import BadInput, Infeasible
from calibkit.policies import Draw, MissPmf, MissWeighted, Pool, make_policy
from calibkit.policies.mass import quotas
from calibkit.policies.misses import NEVER

# 1: correct at that epoch's checkpoint; per document, then per bit width, epochs in order
LOG = {
    "d0": {8: (1, 1, 1, 1), 4: (1, 1, 1, 1)},  # never missed
    "d1": {8: (0, 1, 1, 1), 4: (0, 0, 1, 1)},  # learned late, never missed
    "d2": {8: (1, 0, 1, 1), 4: (1, 1, 1, 1)},  # 1
    "d3": {8: (0, 1, 1, 0), 4: (1, 1, 1, 1)},  # 1
    "d4": {8: (1, 0, 1, 0), 4: (1, 0, 0, 1)},  # 2 + 1
    "d5": {8: (0, 0, 0, 0), 4: (0, 0, 0, 0)},  # never learned
    "d6": {8: (0, 0, 0, 0), 4: (1, 0, 0, 0)},  # 1: learned once, at 4 bits
    "d7": {8: (1, 1, 1, 1), 4: (0, 0, 0, 0)},  # never missed: 4 bits never got it right
}
LEVELS = [0, 0, 1, 1, 3, NEVER, 1, 0]


def misses_of(log):
    """Count correct -> wrong transitions per width, and who was never correct."""
    rows = []
    for by_width in log.values():
        counts = [sum(a > b for a, b in zip(c, c[1:], strict=False)) for c in by_width.values()]
        rows.append([*counts, int(not any(any(c) for c in by_width.values()))])
    return np.array(rows, dtype=np.int32)


def pool_of(misses, need="misses:8,4", order=None):
    misses = np.asarray(misses)
    rows = np.arange(len(misses)) if order is None else np.asarray(order)
    ids = tuple(f"d{i:04}" for i in rows)
    return Pool(ids, ("x",) * len(rows), np.ones(len(rows)), {need: misses[rows]})


def by_level(levels):
    """A pool of documents with so many misses at one width."""
    levels = np.asarray(levels)
    return pool_of(np.column_stack([np.maximum(levels, 0), levels == NEVER]), "misses:8")


@pytest.fixture
def logged():
    return pool_of(misses_of(LOG))


def test_levels_are_the_misses_over_all_widths(logged):
    assert MissPmf(bits=[8, 4]).levels(logged).tolist() == LEVELS
    assert logged.arrays["misses:8,4"].tolist()[4] == [2, 1, 0]


def test_the_mass_function_of_the_log_is_drawn_from(logged):
    """Seven documents were learned: P(0) = 3/7, P(1) = 3/7, P(3) = 1/7."""
    policy = MissPmf(bits=[8, 4])
    for seed in range(20):
        rows = policy.pick(logged, 5, Draw(seed))  # 2.14, 2.14, 0.71
        assert Counter(LEVELS[r] for r in rows) == {0: 2, 1: 2, 3: 1}
    assert sorted(policy.pick(logged, 7, Draw(0)).tolist()) == [0, 1, 2, 3, 4, 6, 7]


def test_inside_a_level_the_draw_is_uniform(logged):
    policy, seeds = MissPmf(bits=[8, 4]), 900
    seen = Counter(r for s in range(seeds) for r in policy.pick(logged, 5, Draw(s)).tolist())
    assert seen[4] == seeds and seen[5] == 0
    for row in (0, 1, 7, 2, 3, 6):  # two of the three of its level
        assert abs(seen[row] - seeds * 2 / 3) < 4 * math.sqrt(seeds * 2 / 9)


def test_documents_are_drawn_in_proportion_to_their_misses(logged):
    policy, seeds = MissWeighted(bits=[8, 4]), 3000
    seen = Counter(int(policy.pick(logged, 1, Draw(s))[0]) for s in range(seeds))
    assert set(seen) == {2, 3, 4, 6}
    for row, p in {2: 1 / 6, 3: 1 / 6, 6: 1 / 6, 4: 1 / 2}.items():
        assert abs(seen[row] - seeds * p) < 4 * math.sqrt(seeds * p * (1 - p))
    assert sorted(policy.pick(logged, 4, Draw(0)).tolist()) == [2, 3, 4, 6]


LEARNED = st.lists(st.integers(0, 4), min_size=1, max_size=30)


@settings(deadline=None)
@given(LEARNED, st.integers(0, 20), st.integers(0, 3), st.data())
def test_never_learned_in_the_pmf_draw(levels, never, seed, data):
    whole = np.array(levels + [NEVER] * never)
    pool = by_level(whole)

    def counts(size, **params):
        rows = MissPmf(bits=[8], **params).pick(pool, size, Draw(seed))
        return Counter(whole[rows].tolist())

    size = data.draw(st.integers(1, len(levels)))
    nonzero = {k: n for k, n in quotas(np.array(levels), size).items() if n}
    assert counts(size, never_learned="drop") == nonzero
    kept = {k: n for k, n in quotas(whole, size).items() if n}
    assert counts(size, never_learned="keep") == kept
    share = data.draw(st.sampled_from([0.01, 0.1, 0.25, 0.9]))
    capped = counts(size, never_learned="cap", cap_share=share)
    assert capped.total() == size
    assert capped[NEVER] == min(kept.get(NEVER, 0), math.floor(size * share + 1e-9))
    del capped[NEVER]
    rest = quotas(np.array(levels), capped.total()) if capped else {}
    if kept.get(NEVER, 0) > size * share:
        assert capped == {k: n for k, n in rest.items() if n}


def test_never_learned_in_the_weighted_draw():
    """Ten documents with 1 to 4 misses, thirty never learned."""
    levels = np.array([1, 2, 3, 4, 1, 2, 3, 4, 1, 4] + [NEVER] * 30 + [0] * 10)
    pool = by_level(levels)
    dropped = MissWeighted(bits=[8]).pick(pool, 10, Draw(0))
    assert sorted(dropped.tolist()) == list(range(10))
    capped = MissWeighted(bits=[8], never_learned="cap", cap_share=0.25).pick(pool, 12, Draw(0))
    assert Counter(levels[capped] == NEVER) == {False: 9, True: 3}
    for n in range(1, 13):
        assert (levels[capped[:n]] == NEVER).sum() <= n / 4
    kept = MissWeighted(bits=[8], never_learned="keep")
    assert sorted(kept.pick(pool, 40, Draw(0)).tolist()) == list(range(40))
    seeds, p = 2000, 30 * 4 / (30 * 4 + 25)  # each weighs as much as the most missed one
    first = sum(int(levels[kept.pick(pool, 1, Draw(s))[0]]) == NEVER for s in range(seeds))
    assert abs(first - seeds * p) < 4 * math.sqrt(seeds * p * (1 - p))


def test_kept_where_nothing_was_ever_missed_all_never_learned_weigh_the_same():
    pool = by_level([0, 0, NEVER, NEVER])
    rows = MissWeighted(bits=[8], never_learned="keep").pick(pool, 2, Draw(0))
    assert rows.tolist() == Draw(0).ranked(pool, np.array([2, 3])).tolist()


@settings(deadline=None)
@given(st.sampled_from(["drop", "cap", "keep"]), st.integers(0, 4), st.data())
def test_storage_order_and_size_never_change_the_beginning_of_a_weighted_draw(never, seed, data):
    levels = np.array([1, 2, 3, 5, 1, 2] * 4 + [NEVER] * 6 + [0] * 3)
    order = data.draw(st.permutations(range(len(levels))))
    misses = np.column_stack([np.maximum(levels, 0), levels == NEVER])
    policy = MissWeighted(bits=[8], never_learned=never)
    pool, stored = pool_of(misses, "misses:8"), pool_of(misses, "misses:8", order)
    whole = pool.ids(policy.pick(pool, 24, Draw(seed)))
    size = data.draw(st.integers(1, 24))
    assert stored.ids(policy.pick(stored, size, Draw(seed))) == whole[:size]


def test_too_few_documents_are_infeasible_with_the_numbers(logged):
    with pytest.raises(
        Infeasible, match="asked for 5 documents, 4 of the pool's 8 have misses"
    ) as e:
        MissWeighted(bits=[8, 4]).pick(logged, 5, Draw(0))
    assert "add narrower widths to 'bits', or use miss-pmf" in str(e.value)
    assert str(e.value).endswith("or set never_learned: keep")
    with pytest.raises(
        Infeasible, match="8 documents, 7 of the pool's 8 were learned at some time"
    ):
        MissPmf(bits=[8, 4]).pick(logged, 8, Draw(0))
    levels = [1] * 10 + [NEVER] * 10
    for policy in (MissPmf, MissWeighted):
        capped = policy(bits=[8], never_learned="cap", cap_share=0.2)
        assert len(capped.pick(by_level(levels), 12, Draw(0))) == 12
        with pytest.raises(Infeasible, match="10 of the pool's 20.*2 of the 10 never learned may"):
            capped.pick(by_level(levels), 13, Draw(0))
        kept = policy(bits=[8], never_learned="keep")
        assert len(kept.pick(by_level(levels), 20, Draw(0))) == 20


def test_a_pool_in_which_nothing_was_learned():
    pool = by_level([NEVER] * 5)
    for policy in (MissPmf, MissWeighted):
        assert len(policy(bits=[8], never_learned="keep").pick(pool, 5, Draw(0))) == 5
        for never_learned in ("drop", "cap"):
            with pytest.raises(Infeasible, match="asked for 2 documents, 0 of the pool's 5"):
                policy(bits=[8], never_learned=never_learned).pick(pool, 2, Draw(0))


def test_widths_in_any_order_are_the_same_policy():
    assert MissPmf(bits=[2, 8, 4]) == MissPmf(bits=[8, 4, 2]) == MissPmf()
    assert MissPmf(bits=[3, 5]).needs == ("misses:5,3",)
    assert make_policy("miss-pmf", {"bits": [4, 8, 2]}).params() == MissPmf().params()


def test_a_cap_written_out_is_the_default_cap():
    written = make_policy("miss-pmf", {"never_learned": "cap", "cap_share": 0.1})
    assert written.params() == make_policy("miss-pmf", {"never_learned": "cap"}).params()
    assert "cap_share" not in MissPmf().params()


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"bits": [8, 4, 8]}, "bits: 8 stands there more than once"),
        ({"bits": []}, "bits is empty; it must have at least one entry"),
        ({"bits": [9]}, r"bits\[0\] is 9; it must be less than or equal to 8"),
        ({"bits": [1]}, r"bits\[0\] is 1; it must be greater than or equal to 2"),
        ({"never_learned": "ignore"}, "must be 'drop', 'cap' or 'keep'"),
        ({"cap_share": 0.2}, "'cap_share' goes with never_learned: cap"),
        ({"never_learned": "cap", "cap_share": 1.0}, "cap_share is 1.0; it must be less than 1"),
    ],
)
def test_wrong_parameters_are_told(params, said):
    for name in ("miss-pmf", "miss-weighted"):
        with pytest.raises(BadInput, match=said):
            make_policy(name, params)


def test_counts_that_are_none_are_refused():
    with pytest.raises(BadInput, match=r"shape \(3, 3\), a column per bit width"):
        MissPmf(bits=[8, 4]).pick(pool_of(np.zeros((3, 2), dtype=int)), 1, Draw(0))
    with pytest.raises(BadInput, match="the smallest -1"):
        MissPmf(bits=[8, 4]).pick(pool_of(np.full((3, 3), -1)), 1, Draw(0))
