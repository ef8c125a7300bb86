"""What runs that are under way say of themselves, for whoever looks from another process.

A run keeps one small file in ``FILE.d/live`` up to date. Looking at it opens no database and takes
no lock, so that looking disturbs nothing.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from calibkit.store.connection import Store
from calibkit.sweep.watcher import Watcher

SILENT_SECONDS = 3600.0
"""A run on another machine that said nothing for so long is taken for dead."""
_AT_MOST_EVERY = 0.5
_KEPT = 20
_counter = itertools.count()


@dataclass(frozen=True)
class Phase:
    """A phase of a run: steps done of the total, the last one; ``began`` in seconds of the epoch.

    ended: when the phase was over, None while it goes on.
    """

    name: str
    total: int
    began: float
    done: int = 0
    failed: int = 0
    text: str = ""
    ended: float | None = None

    def seconds(self, now: float) -> float:
        """Return how long the phase has taken."""
        return max(0.0, (self.ended or now) - self.began)

    def seconds_left(self, now: float) -> float | None:
        """Return how long it will take from here at the pace so far; None before any step."""
        if self.ended is not None or not self.done:
            return None
        return self.seconds(now) / self.done * max(0, self.total - self.done)


@dataclass(frozen=True)
class LiveRun:
    """A run as it last spoke of itself: its recipe, its process, its phases so far.

    heard: seconds of the epoch when it spoke. ended: whether it said that it is over. failures,
    notes: the last of them.
    """

    recipe: str
    recipe_id: str
    host: str
    pid: int
    born: float
    workers: int
    began: float
    heard: float
    phases: tuple[Phase, ...] = ()
    notes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    ended: bool = False

    def is_alive(self) -> bool:
        """Say whether the run goes on; one on another machine is, until it is silent for long."""
        if self.ended:
            return False
        if self.host != socket.gethostname():
            return time.time() - self.heard < SILENT_SECONDS
        import psutil

        try:
            return bool(abs(psutil.Process(self.pid).create_time() - self.born) < 1.0)
        except psutil.NoSuchProcess:
            return False


def live_runs(store: Store) -> list[LiveRun]:
    """Return what runs in this store say of themselves, also those that ended or were killed."""
    found = []
    for path in sorted(_folder(store).glob("[!.]*.json")):
        run = _read(path)
        if run is not None:
            found.append(run)
    return sorted(found, key=lambda run: (run.began, run.pid))


class Broadcast:
    """A watcher that hands on what it is told, and writes it where others can look."""

    def __init__(
        self,
        inner: Watcher,
        store: Store,
        recipe: str,
        recipe_id: str,
        workers: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        import psutil

        self.inner, self.clock = inner, clock
        host, pid, now = socket.gethostname(), os.getpid(), clock()
        born = psutil.Process(pid).create_time()
        self.run = LiveRun(recipe, recipe_id, host, pid, born, workers, now, now)
        self.path = _folder(store) / f"{host}.{pid}.{next(_counter)}.json"
        self._written = float("-inf")
        self._is_broken = False
        _sweep_up(store)
        self._write()

    def phase(self, name: str, total: int) -> None:
        """Begin a phase, and end the one before it."""
        self._end_phase()
        begun = Phase(name, total, self.clock())
        self.run = replace(self.run, phases=(*self.run.phases, begun))
        self._write()
        self.inner.phase(name, total)

    def step(self, text: str, *, failed: bool = False) -> None:
        """Count a step."""
        if self.run.phases:
            last = self.run.phases[-1]
            last = replace(last, done=last.done + 1, failed=last.failed + failed, text=text)
            self.run = replace(self.run, phases=(*self.run.phases[:-1], last))
        if failed:
            self.run = replace(self.run, failures=(*self.run.failures, text)[-_KEPT:])
        if failed or self.clock() - self._written >= _AT_MOST_EVERY:
            self._write()
        self.inner.step(text, failed=failed)

    def note(self, text: str) -> None:
        """Keep a remark."""
        self.run = replace(self.run, notes=(*self.run.notes, text)[-_KEPT:])
        self._write()
        self.inner.note(text)

    def end(self) -> None:
        """Say that the run is over; whoever looks may still read how it went."""
        self._end_phase()
        self.run = replace(self.run, ended=True)
        self._write()

    def _end_phase(self) -> None:
        if self.run.phases and self.run.phases[-1].ended is None:
            last = replace(self.run.phases[-1], ended=self.clock())
            self.run = replace(self.run, phases=(*self.run.phases[:-1], last))

    def _write(self) -> None:
        """Replace the file; where that cannot be done, say it once and go on: results matter."""
        self._written = self.clock()
        self.run = replace(self.run, heard=self._written)
        hidden = self.path.with_name(f".{self.path.name}.tmp")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            hidden.write_text(json.dumps(asdict(self.run)))
            hidden.replace(self.path)
        except OSError as error:
            if not self._is_broken:
                self._is_broken = True
                self.inner.note(f"`calibkit watch` cannot see this run: {error}")


@contextmanager
def broadcasting(
    watcher: Watcher, store: Store, recipe: str, recipe_id: str, workers: int
) -> Iterator[Watcher]:
    """Yield a watcher that others can look at until the block ends, however it ends."""
    broadcast = Broadcast(watcher, store, recipe, recipe_id, workers)
    try:
        yield broadcast
    finally:
        broadcast.end()


def _sweep_up(store: Store) -> None:
    """Remove what is left of runs that are over."""
    for path in _folder(store).glob("[!.]*.json"):
        run = _read(path)
        if run is None or not run.is_alive():
            path.unlink(missing_ok=True)


def _read(path: Path) -> LiveRun | None:
    """Return what a file says; None for one that is gone or of another version."""
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
        phases = tuple(Phase(**phase) for phase in content.pop("phases"))
        notes, failures = tuple(content.pop("notes")), tuple(content.pop("failures"))
        return LiveRun(**content, phases=phases, notes=notes, failures=failures)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _folder(store: Store) -> Path:
    return store.folder / "live"
