"""Choosing documents of a store, as subsets are built and in plain Python; and how good it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibkit.bench.ingest import NAME
from calibkit.bench.isolation import CORES, own_peak_mb
from calibkit.corpora.reading import find_corpus, index
from calibkit.curate.encoding import Library
from calibkit.curate.selection import StoredPool, drawn_in_sql, is_drawn_in_sql, whole_pool
from calibkit.errors import Infeasible
from calibkit.identity import ordered_hash
from calibkit.policies import Draw, Policy, Pool, Random, Rows, make_policy, select
from calibkit.policies.candidates import grid_bits, grid_exponent, on_grid
from calibkit.policies.distances import blocks, distances
from calibkit.policies.mmd import fourier_kernel, mmd
from calibkit.policies.range_cover import levels, reached, wanted, worth
from calibkit.store.connection import Store

SPLIT = "train"


@dataclass(frozen=True)
class Selected:
    """The documents that were chosen, as a hash of their ids in order, and what that took.

    seconds: wall; cpu_seconds: of all threads together.
    """

    ids: str
    seconds: float
    cpu_seconds: float
    peak_mb: float


def _taken() -> Callable[[Sequence[str]], Selected]:
    """Start the clocks; return what stops them and says which documents were chosen."""
    start, cpu = time.perf_counter(), time.process_time()

    def stop(ids: Sequence[str]) -> Selected:
        seconds, of_threads = time.perf_counter() - start, time.process_time() - cpu
        return Selected(ordered_hash(ids), seconds, of_threads, own_peak_mb())

    return stop


def in_store(
    *,
    store: str,
    policy: str,
    params: Mapping[str, Any],
    features: Mapping[str, str],
    size: int,
    seed: int,
) -> Selected:
    """Choose as `calibkit.curate.subsets.SubsetBuilder` does.

    features: .npy file of each array that policies may need, left on disk until it is used.
    """
    made = _policy(policy, params)
    taken = _taken()
    there = Store(Path(store), threads=CORES)
    with there.reading() as con:
        corpus = find_corpus(con, NAME)
        ids: tuple[str, ...] = ()
        if is_drawn_in_sql(made):
            ids = drawn_in_sql(con, StoredPool(corpus, SPLIT), made, size, Draw(seed))
    if not ids:
        pool = whole_pool(Library(there, corpus, 1.0), SPLIT).with_arrays(**_mapped(made, features))
        ids = pool.ids(select(made, pool, size, Draw(seed)))
    return taken(ids)


def in_python(
    *,
    store: str,
    policy: str,
    params: Mapping[str, Any],
    features: Mapping[str, str],
    size: int,
    seed: int,
) -> Selected:
    """Choose from a pool that is read whole, ids as strings and arrays in memory."""
    made = _policy(policy, params)
    taken = _taken()
    pool = _in_memory(store, made, features)
    ids = pool.ids(select(made, pool, size, Draw(seed)))
    return taken(ids)


def losses(
    *,
    store: str,
    policy: str,
    params: Mapping[str, Any],
    features: Mapping[str, str],
    size: int,
    seed: int,
) -> dict[str, float]:
    """Return the objective of a choice among candidates, of the exact one, and of a random draw.

    ``objective``, ``objective_exact``: that of the same greedy choice with the whole pool as its
    candidates, made in ``exact_seconds``; ``objective_random``; ``loss``: how much worse than the
    exact one, relative to it. Empty for policies without an objective here.
    """
    if policy not in OBJECTIVES:
        return {}
    made, exact = _policy(policy, params), {**params, **EXACT.get(policy, {})}
    pool = _in_memory(store, made, features)
    exact["candidates"] = len(pool)
    objective, better = OBJECTIVES[policy]
    draw = Draw(seed)
    found: dict[str, float] = {}
    for name, one in (
        ("objective", made),
        ("objective_exact", _policy(policy, exact)),
        ("objective_random", Random()),
    ):
        start = time.perf_counter()
        rows = select(one, pool, size, draw)
        if name == "objective_exact":
            found["exact_seconds"] = time.perf_counter() - start
        found[name] = objective(pool, rows, draw)
    worse = found["objective"] - found["objective_exact"]
    found["loss"] = (worse if better == "low" else -worse) / abs(found["objective_exact"])
    return found


def needs_of(policy: str, params: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a policy needs to know of documents."""
    return _policy(policy, params).every_need


def is_in_sql(policy: str, params: Mapping[str, Any]) -> bool:
    """Say whether a policy's documents are drawn in SQL."""
    return is_drawn_in_sql(_policy(policy, params))


def _policy(name: str, params: Mapping[str, Any]) -> Policy:
    made = make_policy(name, params)
    if not isinstance(made, Policy):
        raise Infeasible(f"{name} makes documents, it chooses none; it is not measured here")
    return made


def _mapped(policy: Policy, features: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    return {need: np.load(features[need], mmap_mode="r") for need in policy.every_need}


def _in_memory(store: str, policy: Policy, features: Mapping[str, str]) -> Pool:
    with Store(Path(store), threads=CORES).reading() as con:
        corpus = find_corpus(con, NAME)
        known = index(con, corpus, SPLIT, leave_out_in_test=True)
    labels = tuple(corpus.labels[number] for number in known.label_ids)
    arrays = {need: np.load(features[need]) for need in policy.every_need}
    return Pool(tuple(known.ids), labels, known.tokens, arrays)


# ------------------------------------------------------------------------------------ objectives


def _nearest(pool: Pool, rows: Rows) -> NDArray[np.float64]:
    """Return the distance of every document to the nearest of ``rows``."""
    features = pool.need("vectors", "bench")
    exponent = grid_exponent(features)
    chosen = on_grid(features[rows], exponent)
    found = [
        distances(on_grid(features[block], exponent), chosen).min(axis=1)
        for block in blocks(len(pool), len(rows))
    ]
    return np.concatenate(found) * 2.0 ** (exponent - grid_bits(features.shape[1]))


def _radius(pool: Pool, rows: Rows, draw: Draw) -> float:
    return float(_nearest(pool, rows).max())


def _mean_distance(pool: Pool, rows: Rows, draw: Draw) -> float:
    return float(_nearest(pool, rows).mean())


def _discrepancy(pool: Pool, rows: Rows, draw: Draw) -> float:
    features = pool.need("vectors", "bench")
    keyed = draw.about(f"{draw.purpose}-candidates").ranked(pool)
    kernel = fourier_kernel(features, keyed, draw.generator("herding"))  # the policy's own
    return float(mmd(features, [rows], kernel)[0])


def _coverage(pool: Pool, rows: Rows, draw: Draw) -> float:
    ranges = pool.need("ranges", "bench")
    reaches = reached(ranges, levels(ranges))
    return worth(reaches, wanted(len(rows), len(reaches)), rows)


OBJECTIVES: dict[str, tuple[Callable[[Pool, Rows, Draw], float], str]] = {
    "k-center": (_radius, "low"),
    "herding": (_discrepancy, "low"),
    "facility-location": (_mean_distance, "low"),
    "range-cover": (_coverage, "high"),
}
"""Policy -> what it makes low or high, over the whole pool.

The largest distance to the nearest chosen document, the MMD to the pool, the mean distance to the
nearest chosen document, the share of the needed documents at each site's ends.
"""

EXACT: dict[str, dict[str, Any]] = {"facility-location": {"epsilon": 0}}
"""Parameters that make the greedy choice itself exact."""
