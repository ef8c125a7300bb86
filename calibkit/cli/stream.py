"""``calibkit stream``: quantized networks go through a stream, and keep up or do not."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from calibkit.cli import progress
from calibkit.cli.evaluate import cores
from calibkit.cli.output import Output, data_options
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
@click.option(
    "--executor",
    type=click.Choice(["local", "serial", "ray"]),
    default="local",
    show_default=True,
    help="Where trajectories run: in worker processes here, one after the other in this process, or"
    " in workers of a Ray cluster (the extra calibkit[ray]). It never changes a number.",
)
@click.option(
    "--address",
    metavar="HOST:PORT",
    help="With --executor ray: the cluster to join, `auto` for the one of this machine. Every node"
    " must see the store at the same path. [default: start a cluster here]",
)
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
@click.option(
    "--max-time",
    metavar="MIN",
    type=click.FloatRange(0, min_open=True),
    help="Start no further trajectory after MIN minutes.",
)
@click.option(
    "--timeout",
    metavar="S",
    type=click.FloatRange(0, min_open=True),
    help="End a trajectory that takes longer than S seconds; it counts as failed, and goes on from"
    " its last whole batch the next time.",
)
@click.option(
    "--memory-limit",
    metavar="MB",
    type=click.FloatRange(0, min_open=True),
    help="End a trajectory whose worker has more than MB megabytes in memory; it counts as failed.",
)
@click.option(
    "--retries",
    metavar="N",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="How often a trajectory is tried again when its worker dies.",
)
@click.option("--fail-fast", is_flag=True, help="Start no further trajectory after one has failed.")
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
    if executor == "serial" and (timeout is not None or memory_limit is not None):
        raise click.UsageError(
            "--timeout and --memory-limit end a worker process, and --executor serial has none; "
            "leave out one or the other"
        )
    if address is not None and (executor != "ray" or workers is None):
        raise click.UsageError(
            "--address goes with --executor ray and with --workers N: how many cores of the cluster"
        )
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
