"""``calibkit merge``: what other machines measured, into this store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from calibkit.cli.notes import note
from calibkit.cli.output import Output, data_options
from calibkit.cli.session import Session, pass_session
from calibkit.cli.table import Table
from calibkit.errors import Incomplete
from calibkit.words import counted, is_or_are

if TYPE_CHECKING:
    from calibkit.store import Store

UNPLANNED = """
SELECT count(*) FROM cells ANTI JOIN (
    SELECT cell_id FROM plan_cells SEMI JOIN recipe_cells USING (plan_key)
) USING (cell_id)
"""


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@data_options
@pass_session
def merge(session: Session, *, folder: Path, output: Output) -> None:
    """Bring in what another store has measured.

    DIR is the folder FILE.d beside the other store's file, or any folder of fragments; it is left
    as it is. `calibkit evaluate` with --shard or --where leaves there what the views need, so
    that results, summary, progress and provenance have its cells at once. Merging again changes
    nothing.

    What comes in is printed by table. A number that is here already with another value is a
    conflict: the stored one stands, the table `conflicts` has both, and the exit code is 1, as it
    is when a fragment cannot be read.

    \b
    Examples:
      calibkit merge shard-2/study.duckdb.d
      calibkit merge fragments-of-the-cluster --json
      calibkit --store all.duckdb merge study.duckdb.d
    """
    from calibkit.store.foreign import bring_in

    store = session.store
    report = bring_in(store, folder)
    rows = sorted(report.rows.items(), key=lambda row: (row[0] != "cells", row[0]))
    output.table(Table(("table", "new_rows"), tuple(rows), ("VARCHAR", "BIGINT")))
    read, new = counted(report.fragments, "fragment"), counted(report.cells, "cell")
    note(f"{read} read in {folder}; {new} {is_or_are(report.cells)} new")
    if unplanned := _unplanned(store):
        note(
            f"of {counted(unplanned, 'cell')} in the store no recipe is known that asks for it;"
            " `calibkit evaluate RECIPE` with that recipe shows them without measuring them again"
        )
    for problem in report.problems:
        note(problem)
    if report.problems:
        raise Incomplete(
            f"{counted(len(report.conflicts), 'number')} came back different from those stored, and"
            f" {counted(len(report.quarantined), 'fragment')} could not be read; everything else is"
            " merged"
        )


def _unplanned(store: Store) -> int:
    if not store.exists():  # nothing could be read
        return 0
    with store.reading() as con:
        row = con.execute(UNPLANNED).fetchone()
    return int(row[0]) if row else 0
