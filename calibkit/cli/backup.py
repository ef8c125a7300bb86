"""``calibkit backup``: a whole copy of the store, while others use it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from calibkit.cli.notes import note
from calibkit.cli.output import Output, data_options
from calibkit.cli.session import Session, pass_session
from calibkit.cli.table import Table


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--no-artefacts",
    is_flag=True,
    help="Leave out float models, tokens and features. The copy answers every query; measuring"
    " more, or verifying, then has to train its float models anew.",
)
@data_options
@pass_session
def backup(session: Session, *, file: Path, no_artefacts: bool, output: Output) -> None:
    """Copy the store and what belongs to it to FILE.

    FILE gets the database as it is at one moment, and the folder FILE.d beside it the fragments
    and artefacts; a sweep may run meanwhile. Nothing is overwritten, and FILE is there only when
    all of it is. The copy is a store like any other: `calibkit --store FILE ...`.

    \b
    Examples:
      calibkit backup before-the-upgrade.duckdb
      calibkit backup /mnt/disk/study.duckdb --no-artefacts
      calibkit --store other.duckdb backup copy.duckdb --json
    """
    from calibkit.store.backup import backup as copy

    copied = copy(session.store, file, artefacts=not no_artefacts)
    output.table(Table.of([asdict(part) for part in copied], ("what", "files", "bytes")))
    total = sum(part.bytes for part in copied)
    note(f"the store {session.store.path} is copied to {file}: {total / 1e6:,.1f} MB")
