"""Elements: whatever text comes in, it comes out as text."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibkit.report.html import Markup, join, tag, text


class Read(HTMLParser):
    """What a browser would see: the elements and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.said = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.said += data


@given(st.text(), st.text())
def test_text_from_outside_is_never_an_element(inside, attribute):
    page = Read(tag("p", inside, title=attribute))
    assert [name for name, _ in page.tags] == ["p"]
    assert list(page.tags[0][1]) == ["title"]


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_ordinary_text_comes_back_as_it_was(inside):
    assert Read(tag("p", inside)).said == inside
    assert Read(tag("p", title=inside)).tags[0][1]["title"] == inside


def test_marks_that_turn_the_writing_are_spelt_out():
    assert text("a\u202eb\u2066c") == r"a\u202eb\u2066c"
    assert text("a\x00b\x1b[31m") == "a\ufffdb\ufffd[31m"
    assert text("two\r\nlines\tand a tab") == "two\nlines\tand a tab"


def test_markup_stands_as_it_is_and_strings_do_not():
    assert tag("p", tag("b", "<"), "<") == "<p><b>&lt;</b>&lt;</p>"
    assert join("a", None, 3, [Markup("<br>"), "&"]) == "a3<br>&amp;"


def test_attributes_are_written_as_html_writes_them():
    made = tag("td", "x", class_="n", aria_label='"', data_v=0, hidden=True, title=None, id=False)
    assert made == '<td class="n" aria-label="&quot;" data-v="0" hidden>x</td>'
    assert tag("meta", charset="utf-8") == '<meta charset="utf-8">'


@pytest.mark.parametrize("name", ["", "P", "a b", "script>", "1"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(ValueError, match="no name of an element"):
        tag(name)
