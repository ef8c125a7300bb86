"""The claims that the recipe declares, and their verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibkit.recipe.claims import MEASURES
from calibkit.report.elements import Cell, Column, nothing, section, table
from calibkit.report.html import Child, Markup, join, tag
from calibkit.report.study import Study
from calibkit.report.wording import NOTHING, count, fixed

if TYPE_CHECKING:
    from calibkit.decide.verdicts import Judged

_LOOK = {"supported": "better", "contradicted": "worse", "undecided": "open"}


def claims(study: Study) -> Markup:
    """Return the section on declared claims."""
    title = "Claims and verdicts"
    if not study.claims:
        return section(
            "claims",
            title,
            nothing(
                "The recipe declares no claims, so nothing here was predicted: what stands out"
                " was found by looking, and wants a study of its own."
            ),
        )
    lede = (
        "Declared in the recipe. A verdict holds where the whole interval does, after Holm's"
        " correction within the family of the claim."
    )
    columns = [
        Column("claim"), Column("says"), Column("verdict"), Column("difference", is_number=True),
        Column("95 % interval", is_number=True), Column("pairs", is_number=True),
        Column("p, corrected", is_number=True), Column("would decide"), Column("family"),
    ]  # fmt: skip
    rows = [_row(one) for one in study.claims]
    note = (
        "Differences are in points for fractions and in nats for nll. `calibkit claims` prints the"
        " same table."
    )
    shown = table("Declared claims", columns, rows)
    return section("claims", title, shown, tag("p", note, class_="lede"), lede=lede)


def _row(one: Judged) -> list[Child | Cell]:
    claim, gain = one.claim, one.gain
    scale = MEASURES[claim.measure].scale
    has_interval = gain is not None and gain.low is not None and gain.high is not None
    interval = NOTHING
    if gain is not None and gain.low is not None and gain.high is not None:
        interval = f"[{fixed(scale * gain.low, 2)}, {fixed(scale * gain.high, 2)}]"
    mark = tag("span", one.verdict, class_=f"chip {_LOOK[one.verdict]}")
    flags = tag("small", f" {one.evidence.flags}") if one.evidence.flags else None
    return [
        Cell(tag("code", claim.id), claim.id),
        tag("div", claim.says, class_="wide"),
        Cell(join(mark, flags), one.verdict),
        Cell(NOTHING, None) if gain is None else Cell(fixed(scale * gain.gain, 2), gain.gain),
        Cell(interval, gain.low if gain is not None and has_interval else None),
        Cell(f"{len(one.evidence.pairs):,} of {one.evidence.planned:,}",
             float(len(one.evidence.pairs))),
        Cell(NOTHING if one.p is None else fixed(one.p_adjusted, 3).replace("0.", ".", 1),
             None if one.p is None else one.p_adjusted),
        _more(one),
        claim.family,
    ]  # fmt: skip


def _more(one: Judged) -> str:
    if one.verdict != "undecided":
        return NOTHING
    wanted = [
        count(number, what)
        for number, what in ((one.more.draws, "draw"), (one.more.models, "float model"))
        if number is not None
    ]
    return " or ".join(wanted) or "no number of draws in sight"
