"""The fewest settings that say a scheme: `resolve` backwards. No torch here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from calibkit.errors import BadInput
from calibkit.quantize.contradictions import CALIBRATED
from calibkit.quantize.presets import PRESETS
from calibkit.quantize.schemes import Scheme, SchemeSettings, resolve, settings_from

Part = tuple[str, str | None]
"""A setting, or one pattern (or layer kind) of a setting that is a mapping."""


def shortest_settings(scheme: Scheme, *, preset: str | None = None) -> SchemeSettings:
    """Return settings that resolve to ``scheme`` at its own bits, none of which can be left out.

    Over the preset that needs the fewest; ``preset`` goes before others that need as few. Raises
    BadInput for a scheme that no settings of this version say.
    """
    if scheme.by_peer:
        return settings_from({"preset": scheme.quantizer})
    names = sorted(PRESETS, key=lambda name: name != preset)
    found = [values for name in names if (values := _over(name, scheme)) is not None]
    if not found:
        raise BadInput(f"no settings of this version say the scheme {scheme.id}")
    return settings_from(min(found, key=lambda values: len(list(_parts(values)))))


def _over(preset: str, scheme: Scheme) -> dict[str, Any] | None:
    """Return the settings that make a preset the scheme, or None where none do."""
    values: dict[str, Any] = {"preset": preset, **scheme.as_dict()}
    values["bits"] = values.pop("site_bits")
    for key in ("bits", "ranges", "rounding"):
        values[key] = dict(values[key])
    if not values["observer_batch"]:
        del values["observer_batch"]
    if not values["percentile"]:
        del values["percentile"]
    if scheme.dynamic:
        values = {key: value for key, value in values.items() if key not in CALIBRATED}
    if not _says(values, scheme):
        return None
    for part in list(_parts(values)):
        shorter = _without(values, part)
        if _says(shorter, scheme):
            values = shorter
    return {key: _as_written(key, value) for key, value in values.items()}


def _says(values: Mapping[str, Any], scheme: Scheme) -> bool:
    try:
        return resolve(settings_from(values), bits=scheme.bits).id == scheme.id
    except BadInput:
        return False


def _parts(values: Mapping[str, Any]) -> Iterator[Part]:
    """Yield what could be left out: settings, and entries of those that are mappings."""
    for key, value in values.items():
        if key == "preset":
            continue
        yield key, None
        if isinstance(value, Mapping):
            yield from ((key, name) for name in value)


def _without(values: Mapping[str, Any], part: Part) -> dict[str, Any]:
    key, name = part
    if name is None or key not in values:
        return {other: value for other, value in values.items() if other != key}
    inner = {other: value for other, value in values[key].items() if other != name}
    return {**values, key: inner}


def _as_written(key: str, value: Any) -> Any:
    """Return one word instead of a mapping that says no more."""
    word = {"ranges": "*", "rounding": "linear"}.get(key)
    if isinstance(value, Mapping) and word is not None and set(value) == {word}:
        return value[word]
    return value
