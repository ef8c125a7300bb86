"""Functions run in processes of their own, and a memory that nobody else used.

Processes with one thread are forked from a server that has imported what costs seconds to import
and has done nothing else, so that each one's largest memory is that of the imports and of its own
work. Those that need none of these imports start from nothing.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

from calibkit.errors import CalibkitError
from calibkit.sweep.clock import peak_mb

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
CORES = 2
"""Those of the machine that the targets are for."""
ONE_THREAD = dict.fromkeys(THREADS, "1")
PRELOADED = ["calibkit.bench.preloaded"]


class MeasurementFailed(CalibkitError):
    """A measurement ended with an error of its own, or was killed."""


def resolve(name: str) -> Callable[..., Any]:
    """Return the function called ``module:function``."""
    module, _, function = name.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found


def alone(function: str, **options: Any) -> Any:
    """Return what ``module:function`` returns for the options, from a process of its own.

    Raises MeasurementFailed with the traceback of an error, or with the signal of a killer.
    """
    return together(function, [options])[0]


def apart(function: str, **options: Any) -> Any:
    """Return what ``module:function`` returns, from a process that has imported nothing before.

    Its matrix products have `CORES` threads. Raises MeasurementFailed as `alone` does.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    with _environment(dict.fromkeys(THREADS, str(CORES))):
        process = context.Process(target=_serve_bare, args=(theirs, function, options), daemon=True)
        process.start()
    theirs.close()
    try:
        return _answer(ours, process, function)
    finally:
        process.join()
        ours.close()


def own_peak_mb() -> float:
    """Return the largest resident memory of this process since it began as this program, in MB.

    (What the kernel counts for a process includes that of the one it was started from.)
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return peak_mb()
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    return int(lines["VmHWM"].split()[0]) / 1024


def together(name: str, options: Sequence[Mapping[str, Any]], *, meet: bool = False) -> list[Any]:
    """Return what the function returns for each of the options, in so many processes at once.

    meet: the function also gets ``barrier``, at which all of the processes can wait for another.
    """
    context = _context()
    running = []
    if meet:
        barrier = context.Barrier(len(options))
        options = [dict(one) | {"barrier": barrier} for one in options]
    for one in options:
        ours, theirs = context.Pipe(duplex=False)
        with _environment(ONE_THREAD):
            process = context.Process(target=_serve, args=(theirs, name, dict(one)), daemon=True)
            process.start()
        theirs.close()
        running.append((process, ours))
    found: list[Any] = []
    try:
        for process, ours in running:
            found.append(_answer(ours, process, name))
    finally:
        for process, ours in running:
            if len(found) < len(running):
                process.terminate()
            process.join()
            ours.close()
    return found


def _answer(ours: Any, process: Any, name: str) -> Any:
    """Return what a process sends; MeasurementFailed for its error, or its death."""
    try:
        error, value = ours.recv()
    except EOFError:
        process.join()
        raise MeasurementFailed(
            f"the measurement {name} was ended from outside (exit code "
            f"{process.exitcode}); is there enough memory? --quick takes less"
        ) from None
    if error:
        raise MeasurementFailed(f"the measurement {name} failed: {error}\n{value}")
    return value


def _serve(answers: Any, name: str, options: dict[str, Any]) -> None:
    import torch

    torch.set_num_threads(1)
    _serve_bare(answers, name, options)


def _serve_bare(answers: Any, name: str, options: dict[str, Any]) -> None:
    try:
        answers.send(("", resolve(name)(**options)))
    except Exception as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        answers.send((said, traceback.format_exc()))
    finally:
        answers.close()


def _context() -> Any:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    with _environment(ONE_THREAD):
        forkserver.ensure_running()
    return context


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for processes that are started inside."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
