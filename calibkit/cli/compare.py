"""``calibkit compare``: is one way to calibrate better than another, and how sure is that."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from calibkit.cli.notes import note
from calibkit.cli.output import Output, data_options
from calibkit.cli.session import Session, pass_session

if TYPE_CHECKING:
    from calibkit.store import Store

MEASURES = (
    "accuracy", "accuracy_drop", "macro_f1", "worst_label_accuracy", "nll", "noise_drop",
    "noise_excess", "noise_auc", "ks_weights", "ks_activations", "wasserstein_weights",
    "wasserstein_activations", "code_change",
)  # fmt: skip
AXES = ("policy", "size", "model", "bits", "rounding", "preset")
_CELL = re.compile(r"x[0-9]+-[0-9a-f]+")


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("--recipe", metavar="NAME", help="Only what this recipe measured. [default: all]")
@click.option(
    "--where",
    metavar="SQL",
    help="Only cells that meet this condition over the columns of the view results, for example"
    ' "bits = 4 AND noise = 0".',
)
@click.option(
    "--measure",
    type=click.Choice(MEASURES),
    default="accuracy",
    show_default=True,
    metavar="NAME",
    help=f"What is compared: {', '.join(MEASURES)}.",
)
@click.option(
    "--axis",
    type=click.Choice(AXES),
    default="policy",
    show_default=True,
    help="What A and B are values of; the rest is the same within a pair.",
)
@click.option(
    "--by",
    type=click.Choice(["site"]),
    help="One row per weight tensor or quantizer, for the measures of distributions.",
)
@click.option(
    "--margin",
    metavar="POINTS",
    type=click.FloatRange(0, min_open=True),
    help="Differences within it are called the same; in the unit of the measure. [default: 0.5"
    " points of accuracy and F1, none for the others]",
)
@data_options
@pass_session
def compare(
    session: Session,
    *,
    a: str,
    b: str,
    recipe: str | None,
    where: str | None,
    measure: str,
    axis: str,
    by: str | None,
    margin: float | None,
    output: Output,
) -> None:
    """Say what A gains over B, and how sure that is.

    A and B are two policies of a recipe (by their aliases there), or other values of --axis. Draws
    of the same seed, size, float model, scheme and noise are paired; one row per setting. B may be
    `float`: the model before quantization. Two ids of cells are compared as the fixed networks
    that they are: McNemar's exact test on the stored predictions.

    better and worse: the interval excludes 0, and so does the exact sign-flip test, corrected for
    all rows (Benjamini-Hochberg), or within the family of claims that the recipe declares (Holm).
    same: two one-sided t tests put the difference inside the margin. Otherwise it says how many
    draws would decide.
    With several float models, intervals are about new float models as well as new draws.

    \b
    Measures beside accuracy:
      accuracy_drop  accuracy of the float model minus that of the cell
      noise_drop     accuracy on clean documents minus that under noise
      noise_excess   how much more than the float model it loses to noise
      noise_auc      mean accuracy over the noise levels
      ks_*, wasserstein_*  how far quantization moved the distributions

    \b
    Examples:
      calibkit compare k-center random
      calibkit compare one-class random --where "bits = 4 AND noise = 0" --format markdown
      calibkit compare random float --measure noise_drop
      calibkit compare 4 8 --axis bits --measure ks_activations --by site
      calibkit compare x1-a08899acfa427401 x1-7f1aef95daff7d46
    """
    cells = [_cell(session.store, text) for text in (a, b)]
    if all(cells):
        _compare_cells(session, [str(cell) for cell in cells], output)
        return
    from calibkit.cli.compare_rows import caption, for_people, in_full, told
    from calibkit.decide.comparison import compare_groups, most_moved_first
    from calibkit.decide.declared import declared_p
    from calibkit.decide.evidence import pairs_of
    from calibkit.decide.measures import find_measure

    groups = pairs_of(
        session.store, a, b, recipe=recipe, where=where, measure=measure, axis=axis,
        by_site=by == "site",
    )  # fmt: skip
    scale = find_measure(measure).scale
    stored = None if margin is None else margin / scale
    declared = declared_p(session.store, groups, a, b, axis)
    found = compare_groups(groups, margin=stored, declared=declared.p)
    if by is not None:  # what moved most comes first
        found = most_moved_first(found)
    if output.is_for_people:
        output.table(for_people(found, a, b), below=caption(found, stored))
    else:
        output.table(in_full(found, a, b, stored))
    for line in told(found, a, b):
        note(line)
    for name in declared.unread:
        note(f"{name}: its claims cannot be read by this version, and none counts as declared")


def _cell(store: Store, text: str) -> str | None:
    """Return the id of the cell that ``text`` is the start of; None where it looks like no id."""
    if not _CELL.fullmatch(text) or not store.exists():
        return None
    from calibkit.cli.lookup import find
    from calibkit.errors import BadInput

    with store.reading() as con:
        thing = find(con, text)
    if thing.kind != "cell":
        raise BadInput(f"{text!r} is a {thing.kind}; two cells can be compared, or two policies")
    return thing.id


def _compare_cells(session: Session, cells: list[str], output: Output) -> None:
    from calibkit.cli.compare_cells_rows import CAPTION, for_people, in_full, told
    from calibkit.decide.two_cells import compare_cells

    found = compare_cells(session.store, *cells)
    if output.is_for_people:
        output.table(for_people(found), below=CAPTION)
    else:
        output.table(in_full(found, *cells))
    for line in told(found, *cells):
        note(line)
