"""A sheet to draw on, measured in CSS pixels from its upper left corner; matplotlib is under it."""

from __future__ import annotations

import io
import textwrap
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from calibkit.errors import MissingExtra
from calibkit.report.figures.colours import BACKGROUND, FG, GRID, MUTED

TEXT, SMALL, HEADING = 12.0, 11.0, 12.5
"""Text sizes (px)."""
_PX = 72.0
"""matplotlib writes SVG in units of 1/72 inch; a unit is a pixel here."""
_STYLE = {
    "svg.fonttype": "none",  # text stays text, in the reader's fonts
    "svg.hashsalt": "calibkit",
    "svg.id": None,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "axes.unicode_minus": True,
    "font.family": ["DejaVu Sans"],  # comes with matplotlib, and is wider than most
    "font.size": TEXT,
    "axes.linewidth": 1.0,
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "axes.labelcolor": MUTED,
    "axes.labelsize": SMALL,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": _PX,
    "text.color": FG,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": FG,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": TEXT,
    "xtick.major.size": 3.0,
    "ytick.major.size": 0.0,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "lines.linewidth": 2.0,
}
_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in calibkit's style, whatever the user's own settings of matplotlib are.

    Raises MissingExtra without matplotlib.
    """
    try:
        from matplotlib import style
    except ImportError as error:
        raise MissingExtra(
            "figures are drawn by matplotlib, which is not installed; it comes with"
            " `pip install 'calibkit[report]'`, or alone with `pip install matplotlib`"
        ) from error
    with style.context(["default", _STYLE]), warnings.catch_warnings():
        # the reader's fonts draw the text, not the one that it is measured with
        warnings.filterwarnings("ignore", message=r".*[Gg]lyph.*missing from.*font")
        yield


def width_of(text: str, size: float = TEXT) -> float:
    """Return how wide the longest line of a text is (px); wide characters count whole."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path  # its metrics; outlines take thirty times as long

    font = FontProperties(size=size)

    def line_width(line: str) -> float:
        wide = sum(unicodedata.east_asian_width(character) in "WF" for character in line)
        narrow = "".join(c for c in line if unicodedata.east_asian_width(c) not in "WF").strip()
        width = text_to_path.get_text_width_height_descent(narrow, font, ismath=False)[0]
        return (float(width) if narrow else 0.0) + wide * size

    return max((line_width(line) for line in text.split("\n")), default=0.0)


class Sheet:
    """A drawing of ``width`` x ``height`` CSS pixels; used inside ``drawing()``."""

    def __init__(self, width: float, height: float) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.width, self.height = width, height
        self._figure: Any = Figure(figsize=(width / _PX, height / _PX), dpi=_PX)
        self._figure.patch.set_visible(False)
        FigureCanvasAgg(self._figure)

    def axes(self, left: float, top: float, width: float, height: float) -> Any:
        """Return matplotlib axes at a place of the sheet."""
        low = self.height - top - height
        place = (left / self.width, low / self.height, width / self.width, height / self.height)
        return self._figure.add_axes(place)

    def text(self, x: float, y: float, text: str, **style: Any) -> Any:
        """Write a text; y counts from the top."""
        place = (x / self.width, 1 - y / self.height)
        return self._figure.text(*place, text, **{"size": TEXT, "va": "center", **style})

    def line(self, xs: tuple[float, float], y: float, **style: Any) -> None:
        """Draw a level line; y counts from the top."""
        from matplotlib.lines import Line2D

        places = [x / self.width for x in xs], [1 - y / self.height] * 2
        self._figure.add_artist(Line2D(*places, transform=self._figure.transFigure, **style))

    def svg(self, title: str = "", caption: str = "") -> str:
        """Return the drawing as an SVG document, the same bytes whenever it is the same drawing."""
        return self._saved("svg", title, caption, dpi=_PX, metadata=_METADATA).decode()

    def png(self, title: str, caption: str, scale: float) -> bytes:
        """Return the drawing on a ground, with title and caption around it."""
        metadata = {"Software": None}
        style = {"facecolor": BACKGROUND, "metadata": metadata}
        self._figure.patch.set_visible(True)
        try:
            return self._saved("png", title, caption, dpi=_PX * scale, **style)
        finally:
            self._figure.patch.set_visible(False)

    def _saved(self, form: str, title: str, caption: str, **how: Any) -> bytes:
        file = io.BytesIO()
        with drawing():
            if title or caption:
                with self._framed(title, caption) as box:
                    self._figure.savefig(file, format=form, bbox_inches=box, **how)
            else:
                self._figure.savefig(file, format=form, **how)
        return file.getvalue()

    @contextmanager
    def _framed(self, title: str, caption: str) -> Iterator[Any]:
        """Add title and caption outside of the sheet; yield the box that holds everything."""
        from matplotlib.transforms import Bbox

        pad, leading = 16.0, 1.35
        above = textwrap.wrap(title, max(20, int(self.width / 8.2)))
        below = textwrap.wrap(caption, max(24, int(self.width / 6.1)))
        size_above, size_below = 15.0, SMALL
        top = len(above) * size_above * leading + (pad if above else 0)
        bottom = len(below) * size_below * leading + (pad if below else 0)
        added = [
            self.text(0, y, line, size=size, va="top", **style)
            for lines, start, size, style in (
                (above, -top, size_above, {"weight": "bold"}),
                (below, self.height + pad, size_below, {"color": MUTED}),
            )
            for y, line in (
                (start + number * size * leading, line) for number, line in enumerate(lines)
            )
        ]
        low = (-pad / _PX, -(bottom + pad) / _PX)
        high = ((self.width + pad) / _PX, (self.height + top + pad) / _PX)
        try:
            yield Bbox([low, high])
        finally:
            for text in added:
                text.remove()
