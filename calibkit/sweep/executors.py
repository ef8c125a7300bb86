"""What an executor is, and the simplest one: tasks run one after another in this process.

Every executor gives the same outcomes for the same tasks: which one, and how many workers, never
changes a number, only the time. A task computes with one thread.
"""

from __future__ import annotations

import importlib
import time
import traceback
from collections import deque
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

Report = Callable[[Mapping[str, Any]], None]
"""A task calls this with small facts about its progress."""

TaskFunction = Callable[[Any, Report], None]
"""What an executor runs: payload in, files and reports out."""


@dataclass(frozen=True)
class Task:
    """One call of the executor's function.

    payload: plain values that travel between processes. affinity: tasks that share intermediate
    results carry the same word; a worker prefers to go on with the word it had last.
    """

    key: str
    payload: Any
    affinity: str = ""


@dataclass(frozen=True)
class Failure:
    """Why a task failed."""

    error_type: str
    message: str
    traceback: str


@dataclass(frozen=True)
class Outcome:
    """A finished task: ``failure`` is None where the function returned."""

    task: Task
    seconds: float
    failure: Failure | None = None


@dataclass(frozen=True)
class Progress:
    """Facts that a running task reported."""

    task: Task
    facts: Mapping[str, Any] = field(default_factory=dict)


Event = Outcome | Progress


@dataclass(frozen=True)
class Limits:
    """What a task may take before it is ended and fails.

    seconds: wall time of one task. megabytes: resident memory of its worker process (10^6 bytes),
    looked at a few times a second. retries: how often a task is given again when its worker dies;
    a task that went over a limit is not, since it would again.
    """

    seconds: float | None = None
    megabytes: float | None = None
    retries: int = 1


NO_LIMITS = Limits()


def never() -> bool:
    """Return False: nothing stops."""
    return False


class Executor(Protocol):
    """Calls one function, ``"module:function"``, for tasks; workers live until it is closed."""

    def run(
        self, tasks: Sequence[Task], *, limits: Limits = NO_LIMITS, stop: Callable[[], bool] = never
    ) -> Iterator[Event]:
        """Yield events in any order, among them one Outcome per task.

        No task is started once ``stop()`` is true; those have no Outcome.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def next_task(waiting: deque[Task], affinity: str, others: Container[str] = ()) -> Task:
    """Take the task that a worker does next: one of its affinity, the one it had last.

    Else the first that no other worker is at home in, so that two of them do not make the same
    intermediate results; else the first. others: the affinities of the other workers.
    """
    at = [
        next((place for place, task in enumerate(waiting) if fits(task)), None)
        for fits in (
            lambda task: task.affinity and task.affinity == affinity,
            lambda task: task.affinity not in others,
        )
    ]
    place = next((place for place in at if place is not None), 0)
    task = waiting[place]
    del waiting[place]
    return task


def find_function(fn: str) -> TaskFunction:
    """Return the function that ``"module:function"`` names."""
    module, _, name = fn.partition(":")
    found: TaskFunction = getattr(importlib.import_module(module), name)
    return found


def attempt(
    function: Callable[[Mapping[str, Any], Report], None],
    payload: Mapping[str, Any],
    report: Report,
) -> tuple[float, Failure | None]:
    """Call a task's function; return its seconds and what it raised."""
    start = time.perf_counter()
    try:
        function(payload, report)
    except Exception as error:  # noqa: BLE001 - every failure of a task becomes a row
        found = Failure(type(error).__name__, str(error), traceback.format_exc())
        return time.perf_counter() - start, found
    return time.perf_counter() - start, None


class Serial:
    """One task after another in this process."""

    def __init__(self, fn: str) -> None:
        self.function = find_function(fn)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(
        self, tasks: Sequence[Task], *, limits: Limits = NO_LIMITS, stop: Callable[[], bool] = never
    ) -> Iterator[Event]:
        """Yield events as the tasks end.

        Nothing here can crash or be ended alone, so limits are for other executors.
        """
        for task in tasks:
            if stop():
                return
            facts: list[Mapping[str, Any]] = []
            seconds, failure = attempt(self.function, task.payload, facts.append)
            yield from (Progress(task, fact) for fact in facts)
            yield Outcome(task, seconds, failure)
