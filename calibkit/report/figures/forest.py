"""Forest plot: a point with its interval per row, zero marked, and the noise floor as a band."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from calibkit.report.figures.colours import BACKGROUND, BAND, FG, MUTED, SERIES
from calibkit.report.figures.figure import Figure, finished
from calibkit.report.figures.layout import (
    Key,
    Labels,
    axis_name,
    empty_sheet,
    guides,
    heading,
    legend,
    legend_height,
    placed,
    ruled,
)
from calibkit.report.figures.sheet import Sheet, drawing, width_of
from calibkit.report.figures.words import (
    UNITS,
    Unit,
    clean,
    decimals_for,
    in_order,
    label_of,
    listed,
    number_of,
    scaled,
    written,
)

_ROW = 19.0
_NUMBERS = 10.0


_MARKS: Mapping[str, tuple[str, str, bool]] = {
    "better": (SERIES[0], "o", True),
    "worse": (SERIES[1], "D", True),
    "same": (SERIES[2], "s", True),
    "undecided": (MUTED, "o", False),
}
"""Verdict -> colour, mark, and whether it is filled."""


class Point(NamedTuple):
    """One row as drawn: in percent or points."""

    value: float
    low: float
    high: float
    verdict: str

    @classmethod
    def of(cls, value: float, low: float, high: float, verdict: str | None) -> Point:
        """Return a point; without a verdict its interval says better, worse or undecided."""
        if verdict is None:
            verdict = "better" if low > 0 else "worse" if high < 0 else "undecided"
        return cls(value, low, high, verdict)


def intervals(
    rows: Sequence[Mapping[str, Any]],
    *,
    label: str,
    value: str,
    low: str,
    high: str,
    title: str,
    floor: str | float | None = None,
    verdict: str | None = None,
    panel: str | None = None,
    unit: Unit = "points",
    value_name: str | None = None,
    better: str = "better",
    worse: str = "worse",
    caption: str = "",
    sql: str = "",
    name: str | None = None,
) -> Figure:
    """Return a forest plot: ``value`` with its interval from ``low`` to ``high`` per ``label``.

    floor: half the width of the noise band around zero, a number or a column of which the largest
    in a panel counts; in the unit of the values. verdict: a column with better, worse, same or
    undecided, which decides on marks; without it, intervals above zero are better. panel: a plot
    for each of its values, each on its own scale, with the rows of all in the order of the first.
    better, worse: what intervals above and below zero mean. Intervals that leave the plot end in
    an arrow; NULL ends mean no interval.
    Raises MissingExtra without matplotlib.
    """
    what = clean(value_name or value.replace("_", " "))
    if not rows:
        return finished(
            empty_sheet("Nothing to show: no rows."), "intervals", title=title, caption=caption,
            alt=f"Forest plot of {what}: no rows.", sql=sql, name=name,
        )  # fmt: skip
    panels, names = in_order(rows, panel), in_order(rows, label)
    points = {
        (row[panel] if panel else None, row[label]): Point.of(
            scaled(row[value], unit),
            scaled(row[low], unit),
            scaled(row[high], unit),
            None if verdict is None else str(row[verdict]),
        )
        for row in rows
    }
    floors = {p: _floor([row for row in rows if not panel or row[panel] == p], floor, unit)
              for p in panels}  # fmt: skip
    keys = [
        Key(text, *_MARKS[word])
        for word, text in _meanings(better, worse, by_verdict=verdict is not None)
    ]
    if any(math.isfinite(f) for f in floors.values()):
        keys.append(Key("noise floor", BAND, band=True))
    with drawing():
        labels = Labels.of(names)
        decimals = {
            p: decimals_for([point.value for key, point in points.items() if key[0] == p], unit)
            for p in panels
        }
        said = {key: _said(point, decimals[key[0]], unit) for key, point in points.items()}
        numbers = max(width_of(text, _NUMBERS) for text in said.values()) + 8
        places = placed(
            len(panels), height=_ROW * len(names), labels=labels.width,
            above=30 if panel else 8, legend=legend_height(keys, 740),
        )  # fmt: skip
        sheet = Sheet(places.sheet_width, places.sheet_height)
        for top in sorted(set(places.tops)):
            labels.write(sheet, top, _ROW)
        for p, left, top in zip(panels, places.lefts, places.tops, strict=True):
            heading(sheet, left, top, p, places.width)
            axes = sheet.axes(left, top, places.width - numbers, places.height)
            mine = [points.get((p, n)) for n in names]
            _panel(axes, mine, floors[p], unit)
            axes.set_xlabel(axis_name(what, unit, places.width - numbers + 24))
            for row, n in enumerate(names):
                if (p, n) in said:
                    y = top + (row + 0.5) * _ROW
                    colour = MUTED if points[p, n].verdict == "undecided" else FG
                    sheet.text(left + places.width, y, said[p, n], ha="right", size=_NUMBERS,
                               color=colour)  # fmt: skip
        legend(sheet, keys, places.sheet_height - legend_height(keys, 740))
    return finished(
        sheet, "intervals", title=title, caption=caption, sql=sql, name=name,
        alt=_alt(what, points, panel, floors, unit, (better, worse), decimals),
    )  # fmt: skip


def _meanings(better: str, worse: str, *, by_verdict: bool) -> list[tuple[str, str]]:
    """Return each verdict that may occur with its meaning."""
    if by_verdict:
        return [("better", better), ("worse", worse), ("same", "the same within the margin"),
                ("undecided", "undecided")]  # fmt: skip
    return [("better", f"interval above 0: {better}"), ("worse", f"below 0: {worse}"),
            ("undecided", "holds 0")]  # fmt: skip


def _floor(rows: Sequence[Mapping[str, Any]], floor: str | float | None, unit: Unit) -> float:
    if floor is None:
        return math.nan
    found = [abs(scaled(row[floor] if isinstance(floor, str) else floor, unit)) for row in rows]
    return max((f for f in found if math.isfinite(f)), default=math.nan)


def _said(point: Point, decimals: int, unit: Unit) -> str:
    text = written(point.value, decimals, unit)
    if not (math.isfinite(point.low) and math.isfinite(point.high)):
        return text
    low, high = (written(end, decimals, unit) for end in (point.low, point.high))
    return f"{text} [{low}, {high}]"


def limits(points: Sequence[Point], floor: float) -> tuple[float, float]:
    """Return the ends of the axis: every point and zero are inside, a few long intervals may not.

    Where there are eight intervals and more, the longest tenth does not stretch the axis.
    """
    ends = sorted(e for p in points for e in (p.low, p.high) if math.isfinite(e))
    if len(ends) >= 16:
        cut = len(ends) // 20
        ends = ends[cut : len(ends) - cut]
    inside = [p.value for p in points if math.isfinite(p.value)] + ends + [0.0]
    if math.isfinite(floor):
        inside += [-floor, floor]
    least, most = min(inside), max(inside)
    margin = 0.06 * (most - least) or 0.5
    return least - margin, most + margin


def _panel(axes: Any, points: Sequence[Point | None], floor: float, unit: Unit) -> None:
    shown = [p for p in points if p is not None]
    least, most = limits(shown, floor)
    axes.set(xlim=(least, most), ylim=(len(points) - 0.5, -0.5), yticks=[])
    axes.spines["left"].set_visible(False)
    guides(axes, len(points))
    if math.isfinite(floor):
        axes.axvspan(-floor, floor, color=BAND, alpha=0.45, linewidth=0, zorder=0.5)
    axes.axvline(0, color=MUTED, linewidth=1.0, zorder=1)
    ruled(axes.xaxis, (least, most), unit)
    for row, point in enumerate(points):
        if point is not None:
            _mark(axes, row, point, (least, most))


def _mark(axes: Any, row: int, point: Point, ends: tuple[float, float]) -> None:
    least, most = ends
    colour, marker, is_filled = _MARKS.get(point.verdict, _MARKS["undecided"])
    if math.isfinite(point.low) and math.isfinite(point.high):
        low, high = max(point.low, least), min(point.high, most)
        axes.plot([low, high], [row, row], color=colour, linewidth=2, solid_capstyle="round")
        for end, edge, arrow in ((point.low, least, "<"), (point.high, most, ">")):
            if (end < least) if arrow == "<" else (end > most):
                axes.plot([edge], [row], arrow, color=colour, markersize=5, clip_on=False)
    if math.isfinite(point.value):
        axes.plot(
            [point.value], [row], marker, color=colour, markersize=6.0 if marker == "o" else 5.2,
            markeredgewidth=1.4, markerfacecolor=colour if is_filled else BACKGROUND, zorder=3,
        )  # fmt: skip


def _alt(
    what: str,
    points: Mapping[tuple[Any, Any], Point],
    panel: str | None,
    floors: Mapping[Any, float],
    unit: Unit,
    words: tuple[str, str],
    decimals: Mapping[Any, int],
) -> str:
    suffix = f" ({UNITS[unit]})" if UNITS[unit] else ""
    parts = [f"Forest plot of {what}{suffix} with intervals"]
    for p in dict.fromkeys(key[0] for key in points):
        mine = {key[1]: point for key, point in points.items() if key[0] == p}
        text = f"{label_of(p)}: " if panel else ""
        for side, word in zip(("better", "worse"), words, strict=True):
            names = [
                f"{label_of(n)} {written(point.value, decimals[p], unit)}"
                for n, point in mine.items()
                if point.verdict == side
            ]
            text += f"{len(names)} {word}" + (f" ({listed(names, 3)})" if names else "") + ", "
        if same := sum(point.verdict == "same" for point in mine.values()):
            text += f"{same} the same, "
        open_ = sum(point.verdict == "undecided" for point in mine.values())
        text += f"{open_} undecided of {len(mine)}"
        if math.isfinite(number_of(floors[p])):
            text += f", noise floor ±{written(floors[p], max(decimals[p], 1))}"
        parts.append(text)
    return ". ".join(parts) + "."
