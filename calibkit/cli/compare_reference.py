"""``calibkit compare-reference``: what a recipe measured, beside what was published."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calibkit.cli.notes import note
from calibkit.cli.output import Output, data_options
from calibkit.cli.session import Session, pass_session
from calibkit.cli.summary import percent
from calibkit.cli.table import Figure, Table
from calibkit.errors import BadInput, Infeasible

if TYPE_CHECKING:
    from calibkit.decide.protocol import Told
    from calibkit.decide.reference import Reference
    from calibkit.decide.reproduction import Pair
    from calibkit.recipe import Recipe

DEFAULT_NAME = "paper-reference.csv"

CAPTION = """
accuracy in percent on clean test documents, the mean over draws and float models
± = 95 % t interval over draws (distinct subsets); difference = here - published
drop = float - quantized, each from its own float model
note: flags of cells that no longer work, what is missing
"""


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option(
    "--reference",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help=f"Published numbers, as CSV. [default: {DEFAULT_NAME} in the folder of RECIPE]",
)
@click.option(
    "--where",
    metavar="SQL",
    help="Only rows that meet this condition, for example \"bits = 4 AND preset = 'paper'\"; its"
    " columns are those of --format csv.",
)
@data_options
@pass_session
def compare_reference(
    session: Session, *, recipe: Path, reference: Path | None, where: str | None, output: Output
) -> None:
    """Put what RECIPE measured beside published numbers.

    Cell by cell: the published accuracy, ours with its interval, the difference, and what each
    lost from its own float model. Published cells that are not measured yet, or that RECIPE does
    not plan, are shown without ours. How the protocols differ is told on stderr. Nothing is
    measured: `calibkit evaluate RECIPE` does that. Cells belong together when corpus, model,
    policy, bits and rounding are called alike in both files.

    \b
    Examples:
      calibkit compare-reference recipes/paper-agnews.yaml
      calibkit compare-reference recipes/paper-agnews.yaml --where "bits <= 4" --format markdown
      calibkit compare-reference recipes/quickstart.yaml --reference before.csv
    """
    from calibkit.decide.protocol import is_of_this_recipe, protocols
    from calibkit.decide.reference import load_reference
    from calibkit.decide.reproduction import pair
    from calibkit.recipe import load_recipe

    loaded = load_recipe(recipe)
    published = load_reference(reference or recipe.parent / DEFAULT_NAME)
    measures = f"`{_calibkit(session)} evaluate {shlex.quote(str(recipe))}`"
    store = session.store
    if not store.exists():
        _chosen(pair(None, loaded, published), where)  # what is wrong with it comes first
        raise Infeasible(f"there is no store at {store.path} yet; {measures} makes and fills it")
    with store.reading() as con:
        pairs = _chosen(pair(con, loaded, published), where)
        if all(one.measured is None for one in pairs):
            raise Infeasible(
                f"none of these {len(pairs):,} cells of {loaded.name} is measured; {measures}"
                " measures them"
            )
        sources = list(dict.fromkeys(one.reference.source for one in pairs))
        told = protocols(con, loaded, published, sources)
        is_current = is_of_this_recipe(con, loaded)
    if output.is_for_people:
        output.table(for_people(pairs), below=everywhere(pairs) + CAPTION)
    else:
        output.table(in_full(pairs))
    _tell_counts(pairs, published, loaded, measures)
    if not is_current:
        note(
            f"the latest results of {loaded.name} are not of this file: it was changed since, or"
            f" another recipe has its name; {measures} brings them up to date"
        )
    _tell_protocols(told, [name for name in sources if not published.protocols.get(name)])


def in_full(pairs: Sequence[Pair]) -> Table:
    """Return every pair with raw fractions, for machines."""
    from calibkit.decide.reproduction import TYPES

    records = [one.columns() for one in pairs]
    rows = tuple(tuple(record[name] for name in TYPES) for record in records)
    return Table(tuple(TYPES), rows, tuple(TYPES.values()))


def for_people(pairs: Sequence[Pair]) -> Table:
    """Return percent with one decimal, without what is the same everywhere."""
    hidden = _alike(pairs)
    records = [_shown(one) for one in pairs]
    return Table.of([{k: v for k, v in r.items() if k not in hidden} for r in records])


def everywhere(pairs: Sequence[Pair]) -> str:
    """Return what the table leaves out because it is the same in every row, in a line."""
    said = [f"{name} {value}" for name, value in _alike(pairs).items() if value is not None]
    return f"\nin every row: {', '.join(said)}" if said else ""


def _alike(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Return the columns that tell no two rows apart, with their value, if any row has one."""
    records = [_shown(one) for one in pairs]
    found: dict[str, Any] = {}
    for name in ("source", "size", "preset", "rounding"):
        values = {record[name] for record in records if record[name] is not None}
        if len(values) <= 1:
            found[name] = next(iter(values), None)
    return found


def _shown(one: Pair) -> dict[str, Any]:
    cell, ours = one.reference, one.measured
    half = None
    if ours is not None and ours.ci_high is not None:
        half = ours.ci_high - ours.accuracy
    return {
        "source": cell.source,
        "model": cell.model,
        "mix": cell.calibration_mix or None,
        "size": one.size,
        "preset": one.preset,
        "rounding": None if cell.is_float else one.rounding or cell.rounding,
        "bits": Figure("float" if cell.is_float else cell.bits),
        "published": percent(cell.accuracy),
        "here": percent(None if ours is None else ours.accuracy),
        "±": percent(half),
        "difference": percent(one.difference),
        "published drop": percent(one.reference_drop),
        "drop": percent(None if ours is None else ours.accuracy_drop),
        "draws": ours and ours.draws,
        "models": ours and ours.models,
        "note": _note(one),
    }


def _note(one: Pair) -> str:
    if one.state in ("missing", "not planned"):
        return one.state
    said = [] if one.state == "measured" else [f"{one.done} of {one.planned} cells"]
    said += [f"{flag} {n}/{one.done}" for flag, n in one.flagged]
    return ", ".join(said)


def _chosen(pairs: Sequence[Pair], where: str | None) -> list[Pair]:
    if where is None:
        return list(pairs)
    from calibkit.decide.reproduction import TYPES
    from calibkit.store.conditions import meeting

    places = meeting([one.columns() for one in pairs], TYPES, where, "--where")
    if not places:
        raise BadInput(f"--where {where!r}: none of the {len(pairs):,} rows meets it")
    return [pairs[place] for place in places]


def _calibkit(session: Session) -> str:
    store = session.store_option
    return "calibkit" if store is None else f"calibkit --store {shlex.quote(str(store))}"


def _tell_counts(
    pairs: Sequence[Pair], published: Reference, recipe: Recipe, measures: str
) -> None:
    counts: Counter[str] = Counter(one.state for one in pairs)
    said = [f"{counts[state]:,} {state}" for state in _STATES if counts[state]]
    note(f"{_rows(len(pairs))}: {', '.join(said)}")
    if counts["missing"] or counts["in part"]:
        note(f"{measures} measures what is missing")
    collapsed = sum(bool(one.flagged) for one in pairs)
    if collapsed:
        note(f"{_rows(collapsed)} with cells that no longer work, whatever their accuracy: flags")
    others = Counter(cell.corpus for cell in published.cells if cell.corpus != recipe.corpus.name)
    for corpus, number in others.items():
        note(f"{_rows(number)} of {published.file} left out, on another corpus: {corpus}")


def _rows(number: int) -> str:
    return f"{number:,} row{'' if number == 1 else 's'}"


_STATES = ("measured", "in part", "missing", "not planned")


def _tell_protocols(told: Sequence[Told], silent: Sequence[str]) -> None:
    note("Measured as follows; where this differs, compare drops rather than accuracies:")
    widest = max(len(name) for one in told for name in one.by)
    for one in told:
        note(f"  {one.subject}")
        for name, text in one.by.items():
            note(f"    {name:<{widest}}  {text}")
    if silent:
        note(f"  {', '.join(silent)}: the reference does not tell")
