"""One tree of errors; each knows the exit code it ends a command with."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's exit status means (the contract with scripts and schedulers)."""

    DONE = 0
    INCOMPLETE = 1  # some cells failed or are missing
    USAGE = 2  # bad usage, recipe or input data
    STORE = 3  # store busy, newer, or damaged
    INFEASIBLE = 4  # cannot be done as asked
    INTERRUPTED = 130


class CalibkitError(Exception):
    """Base of everything calibkit raises on purpose.

    The message names the thing, the value, what is allowed and the next action; it is printed
    as it stands.
    """

    exit_code: ExitCode = ExitCode.USAGE


class BadInput(CalibkitError):
    """Data, an argument or a file that cannot be used as given."""


class UnknownName(BadInput):
    """A name that is not among the known ones; says which one was probably meant."""

    def __init__(self, what: str, name: str, known: Iterable[str], hint: str = "") -> None:
        choices = sorted(known)
        super().__init__(unknown_name(what, name, choices, hint))
        self.name = name
        self.known = choices


class RecipeError(BadInput):
    """One or more problems of a recipe, each as ``file:line:column: path: message``."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


class Infeasible(CalibkitError):
    """A request that is well-formed but cannot be met, with the numbers that say why."""

    exit_code = ExitCode.INFEASIBLE


class MissingExtra(CalibkitError):
    """An optional dependency is not installed; the message has the command that installs it."""

    exit_code = ExitCode.INFEASIBLE


class StoreError(CalibkitError):
    """The store cannot be used."""

    exit_code = ExitCode.STORE


class StoreBusy(StoreError):
    """Another process holds the store."""


class StoreNewer(StoreError):
    """The store was written by a newer calibkit."""


class StoreDamaged(StoreError):
    """The file is no store, or its content is not what was written."""


class Incomplete(CalibkitError):
    """Some cells failed or are missing."""

    exit_code = ExitCode.INCOMPLETE


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name closest to ``name``, or None when nothing is close."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def unknown_name(what: str, name: str, known: Iterable[str], hint: str = "") -> str:
    """Return the sentence for an unknown name: what it is, and what was probably meant."""
    choices = sorted(known)
    text = f"no {what} is called {name!r}"
    near = nearest(name, choices)
    if near is not None:
        text += f"; did you mean {near!r}?"
    elif choices:
        shown = ", ".join(repr(c) for c in choices[:12])
        more = "" if len(choices) <= 12 else f" and {len(choices) - 12} more"
        text += f"; known: {shown}{more}"
    return f"{text} {hint}".rstrip() if hint else text
