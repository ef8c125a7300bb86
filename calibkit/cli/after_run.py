"""What `evaluate` says when a run is over: the summary, what failed, what is left, what is next."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from calibkit.cli import progress
from calibkit.cli.notes import note
from calibkit.cli.output import Output
from calibkit.cli.profiling import profile_words
from calibkit.cli.session import Session
from calibkit.cli.summary import cell_words, read_summary
from calibkit.cli.text import one_line
from calibkit.errors import Incomplete
from calibkit.words import counted, is_or_are

if TYPE_CHECKING:
    from calibkit.recipe import Recipe
    from calibkit.store import Store
    from calibkit.sweep.plan import Plan, Shard
    from calibkit.sweep.run import RunReport

MOST_FAILURES = 10
"""So many failed cells are told one by one; the view `failed` has them all."""


def tell_run(
    session: Session,
    recipe: Recipe,
    report: RunReport,
    output: Output,
    *,
    profile: bool,
    again: bool,
    where: str | None,
    shard: Shard | None,
) -> None:
    """Print the summary, and note how the run went.

    Raises Incomplete while a cell or card that was asked for is missing or failed, or a number came
    back different.
    """
    store = session.store
    _show_summary(store, recipe, output, profile=profile)
    took = progress.duration(report.seconds)
    note(
        f"{counted(report.measured, 'cell')} measured in {took};"
        f" {report.done:,} of {report.planned:,} done"
    )
    if report.failed_keys:
        _tell_failures(store, recipe, report.failed_keys)
    if report.cards.made:
        note(f"{counted(report.cards.made, 'coverage card')} made")
    _tell_next(session, recipe)
    if report.conflicts:
        raise Incomplete(
            f"{counted(report.conflicts, 'number')} came back different from those stored, which"
            " means that something is not deterministic; the stored ones stand, and"
            ' `calibkit sql "FROM conflicts"` shows both'
        )
    if again and report.measured:
        note("no number differs from a stored one")
    _tell_left(report, where, shard)
    if report.cards.failed or report.cards.missing:
        raise Incomplete(
            f"{counted(report.cards.failed, 'coverage card')} failed and"
            f" {report.cards.missing:,} {is_or_are(report.cards.missing)} missing, of subsets"
            " whose cells are done; run the same command again to make them, and see"
            " `calibkit sql \"FROM failures WHERE stage = 'card'\"`"
        )


def _tell_left(report: RunReport, where: str | None, shard: Shard | None) -> None:
    """Raise Incomplete while cells that were asked for are left; note what others there are."""
    given = {"--where": where, "--shard": shard}
    options = [name for name, value in given.items() if value is not None]
    verb = "selects" if len(options) == 1 else "select"
    selected = f" that {' and '.join(options)} {verb}" if options else ""
    failed = len(report.failed_keys)
    if failed or report.asked_missing:
        raise Incomplete(
            f"{_failed_and_missing(failed, report.asked_missing)} of"
            f" {report.asked:,}{selected}; run the same command again to measure them"
        )
    others = _failed_and_missing(report.failed, report.missing)
    if not (report.failed or report.missing):
        return
    if where is not None and not report.asked:
        raise Incomplete(
            f"nothing was asked for: no cell is one{selected}, and {others} of the recipe's"
            f" {report.planned:,}; --dry-run shows them when --where is left out"
        )
    every, verb = "the" if report.asked == 1 else "all", is_or_are(report.asked)
    note(
        f"{every} {counted(report.asked, 'cell')}{selected} {verb} done;"
        f" beside them, {others} of the recipe's {report.planned:,}"
    )


def _failed_and_missing(failed: int, missing: int) -> str:
    return f"{counted(failed, 'cell')} failed and {missing:,} {is_or_are(missing)} missing"


def tell_remaining(planned: Plan) -> None:
    """Note what an interrupted run has left to do."""
    if planned.again:
        note("with --again, the same command starts over")
        return
    left, asked = len(planned.to_do()), len(planned.wanted)
    note(
        f"{asked - left:,} of {counted(asked, 'cell')} are done, {left:,}"
        f" {'remains' if left == 1 else 'remain'}; the same command goes on from here"
    )


def _show_summary(store: Store, recipe: Recipe, output: Output, *, profile: bool) -> None:
    with store.reading() as con:
        summary = read_summary(con, recipe.name)
        stages = profile_words(con, recipe.name) if profile else ""
    if output.is_for_people:
        below = f"\n{stages}" if stages else ""
        output.table(summary.for_people(), below=f"\n{summary.caption()}{below}")
    else:
        output.table(summary.in_full())
        if stages:
            note(stages)  # stdout is one table, for machines


def _tell_failures(store: Store, recipe: Recipe, keys: Sequence[str]) -> None:
    """Note why the cells with these plan keys failed, the first of them."""
    with store.reading() as con:
        failed = con.execute(
            "SELECT model, model_seed, policy, size, seed, bits, preset, rounding, stage, message"
            " FROM failed WHERE recipe = ? AND plan_key IN (SELECT unnest(?::VARCHAR[]))",
            [recipe.name, list(keys)],
        ).fetchall()
    for *cell, stage, message in failed[:MOST_FAILURES]:
        note(f"FAILED {cell_words(cell)}: {stage}: {one_line(message)}")
    if len(failed) > MOST_FAILURES:
        note(f'and {len(failed) - MOST_FAILURES:,} more: calibkit sql "FROM failed"')


def _tell_next(session: Session, recipe: Recipe) -> None:
    store = session.store_option
    calibkit = "calibkit" if store is None else f"calibkit --store {shlex.quote(str(store))}"
    where = f"WHERE recipe = '{recipe.name}' AND noise = 0"
    policies = list(dict.fromkeys(recipe.grid.policy))
    known = "random" if "random" in policies else policies[0]
    other = next((name for name in reversed(policies) if name != known), None)
    queries = [
        "SELECT model, policy, bits, accuracy, ci_low, ci_high, draws FROM summary"
        f" {where} ORDER BY accuracy DESC"
    ]
    if other is not None:
        queries.append(f"FROM compare('{other}', '{known}') {where} ORDER BY gain DESC")
    else:
        queries.append(f"FROM label_results {where} ORDER BY accuracy")
    note("Next:")
    for query in queries:
        note(f"  {calibkit} sql {_in_shell(query)}")
    note(f"  {calibkit} show {shlex.quote(recipe.name)}")


def _in_shell(text: str) -> str:
    """Return a shell word; in double quotes where that is safe, since SQL has single ones."""
    return shlex.quote(text) if re.search(r'["$`\\!]', text) else f'"{text}"'
