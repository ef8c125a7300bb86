"""Rounding of weights to integer codes, from moments of a layer's inputs alone."""

from calibkit.quantize.rounding.bias import bias_shift
from calibkit.quantize.rounding.gpfq import gpfq
from calibkit.quantize.rounding.gptq import gptq
from calibkit.quantize.rounding.grams import Gram
from calibkit.quantize.rounding.least_squares import least_squares, least_squares_weights
from calibkit.quantize.rounding.methods import round_by
from calibkit.quantize.rounding.nearest import round_nearest
from calibkit.quantize.rounding.qronos import qronos

__all__ = [
    "Gram",
    "bias_shift",
    "gpfq",
    "gptq",
    "least_squares",
    "least_squares_weights",
    "qronos",
    "round_by",
    "round_nearest",
]
