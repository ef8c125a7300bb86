"""The table under the answers: what to take in each setting, how sure that is, what it keeps."""

from __future__ import annotations

from collections.abc import Sequence

from calibkit.report.answers.which import leading_of
from calibkit.report.comparisons import Comparison, Standing
from calibkit.report.conditions import Condition
from calibkit.report.elements import Cell, Column, chip, name, table
from calibkit.report.html import Child, Markup, tag
from calibkit.report.study import Study
from calibkit.report.wording import NOTHING, percent, points, span, with_half


def decisions(study: Study) -> Markup | None:
    """Return one row per setting; None where nothing can be compared."""
    if study.reference is None or not study.comparisons:
        return None
    columns = [
        Column("setting", is_whole=True), Column("take"), Column("keeps, %", is_number=True),
        Column("float, %", is_number=True), Column(f"gain over {study.reference}", is_number=True),
        Column("95 % interval", is_number=True), Column("verdict"),
        Column("draws", is_number=True), Column("network"),
    ]  # fmt: skip
    rows = [_row(study, condition) for condition in study.conditions]
    said = (
        f"Per setting: the policy that is better than {study.reference}, or ahead of it by half a"
        f" point or more; {study.reference} where none is. Gains are in points. The first of many"
        " looks better than it is: on fresh draws a lead shrinks."
    )
    return table(said, columns, rows, study.sql("cells"))


def _row(study: Study, condition: Condition) -> list[Child | Cell]:
    assert study.reference is not None
    group = study.of(condition)
    leading = leading_of(group)
    taken = leading[0].policy if leading else study.reference
    row = study.accuracies().get((condition, taken))
    float_accuracy = study.float_accuracy(condition.model)
    gain = leading[0].gain if leading else None
    dead = condition in study.collapsed
    keeps = with_half(row["accuracy"], row["ci_low"], row["ci_high"]) if row else NOTHING
    return [
        study.naming.whole(condition),
        Cell(name(taken), taken),
        Cell(keeps, row["accuracy"] if row else None),
        Cell(percent(float_accuracy), float_accuracy),
        Cell(points(gain.gain) if gain else NOTHING, gain.gain if gain else None),
        Cell(span(gain.low, gain.high) if gain else NOTHING, gain.low if gain else None),
        _verdict(group, leading),
        gain.draws if gain else row["draws"] if row else NOTHING,
        Cell(tag("span", "no longer works", class_="chip worse"), "0") if dead else "works",
    ]


def _verdict(group: Sequence[Comparison], leading: Sequence[Comparison]) -> Cell:
    if leading:
        return Cell(chip(leading[0].standing), leading[0].standing)
    standings: set[Standing] = {one.standing for one in group}
    if not standings:
        return Cell("nothing to compare")
    if standings == {"same"}:
        return Cell(tag("span", "= all the same", class_="chip same"), "same")
    if standings == {"unknown"}:
        return Cell(chip("unknown"), "unknown")
    return Cell(tag("span", "? no lead", class_="chip open"), "open")
