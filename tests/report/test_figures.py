"""Figures: well-formed, the same whenever drawn, safe with hostile names, readable by all."""

from __future__ import annotations

import math
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from calibkit.errors import BadInput
from calibkit.report.figures import (
    Figure,
    bars,
    curves,
    heat_map,
    intervals,
    shifts,
    stylesheet,
)
from calibkit.report.figures.colours import (
    DARK,
    FG,
    HEAT,
    SERIES,
    SIDES,
    VARIABLES,
    contrast,
    text_on,
)
from calibkit.report.figures.forest import Point, limits
from calibkit.report.figures.words import clean, decimals_for, shortened, wrapped, written

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert('x')</script>\" onload=\"alert(1) & \x00\x1b[31m $x^2$ ]]> --> 文字列"


def rows(names: int = 3, hostile: bool = False) -> list[dict[str, Any]]:
    return [
        {
            "name": HOSTILE if hostile and n == 0 else f"policy-{n:02d}",
            "model": model,
            "bits": bits,
            "value": 0.8 - 0.01 * n - 0.02 * (bits == 4),
            "low": 0.78 - 0.01 * n,
            "high": 0.83 - 0.01 * n,
            "gain": 0.01 * (n - 1),
            "gain_low": 0.01 * (n - 1) - 0.005,
            "gain_high": 0.01 * (n - 1) + 0.005,
            "verdict": ("worse", "same", "better", "undecided")[n % 4],
        }
        for model in ("generative", "discriminative")
        for bits in (8, 4)
        for n in range(names)
    ]


def a_heat_map(data: list[dict[str, Any]], **more: Any) -> Figure:
    return heat_map(data, x="bits", y="name", value="value", low="low", high="high",
                    panel="model", **{"title": "Accuracy", **more})  # fmt: skip


def a_forest(data: list[dict[str, Any]], **more: Any) -> Figure:
    return intervals(data, label="name", value="gain", low="gain_low", high="gain_high",
                     panel="model", floor=0.002, **{"title": "Gain", **more})  # fmt: skip


def some_curves(data: list[dict[str, Any]], **more: Any) -> Figure:
    return curves(data, x="bits", y="value", line="name", low="low", high="high", panel="model",
                  x_unit="number", **{"title": "Bits", **more})  # fmt: skip


def some_shifts(data: list[dict[str, Any]], **more: Any) -> Figure:
    return shifts(data, site="name", value="value", series="bits", low="low", high="high",
                  panel="model", **{"title": "Shift", **more})  # fmt: skip


def some_bars(data: list[dict[str, Any]], **more: Any) -> Figure:
    return bars(data, label="name", value="value", low="low", high="high", panel="model",
                **{"title": "Cost", **more})  # fmt: skip


DRAWN: dict[str, Callable[..., Figure]] = {
    "heat_map": a_heat_map,
    "intervals": a_forest,
    "curves": some_curves,
    "shifts": some_shifts,
    "bars": some_bars,
}
each = pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)


def texts(svg: str) -> list[str]:
    return [" ".join("".join(e.itertext()).split()) for e in ET.fromstring(svg).iter(f"{SVG}text")]


@each
def test_an_inline_figure_is_well_formed_described_and_its_own(draw):
    figure = draw(rows(), caption="Below", sql="FROM summary")
    root = ET.fromstring(figure.svg)
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    title, desc = root[0], root[1]
    assert (title.tag, title.text) == (f"{SVG}title", figure.title)
    assert (desc.tag, desc.text) == (f"{SVG}desc", figure.alt)
    assert root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
    assert (figure.caption, figure.sql) == ("Below", "FROM summary")
    assert "policy-00" in texts(figure.svg)
    assert not list(root.iter(f"{SVG}style")), "a style here would hold for the whole page"
    assert not [e for e in root.iter() if e.tag.endswith(("metadata", "script", "image"))]


@each
def test_the_same_rows_are_the_same_bytes(draw):
    a, b = draw(rows()), draw(rows())
    assert a.svg == b.svg
    assert a.standalone() == b.standalone()
    assert a == b
    assert not re.search(r"20[2-9]\d-\d\d-\d\d|matplotlib", a.svg + a.standalone())


def test_another_process_draws_the_same_bytes():
    script = (
        "import sys; sys.path[:0] = ['tests/report'];"
        "from test_figures import a_forest, rows; sys.stdout.write(a_forest(rows()).svg)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parents[2], capture_output=True,
        text=True, timeout=120, check=True, env={"PYTHONHASHSEED": "7", "PATH": "/usr/bin"},
    )  # fmt: skip
    assert done.stdout == a_forest(rows()).svg


@each
def test_colours_are_variables_inline_and_plain_in_a_file(draw):
    figure = draw(rows())
    found = re.findall(r"var\((--[a-z0-9-]+), (#[0-9a-f]{6})\)", figure.svg)
    assert found
    assert all(VARIABLES[colour] == name for name, colour in found)
    assert not re.search(r"(?<!, )#[0-9a-f]{6}\b", figure.svg), "no colour beside the variables"
    alone = figure.standalone()
    assert "var(" not in alone
    assert alone.startswith('<?xml version="1.0"')
    assert f'fill="{next(c for c, n in VARIABLES.items() if n == "--bg")}"' in alone
    assert figure.title in texts(alone)


@each
def test_names_are_text_and_never_markup(draw):
    figure = draw(rows(hostile=True), title=HOSTILE, caption=HOSTILE)
    for svg in (figure.svg, figure.standalone()):
        root = ET.fromstring(svg)
        assert not [e for e in root.iter() if e.tag.lower().endswith("script")]
        assert not [a for e in root.iter() for a in e.attrib if a.lower().startswith("on")]
        assert "<script" not in svg
        assert not re.search(r"[\x00-\x08\x0b-\x1f]", svg)
    assert any("$x^2$" in t or "<script>" in t for t in texts(figure.svg))
    assert figure.png().startswith(b"\x89PNG")


@each
def test_ids_of_two_figures_in_a_page_differ(draw):
    def ids(figure: Figure) -> set[str]:
        return {str(e.get("id")) for e in ET.fromstring(figure.svg).iter() if e.get("id")}

    a, b, c = draw(rows()), draw(rows(4)), draw(rows(), name="second")
    assert not ids(a) & ids(b)
    assert not ids(a) & ids(c)
    for figure in (a, b, c):
        used = set(re.findall(r"url\(#([^)]+)\)", figure.svg))
        used |= set(re.findall(r'href="#([^"]+)"', figure.svg))
        assert used <= ids(figure)


@each
@pytest.mark.parametrize("names", [0, 1, 33])
def test_no_row_one_row_and_many(draw, names):
    figure = draw(rows(names))
    root = ET.fromstring(figure.svg)
    assert figure.alt.endswith(".")
    if not names:
        assert "no rows" in figure.alt
    else:
        assert f"policy-{names - 1:02d}" in " ".join(texts(figure.svg))
    assert float(root.get("viewBox", "").split()[2]) <= 1000


@each
@pytest.mark.parametrize("hole", [None, math.nan, math.inf])
def test_numbers_that_are_none_are_left_out(draw, hole):
    data = rows()
    for column in ("value", "gain", "low", "gain_low"):
        data[0][column] = hole
    figure = draw(data)
    assert "nan" not in figure.svg.lower() and "inf" not in figure.svg.lower()
    holes = [{**row, "value": hole, "gain": hole, "low": hole, "high": hole} for row in data]
    assert "nan" not in draw(holes).svg.lower()


@each
def test_what_the_users_own_matplotlib_settings_are_changes_nothing(draw):
    import matplotlib

    wanted = draw(rows()).svg
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.grid": True}):
        assert draw(rows()).svg == wanted


@each
def test_texts_of_a_column_stand_apart(draw):
    """Right-aligned names share an edge, and no two of them a line."""
    root = ET.fromstring(draw(rows(33)).svg)
    places = [
        (e.get("x"), float(e.get("y", 0)))
        for e in root.iter(f"{SVG}text")
        if (e.text or "").startswith("policy-") and "end" in e.get("style", "")
    ]
    for x in {x for x, _ in places}:
        ys = sorted(y for other, y in places if other == x)
        assert all(b - a > 11 for a, b in zip(ys, ys[1:], strict=False))


def test_a_heat_map_says_its_numbers_and_their_gist():
    figure = a_heat_map(rows())
    assert "80.0" in texts(figure.svg) and "±2.5" in texts(figure.svg)
    assert "Highest 80.0 (generative, policy-00, 8), lowest 76.0 (generative, policy-02, 4)" in (
        figure.alt
    )
    assert "3 values of name by bits 8 and 4, for generative and discriminative" in figure.alt


def test_a_forest_says_what_is_decided():
    figure = a_forest(rows())
    assert "1 better (policy-02 +1.00), 1 worse (policy-00 −1.00), 1 undecided of 3" in figure.alt
    assert "noise floor ±0.20" in figure.alt
    assert "+1.00 [+0.50, +1.50]" in texts(figure.svg)
    by_verdict = a_forest(rows(4), verdict="verdict")
    said = "1 better (policy-02 +1.0), 1 worse (policy-00 −1.0), 1 the same, 1 undecided of 4"
    assert said in by_verdict.alt


def test_a_few_long_intervals_do_not_stretch_the_axis():
    short = [Point(0.0, -1.0, 1.0, "undecided")] * 30
    assert limits([*short, Point(0.0, -90.0, 90.0, "undecided")], math.nan)[1] < 2
    assert limits([*short, Point(50.0, 49.0, 51.0, "better")], math.nan)[1] > 50
    assert limits([Point(0.0, 0.0, 0.0, "undecided")], math.nan) == (-0.5, 0.5)


def test_shifts_outside_of_the_envelope_are_counted():
    data = [dict(site="a", ks=0.5, low=0.1, high=0.2), dict(site="b", ks=0.15, low=0.1, high=0.2)]
    figure = shifts(data, site="site", value="ks", low="low", high="high", title="T")
    assert "1 of 2 are outside of what random draws do" in figure.alt
    assert "most at a, 0.500" in figure.alt


def test_a_picture_has_the_scale_that_was_asked():
    figure = some_bars(rows())
    one, two = (struct.unpack(">II", figure.png(scale=s)[16:24]) for s in (1.0, 2.0))
    assert two[0] == pytest.approx(2 * one[0], abs=2)
    assert figure.png() == figure.png()


def test_a_figure_without_a_drawing_says_so():
    with pytest.raises(BadInput, match="no drawing of its own"):
        Figure("<svg/>", "alt", "title").standalone()


def test_colours_can_be_seen_on_light_and_dark():
    for n, colour in enumerate(SERIES, 1):
        assert contrast(colour, "#ffffff") >= 3
        assert contrast(DARK[f"--series-{n}"], DARK["--bg"]) >= 3
    for fill in (*HEAT, *SIDES):
        assert contrast(fill, text_on(fill)) >= 4.5
    assert contrast(FG, "#ffffff") >= 7 and contrast(DARK["--fg"], DARK["--bg"]) >= 7
    assert len(set(VARIABLES.values())) == len(VARIABLES)
    css = stylesheet()
    assert all(f"{name}:" in css for name in VARIABLES.values())
    assert "prefers-color-scheme: dark" in css


def test_words():
    assert clean("a\n b\x00\u202ec\ud800") == "a b\ufffdc\ufffd"
    assert shortened("a-very-long-name-of-a-policy", 12) == "a-very-l…icy"
    assert len(shortened("x" * 99, 30)) == 30
    assert written(-0.04, 1, "points") == "0.0"
    assert written(1.25, 1, "points") == "+1.2" and written(-1.0, 1) == "−1.0"
    assert written(math.nan, 1) == "–"
    assert wrapped("discriminative/256/4/robust") == "discriminative/\n256/4/robust"
    assert decimals_for([0.4], "points") == 2 and decimals_for([12.0], "points") == 1


def test_without_matplotlib_it_says_what_to_install(tmp_path):
    script = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from calibkit.report.figures import bars\n"
        "from calibkit.errors import MissingExtra\n"
        "try: bars([{'l': 1, 'v': 1}], label='l', value='v', title='t')\n"
        "except MissingExtra as error: print(int(error.exit_code), error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                          cwd=tmp_path, timeout=120, check=True)  # fmt: skip
    assert done.stdout.startswith("4 figures are drawn by matplotlib, which is not installed")
    assert "pip install 'calibkit[report]'" in done.stdout
