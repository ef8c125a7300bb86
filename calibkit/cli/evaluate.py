"""``calibkit evaluate``: everything a recipe asks for, as far as the store lacks it."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from calibkit.cli import progress
from calibkit.cli.after_run import tell_remaining, tell_run
from calibkit.cli.output import Output, data_options
from calibkit.cli.run_options import check_where_it_runs, when_to_give_up, where_it_runs
from calibkit.cli.session import Session, pass_session
from calibkit.errors import CalibkitError

if TYPE_CHECKING:
    from calibkit.sweep.run import ExecutorName


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option(
    "-n",
    "--dry-run",
    is_flag=True,
    help="Show the cells, whether their subsets can be had, and what a run will take; run nothing.",
)
@click.option(
    "--probe",
    is_flag=True,
    help="With --dry-run, where this host has timed no such cells: time a small one of each kind of"
    " model, some ten seconds each, for the estimate.",
)
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(min=1),
    help="Processes that measure cells; never changes a number. [default: the number of cores]",
)
@where_it_runs("cells")
@click.option(
    "--engine",
    type=click.Choice(["auto", "plain", "torch", "native"]),
    default="auto",
    show_default=True,
    help="What evaluates a quantized network; never changes a number. plain: Brevitas's layers. "
    "torch: one step loop, several times as fast. native: the same in C++, faster still. auto: the "
    "fastest that gives Brevitas's very numbers on this machine, which is checked for every cell. "
    "Under arithmetic integer, plain is the same as torch.",
)
@click.option(
    "--where",
    metavar="SQL",
    help="Only cells that meet this condition, for example \"bits = 4 AND model = 'generative'\".",
)
@when_to_give_up("cell")
@click.option(
    "--shard",
    metavar="I/N",
    callback=lambda _, __, text: _shard(text),
    help="Only part I of N, for job arrays: whole calibration sets, always the same. Bring the "
    "parts together with `calibkit merge`. A shard trains no float model, unless told --train.",
)
@click.option(
    "--train", is_flag=True, help="With --shard: train the float models that are missing."
)
@click.option(
    "--again",
    is_flag=True,
    help="Measure the cells that are there once more, and compare: exit code 1 if any number"
    " comes back different.",
)
@click.option(
    "--limit-documents",
    metavar="N",
    type=click.IntRange(min=1),
    help="Measure only N test documents, the same ones always; these are other results.",
)
@click.option(
    "--profile",
    is_flag=True,
    help="After the summary, also show where the time of the cells went, stage by stage; cells"
    " that were measured earlier are told as well.",
)
@data_options
@pass_session
def evaluate(
    session: Session,
    *,
    recipe: Path,
    dry_run: bool,
    probe: bool,
    workers: int | None,
    executor: ExecutorName,
    address: str | None,
    engine: Literal["auto", "plain", "torch", "native"],
    where: str | None,
    max_time: float | None,
    timeout: float | None,
    memory_limit: float | None,
    retries: int,
    fail_fast: bool,
    shard: tuple[int, int] | None,
    train: bool,
    again: bool,
    limit_documents: int | None,
    profile: bool,
    output: Output,
) -> None:
    """Quantize and measure what RECIPE asks for.

    Ingests the corpus, trains the float models, builds the subsets, measures every cell that the
    store lacks, and prints the summary. Running the same command again picks up where the last
    one stopped, also after it was killed. The exit code is 1 while any cell, or any coverage card
    that RECIPE asks for, is missing or failed; with --where or --shard, any that they select.

    --dry-run prints the plan instead: one row per cell, with the column names of the view `results`
    and beside them state, feasible (whether its subset can be had; empty where only building it
    tells), reason, and the seconds and peak_mb that it will take, with basis. Totals are notes.

    \b
    Examples:
      calibkit evaluate recipes/quickstart.yaml
      calibkit evaluate recipes/quickstart.yaml --dry-run
      calibkit evaluate recipes/agnews-policies.yaml -n --json --where "policy = 'k-center'"
      calibkit evaluate recipes/agnews-policies.yaml --workers 2 --max-time 60
      calibkit evaluate recipes/agnews-policies.yaml --where "bits = 4"
      calibkit evaluate recipes/agnews-policies.yaml --shard 3/8 --timeout 600
      calibkit evaluate recipes/agnews-policies.yaml --executor ray --address head:6379 --workers 32
      calibkit evaluate recipes/quickstart.yaml --again --where "seed = 0"
    """
    from calibkit.recipe import load_recipe

    loaded = load_recipe(recipe)
    if dry_run and profile:
        raise click.UsageError("a dry run takes no time; leave out --dry-run or --profile")
    if probe and not dry_run:
        raise click.UsageError("--probe goes with --dry-run; a run itself needs no estimate")
    check_where_it_runs(executor, address, workers, timeout, memory_limit)
    if train and shard is None:
        raise click.UsageError("--train goes with --shard; without --shard models are trained")
    from calibkit.sweep.plan import Shard

    part = None if shard is None else Shard(*shard)
    if dry_run:
        from calibkit.cli.dry_run import show_dry_run

        show_dry_run(
            session.store,
            loaded,
            output,
            workers=1 if executor == "serial" else workers or cores(),
            limit_documents=limit_documents,
            where=where,
            shard=part,
            again=again,
            probe=probe,
        )
        return

    from calibkit.sweep.executors import Limits
    from calibkit.sweep.plan import plan
    from calibkit.sweep.run import run

    store = session.store
    watcher = progress.watcher()
    try:
        report = run(
            store,
            loaded,
            workers=workers or cores(),
            executor=executor,
            address=address,
            engine=engine,
            where=where,
            max_time=max_time,
            limit_documents=limit_documents,
            limits=Limits(timeout, memory_limit, retries),
            fail_fast=fail_fast,
            shard=part,
            train=train or part is None,
            again=again,
            watcher=watcher,
        )
    except KeyboardInterrupt:
        watcher.close()
        with suppress(CalibkitError):  # the store may be busy; there is nothing more to be done
            tell_remaining(
                plan(
                    store,
                    loaded,
                    limit_documents=limit_documents,
                    where=where,
                    shard=part,
                    again=again,
                )
            )
        raise
    finally:
        watcher.close()

    tell_run(session, loaded, report, output, profile=profile, again=again, where=where, shard=part)


def _shard(text: str | None) -> tuple[int, int] | None:
    """Read ``3/8``."""
    if text is None:
        return None
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise click.BadParameter(f"{text!r} is not a part; write I/N with I from 1 to N, as in 3/8")
    return int(found[1]), int(found[2])
