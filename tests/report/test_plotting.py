"""Answers as figures: every question that says how it is drawn can be."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from asked_store import full_store

from calibkit.decide.answers import Answer, answer
from calibkit.decide.question_values import Value
from calibkit.decide.questions import find_question, questions
from calibkit.errors import BadInput
from calibkit.report.plotting import MOST_PANELS, draw, in_words
from calibkit.store import Store
from calibkit.table import Table

DRAWN = [question.name for question in questions() if question.plot is not None]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return full_store(tmp_path_factory.mktemp("full") / "full.duckdb")


@pytest.mark.parametrize("name", DRAWN)
def test_every_question_that_has_a_plot_can_be_drawn(full, name):
    spec = find_question(name).plot
    assert spec is not None
    given = {**spec.settings}
    given |= {"bits": "4", "policy": "even"} if name in ("moves", "who-pays") else {}
    found = answer(full, name, given)
    assert found.table.rows
    figure = draw(found)
    ET.fromstring(figure.svg)
    assert figure.title == spec.title
    assert figure.caption.startswith(found.question.asks)
    assert figure.sql == found.sql
    assert "no rows" not in figure.alt and "No numbers" not in figure.alt
    if "recipe" in found.values and found.values["recipe"]:
        assert found.values["recipe"] in ("study", "stream-made")
        assert f"recipe {found.values['recipe']}" in figure.caption


def test_an_answer_without_rows_is_drawn_as_such(full):
    figure = draw(answer(full, "budget", {"policy": "even"}))
    assert "Curves of accuracy" in figure.alt
    empty = made("best", [])
    assert "no rows" in draw(empty).alt


def test_what_differs_names_panels_and_what_is_the_same_stands_below(full):
    figure = draw(answer(full, "beats-random", {"bits": "4", "size": "8"}))
    said = " ".join("".join(e.itertext()) for e in ET.fromstring(figure.svg).iter())
    assert "gpfq" in said and "nearest" in said
    assert "4 bits" in figure.caption and "8 documents" in figure.caption
    assert "4 bits, gpfq" not in said


def test_more_panels_than_can_be_read_are_refused_with_what_would_help():
    rows = [
        dict(model="m", size=s, bits=8, preset="p", rounding="r", policy="x", gain=0.1,
             ci_low=0.0, ci_high=0.2, floor=None, alone="better")
        for s in range(MOST_PANELS + 1)
    ]  # fmt: skip
    with pytest.raises(BadInput, match=f"as {MOST_PANELS + 1} plots.*--model, --size, --bits"):
        draw(made("beats-random", rows))
    assert draw(made("beats-random", rows[:-1])).svg


def test_a_question_without_a_plot_says_which_have_one():
    with pytest.raises(BadInput, match="cheapest is not drawn.*Drawn: beats-random"):
        draw(made("cheapest", []))


def test_values_say_what_they_count():
    assert in_words("bits", 4) == "4 bits"
    assert in_words("size", 1024) == "1,024 documents"
    assert in_words("noise", 0.1) == "noise 0.1"
    assert in_words("model_seed", 0) == "seed 0"
    assert in_words("bits", None) == "–"
    assert in_words("policy", "k-center") == "k-center"


def made(name: str, rows: list[dict[str, Value]]) -> Answer:
    columns = tuple(rows[0]) if rows else ()
    table = Table(columns, (), [tuple(row.values()) for row in rows])
    return Answer(find_question(name), {"recipe": "study"}, table, "SELECT 1")
