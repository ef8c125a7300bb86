"""``calibkit profile``: the coverage card of a subset, before anything is quantized."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from calibkit.cli.notes import note
from calibkit.cli.output import Output, data_options
from calibkit.cli.session import Session, pass_session
from calibkit.cli.table import Figure, Table

if TYPE_CHECKING:
    from calibkit.curate.card import Card
    from calibkit.curate.card_requests import StoredSubset
    from calibkit.policies.card import Line

COUNTS = {
    "outside": "metrics outside of their range",
    "outside_all": "metrics outside of their range, with the model's",
}


@click.command()
@click.argument("subset")
@click.option(
    "--against",
    type=click.Choice(["random"]),
    default="random",
    show_default=True,
    help="What to hold it against: random draws of the same size from the same pool.",
)
@click.option(
    "--model",
    metavar="ID",
    help="Also look through this float model: ranges covered, values clipped, Gram matrices; see:"
    " calibkit list models.",
)
@click.option(
    "--draws",
    metavar="N",
    type=click.IntRange(20, 100_000),
    default=200,
    show_default=True,
    help="How many random draws.",
)
@click.option(
    "--pool",
    type=click.Choice(["train", "valid", "test"]),
    help="The split to draw from. [default: the one that the subset was asked from]",
)
@click.option(
    "--share",
    metavar="X",
    type=click.FloatRange(0, 1, min_open=True),
    help="The share of the corpus to draw from. [default: the one it was asked from]",
)
@data_options
@pass_session
def profile(
    session: Session,
    *,
    subset: str,
    against: str,
    model: str | None,
    draws: int,
    pool: str | None,
    share: float | None,
    output: Output,
) -> None:
    """Show how good SUBSET is, before quantizing.

    Prints its coverage card: each metric stands beside the 5th to 95th percentile of random draws
    of the same size from the same pool, so that what is unusual is visible; a line of words sums it
    up. SUBSET is an id or how it begins. The card is kept in the store: see the views
    coverage_cards and card_vs_drop.

    \b
    Examples:
      calibkit profile s1-3f
      calibkit profile s1-3f --model m1-9c41
      calibkit profile s1-3f --draws 1000 --json
    """
    from calibkit.curate.card_requests import profile_subset
    from calibkit.store.presence import in_use

    with in_use(session.store):
        found, card = profile_subset(
            session.store, subset, model=model, draws=draws, pool=pool, share=share, tell=note
        )
    if output.is_for_people:
        caption = _caption(found, card)
        output.table(Table.of(_for_people(card)), below=f"\n{card.words}\n{caption}")
    else:
        output.table(Table.of(_in_full(card)))
        note(card.words)


def _in_full(card: Card) -> list[dict[str, Any]]:
    """Return every line of a card, for machines."""
    shared = {"subset_id": card.subset_id, "pool": card.pool, "share": card.share}
    shared |= {"model_id": card.model_id or None, "draws": card.draws}
    return [shared | asdict(line) for line in card.lines]


def _for_people(card: Card) -> list[dict[str, Any]]:
    """Return the lines that people want to see: of single sites, those outside of their range."""
    return [
        _shown(line) for line in card.lines if not line.site or line.verdict not in (None, "inside")
    ]


def _shown(line: Line) -> dict[str, Any]:
    from calibkit.policies.card import BY_NAME

    about = COUNTS[line.metric] if line.metric in COUNTS else BY_NAME[line.metric].about
    verdict = line.verdict
    if line.is_bad:
        verdict = f"{verdict}, bad" if verdict else "bad"
    span = None
    if line.low is not None and line.high is not None:
        span = Figure(f"{_number(line.low)} - {_number(line.high)}")
    return {
        "metric": f"  at {line.site}" if line.site else about,
        "value": None if line.value is None else Figure(_number(line.value)),
        "random 5-95 %": span,
        "verdict": verdict if not line.reason else f"{verdict or 'no verdict'}: {line.reason}",
    }


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 10 or 0 < abs(value) < 1e-3:
        return f"{value:.4g}" if abs(value) >= 10 else f"{value:.2g}"
    return f"{value:.4f}".rstrip("0").rstrip(".")


def _caption(found: StoredSubset, card: Card) -> str:
    share = f", share {card.share:g}" if card.share < 1 else ""
    under = f"; seen through {card.model_id}" if card.model_id else ""
    return (
        f"{card.subset_id}: {found.size:,} documents; random = {card.draws:,} draws of as many from"
        f" {card.pool} of {found.corpus.name}{share}{under}\n"
        "bad = outside on the side that stands for the pool less well (what it costs: view"
        " card_vs_drop); a tenth of the metrics are outside by chance\n"
    )
