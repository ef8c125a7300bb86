"""Workers on a Ray cluster: for those who outgrow one machine. The extra ``calibkit[ray]``.

The same tasks, fragments and artefacts as everywhere: the folder beside the store must be one that
every node sees at the same path, and every node must have the same packages. Both are checked when
a worker starts. What a worker is, and when it is ended, is as in `calibkit.sweep.local`.
"""

from __future__ import annotations

import contextlib
import os
import platform
import queue
import secrets
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from calibkit.errors import BadInput, Infeasible, MissingExtra, StoreError
from calibkit.sweep import provenance
from calibkit.sweep.executors import (
    NO_LIMITS,
    Event,
    Failure,
    Limits,
    Outcome,
    Progress,
    Task,
    attempt,
    find_function,
    never,
    next_task,
)
from calibkit.sweep.local import LOOKED_AT_SECONDS, ONE_THREAD, resident_megabytes

MARKS = "in-use"
"""Folder below the store's in which a file is put that workers must see."""

ANSWERED_SECONDS = 10.0
"""So long a cluster has to answer."""

_QUIET = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_DEDUP_LOGS": "0"}


def require_ray() -> Any:
    """Return the package ``ray``; MissingExtra, saying what to install, where it is not there."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise MissingExtra(
            "--executor ray needs the package ray, which is not installed; "
            "`pip install 'calibkit[ray]'` brings it, or use --executor local"
        ) from error
    return ray


def require_answer(address: str) -> None:
    """Raise BadInput for an address at which nothing listens: Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        raise BadInput(
            f"--address {address!r} is none of a cluster; write HOST:PORT, as `ray start --head` "
            "prints it, or auto"
        )
    try:
        socket.create_connection((host, int(port)), timeout=ANSWERED_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise BadInput(
            f"--address {address}: no Ray cluster answers there ({error}); `ray start --head` "
            "prints the address of what it starts, and without --address one is started here"
        ) from error


class OnRay:
    """Worker processes of a Ray cluster, each on one core, replaced when one dies.

    address: of a cluster to join, ``auto`` for the one that this machine belongs to; by default one
    is started on this machine, and ended with the executor. folder: the one beside the store.
    """

    def __init__(self, fn: str, workers: int, *, folder: Path, address: str | None = None) -> None:
        self.ray = require_ray()
        self.fn = fn
        self.workers = workers
        self.folder = folder
        self.address = address
        self._began = False
        self._mark: Path | None = None
        self._crew: list[_Member] = []

    def __enter__(self) -> Self:
        if self.address not in (None, "auto"):
            require_answer(str(self.address))
        if not self.ray.is_initialized():
            self._connect()
            self._began = True
        try:
            cores = int(self.ray.cluster_resources().get("CPU", 0))
            if self.workers > cores:
                raise Infeasible(
                    f"--workers {self.workers}: the Ray cluster has {cores} cores, and each worker"
                    f" takes one; ask for at most {cores}"
                )
            token = secrets.token_hex(16)
            self._mark = self.folder / MARKS / f"ray-{token}"
            self._mark.parent.mkdir(parents=True, exist_ok=True)
            self._mark.write_text(token)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for member in self._crew:
            with contextlib.suppress(Exception):  # the cluster may be gone already
                self.ray.kill(member.actor)
        self._crew.clear()
        if self._mark is not None:
            self._mark.unlink(missing_ok=True)
        if self._began:
            self.ray.shutdown()
            self._began = False

    def run(
        self, tasks: Sequence[Task], *, limits: Limits = NO_LIMITS, stop: Callable[[], bool] = never
    ) -> Iterator[Event]:
        """Yield events as workers send them. Raises StoreError for a node without the folder."""
        waiting = deque(tasks)
        lives = dict.fromkeys((task.key for task in tasks), limits.retries)
        crew = self._crew
        while waiting or any(member.task for member in crew):
            if waiting and stop():
                waiting.clear()
                continue
            busy = sum(member.task is not None for member in crew)
            while len(crew) < min(self.workers, busy + len(waiting)):
                crew.append(self._new_member())
            for member in crew:
                if member.is_idle and waiting:
                    others = {other.affinity for other in crew if other is not member}
                    member.give(next_task(waiting, member.affinity, others), limits)
            for member in self._ready():
                if member.task is None:
                    self._check(member)
                    continue
                task = member.task
                found = member.receive(limits)
                if member.is_lost:
                    self._lose(member)
                if not isinstance(found, _Died):
                    if found is not None:
                        yield found
                    continue
                lives[task.key] -= 1
                if lives[task.key] >= 0:
                    waiting.appendleft(task)
                else:
                    yield Outcome(task, found.seconds, found.failure)

    def _connect(self) -> None:
        options: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
        if self.address is None:
            options |= {"num_cpus": self.workers, "include_dashboard": False}
        else:
            options["address"] = self.address
        try:
            self.ray.init(**options, runtime_env={"env_vars": dict(ONE_THREAD)})
        except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
            where = "this machine" if self.address is None else f"--address {self.address}"
            said = " ".join(str(error).split()).rstrip(".")
            raise BadInput(
                f"{where}: no Ray cluster could be reached or started: {said}; `ray status` shows "
                "the one that runs here, and without --address one is started"
            ) from error

    def _new_member(self) -> _Member:
        assert self._mark is not None
        actor = self.ray.remote(num_cpus=1, max_restarts=0)(Worker).remote(self.fn)
        checked = actor.check.remote(str(self._mark), self._mark.name.removeprefix("ray-"))
        return _Member(self.ray, actor, checked)

    def _ready(self) -> list[_Member]:
        """Return the members that have something to say, or whose task may be over its time."""
        asked = {member.waited_for: member for member in self._crew if not member.is_idle}
        done, _ = self.ray.wait(list(asked), num_returns=1, timeout=LOOKED_AT_SECONDS)
        told = [asked[one] for one in done]
        return told + [m for m in asked.values() if m.task is not None and m not in told]

    def _check(self, member: _Member) -> None:
        """Take a worker into service; raise StoreError where it cannot do the same work."""
        if not member.has_said_something():
            return
        try:
            node, sees, versions = self.ray.get(member.waited_for)
        except self.ray.exceptions.RayError as error:
            said = " ".join(str(error).split())
            raise StoreError(f"a Ray worker could not be started: {said:.500}") from error
        member.checked = None
        if not sees:
            raise StoreError(
                f"the Ray worker on {node} does not see {self.folder}: put the store where every "
                "node finds it at the same path, or measure with --shard and `calibkit merge`"
            )
        own = provenance.versions()
        other = [f"{name} {v} (here {own[name]})" for name, v in versions.items() if v != own[name]]
        if other:
            raise StoreError(
                f"the Ray worker on {node} has other packages, which may give other numbers: "
                f"{', '.join(other)}; install the same ones on every node"
            )

    def _lose(self, member: _Member) -> None:
        with contextlib.suppress(Exception):  # it may be dead already
            self.ray.kill(member.actor)
        self._crew.remove(member)


@dataclass(frozen=True)
class _Died:
    seconds: float
    failure: Failure


class _Member:
    """The driver's end of one worker."""

    def __init__(self, ray: Any, actor: Any, checked: Any) -> None:
        self.ray = ray
        self.actor = actor
        self.checked = checked
        self.task: Task | None = None
        self.stream: Any = None
        self.affinity = ""
        self.since = 0.0
        self.is_lost = False

    @property
    def is_idle(self) -> bool:
        return self.checked is None and self.task is None

    @property
    def waited_for(self) -> Any:
        return self.stream if self.checked is None else self.checked

    def has_said_something(self) -> bool:
        done, _ = self.ray.wait([self.waited_for], timeout=0)
        return bool(done)

    def give(self, task: Task, limits: Limits) -> None:
        self.task, self.affinity, self.since = task, task.affinity, time.perf_counter()
        work = self.actor.work.options(num_returns="streaming")
        self.stream = work.remote(task.payload, limits.megabytes)

    def receive(self, limits: Limits) -> Event | _Died | None:
        """Return what the worker says; None while it says nothing and is within its time."""
        assert self.task is not None
        task, seconds = self.task, time.perf_counter() - self.since
        if not self.has_said_something():
            if limits.seconds is None or seconds <= limits.seconds:
                return None
            message = (
                f"it was ended after {seconds:,.1f} s; the limit is --timeout {limits.seconds:g}"
            )
            return self._ended(task, seconds, Failure("TimedOut", message, ""))
        try:
            kind, content = self.ray.get(next(self.stream))
        except (self.ray.exceptions.RayError, StopIteration) as error:
            self.is_lost = True
            said = " ".join(str(error).split())
            message = f"the Ray worker ended before the task did: {said:.500}"
            return _Died(seconds, Failure("WorkerDied", message, ""))
        if kind == "progress":
            return Progress(task, content)
        if kind == "memory":
            message = (
                f"its worker was ended at {content:,.0f} MB of memory; the limit is "
                f"--memory-limit {limits.megabytes:g}"
            )
            return self._ended(task, seconds, Failure("TooMuchMemory", message, ""))
        self.task = None
        seconds, failure = content
        return Outcome(task, seconds, failure)

    def _ended(self, task: Task, seconds: float, why: Failure) -> Outcome:
        self.is_lost = True
        return Outcome(task, seconds, why)


class Worker:
    """What runs in a process of the cluster; Ray makes an actor of it."""

    def __init__(self, fn: str) -> None:
        self.fn = fn

    def check(self, mark: str, token: str) -> tuple[str, bool, Mapping[str, str]]:
        """Return the node's name, whether it sees the store's folder, and its packages."""
        path = Path(mark)
        sees = path.exists() and path.read_text() == token
        return platform.node(), sees, provenance.versions()

    def work(self, payload: Any, megabytes: float | None) -> Iterator[tuple[str, Any]]:
        """Do one task; yield what it reports, then its outcome, or that it takes too much."""
        told: queue.Queue[tuple[str, Any]] = queue.Queue()

        def call(payload: Any, report: Callable[[Mapping[str, Any]], None]) -> None:
            find_function(self.fn)(payload, report)

        def do() -> None:
            found = attempt(call, payload, lambda facts: told.put(("progress", facts)))
            told.put(("outcome", found))

        threading.Thread(target=do, daemon=True).start()
        while True:
            try:
                said = told.get(timeout=LOOKED_AT_SECONDS)
            except queue.Empty:
                used = 0.0 if megabytes is None else resident_megabytes(os.getpid())
                if megabytes is not None and used > megabytes:
                    yield "memory", used
                    return
                continue
            yield said
            if said[0] == "outcome":
                return
