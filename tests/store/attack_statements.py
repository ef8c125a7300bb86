"""SQL that wants to do more than read the store: one statement a line, in groups.

{store}, {folder} and {outside} stand for paths: of the store, of a folder, of a file that is not
there; {secret} for a file that must not be read, whose content is SECRET.
"""

from __future__ import annotations

SECRET = "the-content-that-nobody-may-read"

_GROUPS = {
    "write the store": """
COPY (SELECT 1) TO '{store}'
COPY (SELECT 1) TO '{store}' (USE_TMP_FILE false)
COPY (SELECT 'x') TO '{store}' (FORMAT csv, USE_TMP_FILE false)
COPY (SELECT 1) TO '{store}' (FORMAT json, USE_TMP_FILE false)
COPY (SELECT 1) TO '{store}' (FORMAT parquet, USE_TMP_FILE false)
COPY (SELECT 1) TO '{store}.wal' (USE_TMP_FILE false)
COPY (SELECT 1) TO '{store}' (USE_TMP_FILE false, OVERWRITE_OR_IGNORE true)
COPY (SELECT 1 AS a) TO '{store}.d' (PARTITION_BY (a), OVERWRITE true)
WITH x AS (COPY (SELECT 1) TO '{store}' (USE_TMP_FILE false)) SELECT 1
WITH x AS (COPY (SELECT 1) TO '{store}' (USE_TMP_FILE false)) FROM x
WITH x AS MATERIALIZED (COPY (SELECT 1) TO '{store}' (USE_TMP_FILE false)) FROM x
WITH a AS (SELECT 1), x AS (COPY a TO '{store}' (USE_TMP_FILE false)) FROM a, x
SELECT * FROM (COPY (SELECT 1) TO '{store}' (USE_TMP_FILE false))
SELECT 1 WHERE EXISTS (WITH x AS (COPY (SELECT 1) TO '{store}' (USE_TMP_FILE false)) FROM x)
EXPLAIN COPY (SELECT 1) TO '{store}' (USE_TMP_FILE false)
EXPLAIN ANALYZE COPY (SELECT 1) TO '{store}' (USE_TMP_FILE false)
EXPLAIN ANALYZE WITH x AS (COPY (SELECT 1) TO '{store}' (USE_TMP_FILE false)) FROM x
EXPLAIN (ANALYZE, FORMAT json) COPY (SELECT 1) TO '{store}' (USE_TMP_FILE false)
PREPARE p AS COPY (SELECT 1) TO '{store}' (USE_TMP_FILE false)
DESCRIBE WITH x AS (COPY (SELECT 1) TO '{store}' (USE_TMP_FILE false)) FROM x
SUMMARIZE WITH x AS (COPY (SELECT 1) TO '{store}' (USE_TMP_FILE false)) FROM x
CHECKPOINT
FORCE CHECKPOINT
CHECKPOINT calibkit
VACUUM
VACUUM ANALYZE
ANALYZE
""",
    "write a file": """
COPY corpora TO '{outside}'
COPY corpora TO '{outside}' (USE_TMP_FILE false)
COPY (FROM documents) TO '{outside}.gz' (COMPRESSION gzip)
COPY (FROM documents) TO '{outside}.parquet' (FORMAT parquet, ENCRYPTION_CONFIG {{footer_key: 'k'}})
COPY (SELECT 1 AS a) TO '{folder}/parts' (FORMAT csv, PARTITION_BY (a))
COPY (SELECT 1) TO '{folder}' (FORMAT csv, PER_THREAD_OUTPUT true)
COPY (FROM documents) TO '/dev/stdout'
COPY (FROM documents) TO '/dev/stderr'
COPY (FROM documents) TO '/proc/self/fd/1'
COPY (FROM documents) TO '/proc/self/oom_score_adj' (USE_TMP_FILE false)
EXPORT DATABASE '{folder}/export'
EXPORT DATABASE '{folder}' (FORMAT parquet)
IMPORT DATABASE '{folder}/export'
PRAGMA export_database('{folder}/export')
PRAGMA import_database('{folder}/export')
PRAGMA enable_profiling = 'json'
PRAGMA profiling_output = '{outside}'
PRAGMA profile_output = '{outside}'
PRAGMA log_query_path = '{outside}'
CALL enable_logging(storage = 'file', storage_config = {{'path': '{folder}'}})
CALL enable_logging('QueryLog', storage_path = '{folder}')
CALL enable_profiling(save_location = '{outside}')
SET log_query_path = '{outside}'
SET profiling_output = '{outside}'
SET enable_profiling = 'json'
""",
    "read a file": """
COPY corpora FROM '{secret}'
FROM read_csv('{secret}')
FROM read_csv('{secret}', columns = {{'a': 'VARCHAR'}}, auto_detect = false)
FROM read_csv(['{secret}', '/etc/passwd'])
FROM read_csv_auto('{secret}')
FROM read_csv('{folder}/*')
FROM read_csv('/proc/self/environ')
FROM read_csv('/dev/stdin')
FROM read_text('{secret}')
FROM read_text('file://{secret}')
FROM read_text('{folder}/../outside/../outside/secret.txt')
FROM read_text('/proc/self/cmdline')
FROM read_blob('{secret}')
FROM read_blob('{store}')
FROM read_json('{secret}')
FROM read_json_objects('{secret}')
FROM read_ndjson_objects('{secret}')
FROM read_json_auto('{secret}', format = 'array')
FROM read_parquet('{secret}')
FROM parquet_scan('{secret}')
FROM parquet_metadata('{secret}')
FROM parquet_schema('{secret}')
FROM parquet_kv_metadata('{secret}')
FROM parquet_file_metadata('{secret}')
FROM parquet_bloom_probe('{secret}', 'a', 1)
FROM sniff_csv('{secret}')
FROM read_duckdb('{store}')
FROM read_xlsx('{secret}')
FROM iceberg_scan('{folder}')
FROM delta_scan('{folder}')
FROM sqlite_scan('{store}', 'x')
FROM postgres_scan('host=localhost', 'public', 'x')
FROM mysql_query('db', 'SELECT 1')
FROM st_read('{secret}')
FROM glob('/*')
FROM glob('{folder}/*')
SELECT * FROM read_text('https://example.org')
SELECT * FROM read_csv('s3://bucket/x.csv')
SELECT * FROM read_parquet('hf://datasets/x/y.parquet')
SELECT (SELECT content FROM read_text('{secret}'))
SELECT 1 WHERE (SELECT count(*) FROM glob('/*')) > 0
WITH x AS (FROM read_text('{secret}')) FROM x
WITH RECURSIVE x AS (SELECT content FROM read_text('{secret}') UNION ALL FROM x LIMIT 1) FROM x
PIVOT read_csv('{secret}') ON column0
SUMMARIZE '{secret}'
DESCRIBE FROM '{secret}'
EXPLAIN FROM read_text('{secret}')
SELECT getenv('HOME')
SELECT current_setting('s3_secret_access_key')
""",
    "stand in for a table": """
FROM '{secret}'
FROM "{secret}"
FROM '{store}'
FROM '/etc/passwd'
SELECT * FROM '{folder}/*.csv'
SELECT * FROM query_table('{store}')
SELECT * FROM query_table(['{secret}'])
SELECT * FROM query('FROM read_text(''{secret}'')')
SELECT * FROM query('DELETE FROM corpora')
SELECT * FROM query('COPY (SELECT 1) TO ''{store}'' (USE_TMP_FILE false)')
FROM os
FROM sys
FROM __builtins__
FROM request
FROM python_scan(1)
FROM pandas_scan(94000000000000)
FROM arrow_scan(94000000000000, 94000000000000, 94000000000000)
FROM arrow_scan_dumb(1, 2, 3)
""",
    "open a database": """
ATTACH '{outside}' AS other
ATTACH '{store}' AS again
ATTACH '{store}' AS again (READ_WRITE)
ATTACH '{store}' AS again (READ_ONLY)
ATTACH OR REPLACE '{store}' AS calibkit
ATTACH IF NOT EXISTS '{outside}' AS other (TYPE sqlite)
ATTACH ':memory:' AS mine
ATTACH 'https://example.org/x.duckdb' AS web
ATTACH 'postgres://localhost/x' AS p (TYPE postgres)
DETACH calibkit
USE system
USE temp
COPY FROM DATABASE calibkit TO system
SHOW DATABASES
""",
    "load code": """
INSTALL httpfs
INSTALL httpfs FROM 'https://example.org'
INSTALL '{outside}'
INSTALL sqlite FROM community
FORCE INSTALL httpfs
LOAD httpfs
LOAD '{outside}'
UPDATE EXTENSIONS
CREATE FUNCTION mine() AS 'x' LANGUAGE python
SELECT load_extension('{outside}')
PRAGMA load_extension('{outside}')
""",
    "change the rules": """
SET enable_external_access = true
SET GLOBAL enable_external_access = true
SET disabled_filesystems = ''
SET lock_configuration = false
RESET lock_configuration
RESET disabled_filesystems
RESET GLOBAL enable_external_access
SET allowed_directories = ['/']
SET allowed_paths = ['{secret}']
SET memory_limit = '100GB'
SET threads = 64
SET max_expression_depth TO 1000000
SET temp_directory = '{folder}'
SET home_directory = '{folder}'
SET extension_directory = '{folder}'
SET secret_directory = '{folder}'
SET allow_unsigned_extensions = true
SET autoinstall_known_extensions = true
SET autoload_known_extensions = true
SET custom_extension_repository = 'https://example.org'
SET python_enable_replacements = true
SET python_scan_all_frames = true
SET max_execution_time = 0
SET VARIABLE x = 1
PRAGMA temp_directory = '{folder}'
PRAGMA memory_limit = '100GB'
PRAGMA enable_object_cache
PRAGMA force_checkpoint
PRAGMA disable_checkpoint_on_shutdown
CREATE SECRET mine (TYPE s3)
CREATE SECRET mine (TYPE s3, PROVIDER credential_chain)
CREATE PERSISTENT SECRET mine (TYPE http, BEARER_TOKEN 'x')
CREATE PERSISTENT SECRET mine IN local_file (TYPE http, BEARER_TOKEN 'x')
DROP SECRET mine
FROM duckdb_secrets(redact = false)
""",
    "change the data": """
DELETE FROM corpora
UPDATE corpora SET name = 'mine'
INSERT INTO corpora (corpus_id, name) VALUES ('c', 'mine')
INSERT INTO meta VALUES ('schema_version', '999') ON CONFLICT DO UPDATE SET value = '999'
INSERT INTO corpora (corpus_id, name) VALUES ('c', 'mine') RETURNING *
WITH x AS (DELETE FROM corpora RETURNING *) FROM x
TRUNCATE corpora
MERGE INTO corpora USING (SELECT 'c' AS corpus_id) AS s USING (corpus_id) WHEN MATCHED THEN DELETE
DROP TABLE corpora
DROP VIEW results
DROP SCHEMA core CASCADE
DROP SCHEMA main CASCADE
ALTER TABLE corpora ADD COLUMN mine INTEGER
CREATE TABLE mine (a INTEGER)
CREATE TABLE mine AS FROM read_text('{secret}')
CREATE OR REPLACE VIEW results AS SELECT 1
CREATE MACRO mine(a) AS a
CREATE OR REPLACE MACRO compare(a, b) AS TABLE FROM read_text('{secret}')
CREATE INDEX mine ON corpora (name)
CREATE SEQUENCE mine
CREATE TYPE mine AS ENUM ('a')
CREATE SCHEMA mine
CREATE TRIGGER mine AFTER INSERT ON corpora SELECT 1
COMMENT ON TABLE corpora IS 'mine'
PREPARE p AS DELETE FROM corpora
EXECUTE p
BEGIN TRANSACTION
COMMIT
EXPLAIN ANALYZE DELETE FROM corpora
EXPLAIN ANALYZE CREATE TABLE mine (a INTEGER)
CALL pragma_database_size()
CALL add_parquet_key('k', '0123456789112345')
PRAGMA add_parquet_key('k', '0123456789112345')
SELECT nextval('mine')
""",
    "several statements": """
SELECT 1; DELETE FROM corpora
SELECT 1; COPY (SELECT 1) TO '{store}' (USE_TMP_FILE false)
DELETE FROM corpora; SELECT 1
SELECT 1;;; DELETE FROM corpora
SELECT 1 /* ; */; COPY (SELECT 1) TO '{outside}' --
SELECT ';' ; SET lock_configuration = false
BEGIN; DELETE FROM corpora; COMMIT
EXPLAIN SELECT 1; DELETE FROM corpora
PIVOT corpora ON name USING count(*); DELETE FROM corpora
SELECT $$;$$; ATTACH '{outside}' AS other
""",
}

ATTACKS: dict[str, str] = {
    line: group for group, lines in _GROUPS.items() for line in lines.strip().splitlines()
}
"""Statement -> what it tries."""

HARMLESS = {
    "CHECKPOINT",
    "FORCE CHECKPOINT",
    "CHECKPOINT calibkit",
    "VACUUM",
    "VACUUM ANALYZE",
    "ANALYZE",
    "PRAGMA enable_object_cache",
    "PRAGMA force_checkpoint",
    "CALL pragma_database_size()",
    "PREPARE p AS DELETE FROM corpora",
    "PREPARE p AS COPY (SELECT 1) TO '{store}' (USE_TMP_FILE false)",
    "EXPLAIN COPY (SELECT 1) TO '{store}' (USE_TMP_FILE false)",
    "PRAGMA add_parquet_key('k', '0123456789112345')",
    "PRAGMA disable_checkpoint_on_shutdown",
    "SET VARIABLE x = 1",
    "BEGIN TRANSACTION",
    "SHOW DATABASES",
}
"""What may answer on one version or another: it does nothing, or reads what is in the store."""

BOMBS: dict[str, str] = {
    "rows without end": "FROM range(1000000000000000000)",
    "rows without end, counted": "SELECT count(*) FROM range(1000000000000000000)",
    "series without end": "SELECT * FROM generate_series(1, 9223372036854775807)",
    "cross join": "SELECT count(*) FROM range(1000000) a, range(1000000) b, range(1000000) c",
    "recursion": "WITH RECURSIVE t AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM t) FROM t",
    "recursion in place": "WITH RECURSIVE t AS (SELECT 1 AS i UNION ALL SELECT i FROM t)"
    " SELECT count(*) FROM t",
    "recursion that doubles": "WITH RECURSIVE t AS (SELECT 'x' AS s UNION ALL SELECT s || s FROM t)"
    " SELECT max(length(s)) FROM t",
    "recursion that multiplies": "WITH RECURSIVE t AS (SELECT 1 AS i UNION ALL"
    " SELECT a.i FROM t a, t b, range(10)) SELECT count(*) FROM t",
    "huge group by": "SELECT i, count(*) FROM range(1000000000) t(i) GROUP BY i",
    "huge sort": "SELECT i FROM range(1000000000) t(i) ORDER BY hash(i)",
    "huge window": "SELECT row_number() OVER (ORDER BY hash(i)) FROM range(1000000000) t(i)",
    "huge pivot": "PIVOT (SELECT i FROM range(1000000) t(i)) ON i USING count(*)",
    "long string": "SELECT repeat('x', 1000000000)",
    "longer string": "SELECT length(repeat('x', 4000000000))",
    "long strings": "SELECT repeat('x', 10000000) FROM range(2000)",
    "padding": "SELECT lpad('x', 2000000000, 'y')",
    "printf": "SELECT printf('%2000000000d', 1)",
    "format": "SELECT format('{:2000000000}', 1)",
    "bits": "SELECT bitstring('1', 2000000000)",
    "long list": "SELECT range(1000000000)",
    "resized list": "SELECT list_resize([1], 10000000000)",
    "sorted list": "SELECT list_sort(range(100000000))",
    "map over a list": "SELECT list_transform(range(100000000), lambda x: x * x)",
    "split": "SELECT string_split(repeat(',', 100000000), ',')",
    "hash of a long string": "SELECT sha256(repeat('x', 4000000000))",
    "distance of strings": "SELECT levenshtein(repeat('a', 100000), repeat('b', 100000))",
    "regex": "SELECT regexp_extract_all(repeat('a', 50000000), 'a')",
    "regex that backtracks": "SELECT regexp_matches(repeat('a', 1000000), '(a*)*b')",
    "regex that grows": "SELECT regexp_matches('a', '(((a{1,1000}){1,1000}){1,1000})')",
    "LIKE": "SELECT repeat('a', 100000) LIKE repeat('%a', 50000) || 'b'",
    "deep JSON": "SELECT repeat('[', 10000000)::JSON",
    "deep parentheses": f"SELECT {'(' * 100_000}1{')' * 100_000}",
    "deep lists": f"SELECT {'[' * 50_000}{']' * 50_000}",
    "deep subqueries": f"{'SELECT * FROM (' * 20_000}SELECT 1{')' * 20_000}",
    "deep NOT": f"SELECT {'NOT ' * 100_000}true",
    "deep CASE": f"SELECT {'CASE WHEN true THEN ' * 5_000}1{' END' * 5_000}",
    "long sum": f"SELECT {' + '.join(['1'] * 200_000)}",
    "long OR": f"SELECT {' OR '.join(f'1={n}' for n in range(50_000))}",
    "long IN": f"SELECT 1 IN ({','.join(map(str, range(300_000)))})",
    "long UNION": f"SELECT 1{' UNION ALL SELECT 1' * 20_000}",
    "many columns": f"SELECT {', '.join(['*'] * 20_000)} FROM results",
    "many semicolons": f"SELECT 1{';' * 1_000_000}",
    "unclosed comment": "/*" * 1_000_000,
    "doubling CTEs": "WITH t0 AS NOT MATERIALIZED (SELECT 1 AS x), "
    + ", ".join(
        f"t{n} AS NOT MATERIALIZED (SELECT a.x FROM t{n - 1} a, t{n - 1} b)" for n in range(1, 40)
    )
    + " SELECT count(*) FROM t39",
    "many joins": "SELECT count(*) FROM range(9) t0"
    + "".join(f" JOIN range(9) t{n} USING (range)" for n in range(1, 300)),
    "statement of 50 MB": f"SELECT '{'x' * 50_000_000}'",
}
"""Name -> a statement that wants all of the time, the memory or the stack."""

QUICK_BOMBS = {
    "rows without end",
    "recursion",
    "long strings",
    "long list",
    "regex",
    "deep subqueries",
    "doubling CTEs",
    "statement of 50 MB",
}
"""Those that every run of the tests looks at."""
