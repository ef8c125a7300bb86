"""Layers and inputs made up for rounding, and Brevitas's own methods driven with them."""

from types import SimpleNamespace

import brevitas.nn as qnn
import pytest
import torch
from brevitas.core.bit_width import BitWidthConst
from brevitas.core.scaling import ParameterScaling
from brevitas.graph.gpxq import LayerHandler
from brevitas.quant import Int8WeightPerTensorFloat
from brevitas.utils.torch_utils import StopFwdException

from calibkit.quantize.rounding import Gram


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


def brevitas_codes(layer, one, batches, *, reads_floats: bool) -> torch.Tensor:
    """Drive a Brevitas method with (quantized, float) inputs; return the codes it ends with."""
    handler = LayerHandler()
    with torch.no_grad():
        for quantized, exact in batches:
            passes = ((quantized, False), (exact, True)) if reads_floats else ((quantized, False),)
            for inputs, off in passes:
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
    return Gram(q.T @ q / len(q), q.T @ x / len(q), q.mean(0), x.mean(0))
