"""Moving deployed codes by one: what a move changes, the greedy choice, and random ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_layers import gram_of

from calibkit.quantize.rounding import gpfq, round_nearest
from calibkit.quantize.rounding.flips import greedy_flips, random_flips
from calibkit.quantize.rounding.problem import CodeProblem


def flipped(problem, count, generator):
    codes = problem.codes.numpy().astype(np.int8)
    return torch.from_numpy(random_flips(codes, problem.top, count, generator))


def made(seed, rows=6, columns=5, *, bits=4, per_channel=True, offset=False, samples=40):
    """A layer with codes rounded to nearest, and inputs (quantized, float) of another text."""
    g = torch.Generator().manual_seed(seed)
    mix = torch.randn(columns, columns, generator=g) + 0.3
    floats = torch.randn(samples, columns, generator=g) @ mix + 0.5
    quantized = torch.round(floats / 0.4) * 0.4
    weight = torch.randn(rows, columns, generator=g)
    top = 2 ** (bits - 1) - 1
    scale = (weight.abs().amax(1, keepdim=True) if per_channel else weight.abs().max()) / top
    gram = gram_of(quantized, floats)
    gram = replace(gram, exact=floats.double().T @ floats.double() / samples)
    shift = torch.randn(rows, generator=g, dtype=torch.float64) if offset else None
    codes = round_nearest(weight, scale, bits)
    return CodeProblem(weight, scale, bits, codes, gram, shift), quantized, floats


def errors(one, quantized, floats, codes):
    """E[(W_q x_q + offset - W x)^2] of each row, from the inputs themselves."""
    found = quantized.double() @ (codes.double() * one.step).T
    if one.offset is not None:
        found = found + one.offset
    return (found - floats.double() @ one.weight.double().T).square().mean(0)


@given(st.integers(0, 9999), st.booleans(), st.booleans(), st.sampled_from([2, 3, 4, 8]))
def test_the_objective_and_its_changes_are_those_of_the_inputs(seed, per_channel, offset, bits):
    one, *inputs = made(seed, bits=bits, per_channel=per_channel, offset=offset)
    moves = torch.randint(-1, 2, one.codes.shape, generator=torch.Generator().manual_seed(seed))
    codes = (one.codes + moves).clamp(-one.top, one.top)
    before, after = (errors(one, *inputs, c) for c in (one.codes, codes))
    torch.testing.assert_close(one.objective, before)
    torch.testing.assert_close(one.objective_change(codes), after - before)
    torch.testing.assert_close(one.with_codes(codes).objective, after)
    row, column = (int(n) for n in np.random.default_rng(seed).integers(0, one.codes.shape))
    single = one.codes.clone()
    single[row, column] += 1
    alone = one.change(torch.ones_like(one.codes))[row, column]
    change = errors(one, *inputs, single) - before
    torch.testing.assert_close(alone, change[row])
    torch.testing.assert_close(one.objective_change(single), change)  # few moves, another way


def test_centred_moments_give_the_error_that_a_bias_cannot_take_up():
    one, quantized, floats = made(3)
    centred = replace(one, gram=one.gram.centred())
    found = quantized.double() @ one.chosen.T - floats.double() @ one.weight.double().T
    torch.testing.assert_close(centred.objective, found.var(0, correction=0))


def test_what_a_problem_refuses():
    one = made(0)[0]
    with pytest.raises(ValueError, match="codes up to 8; 4 bits have 7"):
        one.with_codes(torch.full_like(one.codes, -8))
    bare = replace(one, gram=replace(one.gram, exact=None))
    with pytest.raises(ValueError, match="second moments"):
        _ = bare.objective


def brute_force(one, inputs, budget):
    """The greedy moves, every one found by trying all single moves on the inputs themselves."""
    codes, moved = one.codes.clone(), torch.zeros_like(one.codes)
    for _ in range(budget):
        now = errors(one, *inputs, codes)
        best, place = 0.0, None
        for row, column in np.ndindex(*codes.shape):
            for move in (-1, 1):
                if moved[row, column] or abs(codes[row, column] + move) > one.top:
                    continue
                tried = codes.clone()
                tried[row, column] += move
                gain = float((now - errors(one, *inputs, tried))[row])
                if gain > best + 1e-12:
                    best, place = gain, (row, column, move)
        if place is None:
            break
        row, column, move = place
        codes[row, column] += move
        moved[row, column] = move
    return moved


@given(
    st.integers(0, 9999),
    st.sampled_from([2, 3, 4]),
    st.booleans(),
    st.sampled_from([0.04, 0.1, 0.3, 1.0]),
)
def test_greedy_moves_are_those_of_brute_force(seed, bits, offset, most):
    one, *inputs = made(seed, 4, 5, bits=bits, offset=offset, samples=20)
    expected = brute_force(one, inputs, int(most * 20))
    np.testing.assert_array_equal(greedy_flips(one, most).numpy(), expected.numpy())


@given(st.integers(0, 9999), st.sampled_from([2, 3, 4]), st.sampled_from([0.0, 0.01, 0.05, 0.5]))
def test_greedy_moves_keep_range_and_share_and_never_add_to_the_objective(seed, bits, most):
    one = made(seed, 12, 9, bits=bits)[0]
    moves = greedy_flips(one, most)
    codes = one.codes + moves
    assert moves.dtype == torch.int8 and int(moves.abs().max()) <= 1
    assert int(moves.count_nonzero()) <= int(most * 12 * 9)
    assert int(codes.abs().max()) <= one.top
    change = one.objective_change(codes)
    assert bool((change[moves.abs().sum(1) > 0] < 0).all())
    assert bool((change[moves.abs().sum(1) == 0] == 0).all())


@given(st.integers(0, 9999), st.permutations(range(12)))
def test_greedy_moves_of_a_row_do_not_depend_on_where_it_stands(seed, order):
    one = made(seed, 12, 7)[0]
    order = torch.tensor(order)
    other = replace(one, weight=one.weight[order], codes=one.codes[order], scale=one.scale[order])
    np.testing.assert_array_equal(greedy_flips(other, 0.1), greedy_flips(one, 0.1)[order])


def test_more_moves_begin_with_the_fewer():
    one = made(1, 20, 10)[0]
    few, many = greedy_flips(one, 0.05), greedy_flips(one, 0.2)
    assert int(few.count_nonzero()) == 10 < int(many.count_nonzero())
    assert torch.equal(many[few != 0], few[few != 0])


def test_codes_that_answer_to_their_inputs_already_hardly_move():
    one = made(2, 30, 20, samples=400)[0]
    settled = replace(one, codes=gpfq(one.weight, one.scale, one.bits, one.gram))
    nearest, after = (int(greedy_flips(p, 1.0).count_nonzero()) for p in (one, settled))
    assert after < nearest


def test_an_input_that_is_always_zero_moves_no_code():
    one, quantized, floats = made(4)
    quantized[:, 2] = 0
    dead = replace(one, gram=gram_of(quantized, floats))
    assert int(greedy_flips(dead, 1.0)[:, 2].count_nonzero()) == 0


@given(st.integers(0, 9999), st.sampled_from([2, 4]), st.integers(0, 54))
def test_random_moves_are_as_many_as_asked_and_stay_in_range(seed, bits, count):
    one = made(seed, 9, 6, bits=bits)[0]
    moves = flipped(one, count, np.random.default_rng(seed))
    assert moves.dtype == torch.int8 and int(moves.count_nonzero()) == count
    assert int((one.codes + moves).abs().max()) <= one.top
    assert torch.equal(moves, flipped(one, count, np.random.default_rng(seed)))


def test_random_moves_go_everywhere_and_both_ways():
    one = made(5, 9, 6)[0]
    total = sum(
        (flipped(one, 9, np.random.default_rng(seed)).abs().double() for seed in range(300)),
        torch.zeros(9, 6, dtype=torch.float64),
    )
    assert float(total.min()) > 25 and float(total.max()) < 75  # of 300 times a sixth
    every = flipped(one, 54, np.random.default_rng(0))
    inside = one.codes.abs() < one.top
    assert 0.2 < float((every[inside] > 0).float().mean()) < 0.8


def test_more_random_moves_than_codes_are_refused():
    one = made(0)[0]
    with pytest.raises(ValueError, match="31 moves of 30 codes"):
        flipped(one, 31, np.random.default_rng(0))
