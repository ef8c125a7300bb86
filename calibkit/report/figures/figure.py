"""A finished figure: SVG to be inlined, and the words that belong to it."""

from __future__ import annotations

from dataclasses import dataclass, field

from calibkit.errors import BadInput
from calibkit.report.figures.inline import inlined, plain_colours
from calibkit.report.figures.sheet import Sheet
from calibkit.report.figures.words import clean


@dataclass(frozen=True)
class Figure:
    """One figure.

    svg: an ``<svg role="img">`` element to be put into a page as it is; its colours are CSS
    variables (see ``stylesheet``), its ids are its own. alt: what it shows, with the gist of the
    numbers. title, caption: to be set by the page; the SVG does not draw them. sql: the query
    behind the numbers.
    """

    svg: str
    alt: str
    title: str
    caption: str = ""
    sql: str = ""
    sheet: Sheet | None = field(default=None, repr=False, compare=False)

    def standalone(self) -> str:
        """Return an SVG file: plain colours on a ground, with title and caption drawn in it."""
        return plain_colours(self._drawn().svg(self.title, self.caption), self._words())

    def png(self, *, scale: float = 2.0) -> bytes:
        """Return a PNG file with ``scale`` pixels per CSS pixel, title and caption drawn in it."""
        return self._drawn().png(self.title, self.caption, scale)

    def _drawn(self) -> Sheet:
        if self.sheet is None:
            raise BadInput("this figure has no drawing of its own; only its svg can be used")
        return self.sheet

    def _words(self) -> tuple[str, str]:
        return self.title, self.alt


def finished(
    sheet: Sheet, kind: str, *, title: str, caption: str, alt: str, sql: str, name: str | None
) -> Figure:
    """Return what is drawn on the sheet as a figure.

    kind: what the ids in the SVG begin with. name: makes ids differ where one page shows equal
    figures twice.
    """
    title, caption, alt = clean(title), clean(caption), clean(alt)
    svg = inlined(sheet.svg(), kind if name is None else f"{kind} {name}", title, alt)
    return Figure(svg, alt, title, caption, sql, sheet)
