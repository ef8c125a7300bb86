"""What pydantic cannot see: names that must exist, values that repeat, entries without effect.

Every check works on the plain content, whatever else is wrong with it, so that one reading finds
all problems. Each yields (path, message).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from typing import Any

from pydantic import ValidationError

from calibkit.corpora.noise import noise_kinds
from calibkit.errors import BadInput, CalibkitError, nearest, unknown_name
from calibkit.models.settings import KINDS, settings_from
from calibkit.policies import parameter_problems
from calibkit.quantize.presets import PEER_BITS, PRESETS
from calibkit.quantize.schemes import (
    SchemeSettings,
    has_bits,
    unmatched_patterns,
    unsupported,
    with_linear_rounding,
)
from calibkit.recipe.claim_checks import check_claims
from calibkit.recipe.content import alike, list_at, mapping_at, some
from calibkit.recipe.model import AXES, MOST_CELLS
from calibkit.recipe.recipe import settings_under
from calibkit.recipe.wording import found
from calibkit.recipe.yaml_source import Path

Problems = Iterator[tuple[Path, str]]


def check(document: Mapping[str, Any]) -> Problems:
    """Yield every problem of a recipe's content that goes beyond types and single values."""
    for part in _CHECKS:
        yield from part(document)


def kind_of(alias: str, section: Mapping[str, Any]) -> str | None:
    """Return the model kind that an alias stands for; None when nothing says so."""
    use = section.get("use", alias if alias in KINDS else None)
    return use if isinstance(use, str) else None


def nothing_written(document: Mapping[str, Any]) -> Problems:
    """Yield keys without a value: a slip, not a way to ask for the default."""

    def empty(node: Any, path: Path) -> Problems:
        if node is None:
            yield path, "nothing is written here; give a value or leave the key out"
        elif path[:1] == ("policies",) and len(path) > 2:
            return  # what a parameter may be is for the policy to say
        elif isinstance(node, Mapping):
            for key, value in node.items():
                yield from empty(value, (*path, key))
        elif isinstance(node, list):
            for index, value in enumerate(node):
                yield from empty(value, (*path, index))

    yield from empty(document, ())


def _corpus(document: Mapping[str, Any]) -> Problems:
    corpus = mapping_at(document, "corpus")
    pool, test = corpus.get("pool", "train"), corpus.get("test", "test")
    if pool == test:
        where = "pool" if "pool" in corpus else "test"
        message = f"calibration documents and test documents are both taken from {pool!r}"
        yield ("corpus", where), f"{message}; choose two splits"
    elif test == "train":
        yield ("corpus", "test"), "the float models learn from 'train'; measure on test, or valid"


def check_models(document: Mapping[str, Any]) -> Problems:
    """Yield models of no kind, and settings that their kind does not have."""
    for alias, section in mapping_at(document, "models").items():
        if not isinstance(section, Mapping):
            continue
        path: Path = ("models", alias)
        yield from repeated(section.get("seeds"), (*path, "seeds"))
        kind = kind_of(alias, section)
        if kind is None:
            if "use" not in section:
                near = nearest(alias, KINDS)
                hint = f"did you mean {near!r}?" if near else f"add use: {' or use: '.join(KINDS)}"
                yield path, f"nothing says which kind of model this is; {hint}"
            continue
        if kind not in KINDS:
            yield (*path, "use"), unknown_name("model kind", kind, KINDS)
            continue
        for key, value in section.items():
            if key in ("use", "seeds") or value is None:
                continue
            try:
                settings_from(kind, {key: value})
            except BadInput as error:
                yield (*path, key), str(error).removeprefix(f"{key}: ")


def check_policies(document: Mapping[str, Any]) -> Problems:
    """Yield policies that there are not, and parameters that they do not take."""
    for alias, section in mapping_at(document, "policies").items():
        if not isinstance(section, Mapping) or not isinstance(section.get("use"), str):
            continue
        params = {key: value for key, value in section.items() if key != "use"}
        try:
            for problem in parameter_problems(section["use"], params):
                yield ("policies", alias, *problem.path), problem.message
        except CalibkitError as error:
            yield ("policies", alias), str(error)


def repeated(values: Any, path: Path) -> Problems:
    """Yield the values of a list that stand in it before."""
    seen: set[Any] = {None}
    for index, value in enumerate(values if isinstance(values, list) else []):
        known = alike(value)
        if known is not None and known in seen:
            yield (*path, index), f"{found(value)} stands twice in this list"
        seen.add(known)


def _grid(document: Mapping[str, Any]) -> Problems:
    yield from check_grid(document, AXES, {"model": "models", "policy": "policies"})


def check_grid(
    document: Mapping[str, Any], axes: Iterable[str], sections: Mapping[str, str]
) -> Problems:
    """Yield values that stand twice, and aliases that no section has.

    sections: axis of aliases -> the section that they come from.
    """
    grid = mapping_at(document, "grid")
    for axis in axes:
        yield from repeated(grid.get(axis), ("grid", axis))
    for axis, section in sections.items():
        aliases = mapping_at(document, section)
        for index, name in enumerate(list_at(grid, axis)):
            if isinstance(name, str) and aliases and name not in aliases:
                message = unknown_name(f"{axis} of this recipe", name, aliases)
                yield ("grid", axis, index), message


def _scheme_settings(values: Mapping[str, Any]) -> SchemeSettings:
    """Return the settings that are valid by themselves; the others are said by the model."""
    valid = {}
    for key, value in values.items():
        try:
            SchemeSettings.model_validate({key: value})
        except ValidationError:
            continue
        valid[key] = value
    return SchemeSettings.model_validate(valid)


def check_quantize(document: Mapping[str, Any]) -> Problems:
    """Yield settings that no value of the grid can have, alone or together."""
    settings = _scheme_settings(mapping_at(document, "quantize"))
    schemes = {
        alias: _scheme_settings(section)
        for alias, section in mapping_at(document, "schemes").items()
        if isinstance(section, Mapping)
    }
    models = mapping_at(document, "models")
    names = [name for name in list_at(mapping_at(document, "grid"), "model") if _is_name(name)]
    sections = {name: models[name] for name in names if isinstance(models.get(name), Mapping)}
    kinds = {kind_of(alias, section) for alias, section in sections.items()}
    known = tuple(kind for kind in KINDS if kind in kinds)
    written: list[tuple[Path, SchemeSettings]] = [(("quantize",), settings)]
    written += [(("schemes", alias), own) for alias, own in schemes.items()]
    for path, own in written:
        for key, message in unmatched_patterns(own, known) if known else []:
            yield (*path, *key), message
    for alias in schemes:
        if alias in PRESETS:
            yield ("schemes", alias), "this is the name of a preset; choose another alias"
    yield from _schemes(settings, schemes, mapping_at(document, "grid"))
    yield from _widths(settings, schemes, document)


def _is_name(value: Any) -> bool:
    return isinstance(value, str)


def _schemes(
    quantize: SchemeSettings, schemes: Mapping[str, SchemeSettings], grid: Mapping[str, Any]
) -> Problems:
    """What is wrong with the settings under any value of the axes that change them, said once.

    The axis ``preset`` replaces the preset of ``quantize:`` or puts a scheme's settings over
    them; its rounding is looked at even where an axis replaces that too.
    """
    names: list[str | None] = []
    for index, name in enumerate(list_at(grid, "preset")):
        if not _is_name(name):
            continue
        if name in PRESETS or name in schemes:
            names.append(name)
        else:
            known = [*PRESETS, *schemes]
            yield ("grid", "preset", index), unknown_name("preset or scheme", name, known)
    roundings = [
        (index, value)
        for index, value in enumerate(list_at(grid, "rounding"))
        if "rounding" in _scheme_settings({"rounding": value}).model_fields_set
    ]
    said: set[tuple[Path, str]] = set()
    for name in names or [None]:
        settings = settings_under(name, quantize, schemes)
        own = schemes[name].model_fields_set if name is not None and name in schemes else set()
        listed: list[tuple[int | None, Any]] = list(roundings)
        if settings.rounding is not None or not listed:
            listed.append((None, settings.rounding))
        for place, rounding in listed:
            tried = settings if place is None else with_linear_rounding(settings, rounding)
            for path, message in unsupported(tried):
                where: Path = ("schemes", str(name)) if path[0] in own else ("quantize",)
                where = (*where, *path)
                if place is not None and path in (("rounding",), ("rounding", "linear")):
                    where = ("grid", "rounding", place)
                if (where, message) not in said:
                    said.add((where, message))
                    yield where, message


def _widths(
    quantize: SchemeSettings, schemes: Mapping[str, SchemeSettings], document: Mapping[str, Any]
) -> Problems:
    """Widths that a preset does not have, unless its cells of these widths are excluded."""
    grid = mapping_at(document, "grid")
    listed = [name for name in list_at(grid, "preset") if _is_name(name)]
    names = [name for name in listed if name in PRESETS or name in schemes]
    entries = [entry for entry in list_at(document, "exclude") if isinstance(entry, Mapping)]
    for name in names or [None]:
        settings = settings_under(name, quantize, schemes)
        for index, bits in enumerate(list_at(grid, "bits")):
            if type(bits) is not int or has_bits(settings, bits):
                continue
            if any(_covers(entry, {"preset": name, "bits": bits}) for entry in entries):
                continue
            way = f", or exclude {{preset: {name}, bits: {bits}}}" if len(names) > 1 else ""
            message = f"the preset {settings.preset} quantizes to {PEER_BITS} bits only"
            yield ("grid", "bits", index), f"{message}; leave {bits} out{way}"


def _covers(entry: Mapping[str, Any], at: Mapping[str, Any]) -> bool:
    """Say whether an entry of ``exclude`` names axes of ``at`` alone, and its values on them."""
    listed = {axis: one if isinstance(one, list) else [one] for axis, one in entry.items()}
    return bool(listed) and all(axis in at and at[axis] in ones for axis, ones in listed.items())


def _exclude(document: Mapping[str, Any]) -> Problems:
    grid = mapping_at(document, "grid")
    for index, entry in enumerate(list_at(document, "exclude")):
        if not isinstance(entry, Mapping):
            continue
        path: Path = ("exclude", index)
        if not entry:
            yield path, "names no axis, so it would leave out every cell"
        for axis, value in entry.items():
            if axis not in AXES:
                continue
            if axis not in grid:
                yield (*path, axis), f"matches nothing: the grid has no axis {axis!r}"
                continue
            if not isinstance(grid[axis], list):
                continue
            there = {alike(one) for one in grid[axis]}
            for position, wanted in enumerate(value if isinstance(value, list) else [value]):
                if wanted is not None and alike(wanted) not in there:
                    at = (*path, axis, position) if isinstance(value, list) else (*path, axis)
                    said = f"grid.{axis} has no {found(wanted)}; it has {some(grid[axis])}"
                    yield at, f"matches nothing: {said}"


def _count(document: Mapping[str, Any]) -> Problems:
    grid = mapping_at(document, "grid")
    axes = {axis: list_at(grid, axis) for axis in AXES if axis in grid}
    if not all(axes.values()) or not {"model", "policy", "size", "seed", "bits"} <= set(axes):
        return
    positions = math.prod(len(values) for values in axes.values())
    if positions > MOST_CELLS:
        yield (
            ("grid",),
            f"{positions:,} cells are more than the {MOST_CELLS:,} that a recipe may ask for",
        )
        return
    entries = [entry for entry in list_at(document, "exclude") if isinstance(entry, Mapping)]
    tests = [{a: v if isinstance(v, list) else [v] for a, v in e.items()} for e in entries if e]
    left = (
        not any(all(at.get(a) in values for a, values in test.items()) for test in tests)
        for at in (dict(zip(axes, values, strict=True)) for values in product(*axes.values()))
    )
    if tests and not any(left):
        yield ("exclude",), "together these entries leave out every cell"


def _measure(document: Mapping[str, Any]) -> Problems:
    measure = mapping_at(document, "measure")
    noise = mapping_at(measure, "noise")
    for kind, levels in noise.items():
        if kind not in noise_kinds():
            yield ("measure", "noise", kind), unknown_name("noise kind", kind, noise_kinds())
        yield from repeated(levels, ("measure", "noise", kind))
    yield from repeated(measure.get("distributions"), ("measure", "distributions"))


_CHECKS: tuple[Callable[[Mapping[str, Any]], Problems], ...] = (
    nothing_written,
    _corpus,
    check_models,
    check_policies,
    _grid,
    check_quantize,
    _exclude,
    _count,
    _measure,
    check_claims,
)
