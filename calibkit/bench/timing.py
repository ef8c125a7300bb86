"""CPU time of competing works that take turns, stage by stage; ratios and growth from it."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from calibkit.sweep.clock import peak_mb

ENOUGH = 0.1
"""Works that take fewer CPU seconds are run several times in a turn."""

MOST_RUNS = 20


class Stages:
    """CPU seconds of one run by stage; what happens outside of stages is set-up and not counted.

    seconds: by stage, multiplied by ``times`` where a stage did only a part of the work. peaks:
    the largest memory of the process up to the end of a stage, MB. spent: seconds as they were.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.peaks: dict[str, float] = {}
        self.spent = 0.0

    @contextmanager
    def __call__(self, name: str, *, times: float = 1.0) -> Iterator[None]:
        """Add the CPU time spent inside to a stage."""
        start = time.process_time()
        yield
        took = time.process_time() - start
        self.spent += took
        self.seconds[name] = self.seconds.get(name, 0.0) + took * times
        self.peaks[name] = peak_mb()


Work = Callable[[Stages], Any]
"""Does the work once, in stages, and returns its outcome."""


@dataclass(frozen=True)
class Spread:
    """The median of some numbers, and the least and greatest of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of at least one value."""
        return cls(statistics.median(values), min(values), max(values))


def turn(work: Work) -> tuple[dict[str, float], Any]:
    """Run a work once, a short one several times; return mean seconds by stage, and its outcome."""
    runs: list[Stages] = []
    while True:
        stages = Stages()
        outcome = work(stages)
        runs.append(stages)
        if len(runs) == MOST_RUNS or sum(run.spent for run in runs) >= ENOUGH:
            break
    means = {name: sum(r.seconds[name] for r in runs) / len(runs) for name in runs[0].seconds}
    return means, outcome


def take_turns(
    works: Mapping[str, Work], repetitions: int
) -> tuple[dict[str, list[dict[str, float]]], dict[str, Any]]:
    """Run the works in turn, ``repetitions`` times each.

    Returns by name the seconds by stage of every repetition, and the last outcomes. A round
    before the first one, which nobody counts, is for works that are short enough for it.
    """
    seconds: dict[str, list[dict[str, float]]] = {name: [] for name in works}
    outcomes: dict[str, Any] = {}
    for name, work in works.items():
        first = Stages()
        outcomes[name] = work(first)
        if first.spent >= 10 * ENOUGH:
            seconds[name].append(dict(first.seconds))
    for _ in range(repetitions):
        for name, work in works.items():
            if len(seconds[name]) < repetitions:
                found, outcomes[name] = turn(work)
                seconds[name].append(found)
    return seconds, outcomes


def ratios(
    plain: Sequence[Mapping[str, float]], this: Sequence[Mapping[str, float]], stage: str | None
) -> Spread:
    """Return plain time / this time, repetition by repetition, of one stage or of all (None)."""
    pairs = zip(plain, this, strict=True)
    return Spread.of([in_stage(p, stage) / max(in_stage(t, stage), 1e-9) for p, t in pairs])


def in_stage(seconds: Mapping[str, float], stage: str | None) -> float:
    """Return the seconds of one stage, or of all of them together (None)."""
    return sum(seconds.values()) if stage is None else seconds[stage]


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Return b of the power law seconds = a * size^b that fits best on logarithms."""
    slope, _ = statistics.linear_regression(
        [math.log(size) for size in sizes], [math.log(max(s, 1e-9)) for s in seconds]
    )
    return slope
