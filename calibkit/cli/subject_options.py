"""Options of the commands that quantize one float model with one subset, and look at it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

model_option: Decorator = click.option(
    "--model", metavar="ID", required=True, help="The float model; see: calibkit list models."
)
documents_option: Decorator = click.option(
    "--documents",
    metavar="N",
    type=click.IntRange(min=1),
    help="Measure on N documents of the split, the same ones always. [default: all]",
)
settings_option: Decorator = click.option(
    "--set",
    "settings",
    metavar="'KEY=YAML VALUE'",
    multiple=True,
    allow_from_autoenv=False,  # click would split it at spaces
    help="Any other key of a recipe's quantize section; may be repeated.",
)
engine_option: Decorator = click.option(
    "--engine",
    type=click.Choice(["auto", "plain", "torch", "native"]),
    default="auto",
    show_default=True,
    help="What evaluates a quantized network, as in evaluate; never changes a number.",
)


def split_option(why: str) -> Decorator:
    """Return the option that says which split to measure on; ``why``: why test is refused."""
    return click.option(
        "--split",
        type=click.Choice(["valid", "train", "test"]),
        default="valid",
        show_default=True,
        help=f"The documents to measure on; test is refused, since {why}.",
    )
