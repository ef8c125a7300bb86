"""What pydantic cannot see in a recipe of a stream; see `calibkit.recipe.checks`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from typing import Any, get_args

from calibkit.corpora.noise import noise_kinds
from calibkit.errors import unknown_name
from calibkit.quantize.presets import PRESETS
from calibkit.recipe.checks import (
    Problems,
    check_grid,
    check_models,
    check_policies,
    check_quantize,
    nothing_written,
    repeated,
)
from calibkit.recipe.content import list_at, mapping_at
from calibkit.recipe.stream_model import PARAMETERS, STREAM_AXES, Feature, MethodSection
from calibkit.recipe.yaml_source import Path

MOST_TRAJECTORIES = 100_000
"""Largest number of trajectories that one recipe may ask for."""

FROZEN = "frozen: {subset: frozen, model: frozen}"

_ELSEWHERE = {
    "claims": "a recipe of a stream has no claims; leave them out",
    "exclude": "a recipe of a stream leaves no cells out; write the grid that is wanted",
    "measure": "a recipe of a stream says what it measures on under stream: hold_out, phases",
}


def check_stream(document: Mapping[str, Any]) -> Problems:
    """Yield every problem of the content that goes beyond types and single values."""
    for part in _CHECKS:
        yield from part(document)


def _elsewhere(document: Mapping[str, Any]) -> Problems:
    for key, message in _ELSEWHERE.items():
        if key in document:
            yield (key,), message
    if "test" in mapping_at(document, "corpus"):
        yield ("corpus", "test"), "a recipe of a stream says this as stream.hold_out_from"


def _splits(document: Mapping[str, Any]) -> Problems:
    sources = [
        ("start subsets", "corpus", "pool", "train"),
        ("batches", "stream", "batches_from", "valid"),
        ("hold-outs", "stream", "hold_out_from", "test"),
    ]
    splits = {}
    for what, section, key, usual in sources:
        written = mapping_at(document, section)
        splits[what] = (section, key), written.get(key, usual), key in written
    for (a, (place, split, is_written)), (b, (other, same, other_is)) in combinations(
        splits.items(), 2
    ):
        if split == same:
            path = place if is_written and not other_is else other
            yield path, f"{a} and {b} are both taken from {split!r}; choose two splits"
    place, split, _ = splits["hold-outs"]
    if split == "train":
        yield place, "the float models learn from 'train'; measure on test, or valid"


def _dynamic(document: Mapping[str, Any]) -> Problems:
    sections: list[tuple[Path, Any]] = [(("quantize",), document.get("quantize"))]
    sections += [(("schemes", a), one) for a, one in mapping_at(document, "schemes").items()]
    for path, section in sections:
        if isinstance(section, Mapping) and section.get("dynamic") is True:
            message = "under dynamic: true there are no ranges that could follow a stream"
            yield (*path, "dynamic"), f"{message}; leave it out"


def _peers(document: Mapping[str, Any]) -> Problems:
    """Presets of other tools: nothing of calibkit's can follow a stream in their networks."""
    said = mapping_at(document, "quantize").get("preset")
    named: list[tuple[Path, Any]] = [(("quantize", "preset"), said)]
    named += [
        (("schemes", alias, "preset"), section.get("preset"))
        for alias, section in mapping_at(document, "schemes").items()
        if isinstance(section, Mapping)
    ]
    listed = list_at(mapping_at(document, "grid"), "preset")
    named += [(("grid", "preset", place), name) for place, name in enumerate(listed)]
    for path, name in named:
        if _text(name) and PRESETS.get(name, {}).get("quantizer", "calibkit") != "calibkit":
            message = f"{name} is another tool's quantizer, whose networks no update here changes"
            yield path, f"{message}; take a preset of calibkit's own, as robust"


def _contents(document: Mapping[str, Any]) -> Problems:
    stream = mapping_at(document, "stream")
    written = [key for key in ("phases", "drift", "order") if key in stream]
    if stream and not written:
        yield ("stream",), "nothing says what comes; add one of phases, drift and order"
    for key in written[1:]:
        message = f"the stream has {written[0]} already; it is one of phases, drift and order"
        yield ("stream", key), message
    for path, section in _sections(stream):
        yield from _content(path, section)
    names = [s.get("name") if isinstance(s, Mapping) else None for s in list_at(stream, "phases")]
    for path, message in repeated(names, ("stream", "phases")):
        yield (*path, "name"), message.replace("in this list", "among the phases")
    yield from _drift(mapping_at(stream, "drift"))


def _sections(stream: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    for index, section in enumerate(list_at(stream, "phases")):
        if isinstance(section, Mapping):
            yield ("stream", "phases", index), section
    for end in ("first", "last"):
        yield ("stream", "drift", end), mapping_at(mapping_at(stream, "drift"), end)


def _content(path: Path, section: Mapping[str, Any]) -> Problems:
    noise = mapping_at(section, "noise")
    for kind in noise:
        if kind not in noise_kinds():
            yield (*path, "noise", kind), unknown_name("noise kind", kind, noise_kinds())
    if len(noise) > 1:
        kinds = " and ".join(map(str, noise))
        message = f"documents come under one kind of noise, not under {kinds}; keep one"
        yield (*path, "noise"), message
    weights = list(mapping_at(section, "labels").values())
    if weights and all(_number(w) and w == 0 for w in weights):
        yield (*path, "labels"), "every weight is 0, so nothing comes; give a label more"
    for column, ends in mapping_at(section, "between").items():
        if not isinstance(ends, list) or len(ends) != 2 or not all(map(_number, ends)):
            continue
        if not ends[0] < ends[1]:
            message = f"no document stands between {ends[0]} and {ends[1]}; the first end is below"
            yield (*path, "between", column), message


def _drift(drift: Mapping[str, Any]) -> Problems:
    first, last = mapping_at(drift, "first"), mapping_at(drift, "last")
    if not isinstance(drift.get("first"), Mapping) or not isinstance(drift.get("last"), Mapping):
        return
    path: Path = ("stream", "drift", "last")
    if first == last:
        yield path, "says what first says, so nothing drifts; change it, or write phases"
    if first.get("corpus") != last.get("corpus"):
        message = "first and last come from the same corpus; write phases to go to another"
        yield (*path, "corpus"), message
    kinds = [next(iter(mapping_at(end, "noise")), None) for end in (first, last)]
    if None not in kinds and kinds[0] != kinds[1]:
        message = f"first has {kinds[0]}, and a level rises within one kind; write {kinds[0]}"
        yield (*path, "noise"), message
    having = [end for end in ("first", "last") if "labels" in drift[end]]
    if len(having) == 1:
        message = "first and last need the labels of both to drift between; write them in the other"
        yield ("stream", "drift", having[0], "labels"), message


def _methods(document: Mapping[str, Any]) -> Problems:
    methods = mapping_at(document, "methods")
    frozen = []
    for alias, section in methods.items():
        if not isinstance(section, Mapping):
            continue
        if section.get("subset") == "frozen" and section.get("model") == "frozen":
            frozen.append(alias)
        yield from _parameters(("methods", alias), section)
    if methods and not frozen:
        yield ("methods",), f"everything is compared with what never changes; add {FROZEN}"
    for alias in frozen[1:]:
        yield ("methods", alias), f"says what {frozen[0]} says; leave one out"
    listed = list_at(mapping_at(document, "grid"), "method")
    if frozen and listed and not set(frozen).intersection(x for x in listed if isinstance(x, str)):
        message = f"everything is compared with {frozen[0]}; add it"
        yield ("grid", "method"), message


def _parameters(path: Path, section: Mapping[str, Any]) -> Problems:
    model = section.get("model")
    known = next((names for update, names in PARAMETERS.items() if update == model), None)
    if known is None:
        return
    for name in section:
        if name in ("subset", "model") or name in known or name not in MethodSection.model_fields:
            continue
        has = f"it has {', '.join(known)}" if known else "it has none; leave it out"
        yield (*path, name), f"{model} has no parameter {name!r}; {has}"
    yield from repeated(section.get("layers"), (*path, "layers"))
    without = section.get("without")
    yield from repeated(without, (*path, "without"))
    if isinstance(without, list) and set(get_args(Feature)) <= {x for x in without if _text(x)}:
        yield (*path, "without"), "this leaves the flip predictor no feature; keep one"


def _grid(document: Mapping[str, Any]) -> Problems:
    sections = {"model": "models", "method": "methods", "policy": "policies"}
    yield from check_grid(document, STREAM_AXES, sections)
    grid = mapping_at(document, "grid")
    axes = [list_at(grid, axis) for axis in STREAM_AXES if axis in grid]
    count = math.prod(len(values) for values in axes)
    if count > MOST_TRAJECTORIES:
        most = f"{MOST_TRAJECTORIES:,} that a recipe may ask for"
        yield ("grid",), f"{count:,} trajectories are more than the {most}"


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_CHECKS: tuple[Callable[[Mapping[str, Any]], Problems], ...] = (
    nothing_written,
    _elsewhere,
    check_models,
    check_policies,
    check_quantize,
    _dynamic,
    _peers,
    _splits,
    _contents,
    _methods,
    _grid,
)
