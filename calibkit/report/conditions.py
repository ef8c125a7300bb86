"""What is held equal when policies are compared: the float model, the size, and the scheme."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

AXES = ("bits", "preset", "size", "rounding", "scheme_id")
"""What tells conditions of one model apart, in the order in which it is said."""
SEPARATOR = " · "


@dataclass(frozen=True, order=True)
class Condition:
    """One float model (alias), one size of calibration set, one quantization scheme."""

    model: str
    size: int
    bits: int
    rounding: str
    scheme_id: str

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Condition:
        """Return the condition of a row of ``results``, ``summary`` or another view."""
        bits = -1 if row["bits"] is None else int(row["bits"])
        return cls(row["model"], row["size"], bits, row["rounding"] or "", row["scheme_id"])


@dataclass(frozen=True)
class Naming:
    """Names of a study's conditions, without what is the same in all of them.

    said: the axes that are written. everywhere: the other axes, with the value that all share.
    """

    presets: Mapping[str, str]
    said: tuple[str, ...]
    everywhere: Mapping[str, str]

    def __call__(self, condition: Condition) -> str:
        """Return ``4 bits · robust``."""
        return SEPARATOR.join(_words(axis, self.value(condition, axis)) for axis in self.said)

    def whole(self, condition: Condition) -> str:
        """Return ``discriminative · 4 bits · robust``."""
        return f"{condition.model}{SEPARATOR}{self(condition)}"

    def value(self, condition: Condition, axis: str) -> Any:
        """Return the value of an axis."""
        if axis == "preset":
            return self.presets.get(condition.scheme_id, "")
        return getattr(condition, axis)


def name_conditions(conditions: Iterable[Condition], presets: Mapping[str, str]) -> Naming:
    """Return the shortest names that tell the conditions of each model apart.

    presets: scheme id -> what the recipe calls the scheme. Bits are always said.
    """
    there = list(conditions)
    every = Naming(presets, AXES, {})
    values = {axis: {every.value(one, axis) for one in there} for axis in AXES}
    said = [axis for axis in AXES if len(values[axis]) > 1 or axis == "bits"]
    for axis in reversed(said[1:]):
        fewer = [other for other in said if other != axis]
        keys = [(one.model, *(every.value(one, other) for other in fewer)) for one in there]
        if len(set(keys)) == len(set(there)):
            said = fewer
    everywhere = {
        axis: str(next(iter(values[axis])))
        for axis in ("size", "preset", "rounding")
        if axis not in said and len(values[axis]) == 1
    }
    return Naming(presets, tuple(said), everywhere)


def in_order(
    conditions: Iterable[Condition], naming: Naming, presets: Sequence[str] = ()
) -> list[Condition]:
    """Return conditions by model, preset, size, rounding, and from many bits to few.

    presets: as the recipe orders them; others follow by name.
    """
    places = {preset: place for place, preset in enumerate(presets)}

    def key(one: Condition) -> tuple[str, int, str, int, str, int, str]:
        preset = str(naming.value(one, "preset"))
        place = places.get(preset.split(", ")[0], len(places))
        return one.model, place, preset, one.size, one.rounding, -one.bits, one.scheme_id

    return sorted(set(conditions), key=key)


def panels(
    conditions: Sequence[Condition], rows_each: int, naming: Naming, most: int
) -> list[tuple[str, list[Condition]]]:
    """Return conditions in groups that one figure can show, each with the name of the group.

    rows_each: rows that one condition takes. most: rows of one figure. The coarsest grouping whose
    figures all fit is taken: by model, then also by preset, size, rounding, bits.
    """
    keys: list[str] = []
    for axis in ("", "preset", "size", "rounding", "bits", "scheme_id"):
        if axis and axis not in naming.said:
            continue
        keys += [axis] if axis else []
        groups: dict[tuple[Any, ...], list[Condition]] = {}
        for one in conditions:
            group = (one.model, *(naming.value(one, key) for key in keys))
            groups.setdefault(group, []).append(one)
        if all(len(group) * rows_each <= most for group in groups.values()):
            break
    return [
        (SEPARATOR.join([key[0], *map(_words, keys, key[1:])]), group)
        for key, group in groups.items()
    ]


def _words(axis: str, value: Any) -> str:
    if axis == "bits":
        return "no bit width" if value == -1 else f"{value} bits"
    return f"{value:,} documents" if axis == "size" else str(value)
