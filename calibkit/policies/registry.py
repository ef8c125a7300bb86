"""Policies by name: the built-in ones, and those that other packages offer."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import ValidationError
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
        return None, [_problem(cls, details) for details in error.errors()]


def _problem(cls: type[AnyPolicy], details: ErrorDetails) -> ParameterProblem:
    """Say in this project's words what pydantic found."""
    path = tuple(details["loc"])
    parameter = ".".join(str(key) for key in path)
    kind, found = details["type"], details["input"]
    if kind == "extra_forbidden":
        message = unknown_name("parameter", parameter, cls.model_fields)
    elif kind == "missing":
        message = f"the parameter {parameter!r} is missing"
    elif kind == "value_error":
        reason = str(details.get("ctx", {}).get("error", details["msg"]))
        message = f"{parameter}: {reason}" if parameter else reason
    elif kind == "too_short":
        message = f"{parameter} is empty; it must have at least one entry"
    else:
        rule = details["msg"].removeprefix("Input should be ")
        message = f"{parameter} is {found!r}; it must be {rule}"
    return ParameterProblem(path, message)


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
