import numpy as np
import pytest
import torch
from brevitas.graph.gpfq import GPFQ
from hypothesis import given, settings
from hypothesis import strategies as st
from made_layers import brevitas_codes, gram_of, layer_with_frozen_scale, problem

from calibkit.quantize.rounding import Gram, gpfq, round_nearest


def codes_of_brevitas_gpfq(layer, batches) -> torch.Tensor:
    one = GPFQ(layer, "layer", False, 1, True)
    return brevitas_codes(layer, one, batches, reads_floats=True)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("per_channel", [False, True])
def test_gpfq_on_gram_matrices_equals_brevitas(bits, per_channel):
    differing = total = 0
    for seed in range(4):
        p = problem(seed, per_channel=per_channel)
        layer = layer_with_frozen_scale(p.weight, p.top, bits)
        halves = [slice(0, 200), slice(200, 400)]
        theirs = codes_of_brevitas_gpfq(layer, [(p.quantized[h], p.exact[h]) for h in halves])
        scale = p.top / (2 ** (bits - 1) - 1)
        ours = gpfq(p.weight, scale, bits, gram_of(p.quantized, p.exact))
        differing += int((ours != theirs).sum())
        total += ours.numel()
        assert (ours != round_nearest(p.weight, scale, bits)).any()
    # theirs accumulates in float32: a target near a boundary may fall on its other side
    assert differing / total <= 1e-3


def test_gpfq_where_an_input_is_dead_keeps_nearest_there_and_brevitas_elsewhere():
    p = problem(7)
    p.quantized[:, [3, 11]] = 0.0
    scale = p.top / 7
    ours = gpfq(p.weight, scale, 4, gram_of(p.quantized, p.exact))
    nearest = round_nearest(p.weight, scale, 4)
    assert torch.equal(ours[:, [3, 11]], nearest[:, [3, 11]])
    layer = layer_with_frozen_scale(p.weight, p.top, 4)
    theirs = codes_of_brevitas_gpfq(layer, [(p.quantized, p.exact)])
    alive = [c for c in range(20) if c not in (3, 11)]
    assert (ours[:, alive] != theirs[:, alive]).float().mean() <= 2e-3


def test_gpfq_without_any_input_is_nearest_rounding_to_the_code():
    p = problem(3)
    nothing = Gram(torch.zeros(20, 20).double(), torch.zeros(20, 20).double())
    for bits in range(2, 9):
        scale = p.top / (2 ** (bits - 1) - 1)
        nearest = round_nearest(p.weight, scale, bits)
        assert torch.equal(gpfq(p.weight, scale, bits, nothing), nearest)


def test_gpfq_lowers_the_output_error():
    for bits in (3, 4):
        p = problem(1)
        scale = p.top / (2 ** (bits - 1) - 1)
        chosen = gpfq(p.weight, scale, bits, gram_of(p.quantized, p.exact))
        target = p.exact @ p.weight.T
        error = [
            (target - p.quantized @ (codes * scale).T).square().sum()
            for codes in (chosen, round_nearest(p.weight, scale, bits))
        ]
        assert error[0] < 0.7 * error[1]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 8), st.floats(0.01, 10))
def test_gpfq_on_uncorrelated_exact_inputs_is_nearest_rounding(seed, bits, power):
    weight = torch.randn(5, 6, generator=torch.Generator().manual_seed(seed))
    scale = weight.abs().max() / (2 ** (bits - 1) - 1)
    eye = torch.eye(6, dtype=torch.float64) * power
    assert torch.equal(
        gpfq(weight, scale, bits, Gram(eye, eye)),
        round_nearest(weight.double(), scale.double(), bits).float(),
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 8))
def test_codes_stay_in_the_narrow_range_and_ignore_the_power_of_the_inputs(seed, bits):
    p = problem(seed, rows=4, columns=6, samples=30)
    scale = p.top / (2 ** (bits - 1) - 1)
    gram = gram_of(p.quantized, p.exact)
    codes = gpfq(p.weight, scale, bits, gram)
    assert torch.equal(codes, torch.round(codes))
    assert codes.abs().max() <= 2 ** (bits - 1) - 1
    scaled = gpfq(p.weight, scale, bits, Gram(gram.quantized * 4, gram.mixed * 4))
    assert torch.equal(codes, scaled)


@pytest.mark.parametrize("bits", range(2, 9))
def test_nearest_codes_are_those_of_brevitas(bits):
    p = problem(5)
    layer = layer_with_frozen_scale(p.weight, p.top, bits)
    with torch.no_grad():
        found = layer.quant_weight()
    scale = p.top / (2 ** (bits - 1) - 1)
    theirs = torch.round(found.value / found.scale)
    assert torch.equal(round_nearest(p.weight, scale, bits), theirs)
    assert np.abs(theirs.numpy()).max() == 2 ** (bits - 1) - 1
