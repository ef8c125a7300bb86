"""Shifts: how far each site's distribution moved, against what random draws do."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from calibkit.report.figures.colours import BAND
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
from calibkit.report.figures.lines import style_of
from calibkit.report.figures.sheet import Sheet, drawing
from calibkit.report.figures.words import (
    Unit,
    clean,
    decimals_for,
    in_order,
    label_of,
    scaled,
    written,
)

_ROW = 24.0


class _Shift(NamedTuple):
    value: float
    low: float
    high: float

    @property
    def is_outside(self) -> bool:
        slack = 1e-9 * max(abs(self.low), abs(self.high))  # a mean of equal numbers may be off
        return self.value > self.high + slack or self.value < self.low - slack


def shifts(
    rows: Sequence[Mapping[str, Any]],
    *,
    site: str,
    value: str,
    title: str,
    series: str | None = None,
    low: str | None = None,
    high: str | None = None,
    panel: str | None = None,
    unit: Unit = "number",
    value_name: str | None = None,
    envelope_name: str = "random draws, least to most",
    caption: str = "",
    sql: str = "",
    name: str | None = None,
) -> Figure:
    """Return a dot for ``value`` per ``site`` and ``series``, over bands from ``low`` to ``high``.

    The bands are the envelope of random draws of the same site and series: a dot outside of its
    own band is filled, one inside is hollow. panel: a plot for each of its values. Without low
    and high all dots are filled. Raises MissingExtra without matplotlib.
    """
    what = clean(value_name or value.replace("_", " "))
    if not rows:
        return finished(
            empty_sheet("Nothing to show: no rows."), "shifts", title=title, caption=caption,
            alt=f"{what} by site: no rows.", sql=sql, name=name,
        )  # fmt: skip
    panels, sites = in_order(rows, panel), in_order(rows, site)
    kinds = sorted(in_order(rows, series), key=_width, reverse=True)
    dots = {
        (row[panel] if panel else None, row[site], row[series] if series else None): _Shift(
            *(scaled(row[c], unit) if c else math.nan for c in (value, low, high))
        )
        for row in rows
    }
    has_bands = any(math.isfinite(dot.high) for dot in dots.values())
    keys = [
        Key(_series_name(series, k) if series else what, *style_of(n)[:2])
        for n, k in enumerate(kinds)
    ]
    if has_bands:
        inside = " (hollow: inside)" if any(dot.is_outside for dot in dots.values()) else ""
        keys.append(Key(clean(envelope_name) + inside, BAND, band=True))
    known = [v for dot in dots.values() for v in dot if math.isfinite(v)]
    ends = min(0.0, *known, 0.0), max([*known, 0.0]) * 1.05 or 1.0
    with drawing():
        labels = Labels.of(sites, 38)
        row_height = max(_ROW, 9.0 * len(kinds) + 8)
        places = placed(
            len(panels), height=row_height * len(sites), labels=labels.width,
            above=30 if panel else 8, legend=legend_height(keys, 740),
        )  # fmt: skip
        sheet = Sheet(places.sheet_width, places.sheet_height)
        for top in sorted(set(places.tops)):
            labels.write(sheet, top, row_height)
        for p, left, top in zip(panels, places.lefts, places.tops, strict=True):
            heading(sheet, left, top, p, places.width)
            axes = sheet.axes(left, top, places.width, places.height)
            axes.set(xlim=ends, ylim=(len(sites) - 0.5, -0.5), yticks=[])
            guides(axes, len(sites))
            ruled(axes.xaxis, ends, unit)
            axes.set_xlabel(axis_name(what, unit, places.width + 24))
            for row, s in enumerate(sites):
                for n, k in enumerate(kinds):
                    if (p, s, k) in dots:
                        offset = (n - (len(kinds) - 1) / 2) * 9.0 / row_height
                        _dot(axes, row + offset, dots[p, s, k], style_of(n), 6.5 / row_height)
        legend(sheet, keys, places.sheet_height - legend_height(keys, 740))
    return finished(
        sheet, "shifts", title=title, caption=caption, sql=sql, name=name,
        alt=_alt(what, dots, (panel, series), unit, has_bands=has_bands),
    )  # fmt: skip


def _width(value: Any) -> float:
    """Return the number that a series begins with: more bits come first; names keep their order."""
    found = re.match(r"\d+(\.\d+)?", str(value))
    return float(found[0]) if found else 0.0


def _series_name(column: str, value: Any) -> str:
    """Return a series in words: names stand alone, numbers need to be told what they count."""
    return label_of(value) if isinstance(value, str) else f"{column} {label_of(value)}"


def _dot(axes: Any, y: float, dot: _Shift, style: tuple[str, str, Any], tall: float) -> None:
    colour, marker, _ = style
    has_band = math.isfinite(dot.low) and math.isfinite(dot.high)
    if has_band:
        width = max(dot.high - dot.low, 0.003 * (axes.get_xlim()[1] - axes.get_xlim()[0]))
        axes.broken_barh([(dot.low, width)], (y - tall / 2, tall), color=BAND, alpha=0.6,
                         linewidth=0, zorder=1)  # fmt: skip
    if math.isfinite(dot.value):
        filled = not has_band or dot.is_outside
        axes.plot([dot.value], [y], marker, color=colour, markersize=6.0, zorder=3,
                  markerfacecolor=colour if filled else "none", markeredgewidth=1.3)  # fmt: skip


def _alt(
    what: str,
    dots: Mapping[tuple[Any, Any, Any], _Shift],
    columns: tuple[str | None, str | None],
    unit: Unit,
    *,
    has_bands: bool,
) -> str:
    panel, series = columns
    finite = {key: dot for key, dot in dots.items() if math.isfinite(dot.value)}
    sites = len({key[1] for key in dots})
    text = f"{what} by site, {sites} site{'' if sites == 1 else 's'}"
    decimals = decimals_for([dot.value for dot in finite.values()], unit)
    parts = []
    for kind in dict.fromkeys((key[0], key[2]) for key in finite):
        key = max((k for k in finite if (k[0], k[2]) == kind), key=lambda k: finite[k].value)
        where = [label_of(v) for v, column in zip(kind, (panel, series), strict=True) if column]
        said = f"{' '.join(where)}: " if where else ""
        parts.append(
            f"{said}most at {label_of(key[1])}, {written(finite[key].value, decimals, unit)}"
        )
    text += f". {'; '.join(parts[:6])}" if parts else ". No numbers"
    if len(parts) > 6:
        text += f"; and {len(parts) - 6} more"
    if has_bands:
        outside = sum(dot.is_outside for dot in finite.values())
        text += f". {outside} of {len(finite)} are outside of what random draws do"
    return f"{text}."
