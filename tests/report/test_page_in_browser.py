"""The page in Chromium: it loads nothing, is quiet, sorts, turns dark, and fits a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Tab, chromium, needs_chromium

pytestmark = needs_chromium
FIRST = "document.querySelector('#gains table')"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with chromium(tmp_path_factory.mktemp("chromium")) as tab:
        yield tab


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, page: str) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(page, encoding="utf-8")
    return path


@pytest.fixture
def tab(browser: Tab, file: Path) -> Tab:
    """The page, freshly loaded on a desktop in light colours."""
    browser.media(prefers_color_scheme="light")
    browser.size(1280, 900)
    browser.open(file)
    return browser


def column(number: int) -> str:
    rows = f"[...{FIRST}.tBodies[0].rows]"
    return f"{rows}.map(row => row.cells[{number}].dataset.v ?? row.cells[{number}].innerText)"


def test_it_is_quiet_and_loads_nothing(tab, file):
    assert tab.complaints() == []
    assert tab.requests() == [file.as_uri()]


def test_every_figure_is_drawn(tab):
    sizes = tab.value(
        "[...document.querySelectorAll('figure svg')].map(svg => {"
        " const box = svg.getBoundingClientRect(), ink = svg.getBBox();"
        " return [box.width, box.height, ink.width, ink.height]; })"
    )
    assert len(sizes) >= 9
    assert all(side > 40 for size in sizes for side in size)


def test_a_column_is_sorted_by_click_and_by_key(tab):
    gains = tab.value(column(2))
    tab.value(f"{FIRST}.tHead.rows[0].cells[2].querySelector('button').click()")
    down = tab.value(column(2))
    assert down == sorted(gains, key=float, reverse=True) and down != gains
    assert tab.value(f"{FIRST}.tHead.rows[0].cells[2].getAttribute('aria-sort')") == "descending"
    tab.value(f"{FIRST}.tHead.rows[0].cells[2].querySelector('button').focus()")
    tab.press("Enter")
    assert tab.value(column(2)) == down[::-1]
    assert tab.value(f"{FIRST}.tHead.rows[0].cells[2].getAttribute('aria-sort')") == "ascending"
    tab.value(f"{FIRST}.tHead.rows[0].cells[0].querySelector('button').click()")
    assert tab.value(column(0)) == sorted(tab.value(column(0)))
    assert tab.value(f"{FIRST}.tHead.querySelectorAll('[aria-sort]').length") == 1
    assert tab.complaints() == []


def test_a_phone_shows_it_without_moving_sideways(tab):
    tab.size(390, 844)
    assert tab.value("document.documentElement.scrollWidth") == 390
    assert tab.value("document.body.scrollWidth") <= 390
    reach = tab.value(
        "Math.max(...[...document.querySelectorAll('main *')]"
        ".filter(one => !one.closest('.scroll, .plot, pre'))"
        ".map(one => one.getBoundingClientRect().right))"
    )
    assert reach <= 390


def test_it_is_dark_where_the_system_is_and_where_one_says_so(tab):
    ground = "getComputedStyle(document.body).backgroundColor"
    ink = "getComputedStyle(document.querySelector('#gains svg text')).fill"
    light = tab.value(ground), tab.value(ink)
    tab.media(prefers_color_scheme="dark")
    dark = tab.value(ground), tab.value(ink)
    assert light[0] == "rgb(254, 254, 254)" and dark[0] == "rgb(20, 24, 29)"
    assert light[1] != dark[1]
    tab.until("document.getElementById('theme').innerText === 'Light'")
    tab.value("document.getElementById('theme').click()")
    assert (tab.value(ground), tab.value(ink)) == light
    assert "dark" in tab.value("document.getElementById('theme').getAttribute('aria-label')")


def test_print_is_light_and_whole_even_from_a_dark_page(tab):
    tab.value("document.documentElement.dataset.theme = 'dark'")
    tab.media("print", prefers_color_scheme="dark")
    shown = "getComputedStyle(document.querySelector('{}')).{}"
    assert tab.value(shown.format("body", "backgroundColor")) == "rgb(254, 254, 254)"
    assert tab.value(shown.format("nav", "display")) == "none"
    assert tab.value(shown.format(".scroll", "overflowX")) == "visible"
    assert tab.pdf().startswith(b"%PDF")


def test_without_the_script_it_is_a_page_of_static_tables(browser, file):
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(file)
        found = browser.call("DOM.getDocument", depth=-1)["root"]
        names = [node["nodeName"] for node in nodes(found)]
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert names.count("TABLE") >= 9
    assert names.count("BUTTON") == 1  # the theme's, hidden


def nodes(node: dict) -> Iterator[dict]:
    yield node
    for child in node.get("children", []):
        yield from nodes(child)
