"""Supervised worker processes of this machine: replaced when they die, ended when over a limit."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Self

from calibkit.sweep.executors import (
    NO_LIMITS,
    Event,
    Failure,
    Limits,
    Outcome,
    Progress,
    Report,
    Task,
    attempt,
    find_function,
    never,
    next_task,
)


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
        self, tasks: Sequence[Task], *, limits: Limits = NO_LIMITS, stop: Callable[[], bool] = never
    ) -> Iterator[Event]:
        """Yield events as workers send them."""
        waiting = deque(tasks)
        lives = dict.fromkeys((task.key for task in tasks), limits.retries)
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
                    others = {other.affinity for other in crew if other is not worker}
                    worker.give(next_task(waiting, worker.affinity, others))
            ready = wait(
                [worker.pipe for worker in crew if worker.task is not None],
                timeout=None if limits.seconds is limits.megabytes is None else LOOKED_AT_SECONDS,
            )
            for worker in [w for w in crew if w.task is not None]:
                if worker.pipe in ready:
                    event = worker.receive()
                else:
                    over = worker.over(limits)
                    if over is None:
                        continue
                    event = worker.end(over)
                if not isinstance(event, _Died):
                    yield event
                    continue
                crew.remove(worker)
                if event.final:
                    yield Outcome(event.task, event.seconds, event.failure)
                    continue
                lives[event.task.key] -= 1
                if lives[event.task.key] >= 0:
                    waiting.appendleft(event.task)
                else:
                    yield Outcome(event.task, event.seconds, event.failure)


LOOKED_AT_SECONDS = 0.25
"""How often limits are checked."""


def resident_megabytes(pid: int | None) -> float:
    """Return the resident memory of a process in 10^6 bytes; 0 when it is gone."""
    import psutil

    try:
        return float(psutil.Process(pid).memory_info().rss) / 1e6
    except psutil.NoSuchProcess:
        return 0.0


def _busy(crew: Sequence[_Worker]) -> int:
    return sum(worker.task is not None for worker in crew)


@dataclass(frozen=True)
class _Died:
    task: Task
    seconds: float
    failure: Failure
    final: bool = False  # another attempt would end in the same way


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

    def over(self, limits: Limits) -> Failure | None:
        """Say which limit the task has gone over, if any."""
        seconds = time.perf_counter() - self.since
        if limits.seconds is not None and seconds > limits.seconds:
            message = (
                f"it was ended after {seconds:,.1f} s; the limit is --timeout {limits.seconds:g}"
            )
            return Failure("TimedOut", message, "")
        if limits.megabytes is not None:
            used = resident_megabytes(self.process.pid)
            if used > limits.megabytes:
                message = (
                    f"its worker was ended at {used:,.0f} MB of memory; the limit is "
                    f"--memory-limit {limits.megabytes:g}"
                )
                return Failure("TooMuchMemory", message, "")
        return None

    def end(self, why: Failure) -> _Died:
        """Kill the process in the middle of its task."""
        assert self.task is not None
        self.process.kill()
        self.process.join()
        self.pipe.close()
        return _Died(self.task, time.perf_counter() - self.since, why, final=True)

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
