"""Subsets that follow a stream: who stays, who leaves, and that nothing else decides it."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibkit.identity import draw_order
from calibkit.policies import Draw
from calibkit.ragged import Ragged
from calibkit.recipe.stream_model import SubsetUpdate
from calibkit.stream.members import START, Members
from calibkit.stream.subset_update import RULES, Offer, updated


def members(names, *, phase=START, labels=None):
    tokens = Ragged.of([[1, 5 + place % 7, 2] for place in range(len(names))])
    given_labels = np.zeros(len(names), np.int64) if labels is None else np.array(labels)
    return Members.arrived(tuple(names), tokens, given_labels, phase)


class Told:
    """A look whose answers are written down, and which counts the questions."""

    def __init__(self, *, states=None, ranges=None, right=None):
        self.answers = {"states": states, "ranges": ranges, "right": right}
        self.asked = []

    def _give(self, name):
        self.asked.append(name)
        assert self.answers[name] is not None, f"nobody should ask for {name}"
        return np.asarray(self.answers[name])

    def states(self):
        return self._give("states")

    def ranges(self):
        return self._give("ranges")

    def right(self):
        return self._give("right")


def offer(subset, batch, size, *, look=None, step=1, seed=0):
    candidates = subset.and_then(batch)
    return Offer(candidates, len(subset), size, Draw(seed, "stream"), step, look or Told())


OLD, NEW = members(["a", "b", "c"]), members(["d", "e"], phase=0)


def test_every_subset_update_of_recipes_has_a_rule():
    assert set(RULES) == set(get_args(SubsetUpdate))


def test_frozen_keeps_the_subset_and_fifo_the_latest():
    assert updated("frozen", offer(OLD, NEW, 3)).doc_ids == ("a", "b", "c")
    assert updated("fifo", offer(OLD, NEW, 3)).doc_ids == ("c", "d", "e")
    assert updated("fifo", offer(OLD, members(list("defgh")), 3)).doc_ids == ("f", "g", "h")


def test_everything_keeps_all_of_them_whatever_the_size():
    found = updated("everything", offer(OLD, NEW, 2))
    assert found.doc_ids == ("a", "b", "c", "d", "e")
    assert found.phases.tolist() == [START] * 3 + [0, 0]


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    size=st.integers(1, 8),
    seed=st.integers(0, 99),
)
def test_a_reservoir_depends_on_what_came_and_not_on_the_batches(sizes, size, seed):
    names = [f"d{place:03}" for place in range(size + sum(sizes))]
    subset, start = members(names[:size]), size
    for step, count in enumerate(sizes, start=1):
        batch = members(names[start : start + count], phase=step)
        subset = updated("reservoir", offer(subset, batch, size, step=step, seed=seed))
        start += count
    expected = [names[place] for place in draw_order(seed, "stream", names)[:size]]
    assert sorted(subset.doc_ids) == sorted(expected)


def test_a_reservoir_is_a_uniform_sample_of_everything_seen():
    names = [f"d{place}" for place in range(12)]
    counts = dict.fromkeys(names, 0)
    for seed in range(3000):
        subset = members(names[:4])
        for start in (4, 8):
            batch = members(names[start : start + 4])
            subset = updated("reservoir", offer(subset, batch, 4, seed=seed))
        for name in subset.doc_ids:
            counts[name] += 1
    # a share of 1/3 each: 1,000 +- 26; five of those is once in two million
    assert all(abs(count - 1000) < 5 * 26 for count in counts.values())


def test_herding_takes_one_of_each_cluster():
    states = np.zeros((6, 4), np.float32)
    states[:3] += [10, 0, 0, 0]
    states[3:] += [0, 0, 10, 0]
    states += np.random.default_rng(0).normal(size=states.shape).astype(np.float32) * 0.1
    look = Told(states=states)
    found = updated("herding", offer(OLD, members(["x", "y", "z"]), 2, look=look))
    assert {name in "abc" for name in found.doc_ids} == {True, False}
    assert look.asked == ["states"]


def test_range_cover_takes_the_extremes_of_a_site():
    ranges = np.array([[[-1, 1]], [[-9, 1]], [[-1, 1]], [[-2, 9]], [[-1, 1]]], np.float32)
    found = updated("range-cover", offer(OLD, NEW, 2, look=Told(ranges=ranges)))
    assert found.doc_ids == ("b", "d")


def test_a_miss_is_a_turn_from_right_to_wrong_and_newcomers_have_one_if_they_are_wrong():
    seen = OLD.and_then(NEW).looked_at(np.array([True, False, True, False, True]))
    assert seen.misses.tolist() == [0, 1, 0, 1, 0]
    again = seen.looked_at(np.array([False, False, True, True, False]))
    assert again.misses.tolist() == [1, 1, 0, 1, 1]
    assert again.right.tolist() == [False, False, True, True, False]


def test_miss_pmf_gives_every_level_of_misses_its_share():
    subset = members([f"a{place}" for place in range(6)])
    batch = members([f"b{place}" for place in range(6)])
    right = [True] * 6 + [True, True, False, False, False, False]
    found = updated("miss-pmf", offer(subset, batch, 6, look=Told(right=right)))
    # 8 of 12 have none, 4 of 12 have one: 4 and 2 of six
    assert sorted(found.misses.tolist()) == [0, 0, 0, 0, 1, 1]
    other = updated("miss-pmf", offer(subset, batch, 6, look=Told(right=right), step=2))
    assert other.doc_ids != found.doc_ids  # drawn anew at every step


@pytest.mark.parametrize("name", [name for name in RULES if name not in ("frozen", "everything")])
def test_the_budget_is_kept_and_nothing_is_asked_for_that_the_rule_does_not_read(name):
    rng = np.random.default_rng(1)
    answers = {
        "herding": {"states": rng.normal(size=(9, 3)).astype(np.float32)},
        "range-cover": {"ranges": np.sort(rng.normal(size=(9, 2, 2)).astype(np.float32))},
        "miss-pmf": {"right": rng.random(9) < 0.5},
    }
    look = Told(**answers.get(name, {}))
    found = updated(name, offer(members("abcde"), members("fghi", phase=2), 5, look=look))
    assert len(set(found.doc_ids)) == 5
    assert look.asked == list(answers.get(name, {}))
    phase = dict(zip("abcdefghi", [START] * 5 + [2] * 4, strict=True))
    assert found.phases.tolist() == [phase[doc_id] for doc_id in found.doc_ids]


def test_the_content_of_a_subset_is_its_order_and_its_noise():
    same = members(["a", "b", "c"])
    assert OLD.content() == same.content()
    assert OLD.content() != OLD.take(np.array([1, 0, 2])).content()
    noisy = Members.arrived(
        same.doc_ids, Ragged.of([[1, 5, 2], [1, 3, 2], [1, 7, 2]]), same.labels, START
    )
    assert noisy.content() != OLD.content()
