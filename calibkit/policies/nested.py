"""Policies inside policies: written as in a recipe, ``{use: k-center, candidates: 500}``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from calibkit.errors import CalibkitError, Infeasible
from calibkit.policies.base import Policy, foreseen, select
from calibkit.policies.draw import Draw, Rows
from calibkit.policies.pool import Pool
from calibkit.policies.registry import (
    ParameterProblem,
    PartRefused,
    make_policy,
    parameter_problems,
)


def _made(given: Any) -> Any:
    """Return the policy that a mapping names; what is no mapping is for pydantic to judge."""
    if isinstance(given, Policy):
        return given
    if not isinstance(given, Mapping) or not isinstance(given.get("use"), str):
        raise ValueError(
            f"{given!r} is not a policy; write it as {{use: NAME, PARAMETER: VALUE}}, for example "
            "{use: stratified, mix: equal}"
        )
    name, params = given["use"], {key: value for key, value in given.items() if key != "use"}
    try:
        problems = parameter_problems(name, params)
        if problems:
            raise PartRefused(name, problems)
        found = make_policy(name, params)
    except CalibkitError as error:
        raise PartRefused(name, [ParameterProblem(("use",), str(error))]) from error
    if not isinstance(found, Policy):
        raise ValueError(
            f"{name} makes documents, it does not choose them; it cannot be part of another"
        )
    return found


def _written(policy: Policy) -> dict[str, Any]:
    return {"use": policy.name, **policy.params()}


Part = Annotated[Policy, BeforeValidator(_made), PlainSerializer(_written)]
"""The type of a parameter that is itself a policy."""


def needs_of(parts: Iterable[Policy]) -> tuple[str, ...]:
    """Return what the parts need, their filters included, each need once."""
    return tuple(dict.fromkeys(need for part in parts for need in part.every_need))


def labels_in(parameter: str, part: Policy) -> tuple[tuple[str, str], ...]:
    """Return (parameter, label) for every label that the part at ``parameter`` mentions."""
    return tuple((f"{parameter}.{own}", label) for own, label in part.labels_named())


def select_part(parameter: str, part: Policy, pool: Pool, size: int, draw: Draw) -> Rows:
    """Return what `select` does for one of several parts; Infeasible says which part it was."""
    try:
        return select(part, pool, size, draw)
    except Infeasible as error:
        raise Infeasible(f"{parameter}: {error}") from error


def foresee_part(parameter: str, part: Policy, pool: Pool, size: int, draw: Draw) -> str:
    """Return what `foreseen` does for one of several parts; Infeasible says which part it was."""
    try:
        return foreseen(part, pool, size, draw)
    except Infeasible as error:
        raise Infeasible(f"{parameter}: {error}") from error


def version_with(parts: Iterable[Policy], own: int = 1) -> int:
    """Return the version of a choice that is made of others: it rises when that of a part does."""
    return own + sum(part.version - 1 for part in parts)
