"""Choosing subsets from pools of any size: rows of the benchmark ``select``.

The corpora are made up, in a temporary folder with stores of their own. Every number comes from a
process that has done nothing else.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calibkit.bench.corpora import BYTES, Files, write_features, write_files
from calibkit.bench.ingest import Ingested
from calibkit.bench.isolation import apart
from calibkit.bench.rows import Row, Target
from calibkit.bench.selecting import Selected, is_in_sql, needs_of
from calibkit.bench.timing import Spread, exponent
from calibkit.errors import BadInput, Infeasible
from calibkit.policies import find_policy

Tell = Callable[[str], None]

AGAINST = {
    "sql": "the policy on a pool that is read into Python, id for id",
    "two-stage": "the same policy, ids as strings, arrays in memory, keyed in Python, id for id",
    "pool": "the same policy, ids as strings, keyed in Python, id for id",
}
BY_HAND = "a loop over rows in plain Python, without a store: corpus id, splits, duplicates, tokens"


@dataclass(frozen=True)
class Choice:
    """A policy to measure, with its parameters, under a name."""

    name: str
    policy: str
    params: Mapping[str, Any] = field(default_factory=dict)


DEFAULT = (
    Choice("random", "random"),
    Choice("stratified", "stratified"),
    Choice("stratified, proportional", "stratified", {"mix": "proportional"}),
    Choice("skewed", "skewed", {"weights": {f"topic {r}": 1.0 / (r + 1) for r in range(5)}}),
    Choice("k-center", "k-center"),
    Choice("herding", "herding"),
    Choice("range-cover", "range-cover"),
    Choice("facility-location", "facility-location"),
)
"""What is measured unless policies are named."""


@dataclass(frozen=True)
class Sizes:
    """How large everything is: of pools, subsets, candidates; where losses are measured.

    loss_documents: up to this size of the pool, the smallest one, the exact choice is made as well.
    sample: documents that are ingested by hand. repetitions: of what is drawn in SQL.
    """

    documents: Sequence[int]
    size: int
    candidates: int
    loss_documents: int
    sample: int
    repetitions: int


FULL = Sizes((100_000, 1_000_000), 1_024, 20_000, 100_000, 50_000, 3)
QUICK = Sizes((10_000, 100_000), 256, 2_500, 10_000, 5_000, 1)


def choices(names: Sequence[str] | None) -> list[Choice]:
    """Return the choices of the named policies: those of `DEFAULT`, or the policies' examples.

    Raises UnknownName for a policy that there is none of, BadInput for one whose needs the
    benchmark does not make.
    """
    if names is None:
        return list(DEFAULT)
    found = []
    for name in names:
        own = [choice for choice in DEFAULT if choice.policy == name]
        found += own or [Choice(name, name, find_policy(name).example().params())]
    for choice in found:
        missing = {*needs_of(choice.policy, choice.params)} - {"vectors", "ranges"}
        if missing:
            raise BadInput(
                f"{choice.policy} needs {', '.join(sorted(missing))} of documents, which this "
                "benchmark does not make up; it has vectors and ranges"
            )
    return found


def rows(
    sizes: Sizes, chosen: Sequence[Choice], *, quick: bool, tell: Tell
) -> Iterator[dict[str, Any]]:
    """Yield the rows as dictionaries, as they are measured, the largest pool last.

    tell: called with what is being measured, or why something is not. Raises Infeasible when the
    disk has no room for any of the sizes.
    """
    with tempfile.TemporaryDirectory(prefix="calibkit-bench-") as name:
        folder = Path(name)
        pools = _fitting(sizes.documents, folder, tell)
        taken: dict[str, list[float]] = {}
        for documents in pools:
            place = folder / str(documents)
            place.mkdir()
            tell(f"{documents:,} documents: making them up")
            files = write_files(place, documents)
            features = {k: str(path) for k, path in write_features(place, documents).items()}
            tell(f"{documents:,} documents: ingest")
            store = str(place / "pool.duckdb")
            found: Ingested = apart(INGESTED, store=store, files=files.by_split)
            if documents == pools[-1]:
                for row in _ingests(place, files, documents, found, sizes.sample):
                    yield row.as_dict(() if quick else INGEST_TARGETS)
            options = {"store": store, "features": features}
            for choice in chosen:
                tell(f"{documents:,} documents: {choice.name}")
                row = _row(choice, sizes, documents, options, taken, pools)
                yield row.as_dict(() if quick else _targets(row.engine, documents))
            shutil.rmtree(place)


def _fitting(documents: Sequence[int], folder: Path, tell: Tell) -> list[int]:
    free = shutil.disk_usage(folder).free
    fitting = [count for count in sorted(set(documents)) if count * BYTES < free]
    for count in sorted({*documents} - {*fitting}):
        tell(
            f"{count:,} documents are left out: they take about {count * BYTES / 1e9:.1f} GB in "
            f"{folder.parent}, where {free / 1e9:.1f} GB are free"
        )
    if not fitting:
        raise Infeasible(
            f"{folder.parent} has no room for {min(documents):,} documents; give fewer "
            "(--documents), or set TMPDIR to a folder on a larger disk"
        )
    return fitting


# ---------------------------------------------------------------------------------------- ingest


def _ingests(
    place: Path, files: Files, documents: int, from_parquet: Ingested, sample: int
) -> Iterator[Row]:
    """Yield the ingest of one csv file whose splits are taken from it, and of parquet files."""
    store = str(place / "csv.duckdb")
    from_csv: Ingested = apart(INGESTED, store=store, files=files.whole)
    few = place / "sample"
    few.mkdir()
    count = min(sample, documents)
    small = write_files(few, count)
    for kind, found, own, splits in (
        ("csv", from_csv, small.whole, "taken from train"),
        ("parquet", from_parquet, small.by_split, "given"),
    ):
        ours: Ingested = apart(INGESTED, store=str(few / f"{kind}.duckdb"), files=own)
        hand: Ingested = apart("calibkit.bench.ingest:by_hand", files=own)
        plain = hand.seconds * documents / count
        ratio = plain / found.seconds
        yield Row(
            f"ingest {kind}",
            "calibkit",
            ratio,
            ratio,
            ratio,
            ours.outcome == hand.outcome,
            found.seconds,
            plain,
            found.peak_mb,
            facts={
                "documents": documents,
                "cpu_seconds": found.cpu_seconds,
                "rows_per_s": documents / found.seconds,
                "loaded_per_s": documents / found.loading,
                "plain_documents": count,
                "splits": splits,
                "clock": "wall",
                "against": BY_HAND,
            },
        )


INGESTED = "calibkit.bench.ingest:ingested"

INGEST_TARGETS = (
    Target("rows_per_s", 60_000),
    Target("loaded_per_s", 150_000),
    Target("peak_mb", 1_000, at_most=True, unit=" MB"),
)


# --------------------------------------------------------------------------------------- choices


def _row(
    choice: Choice,
    sizes: Sizes,
    documents: int,
    options: Mapping[str, Any],
    taken: dict[str, list[float]],
    pools: Sequence[int],
) -> Row:
    """Measure a choice from one pool; ``taken``: its seconds at all pools up to this one."""
    params = dict(choice.params)
    engine = "sql" if is_in_sql(choice.policy, params) else "pool"
    if "candidates" in find_policy(choice.policy).model_fields:
        engine, params["candidates"] = "two-stage", min(sizes.candidates, documents // 2)
    asked = {**options, "policy": choice.policy, "params": params, "size": sizes.size, "seed": 0}
    repetitions = sizes.repetitions if engine == "sql" and documents <= 1_000_000 else 1
    ours: list[Selected] = []
    plain: list[Selected] = []
    for _ in range(repetitions):
        ours.append(apart("calibkit.bench.selecting:in_store", **asked))
        plain.append(apart("calibkit.bench.selecting:in_python", **asked))
    ratio = Spread.of([b.seconds / a.seconds for a, b in zip(ours, plain, strict=True)])
    seconds = Spread.of([one.seconds for one in ours]).median
    facts: dict[str, Any] = {
        "documents": documents,
        "size": sizes.size,
        "cpu_seconds": Spread.of([one.cpu_seconds for one in ours]).median,
        "rows_per_s": documents / seconds,
        "plain_peak_mb": max(one.peak_mb for one in plain),
        "clock": "wall",
        "against": AGAINST[engine],
    }
    if engine == "two-stage":
        facts["candidates"] = params["candidates"]
    if engine == "two-stage" and documents == pools[0] <= sizes.loss_documents:
        facts |= apart("calibkit.bench.selecting:losses", **asked)
    taken.setdefault(choice.name, []).append(seconds)
    growth = {}
    if documents == pools[-1] and len(pools) > 1:
        growth["documents"] = exponent(pools, taken[choice.name])
    return Row(
        f"{choice.name} from {documents:,}",
        engine,
        ratio.median,
        ratio.low,
        ratio.high,
        len({one.ids for one in (*ours, *plain)}) == 1,
        seconds,
        Spread.of([one.seconds for one in plain]).median,
        max(one.peak_mb for one in ours),
        growth,
        facts,
    )


def _targets(engine: str, documents: int) -> tuple[Target, ...]:
    """Return what a choice from a million documents should take."""
    if documents != 1_000_000 or engine == "pool":
        return ()
    if engine == "two-stage":
        return (Target("seconds", 60, at_most=True, unit=" s"),)
    return (
        Target("seconds", 2, at_most=True, unit=" s"),
        Target("peak_mb", 500, at_most=True, unit=" MB"),
    )
