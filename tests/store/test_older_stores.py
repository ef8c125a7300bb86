"""A store of every earlier schema version opens, whole, as if it had been made today.

``schemas/versionN.sql`` has what version N brought or changed, as it was released; older files are
never changed. Whoever adds version N + 1 to the migrations adds the file of version N.
"""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import pytest

from calibkit.errors import ExitCode, StoreNewer
from calibkit.store import Store, insert, merge, migrations, query, tables, views, write_fragment
from calibkit.store.opening import STORAGE_VERSION

pytestmark = pytest.mark.smoke

SCHEMAS = Path(__file__).with_name("schemas")
EARLIER = list(range(migrations.FIRST_VERSION, migrations.current_version()))
ASKED = [
    "SELECT * FROM results ORDER BY ALL",
    "SELECT * FROM summary ORDER BY ALL",
    "SELECT * FROM compare('random', 'k-center') ORDER BY ALL",
    "SELECT * FROM progress",
]
MADE: dict[str, dict[str, Any]] = {
    "synthetic_documents": {
        "request_key": "r1-a", "doc_id": "d1-a", "corpus_id": "c1-news", "generator": "noise-mix",
        "label": "World",
    },
    "subset_cards": {
        "subset_id": "s1-a", "pool": "train", "share": 1.0, "model_id": "", "draws": 20,
        "version": 1, "metric": "mmd", "site": "", "value": 0.125,
    },
    "document_vectors": {"corpus_id": "c1-news", "doc_id": "d1-a", "vector": [0.5, 0.25]},
    "stream_phases": {"stream_id": "v1-a", "phase": 0, "name": "calm", "batches": 1},
    "stream_trajectories": {
        "recipe_id": "y1-b", "trajectory_id": "j1-a", "stream_id": "v1-a", "recipe": "agnews",
        "model": "generative", "method": "frozen", "policy": "start", "preset": "robust",
    },
    "stream_steps": {"trajectory_id": "j1-a", "step": 0, "subset_id": "s1-a"},
    "stream_evaluations": {"trajectory_id": "j1-a", "step": 0, "phase": 0, "accuracy": 0.5},
    "stream_documents": {"trajectory_id": "j1-a", "step": 0, "doc_id": "d1-a", "event": "came"},
    "deployment_measurements": {
        "bench_id": "b1-a", "cell_id": "x1-a", "artefact": "c", "of_cell": True,
    },
}  # fmt: skip
"""A row of each table that came later."""
SINCE = {"synthetic_documents": 2, "subset_cards": 3, "document_vectors": 4}
SINCE |= {"deployment_measurements": 8}
"""With which version; those that are not here came with 7."""


@pytest.fixture(scope="module")
def today(tmp_path_factory, template, module_made):
    """A store of the current version with rows in it; never to be changed."""
    store = Store(tmp_path_factory.mktemp("today") / "store.duckdb", patience=1.0)
    shutil.copy(template, store.path)
    cells = [
        module_made.cell(policy, seed, f"s1-{policy}{seed}", 0.8 + seed / 100, 0.7)
        for policy in ("random", "k-center")
        for seed in (0, 1)
    ]
    module_made.fill(store, cells)
    with store.writing() as con:
        for table, row in MADE.items():
            insert(con, table, [row])
    return store


def older(version: int, today: Store, path: Path) -> Store:
    """Make a store as that version made it, with the rows of today's in the tables it has."""
    config = {"storage_compatibility_version": STORAGE_VERSION}
    with duckdb.connect(str(path), config={**config}) as con:
        for number in range(1, version + 1):
            con.execute((SCHEMAS / f"version{number}.sql").read_text())
        con.execute(files("calibkit.store").joinpath("t_quantiles.sql").read_text())
        con.execute(f"ATTACH '{today.path}' AS today (READ_ONLY)")
        for name in names_of(con, "main"):
            if name not in ("t_quantiles", "meta"):
                con.execute(f'INSERT INTO "{name}" BY NAME FROM today."{name}"')
        con.execute("DETACH today")
        con.execute("INSERT INTO meta VALUES ('schema_version', ?)", [str(version)])
    return Store(path, patience=1.0)


def names_of(con: duckdb.DuckDBPyConnection, schema: str) -> list[str]:
    found = con.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database()"
        " AND schema_name = ? ORDER BY ALL",
        [schema],
    ).fetchall()
    return [name for (name,) in found]


def rows_of(store: Store) -> dict[str, list[str]]:
    with store.reading() as con:
        kept = [name for name in names_of(con, "main") if name != "meta"]
        return {n: sorted(map(repr, con.execute(f'FROM "{n}"').fetchall())) for n in kept}


def test_every_earlier_version_has_its_schema():
    found = sorted(path.name for path in SCHEMAS.iterdir())
    assert found == [f"version{number}.sql" for number in EARLIER], (
        "a new schema version: put what the former one brought or changed (`git diff` of"
        " schema.sql, without comments) into tests/store/schemas"
    )


@pytest.mark.parametrize("version", EARLIER)
def test_an_older_store_becomes_what_todays_is(version, today, tmp_path, made, told):
    store = older(version, today, tmp_path / "older.duckdb")
    with duckdb.connect(str(store.path), read_only=True) as con:
        had = set(names_of(con, "main"))
        assert had & set(MADE) == {name for name in MADE if SINCE.get(name, 7) <= version}
    expected = {name: rows if name in had else [] for name, rows in rows_of(today).items()}
    assert rows_of(store) == expected
    with store.reading() as con, today.reading() as other:
        assert migrations.schema_version(con, store.path) == migrations.current_version()
        assert views(con) == views(other)  # columns and comments included
        assert tables(con) == tables(other)
        shape = "SELECT table_name, constraint_text FROM duckdb_constraints() ORDER BY ALL"
        assert con.execute(shape).fetchall() == other.execute(shape).fetchall()
        for text in ASKED:
            assert con.execute(text).fetchall() == other.execute(text).fetchall(), text
        assert con.execute(ASKED[0]).fetchall()
    (copy,) = (store.folder / "backups").iterdir()
    with duckdb.connect(str(copy), read_only=True) as con:
        found = con.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
        assert found == (str(version),)
        assert con.execute("SELECT count(*) FROM cells").fetchone() == (4,)
    late = made.cell("random", 7, "s1-late", 0.5)
    write_fragment(store.fragments, late.cell_id, made.payload(late))
    assert merge(store).cells == 1
    told(f"a store of schema version {version}: opened, all rows there, all views as today")


DIES = """
import os, sys
from calibkit.store import Store, migrations
real = migrations._run_schema
def dies(con):
    real(con)
    if sys.argv[2] == "in the transaction":
        os.kill(os.getpid(), 9)
    con.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", [sys.argv[3]])
    con.execute("COMMIT")
    os.kill(os.getpid(), 9)
migrations._run_schema = dies
with Store(sys.argv[1]).writing():
    pass
"""


@pytest.mark.parametrize("when", ["in the transaction", "after the commit"])
def test_killed_while_it_becomes_newer_it_is_old_or_new(when, today, tmp_path, python):
    store = older(1, today, tmp_path / "older.duckdb")
    process = python(DIES, store.path, when, migrations.current_version())
    assert process.wait() == -9
    assert rows_of(store)["cells"] == rows_of(today)["cells"]
    with store.reading() as con, today.reading() as other:
        assert {one.name: one for one in views(con)} == {one.name: one for one in views(other)}


@pytest.mark.parametrize("newer", [1, 1000])
def test_a_newer_store_is_refused_whatever_is_asked(newer, today, tmp_path, fresh_store):
    version = migrations.current_version() + newer
    with duckdb.connect(str(fresh_store.path)) as con:
        con.execute(f"UPDATE meta SET value = '{version}' WHERE key = 'schema_version'")
    before = fresh_store.path.read_bytes()

    def read() -> None:
        with fresh_store.reading():
            pass

    def write() -> None:
        with fresh_store.writing():
            pass

    for use in (read, write, fresh_store.upgrade, lambda: query(fresh_store, "SELECT 1")):
        with pytest.raises(StoreNewer, match=rf"version {version}.*pip install -U") as error:
            use()
        assert error.value.exit_code == ExitCode.STORE
    assert fresh_store.path.read_bytes() == before
