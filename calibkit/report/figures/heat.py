"""Heat map: one number per row and column, with the number in the cell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from calibkit.report.figures.colours import GRID, HEAT, MUTED, SIDES, text_on
from calibkit.report.figures.figure import Figure, finished
from calibkit.report.figures.layout import Labels, empty_sheet, heading, placed
from calibkit.report.figures.sheet import SMALL, Sheet, drawing, width_of
from calibkit.report.figures.words import (
    MISSING,
    UNITS,
    Unit,
    clean,
    decimals_for,
    in_order,
    label_of,
    listed,
    scaled,
    shortened,
    wrapped,
    written,
)

_ROW = 24.0
_STRIP = 46.0
_MOST_LEVEL = 12


def heat_map(
    rows: Sequence[Mapping[str, Any]],
    *,
    x: str,
    y: str,
    value: str,
    title: str,
    low: str | None = None,
    high: str | None = None,
    panel: str | None = None,
    unit: Unit = "percent",
    value_name: str | None = None,
    x_name: str | None = None,
    y_name: str | None = None,
    caption: str = "",
    sql: str = "",
    name: str | None = None,
) -> Figure:
    """Return a heat map of ``value`` by the columns ``y`` (down) and ``x`` (across).

    rows: mappings, drawn in the order in which their names first occur. low, high: an interval's
    ends; half of its width stands in the cell behind the number. panel: a map for each of its
    values, all on one scale. Differences (unit ``points``), and numbers of which some are negative,
    are coloured around zero. value_name: what the numbers are; x_name, y_name: what the columns and
    rows are, in words. More than twelve columns have their names on end. NULL and NaN are empty
    cells. Raises MissingExtra without matplotlib.
    """
    what = clean(value_name or value.replace("_", " "))
    if not rows:
        return finished(
            empty_sheet("Nothing to show: no rows."), "heat-map", title=title, caption=caption,
            alt=f"Heat map of {what}: no rows.", sql=sql, name=name,
        )  # fmt: skip
    panels, ys = in_order(rows, panel), in_order(rows, y)
    cells = {
        (row[panel] if panel else None, row[y], row[x]): (
            scaled(row[value], unit),
            scaled(row[high], unit) - scaled(row[low], unit) if low and high else math.nan,
        )
        for row in rows
    }
    values = [number for number, _ in cells.values()]
    colour_of, ends = _scale(values, unit)
    decimals = decimals_for(values, unit)
    columns = {
        p: [v for v in in_order(rows, x) if any((p, w, v) in cells for w in ys)] for p in panels
    }
    most = max(map(len, columns.values()))

    def words(number: float, width: float) -> tuple[str, str]:
        half = f"±{written(width / 2, decimals)}" if math.isfinite(width) else ""
        return written(number, decimals, unit), half if math.isfinite(number) else ""

    with drawing():
        labels = Labels.of(ys, 46)
        said = [words(*cell) for cell in cells.values()]
        halves = max((width_of(half, 10) + 4 for _, half in said if half), default=0.0)
        cell_width = max(width_of(number) for number, _ in said) + halves + 18
        heads = {v: _head(v, most) for p in panels for v in columns[p]}
        if most > _MOST_LEVEL:
            cell_width = max(cell_width, 30)
            tall = max(width_of(h, SMALL) for h in heads.values()) + 14
        else:
            cell_width = max(cell_width, 48, *(width_of(h, SMALL) + 10 for h in heads.values()))
            tall = 16.0 * max(h.count("\n") + 1 for h in heads.values()) + 6
        width = most * cell_width
        across = max(1, int((900 - labels.width) // (width + 22)))
        places = placed(
            len(panels), height=_ROW * len(ys), labels=labels.width, across=across, width=width,
            above=tall + (26 if panel else 4), below=14, legend=_STRIP,
        )  # fmt: skip
        sheet = Sheet(max(places.sheet_width, labels.width + 320), places.sheet_height)
        axes = sheet.axes(0, 0, sheet.width, sheet.height)
        axes.set(xlim=(0, sheet.width), ylim=(sheet.height, 0))
        axes.axis("off")
        for top in sorted(set(places.tops)):
            labels.write(sheet, top, _ROW)
        for p, left, top in zip(panels, places.lefts, places.tops, strict=True):
            if panel:
                heading(sheet, left, top - tall, p, width)
            for number, v in enumerate(columns[p]):
                middle = left + (number + 0.5) * cell_width
                sheet.text(middle, top - 5, heads[v], ha="center", va="bottom", size=SMALL,
                           color=MUTED, linespacing=1.15,
                           rotation=90 if most > _MOST_LEVEL else 0)  # fmt: skip
                for down, w in enumerate(ys):
                    cell = cells.get((p, w, v), (math.nan, math.nan))
                    _draw(axes, left + number * cell_width, top + down * _ROW, cell_width,
                          colour_of(cell[0]), *words(*cell))  # fmt: skip
        _strip(axes, labels.width, places.sheet_height - _STRIP + 8, unit, ends, decimals, what)
    return finished(
        sheet, "heat-map", title=title, caption=caption, sql=sql, name=name,
        alt=_alt(what, unit, cells, (y_name or y, x_name or x, panel), decimals),
    )  # fmt: skip


def _head(value: Any, columns: int) -> str:
    """Return a column's name: in lines, or on one line to be set on end."""
    text = label_of(value)
    return shortened(text, 46) if columns > _MOST_LEVEL else wrapped(text)


def _scale(values: Sequence[float], unit: Unit) -> tuple[Any, tuple[float, float, Sequence[str]]]:
    """Return number -> colour (None for none), and the ends of the scale with its colours."""
    finite = [v for v in values if math.isfinite(v)]
    least, most = min(finite, default=0.0), max(finite, default=0.0)
    has_sides = unit == "points" or least < 0
    colours: Sequence[str] = SIDES if has_sides else HEAT
    if has_sides:
        most = max(abs(least), abs(most))
        least = -most

    def colour_of(number: float) -> str | None:
        if not math.isfinite(number):
            return None
        if most <= least:
            return colours[len(colours) // 2]
        place = (number - least) / (most - least) * len(colours)
        return colours[min(int(place), len(colours) - 1)]

    return colour_of, (least, most, colours)


def _draw(
    axes: Any, left: float, top: float, width: float, colour: str | None, number: str, half: str
) -> None:
    from matplotlib.patches import Rectangle

    place, size = (left + 1, top + 1), (width - 2, _ROW - 2)
    middle = top + _ROW / 2
    if colour is None:
        axes.add_patch(
            Rectangle(place, *size, facecolor="none", edgecolor=GRID, linewidth=0.8, clip_on=False)
        )
        axes.text(left + width / 2, middle, MISSING, ha="center", va="center", color=MUTED)
        return
    axes.add_patch(Rectangle(place, *size, facecolor=colour, linewidth=0, clip_on=False))
    style = {"va": "center", "color": text_on(colour)}
    if not half:
        axes.text(left + width / 2, middle, number, ha="center", **style)
        return
    cut = left + 8 + width_of(number) + (width - 20 - width_of(number) - width_of(half, 10)) / 2
    axes.text(cut, middle, number, ha="right", **style)
    axes.text(cut + 4, middle, half, ha="left", size=10, **style)


def _strip(
    axes: Any,
    left: float,
    top: float,
    unit: Unit,
    ends: tuple[float, float, Sequence[str]],
    decimals: int,
    what: str,
) -> None:
    from matplotlib.patches import Rectangle

    least, most, colours = ends
    if most > least:
        first = written(least, decimals, unit)
        axes.text(left, top + 7, first, size=SMALL, color=MUTED, va="center")
        x = left + width_of(first, SMALL) + 8
        for number, colour in enumerate(colours):
            place = (x + 16 * number, top)
            axes.add_patch(Rectangle(place, 16, 14, facecolor=colour, linewidth=0, clip_on=False))
        x += 16 * len(colours) + 8
        said = f"{written(most, decimals, unit)}   {what}"
    else:
        x, said = left, what
    said += f" ({UNITS[unit]})" if UNITS[unit] else ""
    axes.text(x, top + 7, said, size=SMALL, color=MUTED, va="center")


def _alt(
    what: str,
    unit: Unit,
    cells: Mapping[tuple[Any, Any, Any], tuple[float, float]],
    columns: tuple[str, str, str | None],
    decimals: int,
) -> str:
    y, x, panel = columns
    finite = {key: number for key, (number, _) in cells.items() if math.isfinite(number)}
    ys, xs = (list(dict.fromkeys(key[place] for key in cells)) for place in (1, 2))
    text = f"Heat map of {what}{f' ({UNITS[unit]})' if UNITS[unit] else ''}: {len(ys)} values of"
    text += f" {y.replace('_', ' ')} by {x.replace('_', ' ')} {listed([label_of(v) for v in xs])}"
    panels = list(dict.fromkeys(key[0] for key in cells))
    if panel:
        text += f", for {listed([label_of(p) for p in panels])}"
    if not finite:
        return f"{text}. No cell has a number."
    for word, pick in (("Highest", max), ("lowest", min)):
        key = pick(finite, key=lambda k: finite[k])
        where = [label_of(part) for part, name in zip(key, (panel, y, x), strict=True) if name]
        text += f"{'.' if word == 'Highest' else ','} {word}"
        text += f" {written(finite[key], decimals, unit)} ({', '.join(where)})"
    return f"{text}. {len(cells) - len(finite)} without a number."
