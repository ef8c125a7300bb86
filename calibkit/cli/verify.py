"""``calibkit verify``: does a cell still give the numbers that the store has."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

import click

from calibkit.cli.notes import note
from calibkit.cli.output import Output, data_options
from calibkit.cli.session import Session, pass_session
from calibkit.cli.table import Table
from calibkit.errors import Incomplete


@click.command()
@click.argument("cell", metavar="CELL")
@click.option(
    "--engine",
    type=click.Choice(["auto", "plain", "torch", "native"]),
    default="auto",
    show_default=True,
    help="What evaluates the cell, as for evaluate; it never changes a number.",
)
@data_options
@pass_session
def verify(
    session: Session,
    *,
    cell: str,
    engine: Literal["auto", "plain", "torch", "native"],
    output: Output,
) -> None:
    """Measure a cell again and compare every number.

    CELL is a cell's id (x1-...), or the start of one that only one cell has. It is built anew from
    the documents and the float model's weights, in a scratch folder: vocabulary, token lists,
    noise, calibration, rounding. Its numbers (evaluations, label_evaluations, predictions and
    distributions) are compared with those of the store, bit for bit. The store stays as it is.

    The exit code is 0 when all are equal and 1 when any differs; lost weights, or a cell of another
    harness version, are an error.

    \b
    Examples:
      calibkit verify x1-3fa2
      calibkit verify x1-3fa2 --json
      calibkit verify x1-3fa2 --engine plain
    """
    from calibkit.sweep.verify import verify as measure

    found = measure(session.store, cell, engine=engine, tell=note)
    columns = ("what", "numbers", "stored", "measured", "same")
    output.table(Table.of([asdict(one) for one in found.comparisons], columns))
    origin = found.origin
    if origin.host is not None:
        note(f"the cell {origin.cell_id} was measured on {origin.host}")
    for package, (then, now) in sorted(found.changed.items()):
        note(f"{package} was {then} then and is {now} now")
    if not found.same:
        raise Incomplete(
            f"{found.different:,} of {found.numbers:,} numbers of the cell {origin.cell_id} came"
            " back different from those stored; another machine or other packages may give other"
            " last digits, on the same ones something is not deterministic or the store was changed"
        )
    note(f"all {found.numbers:,} numbers are the same, bit for bit")
