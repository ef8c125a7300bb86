"""Successive halving over made-up arms: what it measures, where it stops, how it goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibkit.decide.halving import FRESH, Arm, Ladder, Place, Step, next_step
from calibkit.errors import BadInput

Oracle = Callable[[Place], float]


def ladder(count: int, **how: int) -> Ladder:
    return Ladder(tuple(Arm(f"p{n:02d}", 64) for n in range(count)), "random", **how)


def noisy(seed: int, means: dict[str, float], sd: float) -> Oracle:
    """A value of its own for every arm and draw, whoever asks and in whatever order."""

    def value(at: Place) -> float:
        arm, draw = at
        rng = np.random.default_rng([seed, draw, *str(arm).encode()])
        return means.get(arm.policy, 0.8) + float(rng.normal(0, sd))

    return value


def finished(of: Ladder, oracle: Oracle, bad: frozenset[Arm] = frozenset()) -> list[Step]:
    """Measure step by step until nothing is missing; return the steps."""
    values: dict[Place, float] = {}
    failed: set[Place] = set()
    steps = []
    while (step := next_step(of, values, failed)).missing:
        steps.append(step)
        for at in step.missing:
            if at[0] in bad:
                failed.add(at)
            else:
                values[at] = oracle(at)
    return [*steps, step]


def test_every_round_has_half_of_the_arms_and_twice_the_draws() -> None:
    of = ladder(25)
    assert of.rounds == ((25, 2), (12, 4), (6, 8))
    steps = finished(of, noisy(0, {}, 0.01))
    spent = [len(step.missing) for step in steps]
    assert spent == [50, 24, 24, 4 * 12, 0]
    assert of.draws_in_all == sum(spent)
    assert [step.stage for step in steps] == ["race"] * 3 + ["judge"] * 2


def test_more_is_spent_on_the_better_arms() -> None:
    means = {f"p{n:02d}": 0.8 - 0.01 * n for n in range(25)}
    steps = finished(ladder(25), noisy(1, means, 0.003))
    spent = Counter(arm.policy for step in steps for arm, _ in step.missing)
    assert all(spent[f"p{n:02d}"] == 8 + 12 for n in range(3))
    assert all(spent[f"p{n:02d}"] == 2 for n in range(13, 25))


def test_the_best_arm_is_nearly_always_a_finalist() -> None:
    kept = 0
    for seed in range(100):
        step = finished(ladder(25), noisy(seed, {"p17": 0.83}, 0.02))[-1]
        kept += any(arm.policy == "p17" for arm in step.left)
    assert kept >= 90


def test_finalists_are_judged_on_draws_that_did_not_choose_them() -> None:
    steps = finished(ladder(10), noisy(2, {}, 0.01))
    race = {seed for step in steps if step.stage == "race" for _, seed in step.places}
    judged = steps[-1].places
    assert race == set(range(4))
    assert {seed for _, seed in judged} == set(range(FRESH, FRESH + 12))
    assert {arm.policy for arm, _ in judged} == {"random", *(a.policy for a in steps[-1].left)}
    assert [seed for _, seed in judged] == sorted(seed for _, seed in judged)


def test_the_reference_is_judged_at_every_size_that_is_left() -> None:
    arms = tuple(Arm(name, size) for name in "abc" for size in (16, 64, 256))
    means = {"a": 0.9, "b": 0.7, "c": 0.6}
    step = finished(Ladder(arms, "random"), noisy(3, means, 0.001))[-1]
    assert {arm.policy for arm in step.left} == {"a"}
    judged = {arm for arm, _ in step.places}
    assert {a.size for a in judged if a.policy == "random"} == {a.size for a in step.left}


def test_few_candidates_are_judged_at_once() -> None:
    of = ladder(2)
    assert of.rounds == ()
    (first, last) = finished(of, noisy(4, {}, 0.01))
    assert (first.stage, len(first.missing), last.missing) == ("judge", 3 * 12, ())


@given(st.integers(1, 40), st.integers(1, 6), st.randoms(use_true_random=False))
def test_interruptions_change_nothing(count: int, finalists: int, when: object) -> None:
    """Whatever part of a step was measured before it was cut off, the end is the same."""
    of = ladder(count, finalists=finalists, fresh=3)
    oracle = noisy(5, {"p01": 0.82}, 0.02)
    whole = finished(of, oracle)
    values: dict[Place, float] = {}
    asked: set[Place] = set()
    while (step := next_step(of, values)).missing:
        part = when.randint(1, len(step.missing))  # type: ignore[attr-defined]
        for at in step.missing[:part]:
            assert at not in asked
            asked.add(at)
            values[at] = oracle(at)
    assert step == whole[-1]
    assert asked == {at for one in whole for at in one.missing}


def test_an_arm_that_cannot_be_measured_is_out() -> None:
    bad = frozenset({Arm("p00", 64), Arm("p05", 64)})
    steps = finished(ladder(8), noisy(6, {"p00": 0.99}, 0.01), bad)
    assert not bad & set(steps[-1].left)
    assert len(steps[-1].left) == 3
    spent = Counter(arm for step in steps for arm, _ in step.missing)
    assert all(spent[arm] == 2 for arm in bad)


def test_where_no_arm_can_be_measured_nothing_is_left() -> None:
    of = ladder(8)
    step = finished(of, noisy(7, {}, 0.01), frozenset(of.arms))[-1]
    assert (step.left, step.places) == ((), ())


def test_equal_arms_keep_their_order() -> None:
    step = finished(ladder(9), lambda at: 0.5)[-1]
    assert [arm.policy for arm in step.left] == ["p00", "p01", "p02"]


@pytest.mark.parametrize(
    ("arms", "how", "message"),
    [
        ((), {}, "no candidates"),
        ((Arm("a", 8), Arm("a", 8)), {}, "named twice"),
        ((Arm("random", 8),), {}, "held against"),
        ((Arm("a", 8),), {"draws": 0}, "draws: 0 is not allowed"),
        ((Arm("a", 8),), {"fresh": 0}, "fresh: 0 is not allowed"),
    ],
)
def test_what_is_no_ladder_is_refused(
    arms: tuple[Arm, ...], how: dict[str, int], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        Ladder(arms, "random", **how)
