"""The rule on values per draw: simulated stores, thin evidence, several sizes, cheaper policies."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibkit.decide.halving import Arm
from calibkit.decide.recommend import (
    Choice,
    Refusal,
    Rule,
    Scored,
    decide,
    fewest_draws,
    ranked,
)
from calibkit.errors import BadInput
from calibkit.measure.detectable import minimal_detectable_difference

SD = 0.004


def cells(name: str, values: np.ndarray) -> list[Scored]:
    """One float model, one draw per value."""
    return [Scored(0, seed, f"{name}{seed}", float(v)) for seed, v in enumerate(values)]


def simulated(
    rng: np.random.Generator, means: dict[Arm, float], draws: int, sd: float = SD
) -> dict[Arm, list[Scored]]:
    return {arm: cells(str(arm), rng.normal(mean, sd, draws)) for arm, mean in means.items()}


def level(candidates: int, gain: float = 0.0) -> dict[Arm, float]:
    """`random` and candidates that are as good, the first of them better by the gain."""
    means = {Arm("random", 64): 0.8}
    for number in range(candidates):
        means[Arm(f"policy{number}", 64)] = 0.8 + (gain if not number else 0.0)
    return means


def exact(gains: dict[str, float], draws: int = 12) -> dict[Arm, list[Scored]]:
    """Arms whose draws spread by .1 points around random's own, in another order each."""
    base = 0.8 + 0.01 * np.sin(np.arange(draws))
    found = {Arm("random", 64): cells("random", base)}
    for number, (name, gain) in enumerate(gains.items()):
        own = base + gain + 0.001 * np.cos(np.arange(draws) * (number + 1))
        found[Arm(name, 64)] = cells(name, own)
    return found


def test_without_true_differences_random_is_recommended_in_95_of_100_stores() -> None:
    rng = np.random.default_rng(20)
    found = [decide(simulated(rng, level(8), 10), "random", Rule()) for _ in range(200)]
    assert all(isinstance(one, Choice) for one in found)
    random = sum(isinstance(one, Choice) and one.arm.policy == "random" for one in found)
    assert random >= 190


def test_a_true_difference_above_the_detectable_one_is_found_with_the_stated_power() -> None:
    candidates, draws = 4, 12
    of_pairs = SD * math.sqrt(2)
    detectable = minimal_detectable_difference(of_pairs, draws, 0.8, 1 - 0.05 / candidates)
    assert detectable is not None
    rng = np.random.default_rng(21)
    means = level(candidates, 1.1 * detectable)
    found = [decide(simulated(rng, means, draws), "random", Rule()) for _ in range(150)]
    hits = sum(isinstance(one, Choice) and one.arm.policy == "policy0" for one in found)
    assert hits >= 0.8 * 150


def test_the_best_by_its_mean_is_not_recommended_for_it() -> None:
    rng = np.random.default_rng(22)
    found = decide(simulated(rng, level(30), 6), "random", Rule())
    assert isinstance(found, Choice)
    assert found.standings[0].gain.gain > 0
    assert found.arm == Arm("random", 64)
    assert found.grounds in ("equivalent", "not established")
    assert found.runner_up == found.standings[0].arm
    assert found.over_runner_up is not None
    assert found.over_runner_up.gain == pytest.approx(-found.standings[0].gain.gain)


def test_an_established_policy_is_recommended_with_its_gain_over_random() -> None:
    found = decide(exact({"good": 0.02, "bad": -0.02, "fair": 0.01}), "random", Rule())
    assert isinstance(found, Choice)
    assert (found.arm.policy, found.grounds) == ("good", "established")
    assert found.standing is not None
    assert found.standing.gain.gain == pytest.approx(0.02, abs=0.001)
    assert found.standing.p_adjusted == pytest.approx(3 * found.standing.p)
    assert found.runner_up == Arm("fair", 64)
    assert found.over_runner_up is not None
    assert found.over_runner_up.verdict == "better"


def test_of_two_as_good_the_one_that_looks_at_less_is_recommended() -> None:
    arms = exact({"deep": 0.0205, "plain": 0.02})
    deep = decide(arms, "random", Rule())
    plain = decide(arms, "random", Rule(), {"deep": 2, "plain": 0})
    assert isinstance(deep, Choice)
    assert isinstance(plain, Choice)
    assert deep.arm.policy == "deep"
    assert (plain.arm.policy, plain.grounds) == ("plain", "cheaper and equivalent")
    assert plain.runner_up == Arm("deep", 64)


def test_several_float_models_are_clustered() -> None:
    """A gain that only one of three float models has is no gain of all that could be trained."""

    def over(gain_of: list[float]) -> Choice:
        arms: dict[Arm, list[Scored]] = {Arm("random", 64): [], Arm("good", 64): []}
        rng = np.random.default_rng(5)
        for model, gain in enumerate(gain_of):
            for seed in range(8):
                base = 0.8 + float(rng.normal(0, 0.001))
                arms[Arm("random", 64)].append(Scored(model, seed, f"r{seed}", base))
                value = base + gain + float(rng.normal(0, 0.001))
                arms[Arm("good", 64)].append(Scored(model, seed, f"g{seed}", value))
        found = decide(arms, "random", Rule(tolerance=0.5))
        assert isinstance(found, Choice)
        return found

    all_of_them, one_of_them = over([0.02, 0.02, 0.02]), over([0.06, 0.0, 0.0])
    gain = all_of_them.standings[0].gain
    assert (all_of_them.arm.policy, gain.models, gain.draws) == ("good", 3, 8)
    assert one_of_them.arm.policy == "random"
    assert one_of_them.standings[0].gain.gain == pytest.approx(gain.gain, abs=0.001)


def test_a_gain_that_is_real_but_within_the_margin_leaves_random() -> None:
    found = decide(exact({"hair": 0.003}), "random", Rule())
    assert isinstance(found, Choice)
    assert (found.arm.policy, found.grounds) == ("random", "equivalent")


def test_too_few_draws_are_refused_with_their_number() -> None:
    found = decide(exact({"good": 0.02}, draws=3), "random", Rule())
    assert isinstance(found, Refusal)
    assert "only 3 draws" in found.reasons[0]
    assert "at least 6" in found.reasons[0]


def test_seeds_that_gave_the_same_documents_are_one_draw() -> None:
    arms = exact({"good": 0.02})
    once = [Scored(0, c.seed, "the same", 0.82) for c in arms[Arm("good", 64)]]
    same = {Arm("good", 64): once, Arm("random", 64): [*arms[Arm("random", 64)]]}
    twice = {**same, Arm("random", 64): [Scored(0, s, "one", 0.8) for s in range(12)]}
    assert isinstance(decide(twice, "random", Rule()), Refusal)
    assert isinstance(decide(same, "random", Rule()), Choice)  # other random documents each time


def test_no_random_arm_and_nothing_beside_it_are_refused() -> None:
    arms = exact({"good": 0.02})
    lone = decide({Arm("good", 64): arms[Arm("good", 64)]}, "random", Rule())
    alone = decide({Arm("random", 64): arms[Arm("random", 64)]}, "random", Rule())
    assert isinstance(lone, Refusal)
    assert "no cell of 'random'" in lone.reasons[0]
    assert isinstance(alone, Refusal)
    assert "nothing to compare it with" in alone.reasons[0]


def test_wide_intervals_are_refused_with_the_draws_that_would_do() -> None:
    rng = np.random.default_rng(23)
    arms = simulated(rng, level(20, 0.15), 6, sd=0.08)
    found = decide(arms, "random", Rule())
    assert isinstance(found, Refusal)
    assert "beyond doubt" in found.reasons[0]
    assert "with 10 it can" in found.reasons[1]
    assert found.draws >= 10
    assert isinstance(decide(arms, "random", Rule(tolerance=0.9)), Choice)


def test_a_candidate_with_few_draws_is_left_out_and_named() -> None:
    arms = exact({"good": 0.02, "new": 0.05})
    arms[Arm("new", 64)] = arms[Arm("new", 64)][:3]
    found = decide(arms, "random", Rule())
    assert isinstance(found, Choice)
    assert found.arm.policy == "good"
    assert found.left_out == (Arm("new", 64),)
    assert len(found.standings) == 1


def sized(by_size: dict[int, dict[str, float]], draws: int = 12) -> dict[Arm, list[Scored]]:
    """Arms of several sizes: mean values; their draws spread by .1 points."""
    return {
        Arm(name, size): cells(
            f"{name}{size}", mean + 0.001 * np.cos(np.arange(draws) * (size + len(name)))
        )
        for size, means in by_size.items()
        for name, mean in means.items()
    }


def test_the_smallest_size_that_is_as_good_is_recommended() -> None:
    worlds = {16: {"random": 0.7, "k": 0.7}, 64: {"random": 0.8, "k": 0.8}}
    arms = sized({**worlds, 256: {"random": 0.801, "k": 0.801}})
    found = decide(arms, "random", Rule())
    assert isinstance(found, Choice)
    assert found.arm == Arm("random", 64)


def test_a_gain_over_random_of_a_size_that_is_bad_is_no_reason() -> None:
    arms = sized({16: {"random": 0.7, "k": 0.75}, 256: {"random": 0.8, "k": 0.8}})
    found = decide(arms, "random", Rule())
    assert isinstance(found, Choice)
    assert found.arm.policy == "random"
    assert found.base == Arm("random", 256)
    small = next(one for one in found.standings if one.arm.size == 16)
    assert small.gain.gain == pytest.approx(0.05, abs=0.001)
    assert small.over_base is not None
    assert small.over_base.gain == pytest.approx(-0.05, abs=0.001)
    assert not small.established


def test_options_are_ranked_by_draws_that_they_share() -> None:
    base = 0.8 + 0.05 * np.sin(np.arange(8))
    options = {
        "poor": cells("x", base - 0.2),
        "fine": cells("x", base),
        "close": cells("x", base - 0.0005 * np.arange(8)),
        "thin": cells("x", base[:2] + 0.1),
    }
    found = ranked(options, Rule())
    assert [name for name, _ in found] == ["fine", "close", "poor"]
    poor = found[2][1]
    assert (poor.gain, poor.verdict) == (pytest.approx(0.2), "better")
    assert found[1][1].verdict == "same"


@given(st.integers(1, 200))
def test_so_many_draws_can_establish_and_one_less_cannot(candidates: int) -> None:
    draws = fewest_draws(candidates)
    assert candidates * 2 / 2**draws <= 0.05 < candidates * 2 / 2 ** (draws - 1)


@given(st.randoms(use_true_random=False))
def test_the_order_of_arms_and_cells_does_not_matter(shuffler: object) -> None:
    arms = simulated(np.random.default_rng(4), level(3, 0.01), 7)
    names = list(arms)
    shuffler.shuffle(names)  # type: ignore[attr-defined]
    other = {name: sorted(arms[name], key=lambda c: -c.value) for name in names}
    assert decide(arms, "random", Rule()) == decide(other, "random", Rule())


def test_a_rule_without_intervals_is_refused() -> None:
    with pytest.raises(BadInput, match="one draw has no interval"):
        Rule(draws=1)
    with pytest.raises(BadInput, match="above 0"):
        Rule(tolerance=0.0)


def test_no_candidate_with_enough_draws_is_refused() -> None:
    arms = exact({"new": 0.05})
    arms[Arm("new", 64)] = arms[Arm("new", 64)][:1]
    found = decide(arms, "random", Rule())
    assert isinstance(found, Refusal)
    assert "the most that one has is 1 draw" in found.reasons[0]
