"""Fragments of other stores, from any folder that may be named."""

from __future__ import annotations

import json

import pytest

from calibkit.errors import BadInput
from calibkit.store import Store, query, row_counts, write_fragment
from calibkit.store import fragments as fragments_module
from calibkit.store.carry import CARRIED
from calibkit.store.foreign import bring_in, fragment_folders
from calibkit.store.payloads import BOOKS, BY_INGEST


@pytest.fixture
def store(fresh_store):
    return fresh_store


@pytest.fixture
def other(made, tmp_path):
    """A store of another machine: one cell merged, one that waits."""
    other = Store(tmp_path / "there" / "other.duckdb")
    made.fill(other, [made.cell("random", 0, "s1-a", 0.8)])
    cell = made.cell("random", 1, "s1-b", 0.7)
    write_fragment(other.fragments, cell.cell_id, made.payload(cell))
    return other


def names(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.smoke
def test_merged_and_waiting_fragments_of_a_store_come_in_and_it_stays_as_it_is(store, other):
    before = names(other.folder)
    report = bring_in(store, other.folder)
    assert (report.cells, report.evaluations, report.problems) == (2, 2, ())
    assert report.rows["predictions"] == 2 and report.rows["baseline_evaluations"] == 4
    assert "models" not in report.rows
    assert names(other.folder) == before
    again = bring_in(store, other.folder)
    assert (again.rows, again.problems, again.fragments) == ({}, (), report.fragments)


def test_a_plain_folder_of_fragments_comes_in(store, made, tmp_path):
    cell = made.cell("random", 0, "s1-a", 0.8)
    write_fragment(tmp_path / "some", cell.cell_id, made.payload(cell))
    (tmp_path / "some" / "folder.json").mkdir()
    (tmp_path / "some" / ".x.json.host.1.0.tmp").write_text("half")
    assert bring_in(store, tmp_path / "some").cells == 1


def test_a_lost_store_is_filled_from_its_own_folder(store, made, other):
    bring_in(store, other.folder)
    store.path.unlink()
    assert bring_in(store, store.folder).cells == 2
    assert query(store, "SELECT count(*) FROM cells").rows == [(2,)]


def test_problems_that_waited_in_the_store_itself_are_told(store, other):
    store.fragments.mkdir(parents=True)
    (store.fragments / "f1-bad.json").write_text("{")
    report = bring_in(store, other.folder)
    assert report.cells == 2
    assert report.quarantined[0].startswith("f1-bad.json: no complete JSON")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda place: None, "there is no folder"),
        (lambda place: place.mkdir(), "has no fragments"),
        (lambda place: place.write_text("x"), "there is no folder"),
        (lambda place: (place / "a.duckdb.d" / "merged").mkdir(parents=True), "a.duckdb.d"),
    ],
)
def test_folders_without_fragments_are_refused(tmp_path, make, told):
    make(tmp_path / "place")
    with pytest.raises(BadInput, match=told):
        fragment_folders(tmp_path / "place")


def test_the_file_of_a_store_is_answered_with_its_folder(other):
    with pytest.raises(BadInput, match=r"beside it: .*other\.duckdb\.d"):
        fragment_folders(other.path)


def test_what_is_too_large_for_a_fragment_stays_where_it_is(store, tmp_path, monkeypatch):
    monkeypatch.setattr(fragments_module, "_MOST_BYTES", 100)
    place = tmp_path / "place"
    place.mkdir()
    (place / "f1-large.json").write_text(" " * 101)
    (place / "f1-small.json").write_text("{}")
    report = bring_in(store, place)
    assert sorted(text.partition(":")[0] for text in report.quarantined) == [
        "f1-large.json",
        "f1-small.json",
    ]
    assert (place / "f1-large.json").exists()
    assert not list(store.fragments.glob("*"))


def documents(split):
    row = {"corpus_id": "c1", "doc_id": "d1", "split": split, "label_id": 0, "text": "a b"}
    return {"fragment": 1, "kind": "note", "rows": {"documents": [row, row]}}


def test_made_documents_travel_and_are_never_doubled(store, tmp_path):
    write_fragment(tmp_path / "place", "f1-made", documents("synthetic"))
    assert bring_in(store, tmp_path / "place").rows == {"documents": 1}
    write_fragment(tmp_path / "place", "f1-more", documents("synthetic"))
    assert bring_in(store, tmp_path / "place").rows == {}
    assert query(store, "SELECT count(*) FROM documents").rows == [(1,)]


@pytest.mark.parametrize("split", ["train", "test", None])
def test_documents_of_a_corpus_never_come_in_by_a_fragment(store, tmp_path, split):
    write_fragment(tmp_path / "place", "f1-forged", documents(split))
    (text,) = bring_in(store, tmp_path / "place").quarantined
    assert "f1-forged.json" in text and "only have documents of the split 'synthetic'" in text
    assert query(store, "SELECT count(*) FROM documents").rows == [(0,)]
    assert json.loads((store.quarantine / "f1-forged.json").read_text())["kind"] == "note"


@pytest.mark.parametrize("table", sorted(BY_INGEST | BOOKS))
def test_tables_of_ingest_and_books_take_nothing_from_fragments(store, tmp_path, table):
    payload = {"fragment": 1, "kind": "note", "rows": {table: []}}
    write_fragment(tmp_path / "place", "f1-forged", payload)
    (text,) = bring_in(store, tmp_path / "place").quarantined
    assert f"no table for fragments is called '{table}'" in text


def test_every_table_has_a_way_to_another_store(store):
    """A table that is new: carry its rows with the cells, or say here how they travel."""
    by_worker = {"cells", "evaluations", "baseline_evaluations", "label_evaluations"}
    by_worker |= {"predictions", "distributions", "failures"}
    by_worker |= {
        "stream_steps",
        "stream_evaluations",
        "stream_documents",
        "deployment_measurements",
    }
    with store.reading() as con:
        assert set(row_counts(con)) == by_worker | set(CARRIED) | BY_INGEST | BOOKS
