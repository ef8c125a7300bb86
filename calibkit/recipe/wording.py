"""What pydantic found, said in calibkit's words: what was found, what is allowed, what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pydantic_core import ErrorDetails

from calibkit.errors import nearest
from calibkit.recipe.model import keys_of
from calibkit.recipe.yaml_source import Path

Keys = Callable[[Path], list[str] | None]
"""Path of a mapping -> the keys that it may have; None where they are free."""

_SLUG = "use small letters, digits, '-' and '_', at most 64, a letter or digit first"
_ALIAS = "use letters, digits and . _ : / + -, at most 64, a letter or digit first"


def problems_of(
    errors: Iterable[ErrorDetails], document: Any, keys: Keys = keys_of
) -> Iterator[tuple[Path, str]]:
    """Yield (path, message) for every error that pydantic found in ``document``.

    A value that may be a word or a mapping is checked as both; only what concerns the form that
    was written is said.
    """
    for error in errors:
        path, branches, is_key = _locate(error, document)
        if branches and not is_key and _in_other_form(error, branches, path, document):
            continue
        yield path, _message(error, path, is_key, keys)


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Return the message for a key that is not allowed, with the nearest one that is."""
    choices = list(known)
    near = nearest(key, choices)
    return (
        f"unknown key; did you mean {near!r}?"
        if near
        else f"unknown key; allowed: {_list(choices)}"
    )


def found(value: Any) -> str:
    """Return a value as messages show it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:56]}...{text[-1]}"


def _list(choices: Iterable[str]) -> str:
    return ", ".join(choices)


def _in_other_form(error: ErrorDetails, branches: list[str], path: Path, document: Any) -> bool:
    """Return whether an error is about the word where a mapping stands, or the reverse."""
    if any(branch.startswith("dict[") for branch in branches):
        return error["type"] == "dict_type"
    node = document
    for part in path:
        node = node[part]
    return isinstance(node, Mapping)


def _locate(error: ErrorDetails, document: Any) -> tuple[Path, list[str], bool]:
    """Split an error's location into a path of the document, union branches, and "is a key"."""
    path: Path = ()
    branches: list[str] = []
    node = document
    is_key = False
    last = len(error["loc"]) - 1
    for index, part in enumerate(error["loc"]):
        in_list = isinstance(node, list) and isinstance(part, int) and part < len(node)
        if in_list or (isinstance(node, Mapping) and part in node):
            path, node = (*path, part), node[part]
        elif part == "[key]":
            is_key = True
        elif index == last and error["type"] == "missing":
            path = (*path, part)
        elif isinstance(part, str):
            branches.append(part)
    return path, branches, is_key


def _message(error: ErrorDetails, path: Path, is_key: bool, keys: Keys) -> str:
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    shown = found(value)
    if kind == "missing":
        return "required, but missing"
    if kind == "extra_forbidden":
        return unknown_key(str(path[-1]), keys(path[:-1]) or [])
    if kind == "literal_error":
        return _literal(path, value, str(context["expected"]), is_key)
    if kind == "string_pattern_mismatch":
        return _pattern(path, shown, is_key)
    if kind == "string_type":
        quoted = isinstance(value, (int, float)) and not isinstance(value, Mapping)
        return f"expected text, found {shown}" + ("; put it in quotes" if quoted else "")
    if kind == "list_type":
        scalar = not isinstance(value, Mapping) and value is not None
        return f"expected a list, found {shown}" + (f"; write [{_bare(value)}]" if scalar else "")
    if kind in ("too_short", "too_long"):
        return "empty; give at least one" if kind == "too_short" else "too many entries"
    if kind == "string_too_short":
        return "empty; write a line of text"
    if kind == "string_too_long":
        return f"longer than {context['max_length']} characters"
    expected = {
        "int_type": "expected a whole number",
        "int_from_float": "expected a whole number",
        "float_type": "expected a number",
        "bool_type": "expected true or false",
        "dict_type": "expected a mapping",
        "model_type": "expected a mapping",
        "model_attributes_type": "expected a mapping",
    }.get(kind)
    if expected is not None:
        return f"{expected}, found {shown}"
    bound = {
        "greater_than": "above {gt}",
        "greater_than_equal": "at least {ge}",
        "less_than": "below {lt}",
        "less_than_equal": "at most {le}",
    }.get(kind)
    if bound is not None:
        numbers = {name: f"{limit:g}" for name, limit in context.items()}
        return f"{shown} is not allowed; it must be {bound.format(**numbers)}"
    return error["msg"]


def _bare(value: Any) -> str:
    return value if isinstance(value, str) else found(value)


def _literal(path: Path, value: Any, expected: str, is_key: bool) -> str:
    if path == ("calibkit",):
        return "this version reads recipes that say `calibkit: 1`"
    choices = re.findall(r"'([^']*)'", expected)
    if is_key:
        return unknown_key(str(path[-1]), choices)
    near = nearest(value, choices) if isinstance(value, str) else None
    hint = f"did you mean {near!r}?" if near else f"allowed: {_list(choices)}"
    return f"{found(value)} is not allowed; {hint}"


def _pattern(path: Path, shown: str, is_key: bool) -> str:
    if is_key:
        return f"{shown} cannot be an alias; {_ALIAS}"
    if path == ("about",) or path[-1] == "says":
        return "expected one line of text"
    if path == ("corpus", "from"):
        return f"{shown} is no source; write docstrings or hub:ORG/DATASET[:CONFIG]"
    return f"{shown} is no valid name; {_SLUG}"
