"""SVG for a page that allows no style attributes."""

from __future__ import annotations

import pytest

from calibkit.report.figures import heat_map
from calibkit.report.svg import strict

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 20"{more}>{inside}</svg>'


def svg(inside: str = "", more: str = "") -> str:
    return SVG.format(inside=inside, more=more)


def test_styles_become_attributes_that_mean_the_same():
    made = strict(
        svg(
            "<text style=\"font: bold 12px system-ui, 'Segoe UI'; fill: var(--fg, #000)\">a</text>",
            ' style="width: 100%; max-width: 10px; height: auto"',
        )
    )
    assert "style=" not in made
    assert 'font-size="12px" font-family="system-ui, \'Segoe UI\'"' in made
    assert 'font-weight="bold"' in made and 'fill="var(--fg, #000)"' in made
    assert 'width="10" height="20"' in made


def test_a_real_figure_keeps_its_words_and_loses_its_styles():
    rows = [{"x": "4 bits", "y": "a < b", "v": 0.5}]
    figure = heat_map(rows, x="x", y="y", value="v", title="Title & more")
    made = strict(figure.svg)
    assert "style=" not in made and "a &lt; b" in made and "Title &amp; more" in made
    assert 'role="img"' in made and "<title" in made and "<desc" in made


@pytest.mark.parametrize(
    "inside",
    [
        "<script>alert(1)</script>",
        "<style>*{}</style>",
        "<foreignObject/>",
        '<image href="http://example.org/x.png"/>',
        '<use href="http://example.org/x.svg#a"/>',
        '<path onclick="alert(1)"/>',
        '<a href="#x"/>',
    ],
)
def test_what_could_run_or_load_something_is_refused(inside):
    with pytest.raises(ValueError, match="figure"):
        strict(svg(inside))
