"""SQL from outside reads the store and does nothing else."""

from __future__ import annotations

import time

import pytest

from calibkit.errors import BadInput
from calibkit.store import Store, query


@pytest.fixture
def filled(fresh_store, made):
    made.fill(fresh_store, [made.cell("random", s, f"s1-{s}", 0.8, 0.7) for s in range(3)])
    return fresh_store


@pytest.mark.smoke
def test_a_table_has_columns_types_and_rows(filled):
    table = query(filled, "SELECT seed, accuracy FROM results WHERE noise = 0 ORDER BY seed")
    assert table.columns == ("seed", "accuracy")
    assert table.types == ("BIGINT", "DOUBLE")
    assert table.rows == [(0, 0.8), (1, 0.8), (2, 0.8)]


@pytest.mark.parametrize(
    "sql",
    [
        "PIVOT summary ON bits USING avg(accuracy) GROUP BY policy",
        "PIVOT (FROM summary) ON policy USING avg(accuracy);",
        "SELECT 1; -- done",
        "DESCRIBE results",
        "SUMMARIZE evaluations",
        "EXPLAIN FROM results",
        "SHOW TABLES",
        "FROM results",
        "WITH a AS (SELECT 1 AS b) FROM a",
        "VALUES (1), (2)",
    ],
)
def test_ordinary_statements_answer(filled, sql):
    assert query(filled, sql).rows


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("", "no SQL statement"),
        (" ; -- nothing", "no SQL statement"),
        ("SELEC 1", "syntax error"),
        ("SELECT polcy FROM results", "polcy"),
        ("FROM reslts", "results"),
        ("SELECT 1; SELECT 2", "one SQL statement at a time"),
        ("SELECT now()", "UTC"),
        ("SELECT '\ud800'", "no valid text"),
        ("SELECT error('no')", "no"),
    ],
)
def test_what_fails_is_told_in_one_error(filled, sql, said):
    with pytest.raises(BadInput, match=said):
        query(filled, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM range(10_000_000_000) AS a(i) WHERE hash(i) = 1",
        "SELECT count(*) FROM range(1_000_000) a, range(1_000_000) b WHERE a.range ^ b.range < 0",
        "WITH RECURSIVE t AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM t) SELECT max(i) FROM t",
        "FROM range(100_000_000_000)",
    ],
)
def test_a_long_query_is_stopped(filled, sql):
    start = time.monotonic()
    with pytest.raises(BadInput, match=r"longer than 0\.5 s.*--timeout|more than"):
        query(filled, sql, timeout_s=0.5)
    assert time.monotonic() - start < 8
    assert query(filled, "SELECT 1").rows == [(1,)]


def test_memory_is_bounded(filled):
    with pytest.raises(BadInput, match="more than 50MB of memory"):
        query(filled, "SELECT list(i) FROM range(50_000_000) AS t(i)", memory="50MB")


def test_a_huge_result_is_refused_and_a_limit_cuts_it(filled, monkeypatch):
    monkeypatch.setattr("calibkit.store.sandbox.MOST_VALUES", 50_000)
    with pytest.raises(BadInput, match="more than 50,000 values"):
        query(filled, "FROM range(200_000)")
    assert len(query(filled, "FROM range(200_000)", limit=7).rows) == 7
    assert query(filled, "FROM range(5)", limit=0).rows == []


def test_a_long_text_is_no_query(filled):
    with pytest.raises(BadInput, match="longer than 4 MiB"):
        query(filled, f"SELECT '{'x' * (4 << 20)}'")


def test_values_of_every_type_come_back(filled):
    sql = (
        "SELECT 1, 2.5, 'é', NULL, true, 7::HUGEINT, 1.5::DECIMAL(4, 2), DATE '2026-01-02',"
        " TIMESTAMP '2026-01-02 03:04:05', TIME '03:04:05', INTERVAL 2 DAY, '\\x00\\xff'::BLOB,"
        " [1, NULL], {'a': [1.5]}, MAP {'k': 1}, '00000000-0000-0000-0000-000000000001'::UUID,"
        " '0101'::BIT, 'a'::ENUM('a', 'b'), '[1]'::JSON, 'nan'::DOUBLE, '-infinity'::DATE"
    )
    with filled.reading() as con:
        expected = con.execute(sql).fetchall()
    assert repr(query(filled, sql).rows) == repr(expected)


@pytest.mark.parametrize("memory", ["1", "much", "-1GB", "1 GB"])
def test_no_amount_of_memory(filled, memory):
    with pytest.raises(BadInput, match="no amount of memory"):
        query(filled, "SELECT 1", memory=memory)


def test_no_store_and_a_bad_timeout(tmp_path, filled):
    with pytest.raises(BadInput, match="there is no store"):
        query(Store(tmp_path / "none.duckdb"), "SELECT 1")
    with pytest.raises(BadInput, match="positive"):
        query(filled, "SELECT 1", timeout_s=0)


KILLED_WRITER = """
import os, signal, sys
from calibkit.store import Store, insert
store = Store(sys.argv[1])
with store.writing() as con:
    con.execute("PRAGMA disable_checkpoint_on_shutdown")
    con.execute("COMMIT")
    con.execute("BEGIN")
    insert(con, "corpora", [{"corpus_id": "c9", "name": "late"}])
    con.execute("COMMIT")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_log_left_by_a_killed_writer_is_read(fresh_store, python):
    process = python(KILLED_WRITER, fresh_store.path)
    process.wait()
    assert fresh_store.path.with_name(fresh_store.path.name + ".wal").exists()
    assert query(fresh_store, "SELECT name FROM corpora").rows == [("late",)]
    with fresh_store.reading() as con:
        assert con.execute("SELECT name FROM corpora").fetchall() == [("late",)]
    with fresh_store.writing() as con:
        assert con.execute("SELECT name FROM corpora").fetchall() == [("late",)]
