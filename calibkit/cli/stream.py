"""``calibkit stream``: quantized networks go through a stream, and keep up or do not."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from calibkit.cli import progress
from calibkit.cli.evaluate import cores
from calibkit.cli.output import Output, data_options
from calibkit.cli.run_options import check_where_it_runs, when_to_give_up, where_it_runs
from calibkit.cli.session import Session, pass_session
from calibkit.errors import CalibkitError

if TYPE_CHECKING:
    from calibkit.sweep.run import ExecutorName


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option(
    "-n",
    "--dry-run",
    is_flag=True,
    help="Show the trajectories, how far they are, and whether the stream can be had; run nothing.",
)
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(min=1),
    help="Processes that follow trajectories; never changes a number. [default: the number of"
    " cores]",
)
@where_it_runs("trajectories")
@click.option(
    "--engine",
    type=click.Choice(["auto", "plain", "torch", "native"]),
    default="auto",
    show_default=True,
    help="What evaluates a quantized network, as for evaluate; never changes a number.",
)
@click.option(
    "--where",
    metavar="SQL",
    help="Only trajectories that meet this condition, for example \"method = 'gpfq'\".",
)
@when_to_give_up("trajectory", afterwards=", and goes on from its last whole batch the next time")
@data_options
@pass_session
def stream(
    session: Session,
    *,
    recipe: Path,
    dry_run: bool,
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
    output: Output,
) -> None:
    """Take quantized networks through the stream of RECIPE.

    RECIPE has a section `stream`: phases of batches that come after deployment. Each of its methods
    says how the calibration subset follows the batches and how the network follows the subset. A
    trajectory is one float model, quantized, with one first subset and its batches (a draw), under
    one method; after every batch it is measured on the hold-out of every phase. Ingests the corpus
    and trains the float models where they are missing, follows every trajectory that the store
    lacks, and prints what each method gains over the frozen network.

    Running the same command again goes on after the last whole batch, also when it was killed. The
    exit code is 1 while any trajectory is missing or failed; with --where, any that it selects; 4
    where a phase asks for more documents than there are.

    --dry-run prints the plan instead: one row per trajectory, with the column names of the view
    `stream_results`, and state, steps and steps_done beside them. Totals are notes.

    \b
    Examples:
      calibkit stream recipes/stream-drift.yaml
      calibkit stream recipes/stream-drift.yaml --dry-run
      calibkit stream recipes/stream-noise.yaml --workers 2 --max-time 30
      calibkit stream recipes/stream-noise.yaml --where "model = 'generative' AND seed < 2"
      calibkit stream recipes/stream-drift.yaml --json -o drift.jsonl
    """
    from calibkit.recipe import load_stream_recipe

    loaded = load_stream_recipe(recipe)
    check_where_it_runs(executor, address, workers, timeout, memory_limit)
    store = session.store
    if dry_run:
        from calibkit.cli.stream_plan import show_stream_plan

        working = 1 if executor == "serial" else workers or cores()
        show_stream_plan(store, loaded, output, workers=working, where=where)
        return

    from calibkit.cli.after_stream import tell_left, tell_stream
    from calibkit.stream.plan import plan_stream
    from calibkit.stream.run import run_stream
    from calibkit.sweep.executors import Limits

    watcher = progress.watcher()
    try:
        report = run_stream(
            store,
            loaded,
            workers=workers or cores(),
            watcher=watcher,
            executor=executor,
            address=address,
            engine=engine,
            where=where,
            max_time=max_time,
            limits=Limits(timeout, memory_limit, retries),
            fail_fast=fail_fast,
        )
    except KeyboardInterrupt:
        watcher.close()
        with suppress(CalibkitError):  # the store may be busy; there is nothing more to be done
            tell_left(plan_stream(store, loaded, where=where))
        raise
    finally:
        watcher.close()
    tell_stream(session, recipe, loaded, report, output, where=where)
