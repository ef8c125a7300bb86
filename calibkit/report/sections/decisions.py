"""The table under the answers: what to take in each setting, how sure that is, what it keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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
        Column("setting", is_whole=True), Column("take"), Column("verdict"),
        Column(f"gain over {study.reference}", is_number=True), Column("keeps, %", is_number=True),
        Column("float, %", is_number=True), Column("draws", is_number=True),
    ]  # fmt: skip
    rows = [_row(study, condition) for condition in study.conditions]
    said = (
        f"Per setting: the policy that is better than {study.reference}, or ahead of it by half a"
        f" point or more; {study.reference} where none is. Gains are in points, with 95 %"
        " intervals. The first of many looks better than it is: expect less of it on fresh draws."
    )
    return table(said, columns, rows, study.sql("cells"))


def _row(study: Study, condition: Condition) -> list[Child | Cell]:
    assert study.reference is not None
    group = study.of(condition)
    leading = leading_of(group)
    taken = leading[0].policy if leading else study.reference
    if (condition, taken) in study.dead:
        return _collapsed(study, condition)
    row = study.accuracies().get((condition, taken))
    float_accuracy = study.float_accuracy(condition.model)
    gain = leading[0].gain if leading else None
    return [
        study.naming.whole(condition),
        Cell(name(taken), taken),
        _verdict(group, leading),
        Cell(f"{points(gain.gain)} {span(gain.low, gain.high)}", gain.gain)
        if gain
        else Cell(NOTHING),
        _kept(row),
        Cell(percent(float_accuracy), float_accuracy),
        gain.draws if gain else row["draws"] if row else NOTHING,
    ]


def _collapsed(study: Study, condition: Condition) -> list[Child | Cell]:
    float_accuracy = study.float_accuracy(condition.model)
    row = study.accuracies().get((condition, study.reference or ""))
    mark = tag("span", "network no longer works", class_="chip worse")
    return [
        study.naming.whole(condition), Cell("none", ""), Cell(mark, "collapsed"), NOTHING,
        _kept(row), Cell(percent(float_accuracy), float_accuracy),
        row["draws"] if row else NOTHING,
    ]  # fmt: skip


def _kept(row: Mapping[str, Any] | None) -> Cell:
    if row is None:
        return Cell(NOTHING)
    return Cell(with_half(row["accuracy"], row["ci_low"], row["ci_high"]), row["accuracy"])


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
