"""What is foreseen of a choice is what it then does; nothing is computed for it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.errors import Infeasible
from calibkit.policies import (
    Draw,
    Generator,
    Mixture,
    Policy,
    Pool,
    Union,
    find_policy,
    foreseen,
    make_policy,
    policy_names,
    select,
)
from calibkit.testing import example_policy, example_pool

POLICIES = [
    name
    for name in policy_names()
    if not name.startswith("test-") and issubclass(find_policy(name), Policy)
]


def bare(pool: Pool) -> Pool:
    return Pool(pool.doc_ids, pool.labels, pool.lengths)


def outcome(choose, policy, pool, size, draw):
    """Return what is open, None if it is infeasible."""
    try:
        return choose(policy, pool, size, draw)
    except Infeasible:
        return None


def agree(policy, known: Pool, pool: Pool, size: int, draw: Draw) -> str | None:
    """Check that what is foreseen of the known pool is what happens with everything at hand."""
    told = outcome(foreseen, policy, known, size, draw)
    done = outcome(lambda *at: str(len(select(*at))), policy, pool, size, draw)
    if told is None:
        assert done is None, f"{policy}: infeasible was foreseen, and it chose"
    elif not told:
        assert done is not None, f"{policy}: nothing was open, and it could not choose"
    return told


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("size", [1, 16, 100, 390, 400, 401])
def test_every_policy_does_what_is_foreseen(name, size):
    pool = example_pool()
    for seed in (0, 1):
        agree(example_policy(name), pool, pool, size, Draw(seed))
        agree(example_policy(name), bare(pool), pool, size, Draw(seed))


@pytest.mark.parametrize("name", POLICIES)
def test_one_document_too_many_is_always_foreseen(name):
    pool = bare(example_pool())
    with pytest.raises(Infeasible, match="400"):
        foreseen(example_policy(name), pool, 401, Draw(0))


PARTS = [
    {"use": "random"},
    {"use": "stratified"},
    {"use": "stratified", "mix": "proportional"},
    {"use": "one-label"},
    {"use": "one-label", "label": "label 0"},
    {"use": "skewed", "weights": {"label 1": 1, "label 2": 3}},
    {"use": "longest", "candidates": 30},
    {"use": "k-center"},
    {"use": "length-stratified", "mix": "equal"},
    {"use": "random", "filters": {"min_tokens": 20}},
    {"use": "miss-weighted"},
    {"use": "token-budget", "tokens_per_document": 20.0},
]


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(["mixture", "union"]),
    st.lists(st.sampled_from(PARTS), min_size=1, max_size=3),
    st.integers(1, 90),
    st.integers(0, 3),
)
def test_what_is_made_of_parts_does_what_is_foreseen(kind, parts, size, seed):
    pool = example_pool(documents=80)
    listed = [{"policy": p, "share": 1.0} for p in parts] if kind == "mixture" else parts
    policy = make_policy(kind, {"parts": listed})
    assert isinstance(policy, Mixture | Union)
    agree(policy, pool, pool, size, Draw(seed))
    agree(policy, bare(pool), pool, size, Draw(seed))


def test_shares_of_a_large_pool_are_sure_although_a_part_looks_through_a_model():
    pool = bare(example_pool())
    parts = [{"use": "k-center", "features": "hidden"}, {"use": "random"}, {"use": "one-label"}]
    policy = make_policy("mixture", {"parts": [{"policy": p, "share": 1.0} for p in parts]})
    assert foreseen(policy, pool, 30, Draw(0)) == ""
    assert "the parts before it leave is not known" in foreseen(policy, pool, 260, Draw(0))


def test_a_label_that_other_parts_used_up_is_infeasible_not_unknown():
    pool = bare(example_pool())
    have = pool.label_counts()["label 3"]
    one = {"use": "one-label", "label": "label 3"}
    policy = make_policy("mixture", {"parts": [{"policy": one, "share": 1.0}] * 2})
    for choose in (foreseen, select):
        with pytest.raises(Infeasible, match="the parts before it leave no document of the label"):
            choose(policy, pool, 2 * have, Draw(0))
    assert foreseen(policy, pool, have, Draw(0)) == ""


def test_a_label_that_filters_took_away_is_infeasible_not_unknown():
    pool = Pool(("a", "b", "c"), ("x", "y", "y"), np.array([3, 9, 9]))
    policy = make_policy("one-label", {"label": "x", "filters": {"min_tokens": 5}})
    for choose in (foreseen, select):
        with pytest.raises(Infeasible, match="min_tokens 5 leaves no document of the label 'x'"):
            choose(policy, pool, 1, Draw(0))


def test_what_only_a_model_can_tell_is_open():
    pool = bare(example_pool())
    assert foreseen(make_policy("miss-weighted"), pool, 9, Draw(0)) == (
        "miss-weighted goes by misses:8,4,2, which is not known yet"
    )
    assert foreseen(make_policy("miss-pmf", {"never_learned": "keep"}), pool, 9, Draw(0)) == ""
    near = make_policy("random", {"filters": {"near_duplicates": 0.9, "min_tokens": 1}})
    assert "near_duplicates 0.9 leaves is not known yet" in foreseen(near, pool, 9, Draw(0))


def test_generators_say_what_they_foresee():
    pool = bare(example_pool())
    for name in ("random-tokens", "self-calibration"):
        generator = make_policy(name)
        assert isinstance(generator, Generator)
        assert generator.foresee(pool, 9_999, Draw(0)) == ""
    mix = make_policy("noise-mix", {"of": {"use": "one-label", "label": "label 3"}})
    assert mix.foresee(pool, 3, Draw(0)) == ""
    with pytest.raises(Infeasible, match="asked for 390 'label 3' documents"):
        mix.foresee(pool, 390, Draw(0))
