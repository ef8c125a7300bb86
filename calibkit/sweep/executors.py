"""Where tasks run: in this process, or in supervised worker processes of this machine.

Both give the same outcomes for the same tasks: the executor and the number of workers never
change a number, only the time. A task computes with one thread.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
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


def never() -> bool:
    """Return False: nothing stops."""
    return False


class Executor(Protocol):
    """Calls one function, ``"module:function"``, for tasks; workers live until it is closed."""

    def run(
        self, tasks: Sequence[Task], *, retries: int = 1, stop: Callable[[], bool] = never
    ) -> Iterator[Event]:
        """Yield events in any order, among them one Outcome per task.

        retries: how often a task is given again when its worker dies. No task is started once
        ``stop()`` is true; those have no Outcome.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


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
        self, tasks: Sequence[Task], *, retries: int = 1, stop: Callable[[], bool] = never
    ) -> Iterator[Event]:
        """Yield events as the tasks end; a failure is final, since nothing here can crash alone."""
        for task in tasks:
            if stop():
                return
            facts: list[Mapping[str, Any]] = []
            seconds, failure = attempt(self.function, task.payload, facts.append)
            yield from (Progress(task, fact) for fact in facts)
            yield Outcome(task, seconds, failure)


class Local:
    """Worker processes, started by spawn and replaced when one dies.

    A worker that is killed costs one retry of the task that it had, and nothing else.
    """

    def __init__(self, fn: str, workers: int) -> None:
        if workers < 1:
            raise ValueError("at least one worker is needed")
        self.fn = fn
        self.workers = workers
        self._crew: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._crew:
            worker.stop()
        self._crew.clear()

    def run(
        self, tasks: Sequence[Task], *, retries: int = 1, stop: Callable[[], bool] = never
    ) -> Iterator[Event]:
        """Yield events as workers send them."""
        waiting = deque(tasks)
        lives = dict.fromkeys((task.key for task in tasks), retries)
        crew = self._crew
        while waiting or _busy(crew):
            if waiting and stop():
                waiting.clear()
                continue
            # one that died idle had no task, so it costs none a retry
            crew[:] = [one for one in crew if one.task is not None or one.process.is_alive()]
            while len(crew) < min(self.workers, _busy(crew) + len(waiting)):
                crew.append(_Worker(self.fn))
            for worker in crew:
                if worker.task is None and waiting:
                    worker.give(_next_task(waiting, worker.affinity))
            ready = wait([worker.pipe for worker in crew if worker.task is not None])
            for worker in [w for w in crew if w.pipe in ready]:
                event = worker.receive()
                if not isinstance(event, _Died):
                    yield event
                    continue
                crew.remove(worker)
                lives[event.task.key] -= 1
                if lives[event.task.key] >= 0:
                    waiting.appendleft(event.task)
                else:
                    yield Outcome(event.task, event.seconds, event.failure)


def _busy(crew: Sequence[_Worker]) -> int:
    return sum(worker.task is not None for worker in crew)


def _next_task(waiting: deque[Task], affinity: str) -> Task:
    """Take the first task of the same affinity, else the first one."""
    for place, task in enumerate(waiting):
        if affinity and task.affinity == affinity:
            del waiting[place]
            return task
    return waiting.popleft()


@dataclass(frozen=True)
class _Died:
    task: Task
    seconds: float
    failure: Failure


ONE_THREAD = {
    name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
} | {"OMP_WAIT_POLICY": "PASSIVE"}
"""Environment of a worker: parallelism is over tasks, never inside one."""


class _Worker:
    """The parent's end of one worker process."""

    def __init__(self, fn: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, fn), daemon=True)
        before = {name: os.environ.get(name) for name in ONE_THREAD}
        os.environ.update(ONE_THREAD)
        try:
            self.process.start()
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
        theirs.close()
        self.task: Task | None = None
        self.affinity = ""
        self.since = 0.0

    def give(self, task: Task) -> None:
        self.task, self.affinity, self.since = task, task.affinity, time.perf_counter()
        with contextlib.suppress(BrokenPipeError, OSError):  # gone: `receive` will say so
            self.pipe.send(task.payload)

    def receive(self) -> Event | _Died:
        assert self.task is not None
        task = self.task
        try:
            kind, content = self.pipe.recv()
        except (EOFError, OSError):  # OSError: killed in the middle of a message
            self.process.join(timeout=5)
            code = self.process.exitcode
            seconds = time.perf_counter() - self.since
            message = f"the worker process ended with exit code {code} before the task did"
            return _Died(task, seconds, Failure("WorkerDied", message, ""))
        if kind == "progress":
            return Progress(task, content)
        self.task = None
        seconds, failure = content
        return Outcome(task, seconds, failure)

    def stop(self) -> None:
        self.pipe.close()  # an idle worker leaves by itself
        if self.task is not None:
            self.process.terminate()
        self.process.join(timeout=5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _leave_with_parent() -> None:
    """End this worker, busy or not, as soon as its parent is gone, however that happened."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _serve(pipe: Connection[Any, Any], fn: str) -> None:
    """Run tasks until the parent closes the pipe (or is gone)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    threading.Thread(target=_leave_with_parent, daemon=True).start()

    def call(payload: Any, report: Report) -> None:
        find_function(fn)(payload, report)  # found here, so that a failing import is told

    while True:
        try:
            payload = pipe.recv()
        except (EOFError, OSError):
            return
        seconds, failure = attempt(call, payload, lambda facts: pipe.send(("progress", facts)))
        try:
            pipe.send(("outcome", (seconds, failure)))
        except (BrokenPipeError, OSError):
            return
