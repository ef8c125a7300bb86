"""What pages are made of: sections, sortable tables, figures, the SQL behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from calibkit.report.comparisons import MEANINGS, Standing
from calibkit.report.html import Child, Markup, join, tag
from calibkit.report.svg import strict

if TYPE_CHECKING:
    from calibkit.report.figures import Figure

MOST_ROWS = 1500
"""Tables show no more rows; their SQL gives all."""
_MARKS: dict[Standing, str] = {
    "better": "\N{BLACK UP-POINTING TRIANGLE}",
    "worse": "\N{BLACK DOWN-POINTING TRIANGLE}",
    "same": "=",
    "ahead": "\N{WHITE UP-POINTING TRIANGLE}",
    "behind": "\N{WHITE DOWN-POINTING TRIANGLE}",
    "open": "?",
    "unknown": "\N{EN DASH}",
}


@dataclass(frozen=True)
class Column:
    """The head of a column.

    is_number: right-aligned, sorted as numbers, largest first. is_whole: never broken into lines.
    """

    head: str
    is_number: bool = False
    explained: str = ""
    is_whole: bool = False


@dataclass(frozen=True)
class Cell:
    """What a cell shows, and what it is sorted by."""

    shown: Child
    value: float | str | None = None


def section(name: str, title: str, *children: Child, lede: Child = None) -> Markup:
    """Return a section with a heading that can be linked to."""
    heading = tag("h2", title, id=f"{name}-title")
    intro = None if lede is None else tag("p", lede, class_="lede")
    return tag("section", heading, intro, *children, id=name, aria_labelledby=f"{name}-title")


def figure(drawn: Figure, *, note: Child = None) -> Markup:
    """Return a figure with its title, caption, and the SQL behind it."""
    plot = tag(
        "div", strict(drawn.svg), class_="plot", tabindex=0, role="group", aria_label=drawn.title
    )
    caption = tag("figcaption", tag("b", drawn.title), " ", drawn.caption, note)
    return tag("figure", caption, plot, behind(drawn.sql))


def behind(sql: str, said: str = "The SQL behind it") -> Markup:
    """Return a query that opens when it is asked for."""
    return tag("details", tag("summary", said), tag("pre", tag("code", sql.strip())), class_="sql")


def table(
    caption: str, columns: Sequence[Column], rows: Sequence[Sequence[Child | Cell]], sql: str = ""
) -> Markup:
    """Return a table whose columns a reader can sort by; without the script it stands as it is.

    The first cell of a row is its heading. No more than MOST_ROWS rows are shown, and that is said.
    """
    heads = [
        tag(
            "th", column.head, scope="col", class_="n" if column.is_number else None,
            title=column.explained or None,
        )
        for column in columns
    ]  # fmt: skip
    body = [tag("tr", *map(_cell, columns, row, range(len(row)))) for row in rows[:MOST_ROWS]]
    more = (
        f" (the first {MOST_ROWS:,} of {len(rows):,} rows; the SQL gives all)"
        if len(rows) > MOST_ROWS
        else ""
    )
    whole = tag(
        "table", tag("thead", tag("tr", *heads)), tag("tbody", *body), class_="sortable",
        aria_label=caption,
    )  # fmt: skip
    frame = tag(
        "div", whole, class_="scroll long" if len(body) > 24 else "scroll", tabindex=0,
        role="region", aria_label=caption,
    )  # fmt: skip
    said = tag("p", caption, more, class_="caption")
    return join(said, frame, behind(sql) if sql else None)


def _cell(column: Column, content: Child | Cell, place: int) -> Markup:
    cell = content if isinstance(content, Cell) else Cell(content)
    value = cell.value
    if value is None and column.is_number and isinstance(cell.shown, int):
        value = cell.shown
    return tag(
        "td" if place else "th",
        cell.shown,
        scope=None if place else "row",
        class_="n" if column.is_number else "w" if column.is_whole else None,
        data_v=None if value is None else f"{value:.9g}" if isinstance(value, float) else value,
    )


def chip(standing: Standing) -> Markup:
    """Return what a comparison decides: a sign and a word, not a colour alone."""
    name, meaning = MEANINGS[standing]
    return tag(
        "span", tag("span", _MARKS[standing], aria_hidden="true"), f" {name}",
        class_=f"chip {standing}", title=meaning,
    )  # fmt: skip


def points_list(items: Sequence[Child], class_: str | None = None) -> Markup | None:
    """Return a list of sentences, None for none."""
    return tag("ul", *(tag("li", item) for item in items), class_=class_) if items else None


def name(alias: str) -> Markup:
    """Return an alias as one writes it in recipes and queries."""
    return tag("code", alias)


def facts(pairs: Sequence[tuple[Child, Child]]) -> Markup:
    """Return names with what they say, in two columns."""
    return tag("dl", *((tag("dt", key), tag("dd", said)) for key, said in pairs), class_="pairs")


def commands(*lines: str) -> Markup:
    """Return commands for a shell; one click selects all of them."""
    return tag("pre", tag("code", "\n".join(lines)), class_="commands", tabindex=0)


def nothing(*said: Child) -> Markup:
    """Return a sentence that says what is not there, and why."""
    return tag("p", *said, class_="nothing")
