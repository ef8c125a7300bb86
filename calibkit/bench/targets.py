"""What the benchmarks should reach on a CPU of two cores, at full size."""

from __future__ import annotations

from collections.abc import Sequence

from calibkit.bench.rows import Target

LINEAR = 1.05
"""A cost that is proportional to a size grows with exponent 1; this much is measuring error."""

_GROWTH = (
    Target("growth_documents", LINEAR, at_most=True),
    Target("growth_vocabulary", LINEAR, at_most=True),
)

TARGETS: dict[tuple[str, str], tuple[Target, ...]] = {
    ("quantized LSTM forward, discriminative", "native"): (Target("ratio", 60),),
    ("quantized LSTM forward, discriminative", "torch"): (Target("ratio", 20),),
    ("generative scoring, V 27k, 4 labels", "native"): (Target("ratio", 30),),
    ("generative scoring, V 27k, 4 labels", "torch"): (Target("ratio", 9),),
    ("generative scoring, V 27k, 14 labels", "native"): (Target("ratio", 90),),
    ("generative scoring, V 27k, 14 labels", "torch"): (Target("ratio", 30),),
    ("integer LSTM forward, discriminative", "native"): (Target("ratio", 60),),
    ("integer scoring, V 10k, 4 labels", "native"): (Target("ratio", 15),),
    ("integer scoring, V 27k, 14 labels", "native"): (Target("ratio", 30),),
    ("discriminative cell", "native"): (Target("ratio", 30), *_GROWTH),
    ("generative cell", "native"): (Target("ratio", 40), *_GROWTH),
    ("generative cell, V 27k", "native"): (Target("peak_mb", 700, at_most=True, unit=" MB"),),
    ("second bit width, discriminative", "torch"): (Target("of_the_first", 0.6, at_most=True),),
    ("second bit width, generative", "torch"): (Target("of_the_first", 0.6, at_most=True),),
    ("two workers, discriminative", "native"): (Target("ratio", 1.7),),
    ("two workers, generative", "native"): (Target("ratio", 1.7),),
    ("sweep, two workers", "local"): (Target("ratio", 1.7),),
    ("noise at seven levels, encoded", "numpy"): (Target("seconds", 5, at_most=True, unit=" s"),),
    ("generative training", "torch"): (Target("ratio", 2),),
}
"""(what, engine) -> targets."""

_LATENCY = Target("latency_ratio_1", 1.0, at_most=True)

DEPLOYED: dict[tuple[str, str, int], tuple[Target, ...]] = {
    ("discriminative", "c", 4): (Target("size_ratio", 0.16, at_most=True), _LATENCY),
    ("discriminative", "c", 8): (Target("size_ratio", 0.27, at_most=True), _LATENCY),
}
"""(kind of model, artefact, bits) -> what its row of `bench deploy` should reach."""


def targets_of(what: str, engine: str, *, quick: bool) -> Sequence[Target]:
    """Return a row's targets; quick runs have none, their sizes are not what the targets mean."""
    return () if quick else TARGETS.get((what, engine), ())
