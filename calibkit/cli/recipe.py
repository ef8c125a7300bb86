"""``calibkit recipe``: the smallest recipe that gives a cell."""

from __future__ import annotations

import click

from calibkit.cli.output import Output, data_options
from calibkit.cli.session import Session, pass_session
from calibkit.cli.table import Table


@click.command()
@click.argument("cell", metavar="CELL")
@data_options
@pass_session
def recipe(session: Session, *, cell: str, output: Output) -> None:
    """Print the smallest recipe that reproduces a cell.

    CELL is a cell's id (x1-...), or the start of one that only one cell has. The recipe has its
    corpus and share, its float model with the settings that are not the usual ones, its policy,
    size and seed, its quantize settings, and everything that was measured of it: evaluated in a
    store without the cell, it gives the same cell id and the same numbers. Where several policies
    chose the cell's documents, it names one, and the others in comments.

    In another format than a table it is one row: the recipe's content, and its text.

    \b
    Examples:
      calibkit recipe x1-3fa2
      calibkit recipe x1-3fa2 -o one-cell.yaml
      calibkit recipe x1-3fa2 --json
    """
    from calibkit.sweep.cell_recipe import cell_recipe

    found = cell_recipe(session.store, cell)
    if output.is_for_people:
        output.text(found.text)
        return
    row = {"cell_id": found.cell_id, "recipe": dict(found.document), "text": found.text}
    output.table(Table.of([row]))
