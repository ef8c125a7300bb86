"""Options of commands that run many tasks: where they run, and when one is given up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def where_it_runs(things: str) -> Callable[[F], F]:
    """Give a command --executor and --address; ``things``: what is run, in the plural."""

    def decorate(function: F) -> F:
        function = click.option(
            "--address",
            metavar="HOST:PORT",
            help="With --executor ray: the cluster to join, `auto` for the one of this machine."
            " Every node must see the store at the same path. [default: start a cluster here]",
        )(function)
        return click.option(
            "--executor",
            type=click.Choice(["local", "serial", "ray"]),
            default="local",
            show_default=True,
            help=f"Where {things} run: in worker processes here, one after the other in this"
            " process, or in workers of a Ray cluster (the extra calibkit[ray]). It never changes a"
            " number.",
        )(function)

    return decorate


def when_to_give_up(thing: str, *, afterwards: str = "") -> Callable[[F], F]:
    """Give a command --max-time, --timeout, --memory-limit, --retries and --fail-fast.

    thing: what is run, in the singular. afterwards: what else is to be said of one that was ended.
    """
    options = (
        click.option(
            "--max-time",
            metavar="MIN",
            type=click.FloatRange(0, min_open=True),
            help=f"Start no further {thing} after MIN minutes.",
        ),
        click.option(
            "--timeout",
            metavar="S",
            type=click.FloatRange(0, min_open=True),
            help=f"End a {thing} that takes longer than S seconds; it counts as"
            f" failed{afterwards}.",
        ),
        click.option(
            "--memory-limit",
            metavar="MB",
            type=click.FloatRange(0, min_open=True),
            help=f"End a {thing} whose worker has more than MB megabytes in memory; it counts as"
            " failed.",
        ),
        click.option(
            "--retries",
            metavar="N",
            type=click.IntRange(min=0),
            default=1,
            show_default=True,
            help=f"How often a {thing} is tried again when its worker dies.",
        ),
        click.option(
            "--fail-fast", is_flag=True, help=f"Start no further {thing} after one has failed."
        ),
    )

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def check_where_it_runs(
    executor: str,
    address: str | None,
    workers: int | None,
    timeout: float | None,
    memory_limit: float | None,
) -> None:
    """Raise UsageError for options that have no meaning together."""
    if executor == "serial" and (timeout is not None or memory_limit is not None):
        raise click.UsageError(
            "--timeout and --memory-limit end a worker process, and --executor serial has none; "
            "leave out one or the other"
        )
    if address is not None and (executor != "ray" or workers is None):
        raise click.UsageError(
            "--address goes with --executor ray and with --workers N: how many cores of the cluster"
        )
