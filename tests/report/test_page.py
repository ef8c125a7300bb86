"""The page as text: what stands in it, what cannot, and that it stands alone."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from made_study import CLEAN, HOSTILE, ordinary

from calibkit.errors import Infeasible
from calibkit.recipe import parse_recipe
from calibkit.report.page import SECTIONS, make_page
from calibkit.store import Store, query


class Page(HTMLParser):
    """Elements with their attributes, the text of each kind, and whether tags are balanced."""

    VOID = frozenset({"meta", "br", "hr", "link"})

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        for tag in set(self.open):
            self.texts[tag][-1] += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def read(page: str) -> Page:
    return Page(page)


def test_every_section_is_there_and_every_link_leads_to_one(read):
    ids = [attributes["id"] for _, attributes in read.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    assert {name for name, _ in SECTIONS} <= set(ids)
    assert {a["href"][1:] for a in read.named("a")} <= set(ids)


def test_the_five_questions_are_answered(read):
    asked = ("Which policy?", "How sure?", "What does it cost?", "Where does it fail?",
             "How do I reproduce it?")  # fmt: skip
    assert [said for said in read.texts["h3"] if said in asked] == list(asked)
    said = " ".join(read.texts["section"][0].split())
    for fact in ("random", "6 draws", "one float model", "points of accuracy", "hardest is",
                 "a calibration takes", "calibkit evaluate made.yaml", "sha256"):  # fmt: skip
        assert fact in said or fact in " ".join(read.texts["main"])


def test_nothing_from_outside_becomes_an_element(page, read):
    assert [a.get("src") for a in read.named("script")] == [None]
    assert not read.named("img") and not read.named("i") and not read.named("iframe")
    assert not any(name.startswith("on") for _, a in read.tags for name in a)
    for said in (HOSTILE, "</pre><script>alert('comment')</script>", "<script>alert('command')"):
        assert any(said in text for text in read.texts["main"])
        assert said not in page
    assert read.texts["title"][0] == "made: calibkit report"


def test_only_the_packaged_style_and_script_may_run(read):
    csp = next(m["content"] for m in read.named("meta") if m.get("http-equiv"))
    assert csp.startswith("default-src 'none';") and "unsafe" not in csp and "http" not in csp
    for tag in ("style", "script"):
        [content] = read.texts[tag]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in csp
    assert not any("style" in attributes for _, attributes in read.tags)


def test_it_refers_to_nothing_outside_of_itself(read):
    for _, attributes in read.tags:
        for name in ("src", "href", "srcset", "action", "data", "poster", "xlink:href"):
            assert (attributes.get(name) or "#").startswith("#")
    assert "@import" not in read.texts["style"][0] and "url(" not in read.texts["style"][0]


def test_every_figure_has_words_and_the_sql_behind_it(read):
    drawn = read.named("svg")
    assert len(drawn) >= 9 and len(drawn) == len(read.named("figure"))
    assert all(a["role"] == "img" and a["aria-labelledby"] for a in drawn)
    assert all(text.strip() for text in read.texts["desc"])
    assert all("SELECT" in text for text in read.texts["figure"])


def test_every_query_of_the_page_runs_and_says_something(read, whole):
    queries = {text for text in read.texts["pre"] if text.startswith(("SELECT", "WITH", "FROM"))}
    assert len(queries) >= 10
    empty = {sql for sql in queries if not query(whole[0], sql).rows}
    assert empty == set()


def test_the_same_store_gives_the_same_page(page, whole):
    assert make_page(*whole) == page


def test_tables_can_be_read_and_sorted_by_machines(read):
    assert len(read.named("table")) >= 9
    assert all(t["aria-label"] and t["class"] == "sortable" for t in read.named("table"))
    numbers = [a["data-v"] for a in read.named("td") if a.get("class") == "n" and a.get("data-v")]
    assert numbers and all(re.fullmatch(r"-?\d[\d.e+-]*", value) for value in numbers)


def test_no_folder_of_a_source_file_is_told(page):
    assert "train.csv" in page and "/home/me" not in page


def test_a_study_that_only_failed_has_a_page(made):
    store, recipe = made(CLEAN, 2, lambda p: None, failed=["random", "longest", "stratified"])
    read = Page(make_page(store, recipe))
    said = " ".join(read.texts["body"][0].split())
    assert "0 of 24 cells are measured, 24 failed, 0 are missing" in said
    assert "no policy can be named" in said
    assert "the pool has 3 documents <script>alert('failed')</script>" in said
    assert not read.named("svg")


def test_a_half_measured_study_says_what_is_missing(made):
    def accuracy(point):
        return None if point.seed == 2 or point.policy == "longest" else ordinary(point)

    store, recipe = made(CLEAN, 3, accuracy, failed=["longest"])
    read = Page(make_page(store, recipe))
    said = " ".join(read.texts["body"][0].split())
    assert "16 of 36 cells are measured, 12 failed, 8 are missing" in said
    assert "The recipe asks for clean documents only" in said
    assert any("Missing cells" in text for text in read.texts["p"])


def test_one_draw_has_a_page_without_intervals(made):
    store, recipe = made(CLEAN, 1)
    body = Page(make_page(store, recipe)).texts["body"][0]
    assert "too few draws" in body and "±" not in body.partition("Gain over random")[0].replace(
        "± is half a 95 % t interval", ""
    ).replace("± half a 95 % interval", "").replace("inside ±0.5", "")


def test_a_file_that_changed_since_is_told(made):
    store, recipe = made(CLEAN, 2)
    changed = parse_recipe(recipe.text.replace("[8, 4]", "[8, 4, 3]"), "made.yaml")
    said = make_page(store, changed)
    assert "asks for something else than what was measured last" in said
    assert "bits: [8, 4]" in said and "[8, 4, 3]" not in said


def test_without_results_of_the_recipe_there_is_no_page(made, tmp_path):
    store, recipe = made(CLEAN, 2)
    other = parse_recipe(recipe.text.replace("name: made", "name: other"), "other.yaml")
    with pytest.raises(Infeasible, match="nothing of the recipe 'other' is in the store"):
        make_page(store, other)
    with pytest.raises(Infeasible, match="there is no store at"):
        make_page(Store(tmp_path / "none.duckdb"), recipe)


CLAIMS = """\
claims:
  - id: longest-costs
    says: "The <b>longest</b> documents cost accuracy at 4 bits."
    compare: {policy: [longest, random]}
    where: {model: generative, bits: 4}
    measure: accuracy
    expect: lower
  - id: stratified-gains
    says: Stratified documents gain ten points.
    compare: {policy: [stratified, random]}
    where: {model: generative, bits: 4}
    measure: accuracy
    expect: higher
    by: 10
"""


def test_declared_claims_have_verdicts(made):
    store, recipe = made(CLEAN + CLAIMS, 8)
    read = Page(make_page(store, recipe))
    [claims] = [text for text in read.texts["table"] if "longest-costs" in text]
    assert "The <b>longest</b> documents" in claims
    assert "supported" in claims and "contradicted" in claims and "8 of 8" in claims
    assert any(
        "Of 2 declared claims: 1 supported and 1 contradicted." in text for text in read.texts["li"]
    )
