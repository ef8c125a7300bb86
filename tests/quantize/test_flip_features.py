"""What is known of each code before it moves, against inputs that the moments were taken of."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from calibkit.quantize.flip_features import FEATURES, Evidence, features, site_kind
from calibkit.quantize.rounding import Gram, round_nearest
from calibkit.quantize.rounding.problem import CodeProblem

SEEDS = st.integers(0, 10_000)


def made(seed, rows=5, columns=7, bits=4, inputs=30):
    """Return a problem whose codes are off by up to one, and its inputs, quantized and float."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(rows, columns, generator=generator)
    scale = weight.abs().amax(dim=1, keepdim=True) / 5
    mixing = torch.randn(columns, columns, generator=generator, dtype=torch.float64)
    exact = torch.randn(inputs, columns, generator=generator, dtype=torch.float64) @ mixing + 0.5
    quantized = exact + 0.3 * torch.randn(inputs, columns, generator=generator, dtype=torch.float64)
    top = 2 ** (bits - 1) - 1
    shift = torch.randint(-1, 2, weight.shape, generator=generator)
    codes = (round_nearest(weight, scale, bits) + shift).clamp(-top, top)
    return problem_of(weight, scale, bits, codes, quantized, exact), quantized, exact


def problem_of(weight, scale, bits, codes, quantized, exact, offset=None):
    n = len(quantized)
    products = (quantized.T @ quantized, quantized.T @ exact)
    means = (quantized.mean(0), exact.mean(0))
    gram = Gram(*(p / n for p in products), *means, exact.T @ exact / n)
    return CodeProblem(weight, scale, bits, codes, gram, offset)


def column(problem, name, kind="gates"):
    found = features(kind, problem)[:, FEATURES.index(name)]
    return found.view(problem.codes.shape)


def error_of(problem, quantized, exact, codes=None):
    """Errors of the outputs (n, rows), from the inputs themselves."""
    chosen = (problem.codes if codes is None else codes).to(torch.float64) * problem.step
    found = quantized @ chosen.T - exact @ problem.weight.to(torch.float64).T
    return found if problem.offset is None else found + problem.offset


def test_there_is_a_row_of_features_for_every_code_and_a_column_for_every_name():
    problem, *_ = made(0, rows=3, columns=4)
    assert features("gates", problem).shape == (12, len(FEATURES))
    assert len(set(FEATURES)) == len(FEATURES)
    assert features("gates", problem).dtype == torch.float32


@given(SEEDS)
def test_correlation_is_that_of_the_errors_with_the_inputs(seed):
    problem, quantized, exact = made(seed)
    error = error_of(problem, quantized, exact)
    norms = error.square().mean(0).sqrt()[:, None] * quantized.square().mean(0).sqrt()
    expected = (error.T @ quantized / len(quantized)).abs() / norms
    assert torch.allclose(column(problem, "correlation"), expected.float(), atol=1e-5)
    assert float(column(problem, "correlation").max()) <= 1 + 1e-5


def test_an_offset_of_the_bias_is_part_of_the_error():
    plain, quantized, exact = made(3)
    offset = torch.linspace(-1, 1, len(plain.codes), dtype=torch.float64)
    problem = replace(plain, offset=offset)
    error = error_of(problem, quantized, exact)
    evidence = Evidence.of("gates", problem)
    assert torch.allclose(evidence.error[:, 0], error.square().mean(0))
    assert torch.allclose(evidence.slope, error.T @ quantized / len(quantized))


@given(SEEDS)
def test_no_other_change_of_a_code_alone_lowers_the_objective_more_than_its_optimum(seed):
    problem, quantized, exact = made(seed)
    evidence = Evidence.of("linear", problem)
    row, at = 2, 4

    def objective(steps):
        codes = problem.codes.to(torch.float64).clone()
        codes[row, at] += evidence.direction[row, at] * steps
        return float(error_of(problem, quantized, exact, codes)[:, row].square().mean())

    best = float(evidence.optimum[row, at])
    assert best >= 0
    assert all(objective(best) <= objective(best + away) for away in (-0.5, -0.1, 0.1, 0.5))


@given(SEEDS)
def test_the_gain_of_a_move_is_what_the_objective_loses(seed):
    problem, *_ = made(seed)
    evidence = Evidence.of("gates", problem)
    expected = -problem.change(evidence.direction)
    inside = (problem.codes + evidence.direction).abs() <= problem.top
    assert torch.allclose(evidence.gain[inside], expected[inside])
    assert bool((evidence.gain[~inside] == -torch.inf).all())


@given(SEEDS, st.lists(st.integers(0, 6), min_size=1, max_size=4, unique=True))
def test_after_moves_the_evidence_is_that_of_the_moved_codes(seed, places):
    problem, *_ = made(seed)
    evidence, codes = Evidence.of("gates", problem), problem.codes.clone()
    rows = torch.arange(len(codes))
    for place in places:
        codes[rows, place] += evidence.direction[rows, place].float()
        evidence = evidence.after(torch.full((len(codes),), place))
    fresh = Evidence.of("gates", replace(problem, codes=codes))
    for name in ("codes", "residual", "slope", "error"):
        assert torch.allclose(getattr(evidence, name), getattr(fresh, name), atol=1e-9), name
    assert bool(evidence.moved[:, places].all())
    assert not bool(evidence.open[:, places].any())
    assert int(evidence.moved.sum()) == len(places) * len(codes)


@given(SEEDS)
def test_features_do_not_depend_on_the_units_of_inputs_or_weights(seed):
    problem, quantized, exact = made(seed)
    louder = problem_of(problem.weight, problem.scale, 4, problem.codes, 8 * quantized, 8 * exact)
    wider = problem_of(4 * problem.weight, 4 * problem.scale, 4, problem.codes, quantized, exact)
    expected = features("gates", problem)
    assert torch.allclose(features("gates", louder), expected, atol=1e-5)
    assert torch.allclose(features("gates", wider), expected, atol=1e-5)


@given(SEEDS)
def test_a_row_and_its_mirror_image_have_the_same_features(seed):
    problem, *_ = made(seed)
    mirrored = replace(problem, weight=-problem.weight, codes=-problem.codes)
    assert torch.allclose(features("gates", mirrored), features("gates", problem), atol=1e-6)
    assert torch.equal(
        Evidence.of("gates", mirrored).direction, -Evidence.of("gates", problem).direction
    )


def test_residual_and_position_speak_for_the_move_where_they_are_positive():
    problem, *_ = made(11)
    direction = Evidence.of("gates", problem).direction.float()
    away = problem.weight / problem.scale - problem.codes
    assert torch.allclose(column(problem, "residual"), (direction * away).clamp(-4, 4), atol=1e-5)
    assert torch.equal(column(problem, "position"), direction * problem.codes / problem.top)


def test_share_is_1_for_the_input_that_correlates_most_in_each_row():
    problem, *_ = made(5)
    share = column(problem, "share")
    assert torch.equal(share.max(dim=1).values, torch.ones(len(share)))
    assert torch.equal(share.argmax(dim=1), column(problem, "correlation").argmax(dim=1))


def test_need_and_step_compare_rows_and_power_and_redundancy_compare_inputs():
    problem, *_ = made(6)
    for name in ("need", "step"):
        assert bool((column(problem, name) == column(problem, name)[:, :1]).all()), name
        assert len(column(problem, name)[:, 0].unique()) > 1, name
    for name in ("power", "redundancy"):
        assert bool((column(problem, name) == column(problem, name)[:1]).all()), name
        assert len(column(problem, name)[0].unique()) > 1, name


def test_the_kind_of_layer_is_a_feature():
    problem, *_ = made(7)
    assert bool((column(problem, "layer", "linear") == 1).all())
    assert bool((column(problem, "layer", "gates") == 0).all())
    sites = ("lstm.weight_forget", "decoder", "classifier")
    assert [site_kind(site) for site in sites] == ["gates", "linear", "linear"]


def test_an_input_that_is_always_0_makes_no_feature_infinite():
    problem, quantized, exact = made(8)
    quantized[:, 2] = exact[:, 2] = 0
    dead = problem_of(problem.weight, problem.scale, 4, problem.codes, quantized, exact)
    assert bool(features("gates", dead).isfinite().all())
    assert float(Evidence.of("gates", dead).gain[:, 2].max()) <= 0


def test_moments_without_those_of_the_float_inputs_are_refused():
    problem, *_ = made(9)
    with pytest.raises(ValueError, match="second moments"):
        features("gates", replace(problem, gram=replace(problem.gram, exact=None)))
