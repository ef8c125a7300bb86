"""SQL that gives the documents of a scratch database their splits, ids and flags."""

from __future__ import annotations

# Equal texts are told by their md5 (text_key), so that texts are copied as seldom as possible.
MOVED = """
CREATE TABLE moved AS
WITH ranked AS (
    SELECT
        label,
        text_key,
        row_number() OVER (PARTITION BY label ORDER BY key, text_key) AS rank,
        count(*) OVER (PARTITION BY label) AS many
    FROM (
        SELECT DISTINCT label, text_key, md5('calibkit1:0:split:' || md5(text)) AS key
        FROM rows WHERE split = 'train' AND $test + $valid > 0
    )
)
SELECT label, text_key, CASE WHEN rank <= round($test * many) THEN 'test' ELSE 'valid' END AS target
FROM ranked WHERE rank <= round($test * many) + round($valid * many)
"""

PLACED = """
CREATE VIEW placed AS
SELECT
    rows.rowid AS row,
    coalesce(target, rows.split) AS split,
    rows.label,
    line,
    text,
    rows.text_key
FROM rows LEFT JOIN moved
    ON rows.split = 'train' AND rows.label = moved.label AND rows.text_key = moved.text_key
"""

# Only texts that occur more than once can be duplicates, later occurrences, or in the test split.
REPEATED = """
CREATE TABLE repeated AS
WITH several AS (
    FROM placed
    WHERE text_key IN (SELECT text_key FROM rows GROUP BY text_key HAVING count(*) > 1)
), numbered AS (
    SELECT *, row_number() OVER (PARTITION BY split, label, text_key ORDER BY line) - 1
        AS occurrence
    FROM several
)
SELECT
    row,
    occurrence,
    row_number() OVER (PARTITION BY split, text_key ORDER BY label, occurrence) > 1 AS is_duplicate,
    split <> 'test' AND text_key IN (SELECT text_key FROM several WHERE split = 'test') AS in_test
FROM numbered
"""

# chr(31) counts as white space in a clean text or label, so it separates the parts of an id.
IDS = """
CREATE TABLE ids AS
SELECT
    row,
    'd1-' || left(md5(concat_ws(chr(31), $name, split, label, text, occurrence)), 20) AS doc_id,
    split,
    is_duplicate,
    in_test
FROM (
    SELECT
        placed.row,
        split,
        label,
        text,
        coalesce(occurrence, 0) AS occurrence,
        coalesce(is_duplicate, false) AS is_duplicate,
        coalesce(in_test, false) AS in_test
    FROM placed LEFT JOIN repeated ON placed.row = repeated.row
)
"""

FINISHED = """
CREATE VIEW finished AS
SELECT doc_id, ids.split, label, text, tokens, is_duplicate, in_test
FROM ids JOIN rows ON ids.row = rows.rowid
"""

WITH_VECTORS = """
CREATE VIEW with_vectors AS
SELECT doc_id, vector, digest
FROM ids
JOIN rows ON ids.row = rows.rowid
JOIN vectors ON vectors.split = rows.split AND vectors.line = rows.line
"""
