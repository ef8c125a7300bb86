from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.errors import BadInput, UnknownName
from calibkit.store import insert
from calibkit.store.rows import quoted


@pytest.fixture(scope="module")
def con():
    con = duckdb.connect()
    con.execute(
        "CREATE TABLE things (id VARCHAR PRIMARY KEY, whole INTEGER, x DOUBLE, flag BOOLEAN,"
        " words VARCHAR[], ids USMALLINT[], settings JSON, note VARCHAR, made_at TIMESTAMP)"
    )
    con.execute("CREATE TABLE log (line VARCHAR)")
    yield con
    con.close()


@pytest.fixture(autouse=True)
def emptied(con):
    con.execute("DELETE FROM things")
    con.execute("DELETE FROM log")


def stored(con, row):
    con.execute("DELETE FROM things")
    insert(con, "things", [{"id": "a", **row}])
    (column,) = row
    return con.execute(f"SELECT {column} FROM things").fetchone()[0]


@pytest.mark.smoke
def test_rows_with_a_known_key_are_left_out(con):
    assert insert(con, "things", [{"id": "a", "x": 1.0}, {"id": "b"}, {"id": "a", "x": 3.0}]) == 2
    assert insert(con, "things", [{"id": "b", "x": 9.0}, {"id": "c", "whole": 1}]) == 1
    found = con.execute("SELECT id, x, whole FROM things ORDER BY id").fetchall()
    assert found == [("a", 1.0, None), ("b", None, None), ("c", None, 1)]
    assert insert(con, "things", []) == 0


def test_a_table_without_key_takes_every_row(con):
    assert insert(con, "log", [{"line": "x"}, {"line": "x"}]) == 2


@pytest.mark.smoke
@given(st.floats())
@settings(max_examples=100, deadline=None)
def test_every_float_arrives_bit_for_bit(con, value):
    found = stored(con, {"x": value})
    assert np.float64(found).tobytes() == np.float64(value).tobytes() or found != found


@given(st.text(st.characters(exclude_categories=("Cs",))))
@settings(max_examples=100, deadline=None)
def test_every_text_arrives(con, text):
    assert stored(con, {"note": text}) == text
    assert stored(con, {"words": [text, "x"]}) == [text, "x"]


def test_values_are_converted(con):
    noon = datetime(2025, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert stored(con, {"made_at": noon}) == datetime(2025, 1, 1, 10)
    assert stored(con, {"made_at": datetime(2025, 1, 1, tzinfo=UTC)}) == datetime(2025, 1, 1)
    assert stored(con, {"made_at": datetime(2025, 1, 1, 0, 0, 0, 5)}) == datetime(
        2025, 1, 1, 0, 0, 0, 5
    )
    assert stored(con, {"flag": np.bool_(True)}) is True
    assert stored(con, {"flag": False}) is False
    assert stored(con, {"whole": np.int64(-3)}) == -3
    assert stored(con, {"whole": 3.0}) == 3
    assert stored(con, {"x": np.float32(0.1)}) == float(np.float32(0.1))
    assert stored(con, {"x": 2}) == 2.0
    assert stored(con, {"ids": np.array([1, 2], np.uint16)}) == [1, 2]
    assert stored(con, {"ids": []}) == []
    assert (
        stored(con, {"settings": {"b": np.int64(1), "a": (1, None)}}) == '{"a": [1, null], "b": 1}'
    )
    assert stored(con, {"settings": [1]}) == "[1]"
    assert stored(con, {"note": ["dead", "clipped"]}) == "dead, clipped"
    assert stored(con, {"note": {"numpy": "2"}}) == '{"numpy": "2"}'
    assert stored(con, {"note": Path("a/b")}) == "a/b"
    assert stored(con, {"x": None}) is None


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"whole": 1.5}, "whole number"),
        ({"whole": 2**40}, "do not fit"),
        ({"whole": "many"}, "do not fit"),
        ({"ids": [70_000]}, "do not fit"),
        ({"settings": "{broken"}, "do not fit"),
        ({"settings": {"x": float("nan")}}, "things.settings"),
        ({"x": [1, 2]}, "is no DOUBLE"),
        ({"note": object()}, "cannot be stored"),
        ({"id": None}, "has no id"),
        ({"made_at": "yesterday"}, "do not fit"),
    ],
)
def test_what_does_not_fit_is_refused_whole(con, row, said):
    with pytest.raises(BadInput, match=said):
        insert(con, "things", [{"id": "first"}, {"id": "a", **row}])
    assert con.execute("SELECT count(*) FROM things").fetchone() == (0,)


def test_unknown_names_are_told(con):
    with pytest.raises(UnknownName, match="did you mean 'things'"):
        insert(con, "thing", [{"id": "a"}])
    with pytest.raises(UnknownName, match="did you mean 'whole'"):
        insert(con, "things", [{"id": "a", "whol": 1}])


def test_many_rows_in_one_call(con):
    rows = [{"id": f"d{i}", "x": i / 7, "note": "word " * 20} for i in range(120_000)]
    assert insert(con, "things", rows) == 120_000
    assert con.execute("SELECT count(DISTINCT id), max(x) FROM things").fetchone() == (
        120_000,
        119_999 / 7,
    )


def test_identifiers_are_quoted():
    assert quoted('a"; DROP TABLE x; --') == '"a""; DROP TABLE x; --"'
