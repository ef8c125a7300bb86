"""How a run shows itself on stderr: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

from calibkit.cli.notes import note as say
from calibkit.cli.text import one_line, printable

QUIET_SECONDS = 2.0
"""Plain lines about successful steps are at least so far apart."""


class Watcher(Protocol):
    """Whoever is told how far a run is. Phases come one after the other."""

    def phase(self, name: str, total: int) -> None:
        """Begin a phase of ``total`` steps; the phase before it is over."""
        ...

    def step(self, text: str, *, failed: bool = False) -> None:
        """Count one step of the phase; ``text`` says which."""
        ...

    def note(self, text: str) -> None:
        """Say something that is no step."""
        ...

    def close(self) -> None:
        """End the display; nothing comes after it."""
        ...


def watcher() -> Watcher:
    """Return a live display if stderr is a terminal, plain lines otherwise."""
    return Live() if is_live_terminal() else Lines()


def is_live_terminal() -> bool:
    """Say whether stderr is a terminal that can redraw."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def duration(seconds: float) -> str:
    """Return whole seconds as ``0:07``, ``12:30`` or ``1:02:03``."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, last = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{last:02}" if hours else f"{minutes}:{last:02}"


class Lines:
    """One plain line per phase and step; of quick steps, only now and then one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.name = ""
        self.total = self.done = self.failed = 0
        self.began = self.last = clock()

    def phase(self, name: str, total: int) -> None:
        """Say that a phase begins, and how long the one before it took."""
        self._end()
        self.name, self.total, self.done, self.failed = name, total, 0, 0
        self.began = self.last = self.clock()
        if total:
            say(f"{name}: {total:,} to do")

    def step(self, text: str, *, failed: bool = False) -> None:
        """Count a step; failures are always said."""
        self.done += 1
        self.failed += failed
        now = self.clock()
        if failed or self.done == self.total or now - self.last >= QUIET_SECONDS:
            self.last = now
            sign = "FAILED " if failed else ""
            said = f"  {self.name} {self.done:,}/{self.total:,} {self._times(now)}"
            say(f"{said}: {sign}{one_line(text)}")

    def note(self, text: str) -> None:
        """Say something that is no step."""
        say(text)

    def close(self) -> None:
        """Say how long the last phase took."""
        self._end()
        self.name = ""

    def _times(self, now: float) -> str:
        spent = now - self.began
        left = spent / self.done * max(0, self.total - self.done)
        said = f"after {duration(spent)}"
        return f"{said}, about {duration(left)} left" if self.done < self.total else said

    def _end(self) -> None:
        if self.name and self.total:
            failed = f", {self.failed:,} failed" if self.failed else ""
            spent = duration(self.clock() - self.began)
            say(f"{self.name}: {self.done:,} of {self.total:,} in {spent}{failed}")


class Live:
    """A line per phase with a bar, the time spent and the time left, by rich."""

    def __init__(self, console: Any = None) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.table import Column

        self.console: Any = console or Console(stderr=True)
        self.display: Any = Progress(
            TextColumn("{task.description:<9}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn(
                "{task.fields[text]}",
                markup=False,
                table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
            ),
            console=self.console,
            expand=True,
        )
        self.task: Any = None
        self.display.start()

    def phase(self, name: str, total: int) -> None:
        """Add a line for the phase."""
        self._end()
        if total:
            self.task = self.display.add_task(name, total=total, text="")

    def step(self, text: str, *, failed: bool = False) -> None:
        """Move the bar; failures also stay as a line above the display."""
        if self.task is not None:
            self.display.update(self.task, advance=1, text=one_line(text))
        if failed:
            self.note(f"FAILED {one_line(text)}")

    def note(self, text: str) -> None:
        """Print above the display."""
        shown = printable(text)
        self.console.print(shown, markup=False, emoji=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Leave the display as it is, and give the terminal back."""
        self._end()
        self.display.stop()

    def _end(self) -> None:
        if self.task is not None:
            self.display.update(self.task, text="")
            self.display.stop_task(self.task)
            self.task = None
