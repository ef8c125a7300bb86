"""GPTQ, Qronos and least squares: against Brevitas, by what they minimise, and at the edges."""

import pytest
import torch
from brevitas.graph.gptq import GPTQ
from brevitas.graph.qronos import Qronos
from hypothesis import given
from hypothesis import strategies as st
from made_layers import brevitas_codes, gram_of, layer_with_frozen_scale, problem

from calibkit.quantize.rounding import (
    Gram,
    bias_shift,
    gpfq,
    gptq,
    least_squares,
    least_squares_weights,
    qronos,
    round_by,
    round_nearest,
)
from calibkit.quantize.rounding.gptq import DAMPING
from calibkit.quantize.rounding.methods import METHODS
from calibkit.quantize.schemes import ROUNDINGS

EVERY = [gpfq, gptq, qronos, least_squares]
TO_FLOAT_OUTPUTS = [gpfq, qronos, least_squares]


def halves(p):
    return [(p.quantized[h], p.exact[h]) for h in (slice(0, 200), slice(200, 400))]


def output_error(p, codes, scale, inputs=None):
    """||W X - W_q X_q||^2; inputs: X where it is not the float layer's."""
    target = (p.exact if inputs is None else inputs).double() @ p.weight.double().T
    return float((target - p.quantized.double() @ (codes * scale).double().T).square().sum())


# theirs keep their weights in float32 between columns: a value near a boundary may fall on its
# other side, and take later columns of its row with it
MOST_DIFFERING = 2e-3


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("activation_order", [False, True])
def test_gptq_equals_brevitas(bits, per_channel, activation_order):
    differing = total = 0
    for seed in range(4):
        p = problem(seed, per_channel=per_channel)
        layer = layer_with_frozen_scale(p.weight, p.top, bits)
        one = GPTQ(layer, "layer", activation_order, 1, True, 100, dtype=torch.float64)
        theirs = brevitas_codes(layer, one, halves(p), reads_floats=False)
        scale = p.top / (2 ** (bits - 1) - 1)
        gram = gram_of(p.quantized, p.exact)
        ours = gptq(p.weight, scale, bits, gram, activation_order=activation_order)
        differing += int((ours != theirs).sum())
        total += ours.numel()
        assert (ours != round_nearest(p.weight, scale, bits)).any()
    assert differing / total <= MOST_DIFFERING


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("per_channel", [False, True])
def test_qronos_equals_brevitas(bits, per_channel):
    differing = total = 0
    for seed in range(4):
        p = problem(seed, per_channel=per_channel)
        layer = layer_with_frozen_scale(p.weight, p.top, bits)
        one = Qronos(layer, "layer", False, 1, True, dtype=torch.float64)
        theirs = brevitas_codes(layer, one, halves(p), reads_floats=True)
        scale = p.top / (2 ** (bits - 1) - 1)
        ours = qronos(p.weight, scale, bits, gram_of(p.quantized, p.exact))
        differing += int((ours != theirs).sum())
        total += ours.numel()
    assert differing / total <= MOST_DIFFERING


@pytest.mark.parametrize("method", TO_FLOAT_OUTPUTS)
@pytest.mark.parametrize("bits", [3, 4])
def test_codes_reproduce_float_outputs_better_than_nearest_rounding(method, bits):
    for seed in range(5):
        p = problem(seed)
        scale = p.top / (2 ** (bits - 1) - 1)
        codes = method(p.weight, scale, bits, gram_of(p.quantized, p.exact))
        nearest = round_nearest(p.weight, scale, bits)
        assert output_error(p, codes, scale) < 0.7 * output_error(p, nearest, scale)


@pytest.mark.parametrize("bits", [3, 4])
def test_gptq_keeps_the_outputs_on_quantized_inputs(bits):
    for seed in range(5):
        p = problem(seed)
        scale = p.top / (2 ** (bits - 1) - 1)
        codes = gptq(p.weight, scale, bits, gram_of(p.quantized, p.exact))
        nearest = round_nearest(p.weight, scale, bits)
        errors = [output_error(p, c, scale, p.quantized) for c in (codes, nearest)]
        assert errors[0] < 0.8 * errors[1]


def test_least_squares_makes_up_for_the_inputs_too():
    """What GPTQ keeps right of the weights, least squares keeps right of the inputs as well."""
    p = problem(2)
    p.quantized = p.exact.clamp(-0.5, 0.5)  # inputs that lost much of their power
    scale = p.top / 7
    gram = gram_of(p.quantized, p.exact)
    errors = [output_error(p, m(p.weight, scale, 4, gram), scale) for m in (least_squares, gptq)]
    assert errors[0] < 0.5 * errors[1]


@given(st.integers(0, 10_000), st.floats(-1e-3, 1e-3))
def test_no_weights_are_better_than_those_of_least_squares(seed, size):
    p = problem(seed, rows=3, columns=5, samples=30)
    gram = gram_of(p.quantized, p.exact)
    ridge = DAMPING * gram.quantized.diagonal().mean()
    exact = p.weight.double()

    def loss(weights):
        error = p.exact.double() @ exact.T - p.quantized.double() @ weights.T
        return float(error.square().sum() / len(error) + ridge * (weights - exact).square().sum())

    best = least_squares_weights(p.weight, gram)
    other = best + size * torch.randn(3, 5, generator=torch.Generator().manual_seed(seed)).double()
    assert loss(best) <= loss(other) + 1e-12


@given(st.integers(0, 10_000), st.integers(2, 8), st.floats(0.01, 10))
def test_uncorrelated_exact_inputs_leave_nearest_rounding(seed, bits, power):
    weight = torch.randn(5, 6, generator=torch.Generator().manual_seed(seed))
    scale = weight.abs().max() / (2 ** (bits - 1) - 1)
    eye = torch.eye(6, dtype=torch.float64) * power
    nearest = round_nearest(weight.double(), scale.double(), bits).float()
    for method in EVERY:
        # least squares solves for the values, so that a half may fall on either side
        off = (method(weight, scale, bits, Gram(eye, eye)) - nearest).abs() > 0
        near_half = ((weight / scale) % 1 - 0.5).abs() < 1e-6
        assert not (off & ~near_half).any()


@pytest.mark.parametrize("method", EVERY)
@given(seed=st.integers(0, 10_000), bits=st.integers(2, 8))
def test_codes_stay_in_range_row_by_row_whatever_the_power_of_the_inputs(method, seed, bits):
    p = problem(seed, rows=4, columns=6, samples=30, per_channel=True)
    scale = p.top / (2 ** (bits - 1) - 1)
    gram = gram_of(p.quantized, p.exact)
    codes = method(p.weight, scale, bits, gram)
    assert torch.equal(codes, torch.round(codes)) and codes.dtype == torch.float32
    assert codes.abs().max() <= 2 ** (bits - 1) - 1
    assert torch.equal(
        codes, method(p.weight, scale, bits, Gram(gram.quantized * 4, gram.mixed * 4))
    )
    for row in range(4):
        alone = method(p.weight[row : row + 1], scale[row, 0], bits, gram)
        assert torch.equal(alone[0], codes[row])


@pytest.mark.parametrize("method", EVERY)
def test_a_dead_input_is_rounded_to_nearest_and_the_others_as_without_it(method):
    p = problem(7)
    dead, scale = [3, 11], p.top / 7
    alive = [c for c in range(20) if c not in dead]
    p.quantized[:, dead] = 0.0
    codes = method(p.weight, scale, 4, gram_of(p.quantized, p.exact))
    assert torch.equal(codes[:, dead], round_nearest(p.weight, scale, 4)[:, dead])
    p.exact[:, dead] = 0.0  # now the float layer does not read them either
    both = method(p.weight, scale, 4, gram_of(p.quantized, p.exact))
    without = gram_of(p.quantized[:, alive], p.exact[:, alive])
    assert torch.equal(both[:, alive], method(p.weight[:, alive], scale, 4, without))


@pytest.mark.parametrize("method", EVERY)
def test_without_any_input_every_method_rounds_to_nearest(method):
    p = problem(3)
    nothing = Gram(torch.zeros(20, 20).double(), torch.zeros(20, 20).double())
    for bits in (2, 4, 8):
        scale = p.top / (2 ** (bits - 1) - 1)
        nearest = round_nearest(p.weight, scale, bits)
        assert torch.equal(method(p.weight, scale, bits, nothing), nearest)


def test_every_rounding_that_a_scheme_may_name_is_there():
    p = problem(0)
    gram = gram_of(p.quantized, p.exact)
    by_layer = {"nearest", *METHODS}
    assert set(ROUNDINGS["linear"]) == set(ROUNDINGS["gates"]) == {*by_layer, "distill"}
    codes = {name: round_by(name, p.weight, p.top / 7, 4, gram) for name in by_layer}
    assert torch.equal(codes["nearest"], round_nearest(p.weight, p.top / 7, 4))
    for one in METHODS:
        for other in codes:
            assert one == other or not torch.equal(codes[one], codes[other])


@given(st.integers(0, 10_000))
def test_moments_about_the_means_are_those_of_centred_inputs(seed):
    p = problem(seed, columns=5, samples=30)
    p.quantized += torch.arange(5.0)
    p.quantized[:, 4] = 0.75  # a constant, which a bias takes up whole
    found = gram_of(p.quantized, p.exact).centred()
    q, x = p.quantized.double(), p.exact.double()
    expected = gram_of(q - q.mean(0), x - x.mean(0))
    torch.testing.assert_close(found.quantized, expected.quantized)
    torch.testing.assert_close(found.mixed, expected.mixed)
    assert found.quantized[4, 4] == 0 and not found.mixed[4].any()
    assert not any(mean.any() for mean in found.means())


@given(st.integers(0, 10_000), st.integers(2, 8))
def test_a_shifted_bias_gives_the_float_layer_s_mean_output(seed, bits):
    p = problem(seed, rows=4, columns=5, samples=30)
    scale = p.top / (2 ** (bits - 1) - 1)
    chosen = round_nearest(p.weight, scale, bits) * scale
    shift = bias_shift(p.weight, chosen, gram_of(p.quantized, p.exact))
    wanted = (p.exact.double() @ p.weight.double().T).mean(0)
    torch.testing.assert_close((p.quantized.double() @ chosen.double().T).mean(0) + shift, wanted)


def test_moments_without_means_cannot_be_centred():
    eye = torch.eye(3, dtype=torch.float64)
    for attempt in (Gram(eye, eye).centred, Gram(eye, eye).means):
        with pytest.raises(ValueError, match="without the means"):
            attempt()


def test_moments_halfway_are_those_of_both_inputs_together():
    p, other = problem(1), problem(2)
    both = gram_of(torch.cat([p.quantized, other.quantized]), torch.cat([p.exact, other.exact]))
    found = gram_of(p.quantized, p.exact).halfway(gram_of(other.quantized, other.exact))
    for name in ("quantized", "mixed", "quantized_mean", "float_mean"):
        torch.testing.assert_close(getattr(found, name), getattr(both, name))
