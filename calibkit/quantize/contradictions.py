"""Settings of a scheme that say the opposite of each other, or nothing at all. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from calibkit.errors import BadInput

if TYPE_CHECKING:
    from calibkit.quantize.schemes import SchemeSettings

Problem = tuple[tuple[str, ...], str]
"""The path of a key that the recipe wrote, and what is wrong with it."""

BREVITAS_PERCENTILE = 99.999
"""The percentile of Brevitas's own observer."""

CALIBRATED = (
    "observer",
    "observer_batch",
    "ranges",
    "percentile",
    "symmetric",
    "separate_io",
    "separate_hv",
    "cell_guard",
    "rounding",
    "bias_correction",
    "float_pass",
    "arithmetic",
)
"""Settings that dynamic quantization leaves no choice of: it has no calibration documents."""


def useless_under_dynamic(settings: SchemeSettings) -> list[Problem]:
    """Return the settings that dynamic quantization has no use for."""
    usual = {"symmetric": True, "arithmetic": "float-torch", "float_pass": "float"}
    found: list[Problem] = []
    for key in CALIBRATED:
        value = getattr(settings, key)
        if value is None or value == usual.get(key, False):
            continue
        message = "under dynamic: true every row of activations has a range of its own"
        if key in ("rounding", "bias_correction", "float_pass"):
            if set(value.values() if isinstance(value, Mapping) else [value]) == {"nearest"}:
                continue
            message = "dynamic: true uses no calibration documents, which this needs"
        elif key == "arithmetic":
            message = f"under dynamic: true there is only the arithmetic {usual[key]}"
        found.append(((key,), f"{message}; leave it out"))
    return found


def useless_under_peer(settings: SchemeSettings) -> list[Problem]:
    """Return the settings that another tool's quantizer has no use for: all but the preset."""
    message = (
        f"the preset {settings.preset} is another tool's quantizer, which takes no settings of"
        " calibkit's; leave it out, or say it under `schemes:` for the presets that have it"
    )
    usual: dict[str, tuple[object, ...]] = {
        "rounding": ({}, "nearest"),
        "arithmetic": ("float-torch",),
        "float_pass": ("float",),
    }
    found: list[Problem] = []
    for key in type(settings).model_fields:
        value = getattr(settings, key)
        if key == "preset" or value is None or value is False or value in usual.get(key, ()):
            continue
        if isinstance(value, Mapping) and set(value.values()) <= {"nearest"}:
            continue  # as it rounds anyway
        found.append(((key,), message))
    return found


def refuse_peer(quantizer: str, why: str) -> None:
    """Raise BadInput for another tool's quantizer, where only calibkit's own networks will do."""
    if quantizer != "calibkit":
        raise BadInput(
            f"the preset {quantizer} is another tool's quantizer, and {why}; take a preset of"
            " calibkit's own, as robust"
        )


def contradictions(settings: SchemeSettings, merged: Mapping[str, Any]) -> list[Problem]:
    """Return the settings that contradict others or have no effect, whoever says the others.

    merged: the settings with their preset, see `calibkit.quantize.schemes.merged_settings`.
    """
    found = _of_asymmetric_ranges(settings, merged) + _of_float_pass(settings, merged)
    found += _of_distillation(settings, merged)
    if merged["observer"] == "brevitas":
        return found + _of_observer_brevitas(settings, merged)
    if settings.observer_batch is not None:
        found.append((("observer_batch",), "only observer brevitas depends on its batches"))
    if settings.percentile is not None and "percentile" not in merged["ranges"].values():
        said = "" if settings.ranges else _under(settings)
        found.append((("percentile",), f"no range is estimated by percentile{said}; leave it out"))
    return found


def _under(settings: SchemeSettings) -> str:
    return f" (preset {settings.preset})"


def _of_asymmetric_ranges(settings: SchemeSettings, merged: Mapping[str, Any]) -> list[Problem]:
    found: list[Problem] = []
    if merged["symmetric"]:
        return found
    if "kl" in merged["ranges"].values():
        message = "kl finds one threshold for both signs; use minmax, percentile, mse or output-mse"
        where = "ranges" if settings.ranges else "symmetric"
        found.append(((where,), f"{message}, or symmetric: true"))
    return found


def _of_float_pass(settings: SchemeSettings, merged: Mapping[str, Any]) -> list[Problem]:
    """Brevitas's float pass runs the LSTM with its float weights, which must still be there."""
    found: list[Problem] = []
    if merged["float_pass"] != "brevitas":
        return found
    where = "float_pass" if settings.float_pass else "preset"
    if merged["rounding"]["gates"] not in ("nearest", "distill"):  # distillation has no such pass
        message = "Brevitas corrects no gates; use float_pass: float, or rounding gates: nearest"
        found.append(((where,), message))
    if merged["bias_correction"]:
        message = "Brevitas corrects no bias; use float_pass: float, or bias_correction: false"
        found.append(((where,), message))
    return found


def _of_distillation(settings: SchemeSettings, merged: Mapping[str, Any]) -> list[Problem]:
    """Distillation trains every weight and bias, all of them together."""
    found: list[Problem] = []
    roundings = merged["rounding"]
    if "distill" not in roundings.values():
        return found
    if merged["bias_correction"]:
        message = "distill trains the biases with the weights; leave bias_correction out"
        found.append((("bias_correction",), message))
    said = settings.rounding if isinstance(settings.rounding, Mapping) else {}
    whole = roundings["linear"] == "distill"
    for kind, rounding in said.items():
        if kind == "linear" or (rounding == "distill") == whole:
            continue
        if whole:
            message = f"{rounding} beside linear: distill, which trains all layers; leave it out"
        else:
            message = "distill trains all layers together; write rounding: distill"
        found.append((("rounding", kind), message))
    return found


def _of_observer_brevitas(settings: SchemeSettings, merged: Mapping[str, Any]) -> list[Problem]:
    found: list[Problem] = []
    under = _under(settings)
    who = "observer brevitas" + ("" if settings.observer else under)
    if set(merged["ranges"].values()) != {"percentile"}:
        message = f"{who} only has the estimator percentile"
        if settings.ranges:
            found.append((("ranges",), message))
        else:
            found.append((("observer",), f"{message}{under}; add ranges: percentile"))
    usual = {"separate_io": False, "separate_hv": False, "cell_guard": False, "symmetric": True}
    for key, value in usual.items():
        if merged[key] == value:
            continue
        if getattr(settings, key) is not None:
            found.append(((key,), f"{who} cannot do this; leave it out"))
        else:
            add = f"add {key}: {str(value).lower()}"
            found.append((("observer",), f"{who} has no {key}{under}; {add}"))
    if settings.percentile not in (None, BREVITAS_PERCENTILE):
        message = f"{who} only has the percentile {BREVITAS_PERCENTILE}; leave it out"
        found.append((("percentile",), message))
    return found
