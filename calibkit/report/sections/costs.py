"""What it costs: accuracy lost by setting, and the time of each stage."""

from __future__ import annotations

from typing import Any

from calibkit.report.answers.cost import losses
from calibkit.report.elements import Cell, Column, figure, nothing, section, table
from calibkit.report.figures import bars
from calibkit.report.html import Child, Markup
from calibkit.report.study import Study
from calibkit.report.wording import NOTHING, duration, fixed, points, span


def costs(study: Study) -> Markup:
    """Return the section on costs."""
    title = "What it costs"
    if not study.conditions:
        return section("cost", title, nothing("Nothing is measured yet."))
    usual = study.reference or study.policies[0]
    lede = (
        f"Accuracy of {usual} minus that of the float model, in points, with 95 % intervals over"
        " draws; and where the time went, for one cell on one core."
    )
    return section("cost", title, *_figure(study, usual), _table(study, usual), lede=lede)


def _figure(study: Study, usual: str) -> list[Markup]:
    lost = losses(study)
    if not lost:
        return []
    rows = [
        {
            "setting": study.naming(condition),
            "model": condition.model,
            "change": gain.gain,
            "low": gain.low,
            "high": gain.high,
        }
        for condition, gain in lost.items()
    ]
    return [
        figure(
            bars(
                rows, label="setting", value="change", low="low", high="high", panel="model",
                title=f"Accuracy against the float model, with {usual}", unit="points",
                value_name="change of accuracy", sql=study.sql("cells"),
            )
        )
    ]  # fmt: skip


def _table(study: Study, usual: str) -> Markup:
    lost = losses(study)
    cost = {_key(row): row for row in study.rows("cost")}
    columns = [
        Column("setting", is_whole=True), Column(f"change with {usual}", is_number=True),
        Column("95 % interval", is_number=True), Column("cells", is_number=True),
        Column("calibrate", is_number=True), Column("round", is_number=True),
        Column("evaluate", is_number=True), Column("whole cell", is_number=True),
        Column("all cells", is_number=True), Column("peak memory, MB", is_number=True),
    ]  # fmt: skip
    rows: list[list[Child | Cell]] = []
    for condition in study.conditions:
        row = cost.get((condition.model, condition.size, condition.scheme_id), {})
        gain = lost.get(condition)
        rows.append(
            [
                study.naming.whole(condition),
                Cell(points(gain.gain), gain.gain) if gain else NOTHING,
                Cell(span(gain.low, gain.high), gain.low) if gain else NOTHING,
                row.get("cells", 0),
                *(_time(row.get(stage)) for stage in ("calibrate", "rounding", "evaluate", "cell")),
                _time(row.get("seconds")),
                Cell(fixed(row.get("peak_mb"), 0), row.get("peak_mb")),
            ]
        )
    return table(
        "Change of accuracy in points, and mean times per distinct cell; cells that reuse the work"
        " of others are quicker",
        columns, rows, study.sql("cost"),
    )  # fmt: skip


def _key(row: Any) -> tuple[str, int, str]:
    return row["model"], row["size"], row["scheme_id"]


def _time(seconds: float | None) -> Cell:
    return Cell(duration(seconds), seconds)
