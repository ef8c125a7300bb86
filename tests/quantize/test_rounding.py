from types import SimpleNamespace

import brevitas.nn as qnn
import numpy as np
import pytest
import torch
from brevitas.core.bit_width import BitWidthConst
from brevitas.core.scaling import ParameterScaling
from brevitas.graph.gpfq import GPFQ
from brevitas.graph.gpxq import LayerHandler
from brevitas.quant import Int8WeightPerTensorFloat
from brevitas.utils.torch_utils import StopFwdException
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.quantize.rounding import Gram, gpfq, round_nearest


def layer_with_frozen_scale(weight: torch.Tensor, threshold: torch.Tensor, bits: int):
    layer = qnn.QuantLinear(
        weight.shape[1], weight.shape[0], bias=False, weight_quant=Int8WeightPerTensorFloat
    )
    layer.weight.data.copy_(weight)
    layer.weight.requires_grad_(False)
    shape = tuple(threshold.shape) or None
    impl = layer.weight_quant.tensor_quant
    impl.scaling_impl = ParameterScaling(threshold, scaling_shape=shape).requires_grad_(False)
    impl.msb_clamp_bit_width_impl = BitWidthConst(bits)
    return layer.eval()


def codes_of_brevitas_gpfq(layer, batches) -> torch.Tensor:
    """Drive Brevitas's own GPFQ with (quantized, float) inputs; return the codes it ends with."""
    one = GPFQ(layer, "layer", False, 1, True)
    handler = LayerHandler()
    with torch.no_grad():
        for quantized, exact in batches:
            for inputs, off in ((quantized, False), (exact, True)):
                layer.weight_quant.disable_quant = off
                with pytest.raises(StopFwdException):
                    one.update_batch(layer, (inputs,), handler)
        layer.weight_quant.disable_quant = False
        one.single_layer_update()
        found = layer.quant_weight()
        return torch.round(found.value / found.scale)


def problem(seed: int, rows=24, columns=20, samples=400, per_channel=False):
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(columns, columns, generator=generator) * 0.4
    exact = torch.randn(samples, columns, generator=generator) @ mix
    step = 0.25
    quantized = torch.round(exact / step).clamp(-8, 7) * step
    weight = torch.randn(rows, columns, generator=generator)
    top = weight.abs().amax(dim=1, keepdim=True) if per_channel else weight.abs().max()
    return SimpleNamespace(weight=weight, top=top, exact=exact, quantized=quantized)


def gram_of(quantized: torch.Tensor, exact: torch.Tensor) -> Gram:
    q, x = quantized.double(), exact.double()
    return Gram(q.T @ q / len(q), q.T @ x / len(q))


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
