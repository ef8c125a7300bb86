"""From what a user names to a card: which subset, held against which pool, under which model."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from calibkit.corpora.reading import Corpus, corpus_by_id
from calibkit.curate.card import Card, CardMaker
from calibkit.curate.encoding import Library
from calibkit.curate.features import Tell, untold
from calibkit.curate.float_models import ModelArtefact
from calibkit.curate.subsets import find_model
from calibkit.errors import BadInput
from calibkit.policies.card import DRAWS
from calibkit.store.connection import Store


@dataclass(frozen=True)
class StoredSubset:
    """A subset by its whole id, its corpus, and the pools that it was asked from, oldest first."""

    subset_id: str
    corpus: Corpus
    size: int
    pools: tuple[tuple[str, float], ...]


def profile_subset(
    store: Store,
    subset: str,
    *,
    model: str | None = None,
    draws: int = DRAWS,
    pool: str | None = None,
    share: float | None = None,
    tell: Tell = untold,
) -> tuple[StoredSubset, Card]:
    """Return a subset and its card, made where the store lacks it.

    subset, model: ids, or how they begin. pool, share: what to hold it against; by default what it
    was first asked from. tell: is told what takes a while, and what was decided.

    Raises BadInput for a subset or a model that is not there or that is of another corpus, for a
    model that reads other words, and for too few draws; Infeasible for an empty pool.
    """
    with store.reading() as con:
        found = find_subset(con, subset)
        through = None if model is None else _model_of(con, model, found.corpus)
    first = found.pools[0] if found.pools else ("train", 1.0)
    if pool is None and share is None and len(found.pools) > 1:
        others = ", ".join(f"{split} at share {part:g}" for split, part in found.pools[1:])
        tell(
            f"held against {first[0]} at share {first[1]:g}, which it was first asked from (also: "
            f"{others}; choose with --pool and --share)"
        )
    library = Library(store, found.corpus, first[1] if share is None else share)
    maker = CardMaker(library, first[0] if pool is None else pool, draws, tell)
    return found, maker.card(found.subset_id, through)


def find_subset(con: duckdb.DuckDBPyConnection, name: str) -> StoredSubset:
    """Return the one subset whose id starts with ``name``; BadInput where there is not one."""
    rows = con.execute(
        "SELECT subset_id, corpus_id, size FROM subsets WHERE starts_with(subset_id, ?)"
        " ORDER BY subset_id LIMIT 3",
        [name],
    ).fetchall()
    if not rows:
        raise BadInput(
            f"the store has no subset with an id that starts with {name!r}; `calibkit list "
            "subsets` shows them, and `calibkit build-subset` makes them"
        )
    if len(rows) > 1:
        listed = ", ".join(row[0] for row in rows[:2]) + (", ..." if len(rows) > 2 else "")
        raise BadInput(f"several subsets have ids that start with {name!r}: {listed}; say more")
    subset_id, corpus_id, size = rows[0]
    pools = con.execute(
        "SELECT pool, share FROM subset_requests WHERE subset_id = ? AND pool IS NOT NULL"
        " GROUP BY pool, share ORDER BY min(created_at), pool, share",
        [subset_id],
    ).fetchall()
    asked = tuple((str(pool), float(share)) for pool, share in pools)
    return StoredSubset(subset_id, corpus_by_id(con, corpus_id), int(size), asked)


def _model_of(con: duckdb.DuckDBPyConnection, name: str, corpus: Corpus) -> ModelArtefact:
    found = find_model(con, name)
    row = con.execute(
        "SELECT corpora.name, corpora.version FROM models JOIN corpora USING (corpus_id)"
        " WHERE model_key = ? AND corpus_id <> ?",
        [found.key, corpus.corpus_id],
    ).fetchone()
    if row is not None:
        raise BadInput(
            f"the model {found.id} was trained on corpus {row[0]!r}, version {row[1]}, and the "
            f"subset is of {corpus.name!r}, version {corpus.version}; name a model of that corpus "
            "(`calibkit list models` shows them)"
        )
    return found
