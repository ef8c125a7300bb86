"""What can be wrong with the claims of a recipe beyond types: names, values, what stays open.

Like the other checks, these work on plain content, whatever else is wrong with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from calibkit.errors import unknown_name
from calibkit.recipe.claims import CLAIMED_AXES, MEASURES, ClaimMeasure
from calibkit.recipe.content import alike, list_at, mapping_at, some
from calibkit.recipe.wording import found
from calibkit.recipe.yaml_source import Path

Problems = Iterator[tuple[Path, str]]

NOISE_FORMS = {
    "level": "write {KIND: LEVEL}, as in {keyboard: 0.1}",
    "allowed": "write {KIND: LEVEL}, as in {keyboard: 0.1}, or leave it out for clean documents",
    "kind": "write the kind alone, as in keyboard: the measure is over all its levels",
}


def check_claims(document: Mapping[str, Any]) -> Problems:
    """Yield (path, message) for every problem of the section ``claims``."""
    claims = document.get("claims")
    first: dict[str, int] = {}
    for index, entry in enumerate(claims if isinstance(claims, list) else []):
        if not isinstance(entry, Mapping):
            continue
        path: Path = ("claims", index)
        name = entry.get("id")
        if isinstance(name, str):
            if name in first:
                message = f"{name!r} is the id of claims[{first[name]}] already; choose another"
                yield (*path, "id"), message
            first.setdefault(name, index)
        yield from _sides(document, entry, path)
        measure = entry.get("measure")
        known = MEASURES.get(measure) if isinstance(measure, str) else None  # type: ignore[call-overload]
        if known is not None:
            yield from _noise(document, entry, str(measure), known, path)
            yield from _amounts(entry, str(measure), known, path)
            yield from _kept(document, str(measure), known, path)


def _sides(document: Mapping[str, Any], entry: Mapping[str, Any], path: Path) -> Problems:
    """What is compared and under which conditions: values of the grid, and no axis left open."""
    grid = mapping_at(document, "grid")
    compare, where = mapping_at(entry, "compare"), mapping_at(entry, "where")
    problems = [*_compared(grid, entry, path), *_fixed(grid, where, compare, path)]
    yield from problems
    unreadable = [axis for axis in (*compare, *where) if axis not in CLAIMED_AXES]
    open_axes = [
        f"{axis} ({some(grid[axis])})"
        for axis in CLAIMED_AXES
        if axis not in where and axis not in compare and len(list_at(grid, axis)) > 1
    ]
    if open_axes and not problems and not unreadable:
        at = (*path, "where") if "where" in entry else path
        yield at, f"nothing says which {' and which '.join(open_axes)}; add it to where"


def _compared(grid: Mapping[str, Any], entry: Mapping[str, Any], path: Path) -> Problems:
    compare = mapping_at(entry, "compare")
    if isinstance(entry.get("compare"), Mapping) and len(compare) != 1:
        what = f"found {', '.join(map(str, compare))}" if compare else "found none"
        yield (*path, "compare"), f"A and B differ along one axis, as in policy: [a, b]; {what}"
    for axis, pair in compare.items():
        at: Path = (*path, "compare", axis)
        if axis not in CLAIMED_AXES or not isinstance(pair, list) or len(pair) != 2:
            continue
        if axis not in grid:
            yield at, f"the grid has no axis {axis!r}; compare along another"
            continue
        for place, value in enumerate(pair):
            message = _not_there(grid, axis, value)
            if message:
                yield (*at, place), message
        if alike(pair[0]) is not None and alike(pair[0]) == alike(pair[1]):
            yield at, f"A and B are both {found(pair[0])}; give two values"


def _fixed(
    grid: Mapping[str, Any], where: Mapping[str, Any], compare: Mapping[str, Any], path: Path
) -> Problems:
    for axis, value in where.items():
        at: Path = (*path, "where", axis)
        if axis in compare:
            yield at, f"{axis} is what A and B differ in; leave it out here, or out of compare"
        elif axis in CLAIMED_AXES:
            message = _not_there(grid, axis, value)
            if message:
                yield at, message


def _not_there(grid: Mapping[str, Any], axis: str, value: Any) -> str | None:
    """Return what is wrong with a value of an axis; None where the grid has it."""
    if axis not in grid:
        return f"the grid has no axis {axis!r}; leave it out" if alike(value) else None
    values = list_at(grid, axis)
    if alike(value) is None or not values or alike(value) in map(alike, values):
        return None
    if isinstance(value, str) and all(isinstance(one, str) for one in values):
        return unknown_name(f"{axis} in the grid", value, values)
    return f"grid.{axis} has no {found(value)}; it has {some(values)}"


def _noise(
    document: Mapping[str, Any],
    entry: Mapping[str, Any],
    measure: str,
    known: ClaimMeasure,
    path: Path,
) -> Problems:
    at: Path = (*path, "noise")
    if known.noise == "none":
        if "noise" in entry:
            yield at, f"{measure} is measured on no noisy documents; leave noise out"
        return
    levels = mapping_at(mapping_at(document, "measure"), "noise")
    noise = entry.get("noise")
    if "noise" not in entry:
        if known.noise != "allowed":
            yield path, f"{measure} needs a noise; {_noise_form(known)}"
        return
    if noise is None:
        return  # said already: nothing is written there
    if known.noise == "kind":
        if not isinstance(noise, str):
            yield at, _noise_form(known)
        elif noise not in levels:
            yield at, _unmeasured(noise, levels)
        return
    if not isinstance(noise, Mapping) or len(noise) != 1:
        yield at, f"one kind and one level: {_noise_form(known)}"
        return
    ((kind, level),) = noise.items()
    if kind not in levels:
        yield (*at, kind), _unmeasured(kind, levels)
    elif isinstance(level, (int, float)) and not isinstance(level, bool):
        measured = list_at(levels, kind)
        if measured and level != 0 and level not in measured:
            yield (*at, kind), f"measure.noise.{kind} has no {level}; it has {some(measured)}"


def _noise_form(known: ClaimMeasure) -> str:
    return NOISE_FORMS[known.noise]


def _unmeasured(kind: str, levels: Mapping[str, Any]) -> str:
    if not levels:
        return f"the recipe measures no {kind!r}; add it to measure.noise"
    return unknown_name("noise kind of this recipe", kind, levels)


def _amounts(entry: Mapping[str, Any], measure: str, known: ClaimMeasure, path: Path) -> Problems:
    expect = entry.get("expect")
    if expect == "equal":
        if "by" in entry:
            yield (*path, "by"), "by belongs to lower and higher; say how close with within"
        if "within" not in entry and known.within is None:
            message = f"{measure} has no usual margin; add within, in {known.unit}"
            yield path, message
    elif expect in ("lower", "higher"):
        if "within" in entry:
            yield (
                (*path, "within"),
                f"within belongs to equal; say by how many {known.unit} with by",
            )
        if expect == "lower" and "compare" not in entry and not known.signed:
            message = f"{measure} is never below 0; add compare, or expect higher"
            yield (*path, "expect"), message


def _kept(document: Mapping[str, Any], measure: str, known: ClaimMeasure, path: Path) -> Problems:
    kept = mapping_at(document, "measure").get("distributions")
    if known.distribution and isinstance(kept, list) and known.distribution not in kept:
        message = f"{measure} needs {known.distribution} in measure.distributions"
        yield (*path, "measure"), message
