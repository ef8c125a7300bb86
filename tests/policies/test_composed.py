"""mixture and union, and policies inside policies in general."""

from __future__ import annotations

from fractions import Fraction
from itertools import cycle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.errors import BadInput, Infeasible
from calibkit.identity import share_out
from calibkit.policies import (
    Draw,
    Longest,
    Mixture,
    Pool,
    Random,
    Shortest,
    Stratified,
    Subset,
    Union,
    make_policy,
    parameter_problems,
    select,
)
from calibkit.policies.composed import SharePart, taking_turns
from calibkit.policies.filters import Filters
from calibkit.testing import check_policy

PARTS = [
    Random(),
    Longest(),
    Shortest(candidates=20),
    Stratified(mix="proportional"),
    Random(filters=Filters(min_tokens=4)),
]


def pool_of(lengths, stored=None):
    order = list(range(len(lengths))) if stored is None else stored
    labels = tuple("ab"[i % 2] for i in order)
    ids = tuple(f"d{i:03}" for i in order)
    places = np.array([i - 3 if i < 23 else -1 for i in order]).clip(-1)
    return Pool(ids, labels, np.array([lengths[i] for i in order]), {"subset:s1": places})


def mixture(*parts):
    return Mixture(parts=[SharePart(policy=policy, share=share) for policy, share in parts])


# ------------------------------------------------------------------------------------- mixture

SHARES = st.lists(
    st.one_of(st.integers(1, 20), st.floats(0.01, 20, allow_nan=False)), min_size=1, max_size=12
)


@settings(deadline=None)
@given(SHARES, st.integers(1, 300))
def test_sizes_are_shared_out_by_largest_remainder(shares, size):
    sizes = mixture(*((Random(), share) for share in shares)).sizes(size)
    assert sum(sizes) == size
    total = sum(Fraction(share) for share in shares)
    exact = [size * Fraction(share) / total for share in shares]
    assert all(abs(n - x) < 1 for n, x in zip(sizes, exact, strict=True))
    up = [float(x - int(x)) for n, x in zip(sizes, exact, strict=True) if n > x]
    down = [float(x - int(x)) for n, x in zip(sizes, exact, strict=True) if n <= x and x != int(x)]
    assert min(up, default=1) >= max(down, default=0) - 1e-8


def test_ties_go_to_the_first_part():
    assert mixture(*((Random(), 1) for _ in range(12))).sizes(14) == [2, 2] + [1] * 10


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(PARTS), st.integers(1, 4)), min_size=1, max_size=4),
    st.integers(0, 3),
    st.integers(1, 20),
    st.permutations(range(60)),
)
def test_each_part_chooses_from_what_earlier_parts_left(parts, seed, size, stored):
    lengths = [(7 * i) % 23 + 1 for i in range(60)]
    pool, policy = pool_of(lengths), mixture(*parts)
    left, expected = list(range(60)), []
    for (part, _), count in zip(parts, policy.sizes(size), strict=True):
        if count:
            rows = select(part, pool.take(np.array(left)), count, Draw(seed))
            expected += [left[row] for row in rows]
            left = [row for row in left if row not in expected]
    rows = select(policy, pool, size, Draw(seed))
    assert sorted(rows.tolist()) == sorted(expected)
    assert rows.tolist() == Draw(seed).shuffled(pool, rows).tolist()
    assert select(policy, pool_of(lengths, stored), size, Draw(seed)).tolist() == rows.tolist()


@pytest.mark.parametrize(
    "policy",
    [
        mixture((Stratified(), 1), (Longest(), 2), (Random(), 0.25)),
        mixture((Subset(id="example"), 3)),
        Union(parts=[Subset(id="example"), Random(), Random()]),
        Union(parts=[make_policy("skewed", {"alpha": 1.0}), Longest()]),
        Union(parts=[Subset(id="example")]),
    ],
    ids=str,
)
def test_compositions_keep_the_contract(policy, pool):
    check_policy(policy, pool)


def test_a_mixture_of_what_ignores_the_seed_has_one_draw(pool):
    policy = mixture((Subset(id="example"), 1))
    assert not policy.uses_seed
    one, other = (policy.pick(pool, 30, Draw(seed)).tolist() for seed in (0, 5))
    assert one == other
    assert mixture((Subset(id="example"), 1), (Random(), 1)).uses_seed
    assert not policy.nested


def test_an_infeasible_part_is_named_with_what_was_left():
    pool = pool_of([5] * 60)
    policy = mixture((Random(), 3), (make_policy("one-label", {"label": "a"}), 1))
    message = (
        r"mixture: parts\[1\], choosing from 18 of 60: one-label: asked for 14 'a' doc.*has 10;"
    )
    with pytest.raises(Infeasible, match=message):
        policy.pick(pool, 56, Draw(5))


# --------------------------------------------------------------------------------------- union


def reference_turns(lists, size):
    """Take turns over endless lists of candidates, skipping what is there."""
    waiting, taken = [list(rows) for rows in lists], []
    for own in cycle(waiting):
        if len(taken) == size:
            return taken
        taken.append(next(row for row in own if row not in taken))
    raise AssertionError


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from([Random(), Longest(), Shortest(), Stratified(mix="proportional")]),
        min_size=1,
        max_size=4,
    ),
    st.integers(0, 3),
    st.integers(1, 60),
    st.permutations(range(60)),
)
def test_parts_take_turns_until_there_are_enough_distinct_documents(parts, seed, size, stored):
    lengths = [(7 * i) % 23 + 1 for i in range(60)]
    pool, policy = pool_of(lengths), Union(parts=parts)
    rows = select(policy, pool, size, Draw(seed)).tolist()
    whole = [part.pick(pool, 60, Draw(seed)).tolist() for part in parts]
    assert rows == reference_turns(whole, size)
    assert policy.nested
    assert select(policy, pool_of(lengths, stored), size, Draw(seed)).tolist() == rows


@settings(deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 12), unique=True, max_size=9), min_size=1, max_size=4),
    st.integers(1, 14),
)
def test_turns_end_at_the_list_that_has_nothing_new(lists, size):
    taken, short = taking_turns([np.array(rows, dtype=np.intp) for rows in lists], size)
    assert len(set(taken.tolist())) == len(taken) <= size
    if short is None:
        assert taken.tolist() == reference_turns(lists, size)
    else:
        assert set(lists[short]) <= set(taken.tolist())
        assert short == len(taken) % len(lists)
        assert taken.tolist() == reference_turns(lists, len(taken))


def test_a_part_is_asked_for_no_more_than_it_takes():
    pool = pool_of([*range(1, 61)])
    policy = Union(parts=[Subset(id="s1"), Random()])  # the subset is rows 3 ... 22
    keyed = Draw(0).order(pool.doc_ids).tolist()
    largest = 0
    for size in range(1, 61):
        try:
            rows = policy.pick(pool, size, Draw(0)).tolist()
        except Infeasible as error:
            assert "union: parts[0]: subset: asked for 21 documents" in str(error)
            break
        assert rows == reference_turns([range(3, 23), keyed], size)
        largest = size
    # its twenty documents are used up, some of them given by the other part
    assert set(range(3, 23)) <= set(policy.pick(pool, largest, Draw(0)).tolist())
    assert 20 < largest < 40


def test_a_union_is_nested_and_seeded_as_its_parts_are():
    assert not Union(parts=[Random(), make_policy("token-budget")]).nested
    assert not Union(parts=[Subset(id="s1")]).uses_seed
    assert Union(parts=[Subset(id="s1"), Random()]).uses_seed


# ---------------------------------------------------------------- parameters of parts, and names


@pytest.mark.parametrize(
    ("name", "parts", "where"),
    [
        ("mixture", lambda part: [{"policy": {"use": "random"}, "share": 1}, part], "parts[1]."),
        ("union", lambda part: [{"use": "random"}, part["policy"]], "parts[1]"),
    ],
)
def test_what_a_composition_needs_and_names_follows_from_its_parts(name, parts, where):
    inner = {"use": "skewed", "weights": {"sea": 1}, "filters": {"near_test": 0.7}}
    outer = {"use": "union", "parts": [inner, {"use": "k-center"}, {"use": "token-coverage"}]}
    given = {"parts": parts({"policy": outer, "share": 2}), "filters": {"duplicates": "drop"}}
    policy = make_policy(name, given)
    assert policy.needs == ("near-test", "vectors", "tokens")
    assert policy.every_need == ("near-test", "vectors", "tokens", "duplicates")
    ((parameter, label),) = policy.labels_named()
    assert label == "sea"
    assert (
        parameter
        == {
            "mixture": "parts[1].policy.parts[0].weights",
            "union": "parts[1].parts[0].weights",
        }[name]
    )
    assert make_policy(name, policy.params()) == policy
    assert where in parameter


@pytest.mark.parametrize(
    ("name", "params", "path", "message"),
    [
        (
            "shuffle",
            {"of": {"use": "k-center", "candidates": 0}},
            ("of", "candidates"),
            "k-center: candidates is 0; it must be greater than 0",
        ),
        (
            "shuffle",
            {"of": {"use": "k-centre"}},
            ("of", "use"),
            "k-centre: no policy is called 'k-centre'; did you mean 'k-center'?",
        ),
        ("shuffle", {}, ("of",), "the parameter 'of' is missing"),
        ("shuffle", {"of": {"use": "self-calibration"}}, ("of",), "of: self-calibration makes"),
        ("shuffle", {"of": "random"}, ("of",), "of: 'random' is not a policy; write it as {use:"),
        ("union", {"parts": []}, ("parts",), "parts is empty; it must have at least one entry"),
        (
            "union",
            {"parts": [{"use": "random"}, {"use": "skewed", "weights": {"a": -1}}]},
            ("parts", 1, "weights", "a"),
            "skewed: weights.a is -1; it must be greater than 0",
        ),
        (
            "mixture",
            {"parts": [{"policy": {"use": "random"}, "shore": 1, "share": 1}]},
            ("parts", 0, "shore"),
            "no parameter of parts[0] is called 'shore'; did you mean 'share'?",
        ),
        (
            "mixture",
            {"parts": [{"policy": {"use": "random"}}]},
            ("parts", 0, "share"),
            "the parameter 'parts[0].share' is missing",
        ),
        (
            "mixture",
            {"parts": [{"policy": {"use": "random"}, "share": 0}]},
            ("parts", 0, "share"),
            "parts[0].share is 0; it must be greater than 0",
        ),
        (
            "mixture",
            {
                "parts": [
                    {"policy": {"use": "shuffle", "of": {"use": "random", "x": 1}}, "share": 1}
                ]
            },
            ("parts", 0, "policy", "of", "x"),
            "shuffle: random: no parameter is called 'x'; known: 'filters'",
        ),
        (
            "random",
            {"filters": {"near_dupes": 0.8}},
            ("filters", "near_dupes"),
            "no parameter of filters is called 'near_dupes'",
        ),
    ],
)
def test_a_mistake_inside_a_part_is_said_at_its_place(name, params, path, message):
    (problem,) = parameter_problems(name, params)
    assert problem.path == path
    assert problem.message.startswith(message)
    with pytest.raises(BadInput) as caught:
        make_policy(name, params)
    assert str(caught.value).startswith(f"{name}: {message}")


def test_all_mistakes_of_all_parts_are_said():
    parts = [{"use": "longest", "candidates": 0, "x": 1}, {"use": "rndom"}, {"use": "random"}]
    paths = [problem.path for problem in parameter_problems("union", {"parts": parts})]
    assert paths == [("parts", 0, "candidates"), ("parts", 0, "x"), ("parts", 1, "use")]


def test_a_new_version_of_a_part_is_a_new_version_of_the_whole(monkeypatch):
    inner = {"use": "union", "parts": [{"use": "longest"}, {"use": "random"}]}
    mixed = make_policy("mixture", {"parts": [{"policy": inner, "share": 1}]})
    whole = [make_policy("shuffle", {"of": inner}), mixed, make_policy("noise-mix", {"of": inner})]
    assert [policy.version for policy in whole] == [1, 1, 1]
    monkeypatch.setattr(Longest, "version", 3)
    assert [policy.version for policy in whole] == [3, 3, 3]


def test_share_out_is_what_a_mixture_uses():
    assert mixture((Random(), 1), (Longest(), 2)).sizes(100) == list(
        share_out(100, {"a": 1, "b": 2}).values()
    )
