"""Running a benchmark: every measurement in a process of its own, row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from calibkit.bench.isolation import alone, together
from calibkit.bench.plans import KINDS, Job
from calibkit.bench.rows import Row
from calibkit.bench.targets import targets_of
from calibkit.bench.timing import Spread
from calibkit.engine.native.library import why_not

MEASURE = "calibkit.bench.measuring:measure"
PEAKS = "calibkit.bench.measuring:peaks"
GROW = "calibkit.bench.measuring:grow"
TOGETHER = "calibkit.bench.measuring:timed_together"

Tell = Callable[[str], None]


def rows(kind: str, *, quick: bool, tell: Tell) -> Iterator[dict[str, Any]]:
    """Yield the rows of a benchmark as dictionaries, as they are measured.

    kind: a key of `KINDS`. tell: called with what is being measured, or why something is not.
    """
    jobs = KINDS[kind](quick=quick)
    missing = why_not()
    if missing and any("native" in job.engines for job in jobs):
        tell(f"the engine native is left out: {missing}")
    for number, job in enumerate(jobs, start=1):
        engines = [e for e in job.engines if e != "native" or not missing]
        if not engines:
            continue
        options = ", ".join(f"{name} {value}" for name, value in job.options.items())
        tell(f"{number} of {len(jobs)}: {job.case.rpartition(':')[2]}: {options}")
        for row in _workers(job, engines) if job.workers else _measured(job, engines):
            yield row.as_dict(targets_of(row.what, row.engine, quick=quick))


def _measured(job: Job, engines: Sequence[str]) -> Iterator[Row]:
    found: list[Row] = alone(
        MEASURE,
        case=job.case,
        options=dict(job.options),
        engines=engines,
        repetitions=job.repetitions,
    )
    plain: dict[str | None, float] = {}
    if job.plain_peak:
        plain = alone(PEAKS, case=job.case, options=dict(job.options), engine="plain")
    for engine in engines:
        peaks = alone(PEAKS, case=job.case, options=dict(job.options), engine=engine)
        exponents = {
            growth.size: alone(
                GROW,
                case=job.case,
                options=dict(job.options) | dict(job.growing),
                engine=engine,
                size=growth.size,
                values=list(growth.values),
                repetitions=2,
            )
            for growth in job.growth
        }
        for row in found:
            if row.engine != engine:
                continue
            stage = row.facts.get("stage")
            facts = dict(row.facts) | ({"plain_peak_mb": plain[stage]} if plain else {})
            if job.of_the_first:
                facts["of_the_first"] = row.seconds / row.plain_seconds
            growth = exponents if stage is None else {}
            yield replace(row, peak_mb=peaks[stage], growth=growth, facts=facts)


def _workers(job: Job, engines: Sequence[str]) -> Iterator[Row]:
    """Yield the wall time of one worker that does a job twice / that of two workers at once."""
    for engine in engines:
        one: list[float] = []
        two: list[float] = []
        same: set[str] = set()
        options = {"case": job.case, "options": dict(job.options), "engine": engine}
        for _ in range(job.repetitions):
            for workers, times in ((1, one), (2, two)):
                each = [options | {"runs": 2 // workers}] * workers
                spans = together(TOGETHER, each, meet=True)
                times.append(max(end for _, end, _ in spans) - min(start for start, _, _ in spans))
                same |= {outcome for _, _, outcome in spans}
        ratio = Spread.of([a / b for a, b in zip(one, two, strict=True)])
        peaks = alone(PEAKS, case=job.case, options=dict(job.options), engine=engine)
        kind = job.options.get("kind", "")
        yield Row(
            f"two workers, {kind}",
            engine,
            ratio.median,
            ratio.low,
            ratio.high,
            len(same) == 1,
            Spread.of(two).median,
            Spread.of(one).median,
            peaks[None],
            facts=dict(job.options)
            | {"clock": "wall", "against": "one worker that does the same twice"},
        )
