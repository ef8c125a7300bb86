"""The page of a stream: what it says, that every figure has its SQL, that it stands alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from made_streams import Trajectory, make_streams, trajectories
from test_page import Page

from calibkit.errors import Infeasible
from calibkit.recipe import StreamRecipe, parse_stream_recipe
from calibkit.report.streams.page import SECTIONS, make_stream_page
from calibkit.store import Store, insert, query

HOSTILE = "</pre><script>alert('about')</script>"
RECIPE: dict[str, Any] = {
    "calibkit": 1,
    "name": "stream-made",
    "about": f"calm, then {HOSTILE}",
    "corpus": {"name": "news"},
    "models": {"discriminative": {}, "generative": {}},
    "policies": {"start": {"use": "stratified"}},
    "quantize": {"preset": "robust"},
    "stream": {
        "batch": 16,
        "hold_out": 40,
        "phases": [
            {"name": "calm", "batches": 1},
            {"name": "typos", "batches": 2, "noise": {"keyboard": 0.1}},
            {"name": "rare", "batches": 1, "between": {"rarity": [0.5, 1]}},
        ],
    },
    "methods": {
        "frozen": {"subset": "frozen", "model": "frozen"},
        "gpfq": {"subset": "reservoir", "model": "gpfq"},
        "flips": {"subset": "reservoir", "model": "greedy-flips"},
        "recalibrated": {"subset": "everything", "model": "recalibrate"},
    },
    "grid": {
        "model": ["discriminative", "generative"],
        "method": ["frozen", "gpfq", "flips", "recalibrated"],
        "policy": ["start"], "size": [64], "seed": [0, 1, 2, 3, 4, 5], "bits": [4],
    },
}  # fmt: skip
JITTER = (0.0, 0.004, -0.003, 0.001, 0.002, -0.004)


def accuracy(one: Trajectory, step: int, phase: int) -> float:
    """Flips keep .8 of the gain; gpfq loses 4 points among typos."""
    base = 0.7 + 0.01 * one.seed
    if one.method == "frozen" or not step:
        return base
    if one.method == "gpfq":
        return base + 0.005 - 0.045 * (phase == 1)
    return base + (0.04 if one.method == "flips" else 0.05) + JITTER[one.seed] / 4


def made_recipe(**changes: Any) -> StreamRecipe:
    return parse_stream_recipe(yaml.safe_dump(RECIPE | changes, sort_keys=False), "made.yaml")


def made_store(path: Path, **options: Any) -> Store:
    store = Store(path)
    models = [("discriminative", 0), ("generative", 0)]
    make_streams(store, trajectories(models=models), accuracy, text=made_recipe().text, **options)
    source = '{"splits": {"train": {"file": "/home/x/train.csv", "sha256": "ab"}}}'
    with store.writing() as con:
        insert(con, "corpora", [dict(corpus_id="c1-news", name="news", version="1", documents=9,
                                     labels=2, source=source)])  # fmt: skip
        insert(con, "models", [
            dict(model_key=f"k1-{kind}", model_id=f"m1-{kind}-0", kind=kind, valid_accuracy=0.88,
                 best_epoch=3, epochs=5, vocabulary_size=900, seconds=12.0)
            for kind in ("discriminative", "generative")
        ])  # fmt: skip
    return store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A finished study; never to be changed."""
    return made_store(tmp_path_factory.mktemp("streams") / "made.duckdb")


@pytest.fixture(scope="module")
def page(store: Store) -> str:
    return make_stream_page(store, made_recipe())


@pytest.fixture(scope="module")
def read(page: str) -> Page:
    return Page(page)


def test_every_section_is_there_and_every_link_leads_to_one(read):
    ids = [attributes["id"] for _, attributes in read.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    assert {name for name, _ in SECTIONS if name != "left"} <= set(ids)
    assert "left" not in ids  # all is done
    assert {a["href"][1:] for a in read.named("a")} <= set(ids)


def test_the_answers_say_who_keeps_up(read):
    said = " ".join(read.texts["section"][0].split())
    assert "the network is right on 72.5 % of what comes; the float model on 90.0 %" in said
    assert "Calibrating anew on everything seen, recalibrated, gains +5.0 points" in said
    assert "flips gains most: +4.0 points" in said
    assert re.search(r"80 % \[\d\d, \d\d\] of that gain at 3\.0 % of its multiply-adds", said)
    falling = "Below frozen by more than the noise floor: gpfq in typos (\N{MINUS SIGN}4.0)."
    assert falling in said
    headline = next(t for t in read.texts["header"])
    assert "discriminative: flips keeps up best, +4.0 points" in headline


def test_figures_have_words_and_the_sql_behind_them(read):
    drawn = read.named("svg")
    assert len(drawn) == 5 == len(read.named("figure"))  # two of curves, gains, phases, forgetting
    assert all(a["role"] == "img" and a["aria-labelledby"] for a in drawn)
    assert all("SELECT" in text for text in read.texts["figure"])
    words = " ".join(read.texts["desc"])
    assert "Curves of accuracy (%) over batches gone through" in words and "(float) 90.0" in words
    assert "Forest plot of gain in online accuracy" in words and "noise floor" in words


def test_every_query_of_the_page_runs_and_says_something(read, store):
    queries = {text for text in read.texts["pre"] if text.startswith(("SELECT", "WITH", "FROM"))}
    assert len(queries) >= 9
    assert {sql for sql in queries if not query(store, sql).rows} == set()


def test_tables_have_gains_costs_and_documents(read):
    rows = [" ".join(text.split()) for text in read.texts["tr"]]
    (flips,) = [r for r in rows if r.startswith("discriminativeflips") and "6 of 6" in r]
    assert "76.5+4.0[+3.9, +4.1]" in flips and "calm+4.080" in flips
    assert any("first subset" in row for row in rows)
    phases = [row for row in rows if re.match(r"(calm|typos)\d+16", row)]
    assert [row.count("as they come") for row in phases] == [1, 0]
    assert "keyboard 0.1World 25.0 %, Sports 75.0 %" in phases[1]
    assert any("k1" not in row and "m1-generative-0" in row for row in rows)


def test_nothing_from_outside_becomes_an_element(page, read):
    assert [a.get("src") for a in read.named("script")] == [None]
    assert HOSTILE not in page and any(HOSTILE in text for text in read.texts["main"])
    assert "/home/x" not in page and "train.csv" in page


def test_the_same_store_gives_the_same_page(page, store):
    assert make_stream_page(store, made_recipe()) == page


def test_a_stream_on_its_way_is_shown_as_far_as_it_is(tmp_path):
    store = made_store(
        tmp_path / "made.duckdb",
        steps_done=lambda one: 2 if one.seed else -1 if one.method == "flips" else None,
    )
    failure = dict(failure_id="f1-a", run_id="n1-y1-stream", recipe_id="y1-stream", stage="stream",
                   plan_key=Trajectory("flips").id, error_type="Infeasible",
                   message="too few")  # fmt: skip
    with store.writing() as con:
        insert(con, "failures", [failure])
    read = Page(make_stream_page(store, made_recipe()))
    text = " ".join(" ".join(read.texts["body"]).split())
    assert "This study is not finished: 6 of 48 trajectories have gone through all batches" in text
    assert "What is not done" in text and "too few" in text


def test_a_stream_of_which_nothing_is_done_has_a_page(tmp_path):
    store = made_store(tmp_path / "made.duckdb", steps_done=lambda one: -1)
    read = Page(make_stream_page(store, made_recipe()))
    text = " ".join(" ".join(read.texts["body"]).split())
    assert "No trajectory has gone through all batches yet." in text
    assert "0 of 48" in text


def test_another_version_of_the_recipe_is_told(store):
    other = RECIPE["grid"] | {"seed": [0, 1]}
    read = Page(make_stream_page(store, made_recipe(grid=other)))
    assert any("asks for something else" in text for text in read.texts["header"])


def test_without_results_it_says_what_to_run(tmp_path, store):
    with pytest.raises(Infeasible, match="calibkit stream"):
        make_stream_page(Store(tmp_path / "none.duckdb"), made_recipe())
    with pytest.raises(Infeasible, match="nothing of the recipe 'other'"):
        make_stream_page(store, made_recipe(name="other"))
