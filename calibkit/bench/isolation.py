"""Functions run in processes of their own: one thread, and a memory that nobody else used.

Processes are forked from a server that has imported what costs seconds to import and has done
nothing else, so that each one's largest memory is that of the imports and of its own work.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver
from typing import Any

from calibkit.errors import CalibkitError

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
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
            found.append(value)
    finally:
        for process, ours in running:
            if len(found) < len(running):
                process.terminate()
            process.join()
            ours.close()
    return found


def _serve(answers: Any, name: str, options: dict[str, Any]) -> None:
    import torch

    torch.set_num_threads(1)
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
