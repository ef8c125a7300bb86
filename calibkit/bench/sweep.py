"""A small sweep with one worker and with two: how much sooner two are done, with the same numbers.

The corpus is made up. Float models, baselines, subsets and test sets are there before, so that what
is timed is what workers share out: starting them, the cells, and merging what they measured.
"""

from __future__ import annotations

import csv
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibkit.bench.inputs import label_ids, texts
from calibkit.bench.rows import Row
from calibkit.bench.targets import targets_of
from calibkit.bench.timing import Spread
from calibkit.corpora.ingest import ingest
from calibkit.errors import Incomplete
from calibkit.identity import sha256_hex
from calibkit.recipe import load_recipe
from calibkit.store.connection import Store
from calibkit.sweep.run import run

Tell = Callable[[str], None]

WHAT = "sweep, two workers"
COMPARED = (
    "cells",
    "evaluations",
    "label_evaluations",
    "predictions",
    "distributions",
    "baseline_evaluations",
)
TIMES = ("seconds", "stages", "peak_mb", "host", "run_id", "measured_at")
"""Columns that say when, where and how fast, and nothing of what was measured."""


@dataclass(frozen=True)
class Sizes:
    """Documents by split, types of words, and the lists of the grid."""

    documents: Mapping[str, int]
    types: int
    policies: tuple[str, ...]
    seeds: int
    size: int
    bits: tuple[int, ...]
    repetitions: int
    hidden: int = 100


FULL = Sizes(
    {"train": 3_000, "valid": 200, "test": 1_200}, 8_000,
    ("random", "stratified", "longest", "shortest"), 2, 256, (8, 4, 3), 3,
)  # fmt: skip
QUICK = Sizes(
    {"train": 200, "valid": 40, "test": 60}, 400, ("random", "stratified"), 1, 32, (8, 4), 1, 12
)


class Silent:
    """A watcher that says nothing; an error says enough."""

    def phase(self, name: str, total: int) -> None:
        """Say nothing."""

    def step(self, text: str, *, failed: bool = False) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""


def rows(sizes: Sizes, *, quick: bool, tell: Tell) -> Iterator[dict[str, Any]]:
    """Yield the row of the ratio: wall time of one worker / that of two, taking turns."""
    with tempfile.TemporaryDirectory(prefix="calibkit-bench-") as folder:
        row = measured(Path(folder), sizes, tell)
    yield row.as_dict(targets_of(row.what, row.engine, quick=quick))


def measured(folder: Path, sizes: Sizes, tell: Tell) -> Row:
    """Return the row, measured in a folder that is empty."""
    recipe = load_recipe(_recipe_file(folder, sizes))
    base = folder / "base"
    base.mkdir()
    store = Store(base / "bench.duckdb")
    tell("making a corpus, and the float models and subsets that the cells need")
    files = _corpus_files(base, sizes)
    ingest(store, "bench", train=files["train"], valid=files["valid"], test=files["test"])
    run(store, recipe, workers=2, watcher=Silent(), max_time=1e-9)
    seconds: dict[int, list[float]] = {1: [], 2: []}
    outcomes: set[str] = set()
    cells, peak = 0, 0.0
    for turn in range(sizes.repetitions):
        for workers in (1, 2) if turn % 2 == 0 else (2, 1):
            place = folder / f"{turn}-{workers}"
            shutil.copytree(base, place)
            copy = Store(place / store.path.name)
            start = time.perf_counter()
            done = _complete(run(copy, recipe, workers=workers, watcher=Silent()))
            seconds[workers].append(time.perf_counter() - start)
            cells, peak = done, max(peak, _peak_mb(copy))
            outcomes.add(fingerprint(copy))
            words = "1 worker" if workers == 1 else f"{workers} workers"
            tell(f"{cells} cells by {words}: {seconds[workers][-1]:.1f} s")
            shutil.rmtree(place)
    ratio = Spread.of([one / two for one, two in zip(seconds[1], seconds[2], strict=True)])
    return Row(
        WHAT,
        "local",
        ratio.median,
        ratio.low,
        ratio.high,
        len(outcomes) == 1,
        Spread.of(seconds[2]).median,
        Spread.of(seconds[1]).median,
        peak,
        facts={
            "clock": "wall",
            "cells": cells,
            "against": "the same sweep by one worker: every measured table, bit for bit",
        },
    )


def fingerprint(store: Store) -> str:
    """Return a hash of everything that was measured: no times, hosts or runs."""
    found: dict[str, list[str]] = {}
    with store.reading() as con:
        for table in COMPARED:
            result = con.execute(f"FROM {table}")
            columns = [str(column[0]) for column in result.description or []]
            kept = [place for place, name in enumerate(columns) if name not in TIMES]
            rows = ([row[place] for place in kept] for row in result.fetchall())
            found[table] = sorted(map(repr, rows))
    return sha256_hex(json.dumps(found, sort_keys=True).encode())


def _complete(report: Any) -> int:
    """Return how many cells a run has measured; Incomplete unless it measured all."""
    if report.measured != report.planned or report.failed or report.conflicts:
        raise Incomplete(
            f"the sweep measured {report.measured} of its {report.planned} cells, {report.failed}"
            " failed: its time says nothing; is there enough memory and room for temporary files?"
        )
    return int(report.measured)


def _peak_mb(store: Store) -> float:
    with store.reading() as con:
        row = con.execute("SELECT max(peak_mb) FROM cells").fetchone()
    return float(row[0]) if row else 0.0


def _corpus_files(folder: Path, sizes: Sizes) -> dict[str, Path]:
    found = {}
    for seed, (split, count) in enumerate(sizes.documents.items()):
        found[split] = folder / f"{split}.csv"
        labels = label_ids(count, 4, seed=seed).tolist()
        with found[split].open("w", newline="", encoding="utf-8") as file:
            out = csv.writer(file)
            out.writerow(("text", "label"))
            for text, label in zip(texts(count, types=sizes.types, seed=seed), labels, strict=True):
                out.writerow((text, f"label {label}"))
    return found


def _recipe_file(folder: Path, sizes: Sizes) -> Path:
    size = {"hidden": sizes.hidden, "embedding": sizes.hidden, "min_count": 1, "epochs": 1}
    content = {
        "calibkit": 1,
        "name": "bench-sweep",
        "corpus": {"name": "bench"},
        "models": {"generative": size, "discriminative": size},
        "policies": {name: {"use": name} for name in sizes.policies},
        "quantize": {"rounding": {"linear": "gpfq"}},
        "grid": {
            "model": ["generative", "discriminative"],
            "policy": list(sizes.policies),
            "size": [sizes.size],
            "seed": list(range(sizes.seeds)),
            "bits": list(sizes.bits),
        },
        "measure": {"noise": {"keyboard": [0.05, 0.1]}},
    }
    path = folder / "bench-sweep.yaml"
    path.write_text(json.dumps(content))  # JSON is YAML
    return path
