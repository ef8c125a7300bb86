"""Where panels, labels and legends stand on a sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from calibkit.report.figures.colours import GRID, MUTED
from calibkit.report.figures.sheet import HEADING, SMALL, TEXT, Sheet, drawing, width_of
from calibkit.report.figures.words import UNITS, Unit, label_of, shortened, written

WIDTH = 760.0
"""A figure is about as wide (px), so that a page can show it without shrinking it."""
GAP = 22.0
_MOST_LABEL = 36


@dataclass(frozen=True)
class Labels:
    """The names of rows, beside which panels stand."""

    names: tuple[str, ...]
    width: float

    @classmethod
    def of(cls, values: Sequence[Any], most: int = _MOST_LABEL) -> Labels:
        """Return values as names, the middle left out of long ones; distinct ones stay distinct."""
        full = [label_of(value) for value in values]
        names = [shortened(name, most) for name in full]
        taken: dict[str, int] = {}
        for place, name in enumerate(names):
            taken[name] = taken.get(name, 0) + 1
            if taken[name] > 1:
                names[place] = f"{name} ({taken[name]})"
        return cls(tuple(names), 1.02 * max(map(width_of, names), default=0.0) + 16)

    def write(self, sheet: Sheet, top: float, row: float) -> None:
        """Write the names, right-aligned, one per row."""
        for number, name in enumerate(self.names):
            sheet.text(self.width - 10, top + (number + 0.5) * row, name, ha="right")


@dataclass(frozen=True)
class Places:
    """Where panels stand: ``left`` and ``top`` of each, all of one size."""

    lefts: tuple[float, ...]
    tops: tuple[float, ...]
    width: float
    height: float
    sheet_width: float
    sheet_height: float


def placed(
    panels: int,
    *,
    height: float,
    labels: float = 0.0,
    across: int = 2,
    width: float | None = None,
    above: float = 30.0,
    below: float = 46.0,
    legend: float = 0.0,
    beside: float = 8.0,
) -> Places:
    """Return places for panels in lines of ``across``.

    height: of one panel. labels: room for names at the left of each line. above, below: room for
    a panel's heading, and for its axis. legend: room under everything. beside: room at the right.
    width: of one panel; None means what WIDTH leaves.
    """
    columns = max(1, min(across, panels))
    if width is None:
        width = (WIDTH - labels - beside - GAP * (columns - 1)) / columns
    lines = max(1, math.ceil(panels / columns))
    each = above + height + below
    return Places(
        tuple(labels + (n % columns) * (width + GAP) for n in range(panels)),
        tuple((n // columns) * each + above for n in range(panels)),
        width,
        height,
        labels + columns * width + (columns - 1) * GAP + beside,
        lines * each + legend,
    )


def heading(sheet: Sheet, left: float, top: float, value: Any, width: float) -> None:
    """Write what a panel shows above it; nothing where there is but one panel without a name."""
    if value is not None:
        most = max(12, int(width / 6.7))
        sheet.text(left, top - 15, shortened(label_of(value), most), size=HEADING, weight="bold")


@dataclass(frozen=True)
class Key:
    """One entry of a legend: a mark and what it means."""

    text: str
    colour: str
    marker: str = "o"
    filled: bool = True
    dashes: Any = None
    """Dash pattern of a line through the mark; None means no line."""
    band: bool = False
    """A patch instead of a mark."""


def legend_height(keys: Sequence[Key], width: float) -> float:
    """Return the room that the legend needs (px)."""
    return 20.0 * len(_lines(keys, width)) + 8 if keys else 0.0


def legend(sheet: Sheet, keys: Sequence[Key], top: float, left: float = 0.0) -> None:
    """Write marks and their meanings in lines from ``top``."""
    axes = sheet.axes(0, 0, sheet.width, sheet.height)
    axes.set(xlim=(0, sheet.width), ylim=(sheet.height, 0))
    axes.axis("off")
    for number, line in enumerate(_lines(keys, sheet.width - left)):
        x, y = left, top + 12 + 20 * number
        for key in line:
            if key.band:
                axes.fill([x, x + 20, x + 20, x], [y - 5, y - 5, y + 5, y + 5], color=key.colour,
                          alpha=0.45, linewidth=0, clip_on=False)  # fmt: skip
            else:
                if key.dashes is not None:
                    axes.plot([x, x + 20], [y, y], color=key.colour, dashes=key.dashes)
                axes.plot(
                    [x + 10], [y], key.marker, color=key.colour, markersize=6.5,
                    markerfacecolor=key.colour if key.filled else "none",
                )  # fmt: skip
            axes.text(x + 26, y, shortened(key.text, 60), size=SMALL, va="center", color=MUTED)
            x += _room(key)


def _room(key: Key) -> float:
    return 26 + width_of(shortened(key.text, 60), SMALL) + 18


def _lines(keys: Sequence[Key], width: float) -> list[list[Key]]:
    lines: list[list[Key]] = []
    used = math.inf
    for key in keys:
        room = _room(key)
        if used + room > width:
            lines.append([])
            used = 0.0
        lines[-1].append(key)
        used += room
    return lines


def empty_sheet(text: str) -> Sheet:
    """Return a sheet that says why there is nothing to draw."""
    with drawing():
        sheet = Sheet(WIDTH, 64)
        sheet.text(WIDTH / 2, 32, text, ha="center", color=MUTED, size=TEXT)
        return sheet


def axis_name(what: str, unit: Unit, width: float) -> str:
    """Return what an axis says under itself; the unit alone where there is no room for more."""
    suffix = f" ({UNITS[unit]})" if UNITS[unit] else ""
    if width_of(what + suffix, SMALL) <= width:
        return what + suffix
    return UNITS[unit] or shortened(what, max(8, int(width / 7)))


def ruled(axis: Any, ends: tuple[float, float], unit: Unit, count: int = 4) -> None:
    """Put about ``count`` round ticks on an axis, with as many decimals as tell them apart."""
    from matplotlib.ticker import MaxNLocator

    least, most = ends
    places = MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]).tick_values(least, most)
    slack = 1e-9 * (most - least)
    ticks = [float(x) for x in places if least - slack <= x <= most + slack]
    step = float(places[1] - places[0]) if len(places) > 1 else 1.0
    decimals = 0
    while decimals < 6 and abs(round(step, decimals) - step) > 1e-6 * step:
        decimals += 1
    axis.set_ticks(ticks, [written(x, decimals, unit) for x in ticks])


def guides(axes: Any, rows: int) -> None:
    """Rule a thin line under every row of a panel, from one side to the other."""
    for row in range(rows):
        axes.axhline(row, color=GRID, linewidth=0.6, zorder=0)
