"""What the executor tests run in workers."""

import os
import signal
import time
from pathlib import Path


def work(payload, report):
    """Do what ``payload["do"]`` says; every run leaves a mark in ``payload["folder"]``."""
    folder = Path(payload["folder"])
    mark = folder / f"{payload['name']}.{time.monotonic_ns()}.{os.getpid()}"
    mark.touch()
    report({"name": payload["name"]})
    do = payload["do"]
    if do == "fail":
        raise KeyError(f"no such thing: {payload['name']}")
    if do == "die" or (do == "die once" and runs(folder, payload["name"]) == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    if do == "threads":
        report({name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")})
    if do == "hog":
        hoard = [bytes(4_000_000)]
        while True:
            hoard.append(bytearray(os.urandom(1)) * 4_000_000)
            time.sleep(0.002)
    if do == "nap":
        time.sleep(0.05)
    if do == "sleep":
        time.sleep(60)


def runs(folder, name):
    return len(list(Path(folder).glob(f"{name}.*")))
