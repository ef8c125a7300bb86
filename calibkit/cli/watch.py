"""``calibkit watch``: a run that goes on in another terminal, looked at without disturbing it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calibkit.cli.notes import note
from calibkit.cli.output import Output, data_options
from calibkit.cli.progress import duration, is_live_terminal
from calibkit.cli.session import Session, pass_session
from calibkit.cli.table import Table
from calibkit.cli.text import one_line

if TYPE_CHECKING:
    from calibkit.sweep.live import LiveRun, Phase

COLUMNS = (
    "recipe",
    "host",
    "pid",
    "state",
    "phase",
    "done",
    "total",
    "failed",
    "seconds",
    "seconds_left",
    "text",
)
MOST_FAILURES = 3
MOST_CELLS = 100


@click.command()
@click.argument("recipe")
@click.option("--once", is_flag=True, help="Print the phases as a table, and end.")
@click.option(
    "--interval",
    metavar="S",
    type=click.FloatRange(min=0.1, max=3600),
    default=1.0,
    show_default=True,
    help="Seconds between two looks.",
)
@data_options
@pass_session
def watch(session: Session, *, recipe: str, once: bool, interval: float, output: Output) -> None:
    """Show how far a run of RECIPE is.

    RECIPE is the file or its name. The run, `calibkit evaluate` in another terminal or on another
    machine that uses the same folder, is neither slowed nor locked: the store is not opened.
    Several runs of the recipe, such as shards, are shown one below the other. Ends when the runs
    end; Ctrl-C ends the looking and not the run.

    \b
    Examples:
      calibkit watch recipes/quickstart.yaml
      calibkit watch quickstart --once
      calibkit watch quickstart --once --json
    """
    name = _name(recipe)
    if once:
        output.table(Table.of([row for run in _runs(session, name) for row in _rows(run)], COLUMNS))
    runs = _runs(session, name)
    alive = [run for run in runs if run.is_alive()]
    if not alive:
        _tell_idle(session, name, runs)
    elif not once:
        _follow(session, name, interval)


def _follow(session: Session, name: str, interval: float) -> None:
    show = _Display() if is_live_terminal() else _Lines()
    with show:
        while True:
            runs = _runs(session, name)
            show.show(runs)
            if not any(run.is_alive() for run in runs):
                break
            time.sleep(interval)
    for run in runs:
        note(f"{_who(run)}: {_state(run)}; {_phase_words(run.phases[-1:])}".rstrip("; "))


def _name(recipe: str) -> str:
    """Return the recipe's name: that of the file, where there is one."""
    path = Path(recipe)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        from calibkit.recipe import is_stream, load_recipe, load_stream_recipe

        return (load_stream_recipe if is_stream(path) else load_recipe)(path).name
    return recipe


def _runs(session: Session, name: str) -> list[LiveRun]:
    from calibkit.sweep.live import live_runs

    return [run for run in live_runs(session.store) if run.recipe == name]


def _tell_idle(session: Session, name: str, runs: Sequence[LiveRun]) -> None:
    for run in runs:
        note(f"{_who(run)}: {_state(run)}; {_phase_words(run.phases[-1:])}".rstrip("; "))
    note(
        f"no run of {name!r} is under way in {session.store.path}; `calibkit evaluate RECIPE`"
        " (of a stream: `calibkit stream RECIPE`) starts or resumes one, and `calibkit sql"
        ' "FROM progress"` says what is done'
    )


def _rows(run: LiveRun) -> Iterable[dict[str, Any]]:
    now = time.time()
    who = dict(recipe=run.recipe, host=run.host, pid=run.pid)
    for phase in run.phases:
        left = phase.seconds_left(now)
        yield {
            **who,
            "state": "done" if phase.ended is not None else _state(run),
            "phase": phase.name,
            "done": phase.done,
            "total": phase.total,
            "failed": phase.failed,
            "seconds": round(phase.seconds(run.heard if not run.is_alive() else now), 1),
            "seconds_left": None if left is None or not run.is_alive() else round(left, 1),
            "text": phase.text,
        }


def _state(run: LiveRun) -> str:
    if run.ended:
        return "ended"
    return "running" if run.is_alive() else "killed"


def _who(run: LiveRun) -> str:
    return f"{run.recipe} (PID {run.pid} on {run.host}, {run.workers} at work)"


def _phase_words(phases: Sequence[Phase], now: float | None = None) -> str:
    if not phases:
        return ""
    (phase,) = phases
    told = f"{phase.name} {phase.done:,}/{phase.total:,}"
    if phase.failed:
        told += f", {phase.failed:,} failed"
    if now is None:
        return told
    told += f", after {duration(phase.seconds(now))}"
    left = phase.seconds_left(now)
    if left is not None:
        told += f", about {duration(left)} left"
    return f"{told}: {one_line(phase.text)}" if phase.text else told


class _Lines:
    """A line for every look at which something is new."""

    def __init__(self) -> None:
        self.told: dict[tuple[str, int], tuple[str, int, int]] = {}

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def show(self, runs: Sequence[LiveRun]) -> None:
        now = time.time()
        for run in runs:
            if not run.phases:
                continue
            phase = run.phases[-1]
            state = (phase.name, phase.done, phase.failed)
            if self.told.get((run.host, run.pid)) != state:
                self.told[run.host, run.pid] = state
                which = f"PID {run.pid} on {run.host}: " if len(runs) > 1 else ""
                note(f"{which}{_phase_words([phase], now)}")


class _Display:
    """A picture of all runs that is drawn anew at every look."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self.live = Live(console=Console(stderr=True), auto_refresh=False)

    def __enter__(self) -> _Display:
        self.live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.live.__exit__(None, None, None)

    def show(self, runs: Sequence[LiveRun]) -> None:
        from rich.console import Group

        self.live.update(Group(*(part for run in runs for part in _picture(run))), refresh=True)


def _picture(run: LiveRun) -> list[Any]:
    """Return what rich draws of a run: its phases with bars, the last step, failures."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table as Grid
    from rich.text import Text

    now = time.time()
    grid = Grid.grid(padding=(0, 1))
    for _ in range(5):
        grid.add_column(no_wrap=True)
    for phase in run.phases:
        if not phase.total:
            continue
        left = phase.seconds_left(now)
        grid.add_row(
            Text(one_line(phase.name)),
            ProgressBar(total=phase.total, completed=min(phase.done, phase.total), width=24),
            Text(f"{phase.done:,}/{phase.total:,}", justify="right"),
            Text(duration(phase.seconds(now))),
            Text("" if left is None else f"about {duration(left)} left"),
        )
    parts: list[Any] = [Text(one_line(f"{_who(run)}: {_state(run)}"), style="bold"), grid]
    if run.phases and run.phases[-1].text:
        parts.append(Text(f"  {one_line(run.phases[-1].text)}"[:MOST_CELLS], style="dim"))
    for failure in run.failures[-MOST_FAILURES:]:
        parts.append(Text(f"  FAILED {one_line(failure)}"[:MOST_CELLS], style="red"))
    return parts
