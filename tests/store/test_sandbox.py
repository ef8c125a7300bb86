"""SQL from outside reads the store and does nothing else."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from calibkit.errors import BadInput
from calibkit.store import Store, query

# {store}, {folder} and {outside} stand for paths.
ATTACKS = """
COPY (SELECT 1) TO '{store}'
COPY (SELECT 1) TO '{store}' (USE_TMP_FILE false)
COPY (SELECT 'x') TO '{store}' (FORMAT csv, USE_TMP_FILE false)
COPY (SELECT 1) TO '{store}' (FORMAT json, USE_TMP_FILE false)
COPY (SELECT 1) TO '{store}' (FORMAT parquet, USE_TMP_FILE false)
WITH x AS (COPY (SELECT 1) TO '{store}' (USE_TMP_FILE false)) SELECT 1
WITH x AS (COPY (SELECT 1) TO '{store}' (USE_TMP_FILE false)) FROM x
COPY corpora TO '{outside}'
COPY corpora TO '{outside}' (USE_TMP_FILE false)
COPY (FROM documents) TO '/dev/stdout'
COPY corpora FROM '/etc/passwd'
EXPORT DATABASE '{folder}/export'
IMPORT DATABASE '{folder}/export'
ATTACH '{outside}' AS other
ATTACH '{store}' AS again
ATTACH '{store}' AS again (READ_WRITE)
ATTACH '{store}' AS again (READ_ONLY)
ATTACH OR REPLACE '{store}' AS calibkit
ATTACH 'https://example.org/x.duckdb' AS web
DETACH calibkit
USE system
COPY FROM DATABASE calibkit TO system
CHECKPOINT
FORCE CHECKPOINT
CHECKPOINT calibkit
VACUUM
VACUUM ANALYZE
DELETE FROM corpora
UPDATE corpora SET name = 'mine'
INSERT INTO corpora (corpus_id, name) VALUES ('c', 'mine')
INSERT INTO meta VALUES ('schema_version', '999') ON CONFLICT DO UPDATE SET value = '999'
TRUNCATE corpora
DROP TABLE corpora
DROP VIEW results
DROP SCHEMA core CASCADE
ALTER TABLE corpora ADD COLUMN mine INTEGER
CREATE TABLE mine (a INTEGER)
CREATE OR REPLACE VIEW results AS SELECT 1
CREATE MACRO mine(a) AS a
COMMENT ON TABLE corpora IS 'mine'
CREATE INDEX mine ON corpora (name)
CREATE SEQUENCE mine
CREATE TYPE mine AS ENUM ('a')
MERGE INTO corpora USING (SELECT 'c' AS corpus_id) AS s USING (corpus_id) WHEN MATCHED THEN DELETE
FROM read_csv('/etc/passwd')
FROM read_csv_auto('/etc/passwd')
FROM read_text('/etc/passwd')
FROM read_blob('{store}')
FROM read_json('/etc/passwd')
FROM read_parquet('/etc/passwd')
FROM parquet_metadata('/etc/passwd')
FROM sniff_csv('/etc/passwd')
FROM '/etc/passwd'
FROM '{store}'
FROM glob('/*')
SELECT * FROM read_text('https://example.org')
SELECT getenv('HOME')
INSTALL httpfs
INSTALL httpfs FROM 'https://example.org'
FORCE INSTALL httpfs
LOAD httpfs
LOAD '{outside}'
UPDATE EXTENSIONS
SET enable_external_access = true
SET disabled_filesystems = ''
SET lock_configuration = false
RESET lock_configuration
RESET disabled_filesystems
RESET GLOBAL enable_external_access
SET memory_limit = '100GB'
SET threads = 64
SET temp_directory = '{folder}'
SET home_directory = '{folder}'
SET extension_directory = '{folder}'
SET secret_directory = '{folder}'
SET log_query_path = '{outside}'
SET profiling_output = '{outside}'
SET allow_unsigned_extensions = true
SET autoinstall_known_extensions = true
SET python_enable_replacements = true
PRAGMA enable_profiling = 'json'
PRAGMA profiling_output = '{outside}'
PRAGMA profile_output = '{outside}'
PRAGMA temp_directory = '{folder}'
PRAGMA memory_limit = '100GB'
PRAGMA enable_object_cache
PRAGMA force_checkpoint
PRAGMA log_query_path = '{outside}'
CALL enable_logging(storage = 'file', storage_config = {{'path': '{folder}'}})
CALL enable_logging('QueryLog', storage_path = '{folder}')
CALL enable_profiling(save_location = '{outside}')
CALL pragma_database_size()
CREATE SECRET mine (TYPE s3)
CREATE PERSISTENT SECRET mine (TYPE http, BEARER_TOKEN 'x')
DROP SECRET mine
PREPARE p AS DELETE FROM corpora
EXECUTE p
BEGIN TRANSACTION
COMMIT
EXPLAIN ANALYZE DELETE FROM corpora
EXPLAIN ANALYZE COPY (SELECT 1) TO '{store}' (USE_TMP_FILE false)
SELECT * FROM query('DELETE FROM corpora')
SELECT * FROM query('COPY (SELECT 1) TO ''{store}''')
SELECT * FROM query_table('{store}')
FROM sqlite_scan('{store}', 'x')
FROM postgres_scan('host=localhost', 'public', 'x')
FROM duckdb_extensions()
SELECT 1; DELETE FROM corpora
SELECT 1; COPY (SELECT 1) TO '{store}' (USE_TMP_FILE false)
DELETE FROM corpora; SELECT 1
SHOW DATABASES
FROM os
FROM sys
""".strip().splitlines()

# May answer on one version or another: they do nothing, or read what is in the store.
HARMLESS = {
    "CHECKPOINT",
    "FORCE CHECKPOINT",
    "CHECKPOINT calibkit",
    "VACUUM",
    "VACUUM ANALYZE",
    "PRAGMA enable_object_cache",
    "PRAGMA force_checkpoint",
    "CALL pragma_database_size()",
    "PREPARE p AS DELETE FROM corpora",
    "BEGIN TRANSACTION",
    "SHOW DATABASES",
}


def sha256_from_outside(path) -> str:
    """The hash by another process: this one must not open a store that it may hold."""
    script = "import hashlib,sys; print(hashlib.sha256(open(sys.argv[1],'rb').read()).hexdigest())"
    return subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    ).stdout


@pytest.fixture
def filled(fresh_store, made):
    made.fill(fresh_store, [made.cell("random", s, f"s1-{s}", 0.8, 0.7) for s in range(3)])
    return fresh_store


@pytest.mark.smoke
def test_no_attack_changes_the_store_or_the_disk(filled, tmp_path, capfd):
    folder = tmp_path / "outside"
    folder.mkdir()
    outside = folder / "file.csv"
    before = sha256_from_outside(filled.path)
    files = sorted(str(p) for p in tmp_path.rglob("*"))
    answered = []
    assert len(ATTACKS) >= 100
    for attack in ATTACKS:
        sql = attack.format(store=filled.path, folder=folder, outside=outside)
        start = time.monotonic()
        try:
            table = query(filled, sql, timeout_s=5)
        except BadInput as error:
            assert str(error)
        else:
            answered.append(attack)
            assert "root:" not in str(table.rows), attack
        assert time.monotonic() - start < 4, attack  # no download was tried
    assert set(answered) <= HARMLESS
    assert sha256_from_outside(filled.path) == before
    assert sorted(str(p) for p in tmp_path.rglob("*")) == files
    assert query(filled, "SELECT count(*) FROM results").rows == [(6,)]
    assert capfd.readouterr().out == ""


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
