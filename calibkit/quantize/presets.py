"""Presets: what stands for a whole scheme, by name. No torch here."""

from __future__ import annotations

from typing import Any, Literal

from calibkit.quantize.contradictions import BREVITAS_PERCENTILE
from calibkit.quantize.sites import LSTM_SITES

Quantizer = Literal["calibkit", "onnx-dynamic", "onnx-static"]
Preset = Literal[
    "brevitas-default", "paper", "robust", "robust-mixed", "onnx-dynamic", "onnx-static"
]

PEER_BITS = 8
"""The one bit width that other tools' quantizers have here."""

DEFAULT_OBSERVER_BATCH = 64
DEFAULT_PERCENTILE = 99.999

_BREVITAS_DEFAULT: dict[str, Any] = {
    "bits": {},
    "weights": "per-tensor",
    "observer": "calibkit",
    "observer_batch": DEFAULT_OBSERVER_BATCH,
    "ranges": "percentile",
    "weight_ranges": "minmax",
    "percentile": BREVITAS_PERCENTILE,
    "symmetric": True,
    "separate_io": False,
    "separate_hv": False,
    "dynamic": False,
    "rounding": {"linear": "nearest", "gates": "nearest", "embedding": "nearest"},
    "bias_correction": False,
    "float_pass": "float",
    "cell_guard": False,
    "arithmetic": "float-torch",
    "quantizer": "calibkit",
}

_ROBUST = _BREVITAS_DEFAULT | {
    "ranges": "output-mse",
    "weight_ranges": "mse",
    "weights": "per-channel",
    "rounding": _BREVITAS_DEFAULT["rounding"] | {"linear": "gpfq"},
    "cell_guard": True,
}

PRESETS: dict[Preset, dict[str, Any]] = {
    "brevitas-default": _BREVITAS_DEFAULT,
    "paper": _BREVITAS_DEFAULT | {"observer": "brevitas"},
    "robust": _ROBUST,
    "robust-mixed": _ROBUST | {"bits": dict.fromkeys(LSTM_SITES, 8)},
    "onnx-dynamic": _BREVITAS_DEFAULT | {"quantizer": "onnx-dynamic"},
    "onnx-static": _BREVITAS_DEFAULT | {"quantizer": "onnx-static"},
}
"""Preset -> every setting that it stands for.

brevitas-default: Brevitas's ranges and rounding, under an observer that does not depend on
batching. paper: the published protocol, with Brevitas's own observer. robust: the same bits
everywhere; ranges of least error behind each nonlinearity, a scale per output channel, GPFQ in the
linear layer. robust-mixed: robust, with the LSTM's activations at 8 bits. onnx-dynamic,
onnx-static: ONNX Runtime's quantizers, which have no other settings.
"""
