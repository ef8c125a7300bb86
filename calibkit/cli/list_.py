"""``calibkit list``: what the store and this installation have."""

from __future__ import annotations

import inspect

import click

from calibkit.cli.notes import note
from calibkit.cli.output import Output, data_options
from calibkit.cli.session import Session, pass_session
from calibkit.cli.table import Table

QUERIES = {
    "corpora": """
        SELECT corpora.name, corpora.corpus_id, corpora.version, corpora.documents, corpora.labels,
               splits.train, splits.valid, splits.test, splits.synthetic, corpora.ingested_at
        FROM corpora
        LEFT JOIN (SELECT corpus_id,
                          count(*) FILTER (WHERE split = 'train') AS train,
                          count(*) FILTER (WHERE split = 'valid') AS valid,
                          count(*) FILTER (WHERE split = 'test') AS test,
                          count(*) FILTER (WHERE split = 'synthetic') AS synthetic
                   FROM documents GROUP BY corpus_id) AS splits
               ON splits.corpus_id = corpora.corpus_id
        ORDER BY corpora.name, corpora.ingested_at DESC, corpora.corpus_id
    """,
    "subsets": """
        SELECT subset_id, corpus, size, policies, seeds, pool, created_at
        FROM subset_profile
        ORDER BY corpus, size, policies, seeds, subset_id
    """,
    "models": """
        SELECT models.model_id, models.kind, corpora.name AS corpus, models.share, models.seed,
               models.valid_accuracy, models.valid_nll, models.best_epoch, models.epochs,
               models.seconds, models.trained_at, models.model_key
        FROM models
        LEFT JOIN corpora ON corpora.corpus_id = models.corpus_id
        ORDER BY corpus, models.kind, models.share, models.seed, models.model_key
    """,
    "recipes": """
        SELECT runs.recipe, progress.planned, progress.done, progress.failed, progress.missing,
               count(*) AS runs, count(DISTINCT runs.recipe_id) AS versions,
               arg_max(runs.recipe_id, (runs.started_at, runs.run_id)) AS recipe_id,
               max(runs.started_at) AS last_run
        FROM runs
        LEFT JOIN progress ON progress.recipe = runs.recipe
        WHERE runs.recipe IS NOT NULL
        GROUP BY ALL
        ORDER BY runs.recipe
    """,
    "streams": """
        SELECT t.recipe, progress.planned, progress.done, progress.failed, progress.missing,
               list(DISTINCT t.model ORDER BY t.model) AS models,
               list(DISTINCT t.method ORDER BY t.method) AS methods,
               count(DISTINCT t.seed) AS draws, any_value(phases.phases) AS phases,
               any_value(t.steps) AS batches, any_value(t.stream_id) AS stream_id, t.recipe_id
        FROM core.stream_state AS t
        LEFT JOIN progress ON progress.recipe = t.recipe
        LEFT JOIN (SELECT stream_id, list(name ORDER BY phase) AS phases
                   FROM stream_phases GROUP BY stream_id) AS phases
               ON phases.stream_id = t.stream_id
        GROUP BY ALL
        ORDER BY t.recipe
    """,
    "runs": """
        SELECT run_id, recipe, started_at, workers, host, git_commit, git_dirty, recipe_id
        FROM runs
        ORDER BY started_at DESC, run_id
    """,
}
"""Kind -> what is listed; the first column is the name or id that other commands take."""

MAKES = {
    "corpora": "calibkit ingest NAME --train FILE",
    "subsets": "calibkit build-subset CORPUS --policy NAME --size N --seed S",
    "models": "calibkit evaluate RECIPE",
    "recipes": "calibkit evaluate RECIPE",
    "streams": "calibkit stream RECIPE",
    "runs": "calibkit evaluate RECIPE",
}


@click.command("list")
@click.argument("kind", type=click.Choice([*QUERIES, "policies"]))
@data_options
@pass_session
def list_(session: Session, *, kind: str, output: Output) -> None:
    """List corpora, subsets, models, recipes, streams.

    Also runs and policies. Of the store, or, for policies, of this installation. The first column
    is the name or id that other commands take.

    \b
    Examples:
      calibkit list corpora
      calibkit list policies
      calibkit list models --json
      calibkit list subsets --format csv -o subsets.csv
    """
    if kind == "policies":
        output.table(policies())
        return
    found = stored(session, kind)
    output.table(found)
    if not found.rows:
        note(f"the store {session.store.path} has no {kind} yet; to make some: {MAKES[kind]}")


def stored(session: Session, kind: str) -> Table:
    """Return what the store has of a kind; a store that does not exist has nothing."""
    store = session.store
    if store.exists():
        with store.reading() as con:
            return Table.fetched(con.execute(QUERIES[kind]))

    import duckdb

    from calibkit.store.migrations import create_schema

    with duckdb.connect(":memory:") as con:  # for the same columns
        create_schema(con)
        return Table.fetched(con.execute(QUERIES[kind]))


def policies() -> Table:
    """Return every policy of this installation with its parameters and properties.

    documents: whether it chooses them from the pool or makes new ones.
    """
    from calibkit.policies import Generator, find_policy, policy_names

    rows = []
    for name in policy_names():
        policy = find_policy(name)
        about = (inspect.getdoc(policy) or "").partition("\n")[0]
        rows.append(
            (
                name,
                about,
                "makes" if issubclass(policy, Generator) else "chooses",
                ", ".join(policy.model_fields),
                _said(policy.nested),
                _said(policy.uses_seed),
                _said(policy.needs),
                _said(policy.version),
            )
        )
    columns = (
        "policy",
        "about",
        "documents",
        "parameters",
        "nested",
        "uses_seed",
        "needs",
        "version",
    )
    return Table(columns, tuple(rows))


def _said(value: object) -> object:
    """Return a class attribute; a property depends on the parameters."""
    if isinstance(value, property):
        return "depends"
    return ", ".join(value) if isinstance(value, tuple) else value
