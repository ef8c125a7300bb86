"""subset and shuffle: documents chosen before, and their order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.errors import BadInput, Infeasible
from calibkit.policies import Draw, Longest, Pool, Random, Shuffle, Subset, make_policy, select
from calibkit.policies.filters import Filters
from calibkit.testing import check_policy


@settings(deadline=None)
@given(st.integers(1, 30), st.data())
def test_a_subset_comes_in_its_own_order_whatever_the_storage_and_the_seed(documents, data):
    ids = [f"d{i:02}" for i in range(documents)]
    chosen = data.draw(st.lists(st.sampled_from(ids), unique=True, min_size=1))
    stored = data.draw(st.permutations(ids))
    places = np.array([chosen.index(i) if i in chosen else -1 for i in stored])
    pool = Pool(tuple(stored), ("x",) * documents, np.ones(documents), {"subset:s1": places})
    size = data.draw(st.integers(1, len(chosen)))
    seed = data.draw(st.integers(0, 3))
    rows = select(Subset(id="s1"), pool, size, Draw(seed))
    assert list(pool.ids(rows)) == chosen[:size]


def few(pool, count):
    places = np.full(len(pool), -1)
    places[5 : 5 + count] = np.arange(count)[::-1]
    return pool.with_arrays(**{"subset:few": places})


def test_more_than_the_subset_has_is_infeasible_with_both_numbers(pool):
    with pytest.raises(Infeasible, match="asked for 21 documents, the subset few has 20 of"):
        select(Subset(id="few"), few(pool, 20), 21, Draw(0))


def test_a_subset_needs_its_places_by_name(pool):
    assert Subset(id="few").every_need == ("subset:few",)
    with pytest.raises(Infeasible, match="subset needs the 'subset:few'"):
        select(Subset(id="few"), pool, 3, Draw(0))


def test_filters_leave_documents_out_of_a_subset_and_keep_its_order(pool):
    long = Filters(min_tokens=40)
    whole = Subset(id="example").pick(pool, 400, Draw(0))
    expected = [row for row in whole.tolist() if pool.lengths[row] >= 40][:10]
    rows = select(Subset(id="example", filters=long), pool, 10, Draw(0))
    assert rows.tolist() == expected


# ------------------------------------------------------------------------------------- shuffle


@pytest.mark.parametrize("of", [Longest(), Subset(id="example"), Random()], ids=str)
def test_a_shuffle_is_the_same_documents_in_an_order_of_the_seed(of, pool):
    policy = Shuffle(of=of)
    check_policy(policy, pool)
    expected = of.pick(pool, 40, Draw(0)).tolist()
    orders = [policy.pick(pool, 40, Draw(seed)).tolist() for seed in range(4)]
    assert all(sorted(order) == sorted(expected) for order in orders)
    assert len({tuple(order) for order in [expected, *orders]}) == 5


def test_of_seed_says_which_draw_is_shuffled(pool):
    rows = Shuffle(of=Random(), of_seed=3).pick(pool, 40, Draw(0))
    assert set(rows) == set(Random().pick(pool, 40, Draw(3)))


def test_the_order_of_a_mix_that_shuffles_itself_changes_too(pool):
    of = make_policy("skewed", {"alpha": 1.0})
    assert Shuffle(of=of).pick(pool, 30, Draw(0)).tolist() != of.pick(pool, 30, Draw(0)).tolist()


def test_what_a_shuffle_needs_and_names_is_what_the_other_policy_does():
    given = {
        "use": "k-center",
        "features": "hidden",
        "filters": {"duplicates": "drop", "near_duplicates": 0.9},
    }
    policy = make_policy("shuffle", {"of": given})
    assert policy.every_need == ("hidden", "duplicates", "minhash")
    label = make_policy("shuffle", {"of": {"use": "one-label", "label": "sea"}})
    assert label.labels_named() == (("of.label", "sea"),)


def test_a_shuffle_is_written_as_it_is_read():
    written = {"of": {"use": "subset", "id": "s1-0"}, "of_seed": 0}
    policy = make_policy("shuffle", {"of": {"use": "subset", "id": "s1-0"}})
    assert policy.params() == written
    assert make_policy("shuffle", written) == policy


@pytest.mark.parametrize("seed", [-1, 1.5])
def test_of_seed_is_a_whole_number_from_zero(seed):
    with pytest.raises(BadInput, match="shuffle: of_seed is"):
        make_policy("shuffle", {"of": {"use": "random"}, "of_seed": seed})
