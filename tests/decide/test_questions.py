"""Named questions: what their heads say is what they do, on full stores and on empty ones."""

import re
from pathlib import Path

import pytest
from asked_store import clean_store, full_store, recipe
from made_streams import make_streams, trajectories

from calibkit.decide.answers import answer, asked
from calibkit.decide.question_values import Parameter
from calibkit.decide.questions import find_question, questions, read_question
from calibkit.errors import BadInput, UnknownName
from calibkit.store import Store, query

NAMES = [question.name for question in questions()]
PROMISED = {
    "best", "beats-random", "bits", "fragile", "rounding-hurts", "budget", "ks-predicts",
    "who-pays", "cheapest", "card-predicts", "progress", "failures", "sites-first", "noise-curve",
    "interaction", "dead", "draws-enough", "order-matters", "seeds", "same-subset",
    "keeps-up", "forgets", "by-batch", "by-phase", "document-life",
}  # fmt: skip


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return full_store(tmp_path_factory.mktemp("full") / "full.duckdb")


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A recipe of which nothing is measured."""
    from asked_store import TEXT

    path = tmp_path_factory.mktemp("planned") / "planned.duckdb"
    store = clean_store(path, TEXT, lambda point: None)
    make_streams(store, trajectories(), lambda *_: 0.5, steps_done=lambda one: -1)
    return store


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("fresh") / "fresh.duckdb")
    with store.writing():
        pass
    return store


def test_the_promised_questions_are_there():
    assert set(NAMES) >= PROMISED
    assert sorted(NAMES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_full_store_has_an_answer_and_its_columns_are_the_ones_that_are_explained(full, name):
    found = answer(full, name, {"loss": "0.2"} if name == "cheapest" else {})
    assert found.table.rows, found.said()
    explained = [part.strip() for left, _ in found.question.columns for part in left.split(",")]
    assert sorted(explained) == sorted(found.table.columns)
    assert len(set(explained)) == len(explained)


@pytest.mark.parametrize("name", ["best", "beats-random", "dead", "sites-first", "same-subset"])
def test_the_sql_that_is_shown_gives_what_was_answered(full, name):
    found = answer(full, name)
    assert query(full, found.sql).rows == found.table.rows
    assert query(full, asked(full, name, {})).rows == found.table.rows


@pytest.mark.parametrize("name", NAMES)
def test_a_store_without_results_has_no_rows_and_says_why(planned, name):
    found = answer(planned, name)
    if name == "progress":
        assert [(row["bits"], row["missing"]) for row in found.table] == [(8, 120), (4, 120)]
    else:
        assert found.table.rows == []
        assert found.said().startswith(f"no rows: {found.question.empty}")


@pytest.mark.parametrize("name", ["best", "beats-random", "bits", "failures"])
def test_a_store_without_recipes_says_so(fresh, name):
    found = answer(fresh, name)
    assert found.table.rows == []
    wanted = "nothing failed" if name == "failures" else "no recipe has been run"
    assert found.said().startswith(f"no rows: {wanted}")


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_is_used(name):
    question = find_question(name)
    used = set(re.findall(r"\$([a-z_]+)", question.body))
    assert used == {parameter.name for parameter in question.parameters}


@pytest.mark.parametrize("name", ["best", "who-pays", "moves", "rounding-hurts"])
def test_parameters_restrict(full, name):
    given = {"bits": "4", "size": "8", "model": "generative", "policy": "even"}
    given = {
        k: v for k, v in given.items() if k in {p.name for p in find_question(name).parameters}
    }
    rows = list(answer(full, name, given).table)
    assert {(row["bits"], row["size"]) for row in rows} == {(4, 8)}
    assert {row["policy"] for row in rows} == {"even"} or name == "best"


@pytest.mark.parametrize("hostile", ["' OR '1'='1", "x'); DROP TABLE meta; --", "\x00"])
def test_hostile_values_are_values(full, hostile):
    for parameter in ("recipe", "model", "policy"):
        with pytest.raises(BadInput, match="no "):
            answer(full, "who-pays", {parameter: hostile})
    assert answer(full, "rounding-hurts", {"reference": hostile}).table.rows == []


@pytest.mark.parametrize("name", NAMES)
def test_the_sql_is_read_only_one_statement_and_names_nothing_of_this_machine(name):
    question = find_question(name)
    assert question.body.upper().startswith(("WITH ", "SELECT "))
    assert ";" not in re.sub(r"'[^']*'|--[^\n]*", "", question.body)
    assert max(len(line) for line in question.sql.splitlines() if "-- Plot" not in line) <= 100
    assert question.asks.endswith("?")
    assert question.about.endswith(".")


def test_rankings_have_their_intervals():
    for name in (
        "best", "beats-random", "bits", "fragile", "rounding-hurts", "cheapest", "who-pays",
        "interaction", "noise-area", "ks-predicts", "card-predicts", "keeps-up", "forgets",
        "by-batch", "by-phase",
    ):  # fmt: skip
        columns = " ".join(left for left, _ in find_question(name).columns)
        assert re.search(r"\b(ci|drop|area|more|forgetting)_low\b", columns), name


def test_the_latest_recipe_and_its_random_policy_are_asked(full):
    found = answer(full, "beats-random")
    assert found.values["recipe"] == "study"
    assert found.values["against"] == "random"
    assert found.said() == "recipe study, against random"


def test_questions_about_streams_ask_the_latest_stream(full, fresh):
    assert answer(full, "keeps-up").said() == "recipe stream-made"
    assert answer(full, "best").values["recipe"] == "study"  # though it was run before the stream
    said = answer(fresh, "keeps-up").said()
    assert said == "no rows: no stream recipe has been run against this store"
    with pytest.raises(BadInput, match="has no method 'flip'; did you mean 'flips'"):
        answer(full, "keeps-up", {"recipe": "stream-made", "method": "flip"})


def test_without_a_random_policy_it_says_what_to_name(tmp_path):
    text = """\
calibkit: 1
name: study
corpus: {name: news}
models: {generative: {}}
policies: {long: {use: longest}, short: {use: shortest}}
grid: {model: [generative], policy: [long, short], size: [8], seed: [0, 1], bits: [4]}
"""
    store = clean_store(tmp_path / "made.duckdb", text, lambda point: 0.5 + 0.1 * point.seed)
    said = answer(store, "beats-random").said()
    assert "has no policy of kind random: name another, --set against=POLICY" in said
    assert len(answer(store, "beats-random", {"against": "short"}).table) == 1
    assert {row["policy"] for row in answer(store, "bits").table} == {"long"}


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("bestt", {}, "did you mean 'best'"),
        ("best", {"bit": "4"}, "no parameter of the question 'best' is called 'bit'; did you"),
        ("best", {"bits": "four"}, "bits is 'four'; it takes a whole number"),
        ("best", {"bits": "5"}, "has no bits 5; it has 8, 4"),
        ("best", {"model": "generativ"}, "no model 'generativ'; did you mean 'generative'?"),
        ("best", {"recipe": "studie"}, "no recipe of this store is called 'studie'; did you mean"),
        ("cheapest", {"loss": "nan"}, "loss is 'nan'; it takes a number"),
        ("moves", {"quantity": "weight"}, "takes activations or weights"),
    ],
)
def test_what_cannot_be_asked_is_an_error_that_says_what_can(full, name, given, says):
    with pytest.raises(BadInput, match=re.escape(says)):
        answer(full, name, given)


def test_unknown_names_list_the_known_ones(full):
    with pytest.raises(UnknownName) as raised:
        answer(full, "best", {"zzz": "1"})
    assert raised.value.known == sorted(p.name for p in find_question("best").parameters)


def test_a_literal_in_the_shown_sql_is_quoted(tmp_path):
    text = """\
-- x: What is it?
--
-- Nothing.
--
-- Parameters:
--   it  VARCHAR = any  a text
--   n   INTEGER = 1    a number
-- Columns:
--   a  what it is
-- Plot: none
-- Title: X
-- Empty: nothing
SELECT $it AS a, 'not $it' AS b, 0 -$n AS c  -- not $n
"""
    found = read_question("x", text)
    shown = found.runnable({"it": "it's; DROP TABLE meta --", "n": -2})
    assert shown.startswith("SELECT 'it''s; DROP TABLE meta --' AS a, 'not $it' AS b, 0 -(-2)")
    assert shown.rstrip().endswith("-- not $n")


@pytest.mark.parametrize(
    "broken",
    [
        "SELECT 1\n",
        "-- y: What?\n--\n-- Parameters:\n--   n  INTEGER\n-- Columns:\n-- Plot: none\n"
        "-- Title: T\n-- Empty: e\nSELECT 1\n",
    ],
)
def test_a_malformed_head_is_an_error(broken):
    with pytest.raises((ValueError, KeyError)):
        read_question("y", broken)


def test_a_choice_takes_one_of_its_words():
    parameter = Parameter("which", "a|b", "a", "about")
    assert parameter.read("b") == "b"
    with pytest.raises(BadInput, match="it takes a or b"):
        parameter.read("c")


def test_files_are_package_data():
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert "**/*.sql" in project["tool"]["setuptools"]["package-data"]["calibkit"]
    assert recipe().name == "study"
