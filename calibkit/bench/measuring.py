"""From a case (one job done in several ways) to numbers; runs inside of a measuring process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from calibkit.bench.isolation import resolve
from calibkit.bench.rows import Row
from calibkit.bench.timing import Spread, Stages, Work, exponent, in_stage, ratios, take_turns, turn
from calibkit.sweep.clock import peak_mb

PLAIN = "plain"


@dataclass(frozen=True)
class Case:
    """One job, done by the plain path and by others.

    works: ``plain`` and the engines, by name; each makes its own numbers in the same stages.
    right: told (outcome of plain, outcome of an engine), returns by stage whether the engine's is
    right. facts: what the rows say beside their numbers. told: the same from the two outcomes.
    """

    what: str
    works: Mapping[str, Work]
    right: Callable[[Any, Any], Mapping[str, bool]]
    facts: Mapping[str, Any] = field(default_factory=dict)
    told: Callable[[Any, Any], Mapping[str, Any]] = lambda expected, found: {}


def measure(
    case: str, options: Mapping[str, Any], engines: Sequence[str], repetitions: int
) -> list[Row]:
    """Return a row per engine and, where a job has several stages, one per engine and stage.

    case: module:function that makes the `Case` of some options.
    """
    made: Case = resolve(case)(**options)
    works = {name: made.works[name] for name in (PLAIN, *engines)}
    seconds, outcomes = take_turns(works, repetitions)
    rows = []
    for engine in engines:
        right = made.right(outcomes[PLAIN], outcomes[engine])
        facts = {**made.facts, **made.told(outcomes[PLAIN], outcomes[engine])}
        stages = list(seconds[engine][0])
        for stage in (None, *stages) if len(stages) > 1 else (None,):
            spread = ratios(seconds[PLAIN], seconds[engine], stage)
            own = Spread.of([in_stage(s, stage) for s in seconds[engine]])
            plain = Spread.of([in_stage(s, stage) for s in seconds[PLAIN]])
            rows.append(
                Row(
                    made.what if stage is None else f"{made.what}: {stage}",
                    engine,
                    spread.median,
                    spread.low,
                    spread.high,
                    all(right.values()) if stage is None else right[stage],
                    own.median,
                    plain.median,
                    facts=facts if stage is None else {**facts, "stage": stage},
                )
            )
    return rows


def peaks(case: str, options: Mapping[str, Any], engine: str) -> dict[str | None, float]:
    """Do a case by one engine; return the process's largest memory in MB (None).

    By stage: the largest up to its end.
    """
    made: Case = resolve(case)(**options)
    stages = Stages()
    made.works[engine](stages)
    found: dict[str | None, float] = {None: peak_mb()}
    found.update(stages.peaks)
    return found


def grow(
    case: str,
    options: Mapping[str, Any],
    engine: str,
    size: str,
    values: Sequence[int],
    repetitions: int,
) -> float:
    """Return the exponent with which an engine's time grows with one of a case's sizes.

    The sizes take turns, and the fastest repetition of each one counts.
    """
    works = {v: resolve(case)(**{**options, size: v}).works[engine] for v in values}
    fastest: dict[int, float] = {}
    for _ in range(repetitions):
        for value, work in works.items():
            took = in_stage(turn(work)[0], None)
            fastest[value] = min(took, fastest.get(value, took))
    return exponent(list(values), [fastest[value] for value in values])


def timed_together(
    case: str, options: Mapping[str, Any], engine: str, runs: int, barrier: Any
) -> tuple[float, float, Any]:
    """Do a case ``runs`` times, once everybody at the barrier is ready; wall clock.

    Returns when it began and ended, and the outcome's fingerprint.
    """
    made: Case = resolve(case)(**options)
    made.works[engine](Stages())  # everything is in place, for everybody
    barrier.wait()
    start = time.perf_counter()
    for _ in range(runs):
        outcome = made.works[engine](Stages())
    return start, time.perf_counter(), outcome.fingerprint
