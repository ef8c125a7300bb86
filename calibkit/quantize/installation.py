"""Put a scheme into a network: bit widths, thresholds and zero points of all its quantizers."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from calibkit.quantize.estimators import Codes
from calibkit.quantize.networks import (
    QuantClassifier,
    QuantGenerative,
    activation_impl,
    activation_proxies,
    weight_proxies,
)
from calibkit.quantize.scaling import CodeRange, PerThreshold, RowScaling, frozen
from calibkit.quantize.schemes import Scheme

with warnings.catch_warnings():  # brevitas and torch.jit deprecate each other at import
    warnings.simplefilter("ignore")
    from brevitas.core.bit_width import BitWidthConst


def set_bits(network: QuantClassifier, scheme: Scheme) -> None:
    """Give every quantizer of the network the scheme's bit width for its site."""
    for site, proxy in weight_proxies(network).items():
        proxy.tensor_quant.msb_clamp_bit_width_impl = BitWidthConst(scheme.bits_of(site))
    for site, proxy in activation_proxies(network).items():
        impl = activation_impl(proxy)
        impl.msb_clamp_bit_width_impl = BitWidthConst(scheme.bits_of(site))


def install(
    network: QuantClassifier,
    scheme: Scheme,
    weight_thresholds: Mapping[str, NDArray[np.float32]],
    activation_thresholds: Mapping[str, float],
    zero_points: Mapping[str, int] | None = None,
) -> None:
    """Fix every quantizer: bit widths from the scheme, one frozen threshold per site.

    ``separate_io`` turns off the LSTM's own quantizer of its input, which comes quantized by the
    site ``input``; ``separate_hv`` keeps the label vectors out of ``decoder.input``.

    weight_thresholds: () or (rows, 1) float32 per weight site; frozen, so that rounding may edit
    integer codes without the scale following them.
    activation_thresholds: the largest representable magnitude per activation site; none where
    the scheme is dynamic: then every row has a range of its own, so that the input is not quantized
    twice and the label vectors stay on their grid. Such a network is built with `DYNAMIC`.
    zero_points: of the activation sites whose range is asymmetric; the code that means 0.
    """
    set_bits(network, scheme)
    network.dynamic = scheme.dynamic
    network.lstm.layers[0][0].quantize_output_only = scheme.separate_io or scheme.dynamic
    if isinstance(network, QuantGenerative):
        network.separate_hv = scheme.separate_hv or scheme.dynamic
    for site, proxy in weight_proxies(network).items():
        proxy.tensor_quant.scaling_impl = frozen(weight_thresholds[site])
    for site, proxy in activation_proxies(network).items():
        impl = activation_impl(proxy)
        impl.scaling_impl = RowScaling() if scheme.dynamic else frozen(activation_thresholds[site])
        if zero_points and site in zero_points:
            codes = Codes.shifted(scheme.bits_of(site), zero_points[site])
            impl.int_quant, impl.int_scaling_impl = CodeRange(codes), PerThreshold(codes)
