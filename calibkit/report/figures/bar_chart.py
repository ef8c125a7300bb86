"""Bars: one amount per row, written beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from calibkit.report.figures.colours import FG, MUTED, SERIES
from calibkit.report.figures.figure import Figure, finished
from calibkit.report.figures.layout import Labels, axis_name, empty_sheet, heading, placed, ruled
from calibkit.report.figures.sheet import SMALL, Sheet, drawing, width_of
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

_ROW = 22.0


def bars(
    rows: Sequence[Mapping[str, Any]],
    *,
    label: str,
    value: str,
    title: str,
    low: str | None = None,
    high: str | None = None,
    panel: str | None = None,
    unit: Unit = "percent",
    value_name: str | None = None,
    caption: str = "",
    sql: str = "",
    name: str | None = None,
) -> Figure:
    """Return level bars from zero to ``value`` per ``label``, with whiskers from low to high.

    panel: a plot for each of its values, all on one scale. NULL is a dash. Raises MissingExtra
    without matplotlib.
    """
    what = clean(value_name or value.replace("_", " "))
    if not rows:
        return finished(
            empty_sheet("Nothing to show: no rows."), "bars", title=title, caption=caption,
            alt=f"Bars of {what}: no rows.", sql=sql, name=name,
        )  # fmt: skip
    panels, names = in_order(rows, panel), in_order(rows, label)
    amounts = {
        (row[panel] if panel else None, row[label]): tuple(
            scaled(row[c], unit) if c else math.nan for c in (value, low, high)
        )
        for row in rows
    }
    known = [v for amount in amounts.values() for v in amount if math.isfinite(v)]
    decimals = decimals_for([amount[0] for amount in amounts.values()], unit)
    signed: Unit = unit if any(v < 0 for v in known) else _without_sign(unit)
    least, most = min([*known, 0.0]), max([*known, 0.0])
    span = (most - least) or 1.0
    with drawing():
        labels = Labels.of(names)
        room = max(width_of(written(a[0], decimals, signed), SMALL) for a in amounts.values()) + 10
        places = placed(
            len(panels), height=_ROW * len(names), labels=labels.width, above=30 if panel else 8
        )
        sheet = Sheet(places.sheet_width, places.sheet_height)
        for top in sorted(set(places.tops)):
            labels.write(sheet, top, _ROW)
        for p, left, top in zip(panels, places.lefts, places.tops, strict=True):
            heading(sheet, left, top, p, places.width)
            axes = sheet.axes(left, top, places.width - room, places.height)
            ends = least - (0.02 * span if least < 0 else 0), most + 0.02 * span
            axes.set(xlim=ends, ylim=(len(names) - 0.5, -0.5), yticks=[])
            axes.spines["left"].set_visible(False)
            ruled(axes.xaxis, ends, signed)
            axes.grid(axis="x")
            axes.axvline(0, color=MUTED, linewidth=1.0)
            axes.set_xlabel(axis_name(what, unit, places.width - room + 24))
            for row, n in enumerate(names):
                if (p, n) not in amounts:
                    continue
                number, start, end = amounts[p, n]
                if math.isfinite(number):
                    axes.barh(row, number, 0.68, color=SERIES[0 if number >= 0 else 1], linewidth=0)
                if math.isfinite(start) and math.isfinite(end):
                    axes.plot([start, end], [row, row], color=FG, linewidth=1.5, marker="|",
                              markersize=6)  # fmt: skip
                sheet.text(left + places.width, top + (row + 0.5) * _ROW,
                           written(number, decimals, signed), ha="right", size=SMALL)  # fmt: skip
    return finished(
        sheet, "bars", title=title, caption=caption, sql=sql, name=name,
        alt=_alt(what, amounts, panel, (unit, signed), decimals),
    )  # fmt: skip


def _without_sign(unit: Unit) -> Unit:
    return "percent" if unit == "points" else unit


def _alt(
    what: str,
    amounts: Mapping[tuple[Any, Any], tuple[float, ...]],
    panel: str | None,
    units: tuple[Unit, Unit],
    decimals: int,
) -> str:
    unit, signed = units
    text = f"Bars of {what}{f' ({UNITS[unit]})' if UNITS[unit] else ''}"
    parts = []
    for p in dict.fromkeys(key[0] for key in amounts):
        mine = [(label_of(n), amount[0]) for (q, n), amount in amounts.items() if q == p]
        said = [f"{n} {written(number, decimals, signed)}" for n, number in mine]
        parts.append((f"{label_of(p)}: " if panel else "") + listed(said, 12))
    return f"{text}. {'. '.join(parts)}."
