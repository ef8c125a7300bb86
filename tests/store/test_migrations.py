from __future__ import annotations

import duckdb
import pytest

from calibkit.errors import StoreError, StoreNewer
from calibkit.store import insert, migrations, query
from calibkit.store.migrations import Migration

pytestmark = pytest.mark.smoke


def add_licence(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("ALTER TABLE corpora ADD COLUMN licence VARCHAR")


def add_shelf(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("CREATE TABLE shelf (book VARCHAR PRIMARY KEY)")
    con.execute("INSERT INTO shelf VALUES ('dune')")


def breaks(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("CREATE TABLE half (a INTEGER)")
    con.execute("SELECT no_such_function()")


@pytest.fixture
def old_store(store, monkeypatch):
    """A store of the first version."""
    monkeypatch.setattr(migrations, "MIGRATIONS", ())
    with store.writing() as con:
        insert(con, "corpora", [{"corpus_id": "c1", "name": "news"}])
    return store


@pytest.mark.parametrize("use", ["reading", "writing", "query"])
def test_an_older_store_is_backed_up_and_brought_up_to_date(old_store, monkeypatch, use):
    steps = (Migration(2, "licences", add_licence), Migration(3, "books", add_shelf))
    monkeypatch.setattr(migrations, "MIGRATIONS", steps)
    if use == "query":
        assert query(old_store, "FROM shelf").rows == [("dune",)]
    else:
        with getattr(old_store, use)() as con:
            assert con.execute("SELECT name, licence FROM corpora").fetchall() == [("news", None)]
            assert con.execute("FROM shelf").fetchall() == [("dune",)]
            assert migrations.schema_version(con, old_store.path) == 3
            assert con.execute("SELECT count(*) FROM progress").fetchone() == (0,)
    (backup,) = (old_store.folder / "backups").iterdir()
    with duckdb.connect(str(backup), read_only=True) as con:
        assert con.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone() == (
            "1",
        )
    with old_store.writing():  # once is enough
        pass
    assert len(list((old_store.folder / "backups").iterdir())) == 1


def test_a_step_that_fails_leaves_the_store_as_it_was(old_store, monkeypatch):
    steps = (Migration(2, "licences", add_licence), Migration(3, "broken", breaks))
    monkeypatch.setattr(migrations, "MIGRATIONS", steps)
    with pytest.raises(StoreError, match="It is as it was; a copy is"), old_store.writing():
        pass
    monkeypatch.setattr(migrations, "MIGRATIONS", ())
    with old_store.reading() as con:
        assert migrations.schema_version(con, old_store.path) == 1
        assert con.execute("SELECT * EXCLUDE (corpus_id) FROM corpora").description[0][0] == "name"
        names = {row[0] for row in con.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    assert "half" not in names


def test_going_back_to_an_older_calibkit_is_refused(store, monkeypatch):
    monkeypatch.setattr(migrations, "MIGRATIONS", (Migration(2, "licences", add_licence),))
    with store.writing() as con:  # a fresh store has the version of the code that made it
        assert migrations.schema_version(con, store.path) == 2
    monkeypatch.setattr(migrations, "MIGRATIONS", ())
    with pytest.raises(StoreNewer, match="version 2"), store.reading():
        pass


def test_steps_are_numbered_without_gaps():
    numbers = [step.to for step in migrations.MIGRATIONS]
    assert numbers == list(range(migrations.FIRST_VERSION + 1, migrations.current_version() + 1))


def test_a_store_of_the_first_version_gains_the_tables_that_are_new(old_store, monkeypatch):
    with old_store.writing() as con:
        con.execute("DROP VIEW synthetic")
        con.execute("DROP TABLE synthetic_documents")
    monkeypatch.undo()
    with old_store.reading() as con:
        assert con.execute("SELECT count(*) FROM synthetic").fetchone() == (0,)
        assert con.execute("SELECT name FROM corpora").fetchall() == [("news",)]
        assert migrations.schema_version(con, old_store.path) == migrations.current_version()
