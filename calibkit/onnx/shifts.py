"""What ONNX Runtime's quantizers do to the weights, site by site."""

from __future__ import annotations

from dataclasses import replace

from calibkit.engine.shifts import FLOAT_QUANTIZED
from calibkit.measure.shift import Shift, shift_between, sqnr_db
from calibkit.onnx.quantized import OnnxQuantized
from calibkit.quantize.networks import Arrays, site_weight
from calibkit.quantize.presets import PEER_BITS


def weight_shifts(arrays: Arrays, quantized: OnnxQuantized) -> list[Shift]:
    """Return, per weight that the file stores as integers, float against quantized.

    arrays: the float model's state dict. Of a generative decoder that is the part for h; label
    vectors stay float. There is one scale a tensor, and one for all gates.
    """
    rows = []
    for site, after in quantized.weights().items():
        before = site_weight(arrays, site)[:, : after.shape[1]]
        pair = (before.flatten(), after.flatten())
        shift = shift_between("weights", site, FLOAT_QUANTIZED, *pair)
        rows.append(replace(shift, bits=PEER_BITS, sqnr_db=sqnr_db(before, after)))
    return rows
