"""What each benchmark measures, at full and at quick size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from calibkit.corpora.noise.kinds import noise_kinds

FULL, QUICK = 3, 2
"""Repetitions."""


@dataclass(frozen=True)
class Growth:
    """A size of a case to vary, and its values."""

    size: str
    values: Sequence[int]


@dataclass(frozen=True)
class Job:
    """A case to measure: module:function, its options, and by which engines.

    of_the_first: also tell this time / plain time. workers: instead of against the plain path, one
    worker that does it twice is timed against two at once. plain_peak: also tell the memory of
    the plain path.
    """

    case: str
    options: Mapping[str, Any]
    engines: Sequence[str] = ("native", "torch")
    repetitions: int = FULL
    growth: Sequence[Growth] = ()
    growing: Mapping[str, Any] = field(default_factory=dict)
    of_the_first: bool = False
    workers: bool = False
    plain_peak: bool = True


def engine(*, quick: bool) -> list[Job]:
    """Evaluation by engine."""
    forward = "calibkit.bench.engine:forward"
    scoring = "calibkit.bench.engine:scoring"
    base = {"kind": "discriminative", "bits": 8}
    integer_forward = "calibkit.bench.integer:forward"
    integer_scoring = "calibkit.bench.integer:scoring"
    if quick:
        return [
            Job(forward, base | {"documents": 64, "vocabulary": 1_000}, repetitions=QUICK),
            Job(
                scoring,
                {"documents": 16, "vocabulary": 1_000, "labels": 4, "bits": 8},
                repetitions=QUICK,
                growth=[Growth("vocabulary", [500, 1_000, 2_000])],
            ),
            Job(
                integer_forward,
                {"documents": 64, "vocabulary": 1_000, "bits": 8},
                repetitions=QUICK,
            ),
            Job(
                integer_scoring,
                {"documents": 16, "vocabulary": 1_000, "labels": 4, "bits": 8},
                repetitions=QUICK,
            ),
        ]
    jobs = [
        Job(
            forward,
            base | {"documents": 1_024, "vocabulary": 10_000},
            growth=[Growth("documents", [512, 1_024, 2_048, 4_096])],
        )
    ]
    for vocabulary in (10_000, 27_000):
        for labels in (4, 14):
            options = {"vocabulary": vocabulary, "labels": labels, "bits": 8, "documents": 64}
            growth = [
                Growth("documents", [64, 128, 256]),
                Growth("vocabulary", [5_000, 10_000, 20_000]),
                Growth("labels", [4, 16, 64]),
            ]
            jobs.append(
                Job(scoring, options, growth=growth if vocabulary + labels == 10_004 else ())
            )
    jobs.append(Job(integer_forward, {"documents": 1_024, "vocabulary": 10_000, "bits": 8}))
    for vocabulary, labels in ((10_000, 4), (27_000, 14)):
        sizes = {"vocabulary": vocabulary, "labels": labels, "bits": 8, "documents": 64}
        jobs.append(Job(integer_scoring, sizes))
    return jobs


def cell(*, quick: bool) -> list[Job]:
    """Whole cells, and what cells share."""
    jobs = []
    for kind in ("discriminative", "generative"):
        jobs += _quick_cell(kind) if quick else _full_cell(kind)
    return jobs


CELL = "calibkit.bench.cell:cell"
SECOND = "calibkit.bench.cell:second_bits"
WORKERS = "calibkit.bench.cell:evaluation"


def _quick_cell(kind: str) -> list[Job]:
    sizes = {"kind": kind, "documents": 64, "vocabulary": 800, "labels": 4, "bits": 8}
    return [
        Job(CELL, sizes | {"subset": 32, "sample": 32}, repetitions=QUICK),
        Job(SECOND, sizes | {"subset": 32, "bits": 4}, ("torch",), repetitions=QUICK,
            of_the_first=True),
        Job(WORKERS, sizes, repetitions=QUICK, workers=True),
    ]  # fmt: skip


def _full_cell(kind: str) -> list[Job]:
    sizes = {"kind": kind, "documents": 7_600, "vocabulary": 10_000, "labels": 4, "bits": 8}
    whole = sizes | {"subset": 1_024, "sample": 64}
    few = {"documents": 480, "subset": 128}
    largest = 7_600 if kind == "discriminative" else 3_800
    jobs = [
        Job(
            CELL,
            whole,
            ("native",),
            FULL if kind == "discriminative" else QUICK,
            growth=[
                Growth("documents", [largest // 4, largest // 2, largest]),
                Growth("vocabulary", [5_000, 10_000, 20_000]),
            ],
            growing=few,
        ),
        Job(CELL, whole | {"documents": 960}, ("torch",), QUICK, plain_peak=False),
        Job(SECOND, sizes | {"subset": 1_024, "bits": 4}, ("torch",), of_the_first=True),
        Job(WORKERS, sizes | {"documents": 1_900}, ("native",), workers=True),
    ]
    if kind == "generative":
        wide = whole | {"vocabulary": 27_000, "name": "generative cell, V 27k"}
        wide |= {"documents": 960, "sample": 32}
        jobs.append(Job(CELL, wide, ("native",), 1, plain_peak=False))
    return jobs


def noise(*, quick: bool) -> list[Job]:
    """Every kind of noise."""
    documents, sample = (200, 40) if quick else (3_800, 200)
    sizes = {"documents": documents, "sample": sample, "level": 0.1}
    jobs = [
        Job("calibkit.bench.noise:kind_of_noise", {"kind": kind} | sizes, ("numpy",))
        for kind in noise_kinds()
    ]
    all_levels = {"documents": 400, "sample": 20} if quick else {"documents": 7_600, "sample": 200}
    growth = [Growth("documents", [100, 200, 400] if quick else [1_900, 3_800, 7_600])]
    jobs.append(Job("calibkit.bench.noise:all_levels", all_levels, ("numpy",), growth=growth))
    return jobs


def ks(*, quick: bool) -> list[Job]:
    """Kolmogorov-Smirnov distances."""
    values = 60_000 if quick else 2_700_000
    case = "calibkit.bench.ks:distances"
    widths: list[list[int]] = [[8], [4], [2], [8, 7, 6, 5, 4, 3, 2]]
    return [Job(case, {"values": values, "bits": bits}, ("numpy",), 5) for bits in widths]


def train(*, quick: bool) -> list[Job]:
    """The generative model's training."""
    case = "calibkit.bench.train:generative"
    if quick:
        options = {"documents": 64, "vocabulary": 1_000, "labels": 4}
        return [Job(case, options, ("torch",), QUICK)]
    options = {"documents": 320, "vocabulary": 10_000, "labels": 4}
    growth = [Growth("vocabulary", [5_000, 10_000, 20_000])]
    wide = options | {"vocabulary": 27_000, "labels": 14}
    return [Job(case, options, ("torch",), growth=growth), Job(case, wide, ("torch",))]


KINDS: dict[str, Callable[..., list[Job]]] = {
    "engine": engine,
    "cell": cell,
    "noise": noise,
    "ks": ks,
    "train": train,
}
"""Benchmarks by name."""
