"""Folders of fragments from strangers: names, links, content."""

from __future__ import annotations

import json
import os

import pytest
from seen_from_outside import Outside

from calibkit.store import merge, query, row_counts, write_fragment
from calibkit.store.foreign import bring_in
from calibkit.store.payloads import BOOKS, BY_INGEST, fragment_shapes


@pytest.fixture(scope="module")
def eye():
    with Outside() as eye:
        yield eye


@pytest.fixture
def store(fresh_store):
    return fresh_store


def fragment(number, **more):
    cell = {"cell_id": f"x1-{number}", "host": "there", **more}
    return json.dumps({"fragment": 1, "kind": "cell", "rows": {"cells": [cell]}})


NAMES = [
    *("a b", "a'b", 'a"b', "a;b", "$(reboot)", "`reboot`", "-rf", "--store", "~root", "a:b", "a|b"),
    *(
        "a\nb",
        "a\tb",
        "a\x1b[31mb",
        "a\u202eb",
        "ünïcode",
        "😀",
        "CON",
        "NUL",
        "*",
        "?",
        "[a]",
        " ",
    ),
    *("a.", "a..json..", "..a", "x" * 240, "%2e%2e%2fa", "a\\..\\b", "'; DROP TABLE cells; --"),
]


def test_any_name_comes_in_and_nothing_is_written_elsewhere(store, tmp_path, eye):
    folder = tmp_path / "given"
    folder.mkdir()
    names = [name for name in NAMES if not name.startswith(".")]
    for number, name in enumerate(names):
        (folder / f"{name}.json").write_text(fragment(number))
    given = eye.files(folder)
    report = bring_in(store, folder)
    assert (report.cells, report.problems) == (len(names), ())
    assert eye.files(folder) == given
    kept = sorted(path.name for path in store.merged.iterdir())
    assert len(kept) == len(names)
    assert all(name.isascii() and name.isprintable() and "/" not in name for name in kept)
    others = {path.name for path in tmp_path.iterdir() if not path.name.startswith("calibkit.")}
    assert others == {"given"}
    assert bring_in(store, folder).rows == {}
    hidden = folder / "..hidden.json"
    hidden.write_text(fragment(999))
    assert bring_in(store, folder).rows == {}  # hidden files are in the making


def test_links_out_of_the_folder_are_left(store, tmp_path):
    private = tmp_path / "private.json"
    private.write_text('{"password": "hunter2"}')
    outside = tmp_path / "elsewhere.json"
    outside.write_text(fragment(1))
    folder = tmp_path / "given"
    (folder / "kept").mkdir(parents=True)
    (folder / "kept" / "real.json").write_text(fragment(2))
    (folder / "a.json").symlink_to(private)
    (folder / "b.json").symlink_to(outside)
    (folder / "c.json").symlink_to("kept/real.json")
    (folder / "d.json").symlink_to("/dev/zero")
    (folder / "e.json").symlink_to("nowhere")
    (folder / "f.json").symlink_to("f.json")
    (folder / "g.json").mkdir()
    os.mkfifo(folder / "h.json")
    report = bring_in(store, folder)
    assert report.cells == 1
    assert [line.partition(":")[0] for line in report.problems] == ["a.json", "b.json"]
    assert all("leads out of the folder" in line for line in report.problems)
    everything = b"".join(p.read_bytes() for p in store.folder.rglob("*") if p.is_file())
    assert b"hunter2" not in everything


BAD = {
    "no JSON": "{",
    "another thing": "[]",
    "deep": '{"fragment": 1, "kind": "cell", "rows": ' + "[" * 90_000 + "]" * 90_000 + "}",
    "half a surrogate": fragment("\\ud800").replace("\\\\", "\\"),
    "books": '{"fragment": 1, "kind": "note", "rows": {"meta": [{"key": "a", "value": "b"}]}}',
    "a corpus": '{"fragment": 1, "kind": "note", "rows": {"corpora": [{"corpus_id": "c1-x"}]}}',
    "no table": '{"fragment": 1, "kind": "note", "rows": {"x; DROP TABLE cells": [{"a": 1}]}}',
    "a view": '{"fragment": 1, "kind": "note", "rows": {"results": [{"cell_id": "x1"}]}}',
    "no column": fragment(1, **{'a") VALUES (1); DROP TABLE cells; --': 1}),
    "wrong kind": fragment(1, seconds="'; DROP TABLE cells; --"),
    "huge number": fragment(1, seconds=1).replace('"seconds": 1', '"seconds": ' + "9" * 9_000),
    "documents of a corpus": '{"fragment": 1, "kind": "note", "rows": {"documents":'
    ' [{"corpus_id": "c", "doc_id": "d", "split": "train", "text": "x"}]}}',
    "no key": '{"fragment": 1, "kind": "cell", "rows": {"cells": [{"host": "x"}]}}',
    "rows that are none": '{"fragment": 1, "kind": "cell", "rows": {"cells": [1, 2]}}',
    "later version": '{"fragment": 99, "kind": "cell", "rows": {}}',
}


def test_what_is_no_fragment_is_set_aside_and_nothing_of_it_stored(store, tmp_path):
    folder = tmp_path / "given"
    folder.mkdir()
    for number, content in enumerate(BAD.values()):
        (folder / f"bad-{number:02d}.json").write_text(content)
    (folder / "good.json").write_text(fragment("good"))
    with store.reading() as con:
        before = row_counts(con)
    report = bring_in(store, folder)
    told = sorted(problem.partition(": ")[0] for problem in report.quarantined)
    assert told == [f"bad-{number:02d}.json" for number in range(len(BAD))], report.quarantined
    assert all(len(problem) < 1_000 for problem in report.quarantined)
    with store.reading() as con:
        after = row_counts(con)
    assert {t: n for t, n in after.items() if n != before[t]} == {"cells": 1}
    assert sorted(path.name for path in store.quarantine.glob("*.json")) == told


HOSTILE = "x1-\x1b[31m\u202e'; DROP TABLE cells; --\n\"../../../../etc/passwd"


def test_hostile_values_are_values(store, tmp_path):
    """A row in every table with hostile texts: all views answer, and nothing else happens."""
    with store.reading() as con:
        shapes = fragment_shapes(con)
    given = {"INTEGER": 1, "BIGINT": 1, "USMALLINT": 1, "DOUBLE": 0.5, "BOOLEAN": True}
    given |= {
        "TIMESTAMP": "290000-01-01 00:00:00",
        "JSON": {HOSTILE: [HOSTILE]},
        "VARCHAR": HOSTILE,
    }
    fixed = {
        "split": "synthetic",
        "stage": "float",
        "verdict": "low",
        "event": "came",
        "artefact": "c",
    }
    for table, shape in shapes.items():
        if shape.key and table not in BOOKS | BY_INGEST:
            row = {c: fixed.get(c, given.get(kind, [])) for c, kind in shape.types.items()}
            payload = {"fragment": 1, "kind": "note", "rows": {table: [row]}}
            write_fragment(tmp_path / "given", table, payload)
    report = merge(store, tmp_path / "given")
    assert report.problems == ()
    assert len(report.rows) >= 15
    assert query(store, "SELECT cell_id, host FROM cells").rows == [(HOSTILE, HOSTILE)]
    views = query(store, "SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal")
    with store.reading() as con:
        for schema, view in views.rows:
            con.execute(f'FROM "{schema}"."{view}"').fetchall()


def test_cases_are_counted(told):
    told(f"hostile fragments: {len(NAMES)} file names, {len(BAD)} contents, 8 kinds of links")
