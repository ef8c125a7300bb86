"""Started by tests: forks a run of a sweep, or a merge, per line of standard input, to be killed.

The workers of a run are forked as well where that is asked for: they need not import everything.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import calibkit.sweep.worker  # noqa: F401 - imported once, before any fork
from calibkit.recipe import load_recipe
from calibkit.store.connection import Store
from calibkit.store.fragments import merge
from calibkit.sweep import local
from calibkit.sweep.run import run


class Log:
    """A watcher that writes lines to a file."""

    def __init__(self, path: str) -> None:
        self.file = Path(path).open("a")  # noqa: SIM115 - for the life of the process

    def write(self, text: str) -> None:
        print(text, file=self.file, flush=True)

    def phase(self, name: str, total: int) -> None:
        self.write(f"phase {name} {total}")

    def step(self, text: str, *, failed: bool = False) -> None:
        self.write(f"{'failed' if failed else 'step'} {text}")

    def note(self, text: str) -> None:
        self.write(f"note {text}")


def pause_at(place: str, log: Log) -> None:
    """Let the n-th call of ``module:function:n`` say so and sleep instead of doing anything."""
    module_name, function_name, number = place.split(":")
    module = importlib.import_module(module_name)
    original = getattr(module, function_name)
    calls = 0

    def paused(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == int(number):
            log.write(f"paused {function_name}")
            time.sleep(300)
        return original(*args, **options)

    setattr(module, function_name, paused)


class ForkingOnly:
    """Stands in for multiprocessing in `calibkit.sweep.local`: workers start in no time."""

    def get_context(self, _method: str) -> Any:
        return multiprocessing.get_context("fork")

    def __getattr__(self, name: str) -> Any:
        return getattr(multiprocessing, name)


def merge_what_comes(store: Store, log: Log) -> int:
    """Merge whenever fragments wait, for ever."""
    while True:
        if any(store.fragments.glob("[!.]*.json")):
            log.write("merging")
            merge(store)
        time.sleep(0.001)


def child(request: dict[str, Any]) -> int:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    log = Log(request["log"])
    if request["pause"]:
        pause_at(request["pause"], log)
    if request.get("what") == "merge":
        return merge_what_comes(Store(Path(request["store"])), log)
    if request.get("forked"):
        local.multiprocessing = ForkingOnly()
    try:
        recipe = load_recipe(Path(request["recipe"]))
        report = run(Store(Path(request["store"])), recipe, watcher=log, **request["how"])
    except KeyboardInterrupt:
        log.write("interrupted")
        return 130
    except Exception as error:  # noqa: BLE001 - the test reads it
        log.write(f"error {type(error).__name__} {error}")
        return 3
    log.write(f"finished {report}")
    return 1 if report.failed or report.missing else 0


def serve() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        if "wait" in asked:
            _, status = os.waitpid(asked["wait"], 0)
            print(os.waitstatus_to_exitcode(status), flush=True)
            continue
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                code = child(asked)
            finally:
                os._exit(code)
        print(pid, flush=True)


if __name__ == "__main__":  # not in the workers that a run spawns
    serve()
