"""Keyed draws made in SQL: the documents that a policy takes, without reading the pool.

The same documents in the same order as `calibkit.policies.select` takes from a `Pool`, whatever
the number of threads and the order in which documents are stored.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from duckdb import DuckDBPyConnection
from numpy.typing import NDArray

from calibkit.corpora.reading import Corpus, Query, document_query
from calibkit.curate.encoding import Library
from calibkit.identity import draw_prefix
from calibkit.policies.base import Policy, require_left
from calibkit.policies.draw import Draw, Rows
from calibkit.policies.draw_plan import DrawnPolicy
from calibkit.policies.filters import Filters
from calibkit.policies.pool import Pool, require_size

IN_SQL = {"min_tokens": "tokens >= {:d}", "max_tokens": "tokens <= {:d}"}
"""Filter -> condition, for the filters that look at nothing but what the store has."""

MANY = 100_000
"""From so many documents on, opening the store and ranking them in SQL is sooner done."""

_EVERY_KEY = "g"
"""Above every key, since keys are hexadecimal."""


@dataclass(frozen=True)
class StoredPool:
    """The documents of one split and share of a corpus that a policy may choose from."""

    corpus: Corpus
    split: str
    share: float = 1.0

    def query(self, filters: Filters | None = None) -> Query:
        """Return a SELECT of doc_id, tokens and label_id, in no order."""
        # documents that also stand in the test split would leak into what is measured
        found = document_query(
            self.corpus, self.split, "tokens", share=self.share, leave_out_in_test=True
        )
        if filters is None:
            return found
        kept = filters.model_dump(exclude_none=True)
        conditions = " AND ".join(IN_SQL[name].format(value) for name, value in kept.items())
        return Query(f"SELECT * FROM ({found.sql}) WHERE {conditions}", found.params)

    def label_counts(
        self, con: DuckDBPyConnection, filters: Filters | None = None
    ) -> dict[str, int]:
        """Return the number of documents per label, in the order of the labels' names."""
        query, names = self.query(filters), self.corpus.labels
        rows = con.execute(
            f"SELECT label_id, count(*) FROM ({query.sql}) GROUP BY label_id", query.params
        ).fetchall()
        return dict(sorted((names[number], count) for number, count in rows))

    def ranking(self, con: DuckDBPyConnection, draw: Draw) -> Rows:
        """Return all rows of the pool in the order of a draw; row i is the i-th document by id."""
        query = self.query()
        found = con.execute(
            "SELECT row FROM"
            f" (SELECT doc_id, row_number() OVER (ORDER BY doc_id) - 1 AS row FROM ({query.sql}))"
            " ORDER BY md5($prefix || doc_id), doc_id",
            {**query.params, "prefix": draw_prefix(draw.seed, draw.purpose)},
        ).fetchnumpy()
        rows: NDArray[np.intp] = np.asarray(found["row"]).astype(np.intp, copy=False)
        return rows


def whole_pool(library: Library, split: str) -> Pool:
    """Return the pool of a split, as `StoredPool` has it, with nothing but lengths and labels.

    A large pool's keyed draws are made in SQL.
    """
    known, names = library.index(split), library.corpus.labels
    stored = StoredPool(library.corpus, split, library.share)

    def ranking(draw: Draw) -> Rows:
        with library.store.reading() as con:
            return stored.ranking(con, draw)

    return Pool(
        known.ids,
        tuple(names[number] for number in known.label_ids.tolist()),
        known.tokens,
        ranking=ranking if len(known) >= MANY else None,
    )


def is_drawn_in_sql(policy: object) -> bool:
    """Say whether all that a policy does can be done in SQL, its filters included."""
    if not isinstance(policy, DrawnPolicy) or type(policy).pick is not DrawnPolicy.pick:
        return False
    filters = {} if policy.filters is None else policy.filters.model_dump(exclude_none=True)
    return not policy.needs and filters.keys() <= IN_SQL.keys()


def drawn_in_sql(
    con: DuckDBPyConnection, pool: StoredPool, policy: Policy, size: int, draw: Draw
) -> tuple[str, ...]:
    """Return the ids of ``size`` documents in calibration order.

    policy: one of which `is_drawn_in_sql` is true. Raises what `calibkit.policies.select` raises.
    """
    assert isinstance(policy, DrawnPolicy)
    counts = pool.label_counts(con, policy.filters)
    documents = sum(counts.values())
    if policy.filters is not None and documents < size:
        require_left(policy, size, documents, sum(pool.label_counts(con).values()))
    require_size(size, documents, policy.name)
    plan = policy.draw_plan(counts, size, draw)
    query = pool.query(policy.filters)
    keyed = Query(
        f"SELECT doc_id, label_id, md5($prefix || doc_id) AS key FROM ({query.sql})",
        {**query.params, "prefix": draw_prefix(draw.seed, draw.purpose)},
    )
    if plan.quotas is None:
        rows = con.execute(
            f"SELECT doc_id FROM ({keyed.sql}) ORDER BY key, doc_id LIMIT {size:d}", keyed.params
        ).fetchall()
        return tuple(doc_id for (doc_id,) in rows)
    number = {label: place for place, label in enumerate(pool.corpus.labels)}
    quotas = {label: quota for label, quota in plan.quotas.items() if quota}
    bounds = {label: _bound(quota, counts[label]) for label, quota in quotas.items()}
    found = _firsts(con, keyed, number, quotas, bounds)
    if any(len(found[label]) < quota for label, quota in quotas.items()):
        found = _firsts(con, keyed, number, quotas, dict.fromkeys(quotas, _EVERY_KEY))
    return plan.placed(found, draw)


def _bound(quota: int, count: int) -> str:
    """Return a key below which ``quota`` of ``count`` documents surely are, but for bad luck.

    Keys are spread evenly: so many are below that the quota is eight standard deviations away.
    (DuckDB's arg_min(x, key, n) would do without; it fails from n = 1,000,000.)
    """
    share = (quota + 8 * math.sqrt(quota) + 32) / count
    return _EVERY_KEY if share > 0.5 else f"{int(share * 16**12):012x}"


def _firsts(
    con: DuckDBPyConnection,
    keyed: Query,
    number: Mapping[str, int],
    quotas: Mapping[str, int],
    bounds: Mapping[str, str],
) -> dict[str, list[str]]:
    """Return each label's first documents in the order of the draw: its quota, or all below."""
    rows = con.execute(
        f"""
        WITH asked AS (
            SELECT unnest($labels) AS label_id, unnest($quotas) AS quota, unnest($bounds) AS bound
        )
        SELECT label_id, doc_id FROM ({keyed.sql}) JOIN asked USING (label_id)
        WHERE key < bound
        QUALIFY row_number() OVER (PARTITION BY label_id ORDER BY key, doc_id) <= quota
        ORDER BY label_id, key, doc_id
        """,
        {
            **keyed.params,
            "labels": [number[label] for label in quotas],
            "quotas": list(quotas.values()),
            "bounds": [bounds[label] for label in quotas],
        },
    ).fetchall()
    name = {number[label]: label for label in quotas}
    found: dict[str, list[str]] = {label: [] for label in quotas}
    for label_id, doc_id in rows:
        found[name[label_id]].append(doc_id)
    return found
