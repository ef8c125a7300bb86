"""Findings: what the numbers decide is said, and nothing beyond it."""

from __future__ import annotations

import re

import pytest
from made_study import CLEAN, FLOAT, jitter, ordinary

from calibkit.report.answers import (
    headline,
    how_sure,
    quantizer_first,
    what_it_costs,
    where_it_fails,
    which_policy,
)
from calibkit.report.html import join
from calibkit.report.study import read_study


def plain(*said) -> str:
    return re.sub(r"<[^>]+>", "", join(*said)).replace("&#x27;", "'")


def everything(study) -> str:
    return plain(
        headline(study), quantizer_first(study), which_policy(study), how_sure(study),
        what_it_costs(study), where_it_fails(study),
    )  # fmt: skip


def gaining(policy, gain, size=0.002):
    """Accuracies where one policy gains at 4 bits, and nothing else happens."""

    def accuracy(point):
        more = gain if point.policy == policy and point.bits == 4 else 0.0
        noise = jitter(point.model, point.policy, point.seed, point.bits, size=size)
        return 0.8 + more + noise

    return accuracy


ONE_MODEL = (
    CLEAN.replace("[generative, discriminative]", "[generative]")
    .replace(", discriminative: {}", "")
    .replace("bits: [8, 4]", "bits: [4]")
)


def test_a_gain_that_survives_correction_is_called_better(made):
    study = read_study(*made(ONE_MODEL, 10, gaining("longest", 0.05)))
    told = r"longest is better than random in 1 of 1 setting, by up to \+[45]\.\d points"
    assert re.match(told, plain(headline(study)))
    said = plain(which_policy(study))
    assert "ahead in 10 of 10 pairs; p = .004 after correction" in said
    assert "Not decided" not in said


def test_the_same_gain_with_few_draws_is_ahead_and_not_decided(made):
    study = read_study(*made(ONE_MODEL, 4, gaining("longest", 0.05)))
    assert plain(headline(study)).startswith("No policy is shown to be better than random")
    said = plain(which_policy(study))
    assert "Not decided: an exact test of 4 draws cannot give less than p = .125" in said
    assert "With fewer than 6 draws an exact test cannot reach p = .05" in plain(how_sure(study))


@pytest.mark.parametrize("draws", [2, 5])
def test_nothing_is_called_better_or_worse_with_few_draws_whatever_the_gain(made, draws):
    study = read_study(*made(CLEAN, draws, gaining("longest", 0.10, size=0.03)))
    assert {one.standing for one in study.comparisons} <= {
        "ahead", "behind", "open", "same", "unknown",
    }  # fmt: skip
    assert " is better than " not in everything(study)
    assert plain(headline(study)).startswith(
        ("No policy is shown", "Which policy is better is not")
    )


def test_one_draw_has_no_interval_and_no_p(made):
    study = read_study(*made(CLEAN, 1))
    said = everything(study)
    assert "is not decided" in plain(headline(study))
    assert "with one draw in common there is no interval" in said
    assert not re.search(r"points \[|p = \.\d+ alone", said)


def test_a_difference_that_does_not_matter_is_called_that(made):
    study = read_study(*made(CLEAN, 6, gaining("longest", 0.0, size=0.0005)))
    assert "made no difference that matters" in plain(headline(study))
    assert "8 of 8 comparisons lie inside ±0.5 points." in plain(which_policy(study))


def test_who_loses_is_named_as_not_decided(whole):
    study = read_study(*whole)
    said = plain(where_it_fails(study))
    assert (
        "2 comparisons with an interval below 0 and half a point or more, 0 of them decided" in said
    )
    assert "longest −10.1" in said
    assert "10 % keyboard noise costs the quantized network +10.0 points" in said


def test_without_random_draws_no_policy_is_called_better(made):
    text = CLEAN.replace("random: {use: random}", "random: {use: shortest}")
    study = read_study(*made(text, 6))
    assert study.reference is None and study.comparisons == ()
    said = everything(study)
    assert "no random draws in this study" in said and "Add the policy random" in said
    assert " is better than " not in said


def test_only_random_is_nothing_to_compare(made):
    def only_random(point):
        return ordinary(point) if point.policy == "random" else None

    study = read_study(*made(CLEAN, 3, only_random))
    told = "Only random is measured: there is nothing to compare it with."
    assert plain(headline(study)) == told
    assert "This is part of the study" in plain(how_sure(study))


def test_dead_networks_are_no_evidence(made):
    def accuracy(point):
        return 0.5 if point.bits == 4 else gaining("longest", 0.0)(point)

    def flags(point):
        return "dead-lstm,one-label" if point.bits == 4 else ""

    study = read_study(*made(CLEAN, 6, accuracy, flags=flags))
    assert len(study.collapsed) == 2 and len(study.telling) == len(study.comparisons) / 2
    said = everything(study)
    assert "Left out: 2 settings in which no network works any more" in said
    assert "36 of 72 cells have a sign of it (dead-lstm and one-label)" in said
    assert "Between networks that no longer work: 4 of them" in said


def test_a_policy_whose_network_lives_where_that_of_random_is_dead_stands_out(made):
    def accuracy(point):
        dead = point.bits == 4 and point.policy != "longest"
        return 0.5 if dead else 0.8 + jitter(point.policy, point.seed)

    def flags(point):
        return "dead-lstm" if point.bits == 4 and point.policy != "longest" else ""

    study = read_study(*made(CLEAN, 6, accuracy, flags=flags))
    assert study.collapsed == frozenset()
    said = plain(which_policy(study))
    assert "where random keeps 50.0 % [50.0, 50.0] (its network no longer works): +30." in said
    assert "in the other 2 settings" in said.lower()


SCHEMES = CLEAN.replace("  bits: [8, 4]", "  bits: [4]\n  preset: [robust, brevitas-default]")


def test_the_quantizer_is_put_first_where_it_does_more_than_any_policy(made):
    def accuracy(point):
        lost = 0.2 if point.preset == "brevitas-default" else 0.0
        lost -= 0.1 if lost and point.policy == "longest" else 0.0
        return 0.8 - lost + jitter(point.policy, point.seed, point.model)

    study = read_study(*made(SCHEMES, 6, accuracy))
    said = plain(quantizer_first(study))
    assert said.count("The quantizer matters more than the documents") == 2
    assert "Even longest, the best there, keeps 7" in said


def test_the_quantizer_is_not_put_first_where_a_policy_makes_up_for_it(made):
    def accuracy(point):
        lost = 0.2 if point.preset == "brevitas-default" and point.policy != "longest" else 0.0
        return 0.8 - lost + jitter(point.policy, point.seed, point.preset) + (
            0.02 if point.policy == "longest" else 0.0
        )  # fmt: skip

    study = read_study(*made(SCHEMES, 6, accuracy))
    assert quantizer_first(study) == []


def test_a_study_of_quantizers_alone_says_which_is_better(made):
    def accuracy(point):
        lost = 0.2 if point.preset == "brevitas-default" else 0.0
        alone = point.policy == "longest"
        return 0.8 - lost + jitter(point.seed, point.preset) if alone else None

    said = plain(quantizer_first(read_study(*made(SCHEMES, 4, accuracy))))
    assert "The quantizer matters (generative). With the same sets, longest keeps" in said
    assert "documents" not in said and ("+20." in said or "+19." in said)


def test_costs_are_told_with_intervals_and_without_a_float_model_not_at_all(made):
    study = read_study(*made(CLEAN, 3))
    said = plain(what_it_costs(study))
    assert f"the float model has {100 * FLOAT:.1f} %" in said
    assert re.search(r"−[45]\.\d \[−\d\.\d, −\d\.\d\] at 4 bits", said)
    assert "16 documents (160 tokens on average)" in said
