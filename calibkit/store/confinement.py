"""Hand SQL from outside to a process that can be killed, and read its answer.

DuckDB's time and memory limits are checked between chunks of rows, so one long string, list or
pattern passes both. ``confined`` runs in a process of its own, which has limits of the operating
system and is killed when it is late. It stays for the next query, since starting it takes 0.1 s.
"""

from __future__ import annotations

import atexit
import io
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibkit.errors import StoreError
from calibkit.store.confined import LENGTH, Refused

START_SECONDS = 60.0
"""A process that has not opened its database after this is given up."""
GRACE_SECONDS = 1.5
"""So long after its time a query is killed that has not stopped by itself."""

_KEPT = ("HOME", "LANG", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PATH", "SYSTEMROOT", "TZ")
_VALUES = {
    *(("datetime", name) for name in ("date", "datetime", "time", "timedelta", "timezone")),
    ("decimal", "Decimal"),
    ("uuid", "UUID"),
    ("pytz", "_UTC"),
    ("pytz", "_p"),
}
"""What values of a query may be made of, besides Python's plain types."""


class Failed(Exception):
    """DuckDB's error for a query: the name of its class, and its text."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(name, text)
        self.name, self.text = name, text


@dataclass(frozen=True)
class Answer:
    """Columns, their DuckDB types, and rows of Python values."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def answered(request: Mapping[str, Any]) -> Answer:
    """Return what the confined process answers to a request (see ``confined.respond``).

    Raises Refused for what went beyond a limit, Failed for what DuckDB refused, StoreError where
    the process cannot be started.
    """
    with _guard:
        for attempt in (1, 2):
            process = _running()
            try:
                return process.ask(request)
            except _Gone:
                _end()
                if attempt == 2:
                    raise StoreError(
                        "the process that queries run in could not be started within"
                        f" {START_SECONDS:g} s ({sys.executable}); stop other work on this machine,"
                        " then run the same command again"
                    ) from None
            except BaseException as error:
                if not isinstance(error, Failed):  # whatever it holds on to
                    _end()
                raise
    raise AssertionError("two attempts")


class _Gone(Exception):
    """The process ended, or did nothing, before it had begun with a query."""


class _Plain(pickle.Unpickler):
    """Reads plain values and nothing that could run code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _VALUES:
            raise pickle.UnpicklingError(f"{module}.{name} is no value of a query")
        return super().find_class(module, name)


class _Process:
    """A running confined process."""

    def __init__(self) -> None:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        path = os.pathsep.join(place for place in sys.path if place)
        self.popen = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("confined.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**kept, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        )

    def ask(self, request: Mapping[str, Any]) -> Answer:
        assert self.popen.stdin is not None
        data = pickle.dumps(dict(request), protocol=5)
        with self._killed_after(START_SECONDS):
            try:
                self.popen.stdin.write(LENGTH.pack(len(data)) + data)
                self.popen.stdin.flush()
            except BrokenPipeError:
                raise _Gone from None
            if (first := self._message()) is None:
                raise _Gone
        if first[0] != "ready":
            raise _error(first)
        with self._killed_after(request["timeout_s"] + GRACE_SECONDS) as late:
            return self._rest(late)

    def _rest(self, late: threading.Event) -> Answer:
        columns: tuple[str, ...] = ()
        types: tuple[str, ...] = ()
        rows: list[tuple[Any, ...]] = []
        while message := self._message():
            kind, *rest = message
            if kind == "columns":
                columns, types = rest
            elif kind == "rows":
                rows += rest[0]
            elif kind == "done":
                return Answer(columns, types, rows)
            else:
                raise _error(message)
        status = self.popen.wait()
        if late.is_set() or status == -_signal("SIGXCPU"):
            raise Refused("time")
        raise Refused("ended", f"signal {-status}" if status < 0 else f"status {status}")

    def _message(self) -> tuple[Any, ...] | None:
        """Return the next message, None if the process has ended."""
        assert self.popen.stdout is not None
        head = self.popen.stdout.read(LENGTH.size)
        if len(head) < LENGTH.size:
            return None
        size = LENGTH.unpack(head)[0]
        data = self.popen.stdout.read(size)
        message: tuple[Any, ...] | None = None
        if len(data) == size:
            message = _Plain(io.BytesIO(data)).load()
        return message

    def _killed_after(self, seconds: float) -> _Watch:
        return _Watch(self.popen, seconds)

    def end(self) -> None:
        self.popen.kill()
        for pipe in (self.popen.stdin, self.popen.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was not written yet is for nobody
                    pipe.close()
        self.popen.wait()


class _Watch:
    """Kills a process that takes longer than it may; ``late`` says that it did."""

    def __init__(self, popen: subprocess.Popen[bytes], seconds: float) -> None:
        self.late = threading.Event()
        self.popen = popen
        # a timer cannot wait longer than this
        self.timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), self._kill)
        self.timer.daemon = True

    def __enter__(self) -> threading.Event:
        self.timer.start()
        return self.late

    def __exit__(self, *_: object) -> None:
        self.timer.cancel()
        self.timer.join()

    def _kill(self) -> None:
        self.late.set()
        self.popen.kill()


_guard = threading.Lock()
_process: _Process | None = None


def _running() -> _Process:
    global _process
    if _process is None or _process.popen.poll() is not None:
        _end()
        _process = _Process()
    return _process


def process_id() -> int | None:
    """Return the id of the process that waits for the next query; None if there is none."""
    return None if _process is None else _process.popen.pid


def end() -> None:
    """End the process that waits for the next query."""
    with _guard:
        _end()


def _end() -> None:
    global _process
    if _process is not None:
        _process.end()
        _process = None


def _forget() -> None:
    """In a forked process: the one that was started belongs to the parent."""
    global _guard, _process
    _guard = threading.Lock()
    if _process is not None:
        _process.popen.returncode = 0  # not ours to wait for
    _process = None


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _error(message: tuple[Any, ...]) -> Exception:
    kind, *rest = message
    return Refused(*rest) if kind == "refused" else Failed(*rest)


def _signal(name: str) -> int:
    return int(getattr(signal, name, 0)) or -1
