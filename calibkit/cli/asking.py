"""The options by which parameters of a named question are given."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from calibkit.errors import BadInput

Command = TypeVar("Command", bound=Callable[..., Any])

OPTIONS = {
    "recipe": ("NAME", "Which study. [default: that of the latest run]"),
    "model": ("ALIAS", "Only this model of the recipe."),
    "policy": ("ALIAS", "Only this policy of the recipe."),
    "size": ("N", "Only subsets of N documents."),
    "bits": ("N", "Only this bit width."),
    "preset": ("NAME", "Only this preset or scheme of the recipe."),
    "rounding": ("NAME", "Only this rounding."),
}
"""Parameters that most questions have, which are options by themselves: metavar and help."""


def parameter_options(command: Command) -> Command:
    """Add ``--recipe``, ``--bits``, ... and ``--set``; the command gets them as ``given``."""

    @functools.wraps(command)
    def with_parameters(*args: Any, **options: Any) -> Any:
        named = {name: options.pop(name) for name in OPTIONS}
        given = settings(options.pop("settings"))
        for name, value in named.items():
            if value is not None:
                if name in given:
                    raise BadInput(f"{name} is given twice, by --{name} and --set; leave out one")
                given[name] = value
        return command(*args, given=given, **options)

    decorated: Any = click.option(
        "--set",
        "settings",
        metavar="KEY=VALUE",
        multiple=True,
        help="A parameter of the question; may be repeated. `calibkit ask QUESTION --show` lists"
        " them.",
    )(with_parameters)
    for name, (metavar, about) in reversed(OPTIONS.items()):
        decorated = click.option(f"--{name}", metavar=metavar, help=about)(decorated)
    return decorated  # type: ignore[no-any-return]


def settings(texts: Sequence[str]) -> dict[str, str]:
    """Return ``KEY=VALUE`` texts by key; raises BadInput for one that is none or comes twice."""
    given: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals or not key:
            raise BadInput(f"--set {text}: write KEY=VALUE, as in --set margin=0.01")
        if key in given:
            raise BadInput(f"--set {key} is given twice; leave out one")
        given[key] = value.strip()
    return given
