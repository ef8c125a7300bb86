"""``calibkit show``: everything about one thing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from calibkit.cli.lookup import Thing, find
from calibkit.cli.output import Output, data_options
from calibkit.cli.policy_record import policy
from calibkit.cli.session import Session, pass_session
from calibkit.cli.table import Table

if TYPE_CHECKING:
    import duckdb

Record = dict[str, Any]
FIRST = 5
"""So many documents of a subset are shown."""


@click.command()
@click.argument("thing", metavar="ID")
@data_options
@pass_session
def show(session: Session, *, thing: str, output: Output) -> None:
    """Show what a name or an id stands for.

    A corpus, subset, model, cell, trajectory, run, recipe or policy: an id (c1-..., s1-...,
    m1-..., k1-..., x1-..., j1-..., n1-..., y1-...), the start of one that only one id has, or the
    name of a corpus, a recipe or a policy.

    \b
    Examples:
      calibkit show docstrings
      calibkit show k-center
      calibkit show s1-3f
      calibkit show m1-9c41 --json
    """
    store = session.store
    if store.exists():
        with store.reading() as con:
            found = find(con, thing)
            records = policy(found.id) if found.kind == "policy" else SHOWN[found.kind](con, found)
    else:
        from calibkit.policies import policy_names

        if thing not in policy_names():
            store.require()
        records = policy(find(None, thing).id)
    output.records(Table.of(records))


def corpus(con: duckdb.DuckDBPyConnection, thing: Thing) -> list[Record]:
    """Return a corpus with its labels by split."""
    records = _records(con, "SELECT * FROM corpora WHERE corpus_id = ?", thing.id)
    by_split = _records(
        con,
        "SELECT labels.label, count(*) FILTER (WHERE split = 'train') AS train,"
        " count(*) FILTER (WHERE split = 'valid') AS valid,"
        " count(*) FILTER (WHERE split = 'test') AS test,"
        " count(*) FILTER (WHERE split = 'synthetic') AS synthetic,"
        " count(*) FILTER (WHERE is_duplicate AND split <> 'synthetic') AS duplicates,"
        " count(*) FILTER (WHERE in_test AND split <> 'synthetic') AS in_test"
        " FROM labels LEFT JOIN documents USING (corpus_id, label_id)"
        " WHERE corpus_id = ? GROUP BY labels.label, label_id ORDER BY label_id",
        thing.id,
    )
    return [{**record, "label_counts": by_split} for record in records]


def subset(con: duckdb.DuckDBPyConnection, thing: Thing) -> list[Record]:
    """Return a subset with its profile, who asked for it, and its first documents."""
    records = _records(con, "SELECT * FROM subset_profile WHERE subset_id = ?", thing.id)
    asked = _records(
        con,
        "SELECT policy, params, seed, pool, share, model_id FROM subset_requests"
        " WHERE subset_id = ? ORDER BY policy, seed, request_key",
        thing.id,
    )
    first = _records(
        con,
        "SELECT chosen.position, any_value(labels.label) AS label,"
        " any_value(documents.tokens) AS tokens, any_value(documents.text) AS text,"
        " chosen.doc_id"
        " FROM subset_documents AS chosen"
        " JOIN subsets ON subsets.subset_id = chosen.subset_id"
        " LEFT JOIN documents ON documents.corpus_id = subsets.corpus_id"
        " AND documents.doc_id = chosen.doc_id"
        " LEFT JOIN labels ON labels.corpus_id = subsets.corpus_id"
        " AND labels.label_id = documents.label_id"
        f" WHERE chosen.subset_id = ? AND chosen.position < {FIRST}"
        " GROUP BY chosen.position, chosen.doc_id ORDER BY chosen.position",
        thing.id,
    )
    return [{**record, "asked_for": asked, "first_documents": first} for record in records]


def model(con: duckdb.DuckDBPyConnection, thing: Thing) -> list[Record]:
    """Return the trainings that gave a model, with how it does before it is quantized."""
    column = "model_key" if thing.kind == "model key" else "model_id"
    records = _records(
        con,
        "SELECT models.model_id, models.model_key, corpora.name AS corpus,"
        " models.* EXCLUDE (model_id, model_key)"
        " FROM models LEFT JOIN corpora USING (corpus_id)"
        f" WHERE models.{column} = ? ORDER BY models.model_key",
        thing.id,
    )
    for record in records:
        record["baselines"] = _records(
            con,
            "SELECT stage, noise_kind, noise, documents, accuracy, macro_f1, nll, agreement,"
            " test_id FROM baseline_evaluations WHERE model_id = ?"
            " ORDER BY test_id, stage, noise_kind <> 'none', noise_kind, noise, noise_seed",
            record["model_id"],
        )
    return records


def cell(con: duckdb.DuckDBPyConnection, thing: Thing) -> list[Record]:
    """Return a cell with who planned it and what was measured."""
    records = _records(con, "SELECT * FROM cells WHERE cell_id = ?", thing.id)
    planned = _records(
        con,
        "SELECT recipe, model, model_seed, policy, size, seed, bits, rounding, recipe_id, plan_key"
        " FROM recipe_cells JOIN plan_cells USING (plan_key) WHERE cell_id = ?"
        " ORDER BY recipe, recipe_id, ordinal",
        thing.id,
    )
    measured = _records(
        con,
        "SELECT noise_kind, noise, noise_seed, documents, accuracy, macro_f1,"
        " worst_label_accuracy, majority_share, nll, mean_abs_h, flags"
        " FROM evaluations WHERE cell_id = ?"
        " ORDER BY noise_kind <> 'none', noise_kind, noise, noise_seed",
        thing.id,
    )
    shifts = _records(
        con,
        "SELECT quantity, pair, count(*) AS sites, avg(ks) AS mean_ks, max(ks) AS largest_ks,"
        " arg_max(site, ks) AS where_largest"
        " FROM distributions WHERE cell_id = ? GROUP BY quantity, pair ORDER BY quantity, pair",
        thing.id,
    )
    more = {"planned_as": planned, "evaluations": measured, "shifts": shifts}
    return [record | more for record in records]


def trajectory(con: duckdb.DuckDBPyConnection, thing: Thing) -> list[Record]:
    """Return a trajectory: who planned it, its steps, and its accuracy phase by phase."""
    planned = _records(
        con,
        "SELECT recipe, corpus, model, model_seed, method, subset_update, model_update, params,"
        " policy, size, seed, bits, preset, scheme_id, stream_id, recipe_id"
        " FROM stream_trajectories WHERE trajectory_id = ? ORDER BY recipe, recipe_id, ordinal",
        thing.id,
    )
    steps = _records(
        con,
        "SELECT step, phase, documents, subset_documents, came, gone, flips, refused, macs_subset,"
        " macs_model, seconds_subset, seconds_model, peak_mb, subset_id"
        " FROM stream_steps WHERE trajectory_id = ? ORDER BY step",
        thing.id,
    )
    measured = _records(
        con,
        "SELECT step, phase, documents, accuracy, float_accuracy, macro_f1, nll, mean_abs_h, flags"
        " FROM stream_evaluations WHERE trajectory_id = ? ORDER BY step, phase",
        thing.id,
    )
    return [
        {"trajectory_id": thing.id, "planned_as": planned, "steps": steps, "evaluations": measured}
    ]


def run(con: duckdb.DuckDBPyConnection, thing: Thing) -> list[Record]:
    """Return a run with its provenance."""
    return _records(con, "SELECT * FROM runs WHERE run_id = ?", thing.id)


def recipe(con: duckdb.DuckDBPyConnection, thing: Thing) -> list[Record]:
    """Return a version of a recipe: how far it is, its runs, its text."""
    cells = con.execute(
        "SELECT (SELECT count(*) FROM recipe_cells WHERE recipe_id = $1)"
        " + (SELECT count(*) FROM stream_trajectories WHERE recipe_id = $1)",
        [thing.id],
    ).fetchone()
    runs = _records(
        con,
        "SELECT run_id, started_at, workers, host, git_commit, git_dirty FROM runs"
        " WHERE recipe_id = ? ORDER BY started_at, run_id",
        thing.id,
    )
    text = con.execute(
        "SELECT arg_max(recipe_text, (started_at, run_id)) FROM runs WHERE recipe_id = ?",
        [thing.id],
    ).fetchone()
    state = _records(
        con,
        "SELECT done, failed, missing FROM progress"
        " WHERE recipe IN (SELECT recipe FROM runs WHERE recipe_id = $1)"
        " AND $1 = (SELECT arg_max(recipe_id, (started_at, run_id)) FROM runs AS r"
        " WHERE r.recipe = progress.recipe)",
        thing.id,
    )
    record: Record = {"recipe": thing.called, "recipe_id": thing.id}
    record["planned"] = cells[0] if cells else 0
    record |= state[0] if state else {}  # older versions have no progress of their own
    return [{**record, "runs": runs, "recipe_text": text[0] if text else None}]


SHOWN: dict[str, Callable[[duckdb.DuckDBPyConnection, Thing], list[Record]]] = {
    "corpus": corpus,
    "subset": subset,
    "model": model,
    "model key": model,
    "cell": cell,
    "trajectory": trajectory,
    "run": run,
    "recipe": recipe,
}


def _records(con: duckdb.DuckDBPyConnection, query: str, identity: Any) -> list[Record]:
    """Return rows as dictionaries, JSON columns as what they mean."""
    table = Table.fetched(con.execute(query, [identity]))
    return [
        {
            name: json.loads(value) if kind == "JSON" and value is not None else value
            for name, kind, value in zip(table.columns, table.types, row, strict=True)
        }
        for row in table.rows
    ]
