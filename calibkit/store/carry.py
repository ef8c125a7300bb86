"""What cells refer to, as notes beside their fragments: a shard travels with its provenance.

A fragment of a cell has what was measured. What it was measured for and with (the plan, the run,
the subset's documents, the test set, the float model) the run has written into its own store. The
notes have these rows too, so that merging the fragments and notes of a shard elsewhere
(`calibkit merge`) gives the very tables that a run there would have given.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from calibkit.identity import content_id, sha256_hex
from calibkit.store.connection import Store
from calibkit.store.fragments import write_fragment
from calibkit.store.payloads import FRAGMENT_VERSION, SYNTHETIC
from calibkit.store.rows import plain, quoted

ROWS_AT_ONCE = 20_000
"""So many rows are in a note at most."""

_PLANNED = "SELECT plan_key FROM recipe_cells JOIN carried_recipes USING (recipe_id)"
_GONE = "SELECT trajectory_id FROM stream_trajectories JOIN carried_recipes USING (recipe_id)"
_OF_CELLS = "SELECT {} FROM carried_cells"
_SUBSETS = _OF_CELLS.format("subset_id") + " UNION SELECT subset_id FROM carried_steps"
_MODELS = _OF_CELLS.format("model_id") + " UNION SELECT model_id FROM carried_steps"
_REQUESTS = f"SELECT request_key FROM subset_requests WHERE subset_id IN ({_SUBSETS})"

CARRIED: dict[str, str] = {
    "runs": "recipe_id IN (FROM carried_recipes) OR run_id IN (FROM carried_runs)",
    "recipe_noises": "recipe_id IN (FROM carried_recipes)",
    "recipe_cells": "recipe_id IN (FROM carried_recipes)",
    "stream_trajectories": "recipe_id IN (FROM carried_recipes)",
    "stream_phases": "stream_id IN (SELECT stream_id FROM stream_trajectories"
    " JOIN carried_recipes USING (recipe_id))",
    "plan_cells": f"plan_key IN ({_PLANNED})",
    "models": f"model_id IN ({_MODELS}"
    f" UNION SELECT model_id FROM subset_requests WHERE request_key IN ({_REQUESTS}))",
    "test_sets": f"test_id IN ({_OF_CELLS.format('test_id')})",
    "noise_sets": f"test_id IN ({_OF_CELLS.format('test_id')})",
    "subsets": f"subset_id IN ({_SUBSETS})",
    "subset_requests": f"subset_id IN ({_SUBSETS})",
    "subset_documents": f"subset_id IN ({_SUBSETS})",
    "subset_profiles": f"subset_id IN ({_SUBSETS})",
    "subset_cards": f"subset_id IN ({_SUBSETS})",
    "synthetic_documents": f"request_key IN ({_REQUESTS})",
    "documents": f"split = '{SYNTHETIC}' AND (corpus_id, doc_id) IN (SELECT corpus_id, doc_id"
    f" FROM synthetic_documents WHERE request_key IN ({_REQUESTS}))",
}
"""Table -> which of its rows go along. What was measured is in fragments already."""


def write_notes(store: Store, recipe_id: str) -> list[Path]:
    """Write what a version of a recipe refers to, as notes, into the store's ``fragments/``.

    Names are hashes of what the notes say, and those that ``merged/`` has are not written again.
    Returns the files that are new. Raises what a store raises.
    """
    written = []
    with store.reading() as con:
        _find(con, recipe_id)
        for table, condition in CARRIED.items():
            for rows in _rows(con, table, condition):
                payload = {"fragment": FRAGMENT_VERSION, "kind": "note", "rows": {table: rows}}
                text = json.dumps(plain(payload), sort_keys=True)
                name = content_id("fragment", sha256_hex(text.encode()))
                if not (store.merged / f"{name}.json").exists():
                    written.append(write_fragment(store.fragments, name, payload))
    return written


def _find(con: duckdb.DuckDBPyConnection, recipe_id: str) -> None:
    """Fill temporary tables: recipes, their cells and steps, the runs that measured these.

    A run comes with all of its recipe: the latest run of a name decides which version views show,
    and they must not show one whose plan was left behind.
    """
    con.execute("CREATE TEMP TABLE carried_recipes AS SELECT ?::VARCHAR AS recipe_id", [recipe_id])
    while True:
        con.execute(
            "CREATE OR REPLACE TEMP TABLE carried_cells AS SELECT DISTINCT cells.* FROM cells"
            f" JOIN plan_cells USING (cell_id) WHERE plan_key IN ({_PLANNED})"
        )
        con.execute(
            "CREATE OR REPLACE TEMP TABLE carried_steps AS SELECT * FROM stream_steps"
            f" WHERE trajectory_id IN ({_GONE})"
        )
        con.execute(
            "CREATE OR REPLACE TEMP TABLE carried_runs AS SELECT run_id FROM carried_cells"
            " UNION SELECT run_id FROM carried_steps"
            " UNION SELECT run_id FROM evaluations SEMI JOIN carried_cells USING (cell_id)"
            " UNION SELECT run_id FROM baseline_evaluations"
            " SEMI JOIN carried_cells USING (model_id)"
        )
        new = con.execute(
            "INSERT INTO carried_recipes SELECT DISTINCT recipe_id FROM runs"
            " SEMI JOIN carried_runs USING (run_id) ANTI JOIN carried_recipes USING (recipe_id)"
            " WHERE recipe_id IS NOT NULL"
        ).fetchone()
        if not new or not new[0]:
            return


def _rows(
    con: duckdb.DuckDBPyConnection, table: str, condition: str
) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows that meet a condition, so many at once, always in the same order."""
    found = con.execute(f"FROM {quoted(table)} WHERE {condition} ORDER BY ALL")
    columns = [str(column[0]) for column in found.description or []]
    while rows := found.fetchmany(ROWS_AT_ONCE):
        yield [{c: v for c, v in zip(columns, row, strict=True) if v is not None} for row in rows]
