"""Policies by name: the built-in ones, and those that other packages offer."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from calibkit.errors import BadInput, UnknownName, unknown_name
from calibkit.policies.base import REGISTERED, Policy
from calibkit.policies.generators import Generator

GROUP = "calibkit.policies"
"""The entry-point group in which a package offers ``policy-name = "package.module:Class"``."""


@dataclass(frozen=True)
class ParameterProblem:
    """What is wrong with one parameter: where (keys from the outside in), and a sentence."""

    path: tuple[str | int, ...]
    message: str


def policy_names() -> list[str]:
    """Return the names of all policies, sorted; nothing of another package is imported for it."""
    return sorted({*REGISTERED, *_offered(tuple(sys.path))})


class PartRefused(ValueError):
    """A policy inside another one is wrong: its name, and what is wrong with its parameters."""

    def __init__(self, name: str, problems: Sequence[ParameterProblem]) -> None:
        super().__init__("; ".join(f"{name}: {problem.message}" for problem in problems))
        self.name = name
        self.problems = tuple(problems)


AnyPolicy = Policy | Generator
"""What `use:` may name: a way to choose documents, or a way to make them."""


def find_policy(name: str) -> type[AnyPolicy]:
    """Return the policy or generator called ``name``, importing its package if need be.

    Raises UnknownName (with the nearest name), or BadInput when two packages offer the name or
    the one that does cannot be loaded.
    """
    offers = _offered(tuple(sys.path)).get(name, ())
    if name not in REGISTERED and not offers:
        raise UnknownName("policy", name, policy_names())
    for offer in offers:
        _load(offer)
    return REGISTERED[name]


def make_policy(name: str, params: Mapping[str, Any] | None = None) -> AnyPolicy:
    """Return the policy ``name`` with the given parameters.

    Raises UnknownName, or BadInput with one line for each wrong parameter.
    """
    policy, problems = _validated(name, params or {})
    if policy is None:
        raise BadInput("\n".join(f"{name}: {problem.message}" for problem in problems))
    return policy


def parameter_problems(name: str, params: Mapping[str, Any]) -> list[ParameterProblem]:
    """Return what is wrong with ``params`` for the policy ``name``; empty when they are right."""
    return _validated(name, params)[1]


def _validated(
    name: str, params: Mapping[str, Any]
) -> tuple[AnyPolicy | None, list[ParameterProblem]]:
    cls = find_policy(name)
    try:
        return cls.model_validate(dict(params)), []
    except ValidationError as error:
        return None, [one for details in error.errors() for one in _problems(cls, details)]


def _problems(cls: type[AnyPolicy], details: ErrorDetails) -> Iterator[ParameterProblem]:
    """Say in this project's words what pydantic found; parts speak of their own parameters."""
    path = tuple(details["loc"])
    parameter = _written(path)
    kind, found = details["type"], details["input"]
    error = details.get("ctx", {}).get("error")
    if isinstance(error, PartRefused):
        for own in error.problems:
            yield ParameterProblem((*path, *own.path), f"{error.name}: {own.message}")
        return
    if kind == "extra_forbidden":
        known = _fields_at(cls, path[:-1])
        inside = f"parameter of {_written(path[:-1])}" if len(path) > 1 else "parameter"
        message = unknown_name(inside, str(path[-1]), known)
    elif kind == "missing":
        message = f"the parameter {parameter!r} is missing"
    elif kind == "value_error":
        reason = str(details["msg"] if error is None else error)
        message = f"{parameter}: {reason}" if parameter else reason
    elif kind == "too_short":
        message = f"{parameter} is empty; it must have at least one entry"
    else:
        message = f"{parameter} is {found!r}; it must be {_rule(cls, path, details)}"
    yield ParameterProblem(path, message)


def _rule(cls: type[AnyPolicy], path: Sequence[str | int], details: ErrorDetails) -> str:
    """Return what a value must be, from the details of pydantic's error."""
    kind = details["type"]
    if kind in ("model_type", "model_attributes_type"):
        return f"a mapping of {', '.join(_fields_at(cls, path))}, as in {{KEY: VALUE}}"
    rules = {
        "dict_type": "a mapping, as in {KEY: VALUE}",
        "list_type": "a list, as in [ONE, OTHER]",
    }
    return rules.get(kind) or details["msg"].removeprefix("Input should be ")


def _written(path: Sequence[str | int]) -> str:
    """Return a path as it is written in messages: ``parts[0].share``."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.removeprefix(".")


def _fields_at(cls: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """Return the parameters of ``cls``, or of the model that stands at ``path`` inside it."""
    for key in path:
        if isinstance(key, str):
            cls = _model_in(cls.model_fields[key].annotation)
    return list(cls.model_fields)


def _model_in(annotation: Any) -> type[BaseModel]:
    """Return the model that an annotation such as ``list[Share] | None`` is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(_model_in(part) for part in get_args(annotation) if part is not type(None))


@lru_cache(maxsize=8)
def _offered(path: tuple[str, ...]) -> Mapping[str, tuple[EntryPoint, ...]]:
    """Return the entry points of the group by policy name; ``path`` is what they depend on."""
    found: dict[str, dict[str, EntryPoint]] = {}
    for offer in entry_points(group=GROUP):
        found.setdefault(offer.name, {})[offer.value] = offer
    return {name: tuple(offers.values()) for name, offers in found.items()}


def _load(offer: EntryPoint) -> None:
    package = offer.dist.name if offer.dist is not None else offer.module
    try:
        offered = offer.load()
    except Exception as error:
        raise BadInput(
            f"the policy {offer.name!r} of the package {package!r} cannot be loaded "
            f"({offer.value}): {type(error).__name__}: {error}; repair or uninstall the package"
        ) from error
    known = REGISTERED.get(offer.name)
    if known is None or (isinstance(offered, type) and offered is not known):
        registers = "registers no policy of that name"
        if known is not None:
            registers = f"is not the policy of that name, {known.__module__}.{known.__qualname__}"
        raise BadInput(
            f"the entry point {offer.name!r} of the package {package!r} ({offer.value}) "
            f"{registers}; "
            f'the class statement must say name="{offer.name}"'
        )
