"""Policies inside policies: written as in a recipe, ``{use: k-center, candidates: 500}``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from calibkit.errors import CalibkitError
from calibkit.policies.base import Policy
from calibkit.policies.registry import make_policy


def _made(given: Any) -> Any:
    """Return the policy that a mapping names; what is no mapping is for pydantic to judge."""
    if isinstance(given, Policy):
        return given
    if not isinstance(given, Mapping) or not isinstance(given.get("use"), str):
        raise ValueError(
            f"{given!r} is not a policy; write it as {{use: NAME, PARAMETER: VALUE}}, for example "
            "{use: stratified, mix: equal}"
        )
    params = {key: value for key, value in given.items() if key != "use"}
    try:
        found = make_policy(given["use"], params)
    except CalibkitError as error:
        raise ValueError(str(error)) from error
    if not isinstance(found, Policy):
        raise ValueError(
            f"{given['use']} makes documents, it does not choose them; it cannot be part of another"
        )
    return found


def _written(policy: Policy) -> dict[str, Any]:
    return {"use": policy.name, **policy.params()}


Part = Annotated[Policy, BeforeValidator(_made), PlainSerializer(_written)]
"""The type of a parameter that is itself a policy."""
