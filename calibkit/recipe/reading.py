"""From a recipe file to a validated document, in either grammar: every problem at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from calibkit.errors import BadInput, RecipeError, nearest
from calibkit.recipe.wording import Keys, found, problems_of
from calibkit.recipe.yaml_source import MOST_BYTES, Path, Problem, Source

Document = TypeVar("Document", bound=BaseModel)

STREAM_KEYS = ("stream", "methods")
"""Sections that only recipes of streams have."""


@dataclass(frozen=True)
class Grammar(Generic[Document]):
    """What a kind of recipe may say.

    document: its types. check: what goes beyond types and single values. keys: of its mappings.
    """

    document: type[Document]
    check: Callable[[Mapping[str, Any]], Iterator[tuple[Path, str]]]
    keys: Keys


def text_of(file: FilePath) -> str:
    """Return the text of a recipe file.

    Raises BadInput for one that is not there or cannot be read, RecipeError for one that is no
    text or too large.
    """
    try:
        with file.open("rb") as stream:
            raw = stream.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise BadInput(f"{file}: there is no such recipe{_similar(file)}") from None
    except OSError as error:
        raise BadInput(f"{file}: cannot be read: {error.strerror}") from None
    if len(raw) > MOST_BYTES:
        message = f"the file is larger than {MOST_BYTES // 1024} KiB; it is no recipe"
        raise RecipeError([f"{file}:1:1: recipe: {message}"])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line = before.count(b"\n") + 1
        column = len(before.rpartition(b"\n")[2].decode("utf-8-sig")) + 1
        message = f"byte 0x{raw[error.start]:02X} is not UTF-8; save the file as UTF-8"
        raise RecipeError([f"{file}:{line}:{column}: recipe: {message}"]) from None


def _similar(file: FilePath) -> str:
    """Return what a missing file was probably meant to be, as the end of a sentence."""
    folder = file.parent
    there = sorted(p.name for p in folder.glob("*.yaml")) if folder.is_dir() else []
    near = nearest(file.name, there)
    if near is not None:
        return f"; did you mean {folder / near}?"
    return f"; {folder} has {', '.join(there)}" if there else ""


def says_stream(source: Source) -> bool:
    """Say whether a recipe is one of a stream, by the sections that it has."""
    return isinstance(source.value, Mapping) and any(key in source.value for key in STREAM_KEYS)


def validated(source: Source, grammar: Grammar[Document]) -> Document:
    """Return what a recipe says; raises RecipeError with every problem of text and content."""
    problems = set(source.problems)
    document = None
    if isinstance(source.value, dict):
        document, more = _validate(source, grammar)
        problems.update(more)
    elif source.was_read(()):
        problems.add(source.problem((), f"expected a mapping, found {found(source.value)}"))
    if problems or document is None:
        raise RecipeError(lines(source.file, problems))
    return document


def _validate(source: Source, grammar: Grammar[Document]) -> tuple[Document | None, set[Problem]]:
    """Return the validated document, or None, and what is wrong beyond the text itself."""
    document = None
    problems: set[Problem] = set()
    said: set[Path] = set()
    for path, message in grammar.check(source.value):
        if source.was_read(path):
            problems.add(source.problem(path, message))
            said.add(path)
    try:
        document = grammar.document.model_validate(source.value)
    except ValidationError as error:
        for path, message in problems_of(error.errors(), source.value, grammar.keys):
            if source.was_read(path) and path not in said:
                problems.add(source.problem(path, message))
    return document, problems


def lines(file: str, problems: Iterable[Problem]) -> list[str]:
    """Return problems as ``file:line:column: path: message``, in the order of the file."""
    return [f"{file}:{p.line}:{p.column}: {p.path}: {p.message}" for p in sorted(problems)]
