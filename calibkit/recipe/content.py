"""Looking into the plain content of a recipe, whatever stands there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def mapping_at(section: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the mapping under a key; an empty one where there is none."""
    value = section.get(name)
    return value if isinstance(value, Mapping) else {}


def list_at(section: Mapping[str, Any], name: str) -> list[Any]:
    """Return the list under a key; an empty one where there is none."""
    value = section.get(name)
    return value if isinstance(value, list) else []


def alike(value: Any) -> Any:
    """Return what equal scalars share, where true is not 1; None for a list or mapping."""
    scalar = isinstance(value, (str, int, float))
    return (isinstance(value, bool), value) if scalar else None


def some(values: Sequence[Any]) -> str:
    """Return the first dozen of a list, as messages show it."""
    more = ", ..." if len(values) > 12 else ""
    return ", ".join(str(one) for one in values[:12]) + more
