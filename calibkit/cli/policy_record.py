"""What ``calibkit show POLICY`` tells: a policy, its parameters, and the keys inside these."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo


def policy(name: str) -> list[dict[str, Any]]:
    """Return a policy of this installation with its parameters."""
    from calibkit.policies import Generator, find_policy

    cls = find_policy(name)
    return [
        {
            "policy": name,
            "documents": "makes them" if issubclass(cls, Generator) else "chooses them",
            "version": _said(cls.version),
            "nested": _said(cls.nested),
            "uses_seed": _said(cls.uses_seed),
            "needs": _said(cls.needs),
            "defined_in": f"{cls.__module__}.{cls.__qualname__}",
            "parameters": list(_parameters(cls)),
            "about": "\n\n".join([inspect.getdoc(cls) or "", *_parts_told(cls)]),
        }
    ]


def _parameters(cls: type[BaseModel], prefix: str = "") -> Iterator[dict[str, str]]:
    """Yield the parameters, and below one with keys of its own these: ``filters.min_tokens``."""
    for name, field in cls.model_fields.items():
        yield {
            "parameter": prefix + name,
            "type": _type_name(field.annotation),
            "default": "required" if field.is_required() else _default(field),
        }
        part, is_listed = _part(field.annotation)
        if part is not None:
            yield from _parameters(part, f"{prefix}{name}{'[]' if is_listed else ''}.")


def _parts_told(cls: type[BaseModel]) -> Iterator[str]:
    """Yield what the parameters with keys of their own say of themselves."""
    for name, field in cls.model_fields.items():
        part, _ = _part(field.annotation)
        if part is not None:
            yield f"``{name}``: {inspect.getdoc(part) or ''}"


def _part(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """Return the model that a parameter's value is, or a list of, and whether it is a list.

    None where it is neither: a policy inside another one has parameters by its name.
    """
    from pydantic import BaseModel

    from calibkit.policies import Generator, Policy

    origin = get_origin(annotation)
    if origin is None:
        is_part = isinstance(annotation, type) and issubclass(annotation, BaseModel)
        if is_part and not issubclass(annotation, (Policy, Generator)):
            return annotation, False
        return None, False
    found = (_part(one) for one in get_args(annotation)[: 1 if origin is Annotated else None])
    part, is_listed = next((one for one in found if one[0] is not None), (None, False))
    return part, is_listed or (part is not None and origin is list)


def _said(value: object) -> object:
    if isinstance(value, property):
        return "depends on the parameters"
    return list(value) if isinstance(value, tuple) else value


def _default(field: FieldInfo) -> str:
    """Return a parameter's default as it is written in recipes; a policy as its parameters."""
    return json.dumps(
        field.get_default(call_default_factory=True),
        default=lambda policy: {"use": policy.name, **policy.params()},
    )


def _type_name(annotation: Any) -> str:
    """Return a type without modules and validators: ``list[Policy] | None``."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type_name(parts[0])
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, parts))}]"
    names = ["None" if part is type(None) else _type_name(part) for part in parts]
    if origin in (Union, UnionType):
        return " | ".join(names)
    name = getattr(origin or annotation, "__name__", str(annotation))
    return f"{name}[{', '.join(names)}]" if names else name
