"""Time and memory of a job."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Wall seconds by stage, and in total."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.stages: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time spent inside to a stage."""
        start = time.perf_counter()
        yield
        self.stages[name] = self.stages.get(name, 0.0) + time.perf_counter() - start

    def total(self) -> float:
        """Return the seconds since the clock was made."""
        return time.perf_counter() - self.start


def peak_mb() -> float:
    """Return the largest resident memory that this process ever had, in MB."""
    kilo = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilo / (1024 * 1024 if sys.platform == "darwin" else 1024)
