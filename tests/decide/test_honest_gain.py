"""The gain of choosing the best, judged where the choice had no say."""

from __future__ import annotations

import numpy as np
import pytest

from calibkit.decide.arms import area
from calibkit.decide.halving import Arm
from calibkit.decide.honest import Halves, honest_gain

Values = dict[Arm, dict[int, Halves]]


def made(rng: np.random.Generator, means: dict[str, float], draws: int, sd: float) -> Values:
    """Values on two halves of the documents: a draw's own luck, and each half's own."""
    found: Values = {}
    for policy, mean in means.items():
        of_documents = rng.normal(0, sd, 2)
        found[Arm(policy, 64)] = {
            seed: tuple(mean + of_documents + rng.normal(0, sd) + rng.normal(0, sd, 2))  # type: ignore[misc]
            for seed in range(draws)
        }
    return found


def test_without_true_differences_it_is_zero_on_average_where_the_best_mean_is_not() -> None:
    rng = np.random.default_rng(0)
    honest, naive = [], []
    for _ in range(200):
        values = made(rng, {"random": 0.8, **{f"p{n}": 0.8 for n in range(12)}}, 6, 0.01)
        found = honest_gain(values, "random")
        assert found is not None
        honest.append(found.gain)
        mean = {arm: np.mean(list(by_seed.values())) for arm, by_seed in values.items()}
        naive.append(max(mean.values()) - mean[Arm("random", 64)])
    error = np.std(honest) / np.sqrt(len(honest))
    assert abs(np.mean(honest)) < 3 * error
    assert np.mean(naive) > 10 * error


def test_a_true_gain_is_seen_whole_and_always_picked() -> None:
    means = {"random": 0.8, "good": 0.85, "bad": 0.7}
    found = honest_gain(made(np.random.default_rng(1), means, 8, 0.001), "random")
    assert found is not None
    assert found.gain == pytest.approx(0.05, abs=0.003)
    assert (found.splits, found.picks) == (16, {Arm("good", 64): 16})


def test_where_nothing_is_better_random_is_the_choice_and_gains_nothing() -> None:
    means = {"random": 0.8, "bad": 0.7}
    found = honest_gain(made(np.random.default_rng(2), means, 5, 0.001), "random")
    assert found is not None
    assert (found.gain, found.picks) == (0.0, {Arm("random", 64): 10})


def test_one_draw_is_no_evidence() -> None:
    assert (
        honest_gain(made(np.random.default_rng(3), {"random": 0.8, "a": 0.9}, 1, 0), "random")
        is None
    )


def test_candidates_are_held_against_the_reference_of_their_size() -> None:
    flat = {seed: (0.5, 0.5) for seed in range(4)}
    values = {
        Arm("random", 16): {seed: (0.1, 0.1) for seed in range(4)},
        Arm("random", 64): flat,
        Arm("a", 16): {seed: (0.2, 0.2) for seed in range(4)},
        Arm("a", 64): flat,
    }
    found = honest_gain(values, "random")
    assert found is not None
    assert found.gain == pytest.approx(0.1)
    assert set(found.picks) == {Arm("a", 16)}


def test_the_area_is_a_mean_over_levels_and_not_over_what_was_measured() -> None:
    assert area([(0.0, 0.9), (0.1, 0.7)]) == pytest.approx(0.8)
    assert area([(0.2, 0.5), (0.0, 0.9), (0.1, 0.7), (0.05, 0.8)]) == pytest.approx(0.7)
