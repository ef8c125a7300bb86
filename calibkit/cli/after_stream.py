"""What `stream` says when a run is over: the table, what failed, what is left, what is next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from calibkit.cli import progress
from calibkit.cli.after_run import MOST_FAILURES
from calibkit.cli.notes import note
from calibkit.cli.output import Output
from calibkit.cli.session import Session
from calibkit.cli.text import one_line
from calibkit.errors import Incomplete
from calibkit.words import counted, is_or_are

if TYPE_CHECKING:
    from calibkit.recipe import StreamRecipe
    from calibkit.store import Store
    from calibkit.stream.plan import StreamPlan
    from calibkit.stream.run import StreamReport

_FAILED = """
    SELECT model, model_seed, method, policy, size, seed, bits, stage, message FROM stream_progress
    WHERE recipe = ? AND trajectory_id IN (SELECT unnest(?::VARCHAR[]))
"""


def tell_stream(
    session: Session,
    file: Path,
    recipe: StreamRecipe,
    report: StreamReport,
    output: Output,
    *,
    where: str | None,
) -> None:
    """Print what the methods gained, and note how the run went.

    Raises Incomplete while a trajectory that was asked for is missing or failed, or a number came
    back different.
    """
    store = session.store
    _show(store, recipe, output)
    note(
        f"{_trajectories(report.followed)} followed in {progress.duration(report.seconds)};"
        f" {report.done:,} of {report.planned:,} done"
    )
    if report.failed_ids:
        _tell_failures(store, recipe, report.failed_ids)
    _tell_next(session, file, recipe)
    if report.conflicts:
        raise Incomplete(
            f"{counted(report.conflicts, 'number')} came back different from those stored, which"
            " means that something is not deterministic; the stored ones stand, and"
            ' `calibkit sql "FROM conflicts"` shows both'
        )
    _tell_rest(report, where)


def tell_left(planned: StreamPlan) -> None:
    """Note what an interrupted run has left to do."""
    left, asked = len(planned.to_do()), len(planned.wanted)
    note(
        f"{asked - left:,} of {_trajectories(asked)} are done, {left:,}"
        f" {'remains' if left == 1 else 'remain'}; the same command goes on from the last whole"
        " batch of each"
    )


def _show(store: Store, recipe: StreamRecipe, output: Output) -> None:
    from calibkit.cli.stream_rows import caption, for_people, in_full
    from calibkit.decide.stream_gains import stream_gains
    from calibkit.decide.stream_rows import read_streamed

    with store.reading() as con:
        found = stream_gains(read_streamed(con, recipe.name))
    if output.is_for_people:
        output.table(for_people(found), below=caption(found, recipe.name))
    else:
        output.table(in_full(found, recipe.name))


def _tell_failures(store: Store, recipe: StreamRecipe, ids: Sequence[str]) -> None:
    with store.reading() as con:
        failed = con.execute(_FAILED, [recipe.name, list(ids)]).fetchall()
    for model, model_seed, method, policy, size, seed, bits, stage, message in failed[
        :MOST_FAILURES
    ]:
        note(
            f"FAILED {model} {model_seed}, {method}, {policy}, size {size}, seed {seed},"
            f" {bits} bits: {stage}: {one_line(str(message))}"
        )
    if len(failed) > MOST_FAILURES:
        more = len(failed) - MOST_FAILURES
        note(f"and {more:,} more: calibkit sql \"FROM stream_progress WHERE state = 'failed'\"")


def _tell_next(session: Session, file: Path, recipe: StreamRecipe) -> None:
    store = session.store_option
    calibkit = "calibkit" if store is None else f"calibkit --store {shlex.quote(str(store))}"
    name = shlex.quote(recipe.name)
    note("Next:")
    note(f"  {calibkit} ask keeps-up --recipe {name}{_than(recipe)}")
    note(
        f'  {calibkit} sql "SELECT model, method, seed, step, phase_name, accuracy FROM'
        f" stream_results WHERE recipe = '{recipe.name}' AND is_current\""
    )
    note(f"  {calibkit} report {shlex.quote(str(file))} -o {recipe.name}.html")


def _than(recipe: StreamRecipe) -> str:
    """Return the option that compares with flips at random, where the recipe has them."""
    controls = [m.alias for m in recipe.methods.values() if m.model == "random-flips"]
    return f" --set than={shlex.quote(controls[0])}" if controls else ""


def _tell_rest(report: StreamReport, where: str | None) -> None:
    """Raise Incomplete while trajectories that were asked for are left; note the others."""
    selected = "" if where is None else " that --where selects"
    failed = len(report.failed_ids)
    if failed or report.asked_missing:
        raise Incomplete(
            f"{_failed_and_missing(failed, report.asked_missing)} of"
            f" {report.asked:,}{selected}; run the same command again to go on with them"
        )
    if not (report.failed or report.missing):
        return
    others = _failed_and_missing(report.failed, report.missing)
    if not report.asked:
        raise Incomplete(
            f"nothing was asked for: no trajectory is one{selected}, and {others} of the recipe's"
            f" {report.planned:,}; --dry-run shows them when --where is left out"
        )
    every, verb = "the" if report.asked == 1 else "all", is_or_are(report.asked)
    note(
        f"{every} {_trajectories(report.asked)}{selected} {verb} done; beside them, {others} of"
        f" the recipe's {report.planned:,}"
    )


def _failed_and_missing(failed: int, missing: int) -> str:
    return f"{_trajectories(failed)} failed and {missing:,} {is_or_are(missing)} missing"


def _trajectories(number: int) -> str:
    return counted(number, "trajectory", "trajectories")
