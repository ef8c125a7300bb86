"""``calibkit sql``: any question to the store, in SQL."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from calibkit.cli.output import Output, data_options
from calibkit.cli.session import Session, pass_session
from calibkit.cli.table import Table
from calibkit.errors import BadInput

if TYPE_CHECKING:
    from calibkit.store import Relation, Store

EXAMPLES = (
    'calibkit sql "FROM progress"',
    'calibkit sql "SELECT policy, accuracy, ci_low, ci_high, draws FROM summary'
    " WHERE model = 'generative' AND bits = 4 AND noise = 0 ORDER BY accuracy DESC\"",
    'calibkit sql "SELECT column_name, comment FROM duckdb_columns()'
    " WHERE table_name = 'summary'\"",
)


@click.command()
@click.argument("query", required=False)
@click.option(
    "--timeout",
    metavar="S",
    type=click.FloatRange(0, min_open=True),
    default=30.0,
    show_default=True,
    help="Stop the query after S seconds.",
)
@data_options
@pass_session
def sql(session: Session, *, query: str | None, timeout: float, output: Output) -> None:
    """Run one SQL query; without QUERY, list the views.

    Read-only: the query can neither change the store nor reach files or the network. QUERY - is
    read from stdin. Fractions are in [0, 1]; drops are positive when worse.

    \b
    Examples:
      calibkit sql
      calibkit sql "FROM summary WHERE noise = 0"
      calibkit sql "FROM compare('k-center', 'random') WHERE noise = 0" --format markdown
      calibkit sql "FROM results" -o results.parquet
      calibkit sql - --json < query.sql
    """
    if query is None:
        views = {view.name: view.comment for view in relations(session.store)}
        if output.is_for_people:
            below = "".join(f"  {line}\n" for line in EXAMPLES)
            output.records(Table.of([views]), below=f"\nExamples:\n{below}")
        else:
            output.table(Table(("view", "about"), tuple(views.items())))
        return

    from calibkit.store import query as ask
    from calibkit.store.sandbox import MOST_SQL_BYTES

    if query == "-":
        try:  # one byte more than may be, so that it is told
            query = sys.stdin.buffer.read(MOST_SQL_BYTES + 1).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise BadInput(f"the query on stdin is no UTF-8: byte {error.start + 1}") from None
    output.table(ask(session.store, query, timeout_s=timeout))


def relations(store: Store) -> Sequence[Relation]:
    """Return the views of the store, or those that a store will have once there is one."""
    from calibkit.store import views

    if store.exists():
        with store.reading() as con:
            return views(con)

    import duckdb

    from calibkit.store.migrations import create_schema

    with duckdb.connect(":memory:") as con:
        create_schema(con)
        return views(con)
