"""Curves: a value over a level, one line each, with bands for intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from calibkit.report.figures.colours import MUTED, SERIES
from calibkit.report.figures.figure import Figure, finished
from calibkit.report.figures.layout import (
    Key,
    axis_name,
    empty_sheet,
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
    scaled,
    written,
)

MARKERS = ("o", "s", "D", "^", "v", "P", "X", "h")
DASHES: tuple[Any, ...] = ((1, 0), (5, 2), (2, 2), (6, 2, 1, 2))
_HEIGHT = 230.0


def style_of(number: int) -> tuple[str, str, Any]:
    """Return colour, marker and dash pattern of the ``number``-th line; all three tell it apart."""
    turn = number // len(SERIES)
    place = number % len(SERIES)
    return SERIES[place], MARKERS[(place + turn) % len(MARKERS)], DASHES[number % len(DASHES)]


def curves(
    rows: Sequence[Mapping[str, Any]],
    *,
    x: str,
    y: str,
    line: str,
    title: str,
    low: str | None = None,
    high: str | None = None,
    panel: str | None = None,
    unit: Unit = "percent",
    x_unit: Unit = "percent",
    x_name: str | None = None,
    y_name: str | None = None,
    caption: str = "",
    sql: str = "",
    name: str | None = None,
) -> Figure:
    """Return curves of ``y`` over ``x``, one for each value of ``line``, with bands low to high.

    rows: mappings; NULL breaks a line. panel: a plot for each of its values, all on one scale.
    Raises MissingExtra without matplotlib.
    """
    what, over = (clean(n or c.replace("_", " ")) for n, c in ((y_name, y), (x_name, x)))
    if not rows:
        return finished(
            empty_sheet("Nothing to show: no rows."), "curves", title=title, caption=caption,
            alt=f"Curves of {what} over {over}: no rows.", sql=sql, name=name,
        )  # fmt: skip
    panels, names = in_order(rows, panel), in_order(rows, line)
    lines = {
        (p, n): sorted(
            (
                scaled(row[x], x_unit),
                *(scaled(row[c], unit) if c else math.nan for c in (y, low, high)),
            )
            for row in rows
            if row[line] == n and (not panel or row[panel] == p)
        )
        for p in panels
        for n in names
    }
    every = [point for points in lines.values() for point in points]
    xs = [point[0] for point in every if math.isfinite(point[0])]
    ys = [v for point in every for v in point[1:] if math.isfinite(v)]
    keys = [Key(label_of(n), *style_of(k)[:2], dashes=style_of(k)[2]) for k, n in enumerate(names)]
    with drawing():
        ends = _ends(xs, 0.03), _ends(ys, 0.05)
        left = 18 + width_of(written(ends[1][1], 1)) + 16
        places = placed(
            len(panels), height=_HEIGHT, labels=left, legend=legend_height(keys, 740),
            above=30 if panel else 10,
        )  # fmt: skip
        sheet = Sheet(places.sheet_width, places.sheet_height)
        for number, (p, x0, y0) in enumerate(zip(panels, places.lefts, places.tops, strict=True)):
            heading(sheet, x0, y0, p, places.width)
            axes = sheet.axes(x0, y0, places.width, places.height)
            axes.set(xlim=ends[0], ylim=ends[1])
            ruled(axes.xaxis, ends[0], x_unit, 6)
            ruled(axes.yaxis, ends[1], unit, 6)
            axes.tick_params(axis="y", labelcolor=MUTED, labelsize=11)
            axes.grid(axis="y")
            axes.spines["left"].set_visible(False)
            axes.set_xlabel(axis_name(over, x_unit, places.width))
            if number % 2 == 0:
                axes.set_ylabel(axis_name(what, unit, places.height))
            else:
                axes.set_yticklabels([])
            for k, n in enumerate(names):
                _line(axes, lines[p, n], *style_of(k))
        legend(sheet, keys, places.sheet_height - legend_height(keys, 740))
    return finished(
        sheet, "curves", title=title, caption=caption, sql=sql, name=name,
        alt=_alt(what, over, lines, panel, unit, x_unit),
    )  # fmt: skip


def _with_unit(what: str, unit: Unit) -> str:
    return f"{what} ({UNITS[unit]})" if UNITS[unit] else what


def _ends(values: Sequence[float], share: float) -> tuple[float, float]:
    least, most = min(values, default=0.0), max(values, default=1.0)
    margin = share * (most - least) or 0.5
    return least - margin, most + margin


def _line(
    axes: Any, points: Sequence[tuple[float, ...]], colour: str, marker: str, dashes: Any
) -> None:
    xs, ys, lows, highs = (list(column) for column in zip(*points, strict=True)) if points else (
        [], [], [], []
    )  # fmt: skip
    if any(map(math.isfinite, lows)):
        axes.fill_between(xs, lows, highs, color=colour, alpha=0.16, linewidth=0)
    axes.plot(
        xs, ys, color=colour, marker=marker, markersize=5.5, dashes=dashes, markeredgecolor=colour,
        dash_capstyle="butt",
    )  # fmt: skip


def _alt(
    what: str,
    over: str,
    lines: Mapping[tuple[Any, Any], Sequence[tuple[float, ...]]],
    panel: str | None,
    unit: Unit,
    x_unit: Unit,
) -> str:
    parts = [f"Curves of {_with_unit(what, unit)} over {_with_unit(over, x_unit)}"]
    for p in dict.fromkeys(key[0] for key in lines):
        said = []
        for (q, n), points in lines.items():
            known = [point for point in points if math.isfinite(point[1])]
            if q == p and known:
                decimals = decimals_for([point[1] for point in known], unit)
                first, last = known[0], known[-1]
                said.append(
                    f"{label_of(n)} {written(first[1], decimals, unit)} at"
                    f" {written(first[0], 0)} to {written(last[1], decimals, unit)} at"
                    f" {written(last[0], 0)}"
                )
        parts.append((f"{label_of(p)}: " if panel else "") + (listed(said, 8) or "no numbers"))
    return ". ".join(parts) + "."
