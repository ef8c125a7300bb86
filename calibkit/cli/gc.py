"""``calibkit gc``: what the store's folder has and nothing needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from calibkit.cli.notes import note
from calibkit.cli.output import Output, data_options
from calibkit.cli.session import Session, pass_session
from calibkit.cli.table import Table
from calibkit.words import counted

if TYPE_CHECKING:
    from calibkit.sweep.collect import Garbage


@click.command()
@click.option("--delete", is_flag=True, help="Remove it; without this, it is only shown.")
@click.option(
    "--caches",
    is_flag=True,
    help="Also what is made anew where it is missing: tokens, vocabularies, features, ranges. The"
    " next run that needs them takes longer, and its numbers are the same.",
)
@click.option("--quarantine", is_flag=True, help="Also everything in quarantine.")
@click.option(
    "--merged",
    is_flag=True,
    help="Also merged fragments, where the store has every row of theirs. A lost store is filled"
    " again from them, and `calibkit merge` takes them elsewhere: make a backup before.",
)
@data_options
@pass_session
def gc(
    session: Session,
    *,
    delete: bool,
    caches: bool,
    quarantine: bool,
    merged: bool,
    output: Output,
) -> None:
    """Show, or delete, files that nothing needs.

    That is: leftovers of killed processes (of backups and exports too, wherever they were to go)
    and tensors that no key refers to, both older than an hour, and artefacts of no corpus, subset
    or float model in the store. What a stored cell needs never goes: after it, evaluating a
    complete recipe measures nothing, and every cell can be verified.

    Nothing is removed without --delete, and nothing while a sweep is at work in the store. A table
    sums up by kind and reason; other formats have a row per file.

    \b
    Examples:
      calibkit gc
      calibkit gc --caches --json
      calibkit gc --delete
      calibkit gc --delete --quarantine
    """
    from calibkit.sweep.collect import Wanted, collect, find_garbage

    store = session.store
    wanted = Wanted(caches=caches, quarantine=quarantine, merged=merged)
    found = collect(store, wanted) if delete else find_garbage(store, wanted)
    output.table(_summed(found) if output.is_for_people else _listed(found))
    for line in found.told:
        note(line)
    amount = f"{counted(len(found.waste), 'file')}, {found.bytes / 1e6:,.1f} MB"
    if delete:
        note(f"removed {amount}")
    elif found.waste:
        note(f"nothing was removed; --delete removes {amount}")
    else:
        note("there is nothing to remove")


def _listed(found: Garbage) -> Table:
    rows = [(one.what, str(one.path), one.bytes, one.why) for one in found.waste]
    kinds = ("VARCHAR", "VARCHAR", "BIGINT", "VARCHAR")
    return Table(("what", "path", "bytes", "why"), tuple(rows), kinds)


def _summed(found: Garbage) -> Table:
    sums: dict[tuple[str, str], list[int]] = {}
    for one in found.waste:
        count = sums.setdefault((one.what, one.why), [0, 0])
        count[0] += 1
        count[1] += one.bytes
    rows: list[tuple[Any, ...]] = [(what, *count, why) for (what, why), count in sums.items()]
    return Table(("what", "files", "bytes", "why"), tuple(rows))
