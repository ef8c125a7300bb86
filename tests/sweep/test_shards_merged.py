"""Shards measured in copies of a store, brought together: the tables of one undisturbed run."""

import pytest

from calibkit.store.carry import CARRIED, write_notes
from calibkit.store.foreign import bring_in
from calibkit.store.fragments import merge
from calibkit.sweep.plan import Shard, plan
from calibkit.sweep.verify import verify

RECIPE = {
    "policies": {"made": {"use": "random-tokens"}, "stratified": None},
    "grid": {"model": ["discriminative"], "policy": ["random", "made"], "seed": [0, 1]},
}
"""Half of the calibration sets are of documents that no corpus has."""


@pytest.fixture(scope="module")
def trained(ingested, tmp_path_factory):
    """A store with the float model and two of the eight cells."""
    study = ingested.copy(tmp_path_factory.mktemp("trained"))
    report = study.run(RECIPE, where="policy = 'random' AND bits = 8")
    assert (report.done, report.missing) == (2, 6)
    return study


@pytest.fixture(scope="module")
def shards(trained, tmp_path_factory):
    """Two copies of it, each with a half of the recipe."""
    folder = tmp_path_factory.mktemp("shards")
    found = [trained.copy(folder / str(number)) for number in (1, 2)]
    for number, study in enumerate(found, start=1):
        report = study.run(RECIPE, shard=Shard(number, 2), train=False)
        assert report.failed == 0 and report.missing > 0
        assert (report.asked_missing, report.failed_keys) == (0, ())
    return found


@pytest.fixture(scope="module")
def undisturbed(trained, tmp_path_factory):
    study = trained.copy(tmp_path_factory.mktemp("undisturbed"))
    assert study.run(RECIPE).done == 8
    return study


def test_two_shards_give_the_tables_of_one_run(
    trained, shards, undisturbed, tmp_path, everything_measured
):
    study = trained.copy(tmp_path / "main")
    for shard in shards:
        report = bring_in(study.store, shard.store.folder)
        assert report.problems == ()
    assert everything_measured(study) == everything_measured(undisturbed)
    assert study.rows("SELECT * FROM progress") == [("tiny", 8, 8, 0, 0)]
    # the runs of the shards came along, and every cell says which of them measured it
    assert study.one("SELECT count(*) FROM runs") == 3
    assert study.one("SELECT count(*) FROM provenance WHERE started_at IS NOT NULL") == 8
    documents = "SELECT count(*), count(DISTINCT doc_id) FROM documents WHERE split = 'synthetic'"
    made = study.one("SELECT count(DISTINCT doc_id) FROM synthetic_documents")
    assert study.one(documents) == (made, made) == undisturbed.one(documents)
    assert study.one("SELECT count(*) FROM synthetic WHERE text IS NULL") == 0
    for table in ("subsets", "synthetic_documents", "recipe_cells", "recipe_noises"):
        same = f"SELECT COLUMNS(* EXCLUDE (created_at)) FROM {table} ORDER BY ALL"
        if table.startswith("recipe"):
            same = f"FROM {table} ORDER BY ALL"
        assert study.rows(same) == undisturbed.rows(same)
    report = study.run(RECIPE)
    assert (report.measured, report.done) == (0, 8)
    cell = study.rows("SELECT cell_id FROM results WHERE policy = 'made' AND bits = 3")[0][0]
    assert verify(study.store, cell, tell=lambda text: None).same


def test_merging_again_changes_nothing(trained, shards, tmp_path, everything_measured):
    study = trained.copy(tmp_path / "main")
    bring_in(study.store, shards[0].store.folder)
    before = everything_measured(study)
    counts = {table: study.one(f"SELECT count(*) FROM {table}") for table in CARRIED}
    report = bring_in(study.store, shards[0].store.folder)
    assert (report.rows, report.problems) == ({}, ())
    assert everything_measured(study) == before
    assert {table: study.one(f"SELECT count(*) FROM {table}") for table in CARRIED} == counts


def test_a_shard_killed_before_its_notes_writes_them_when_it_is_run_again(
    trained, shards, tmp_path, monkeypatch
):

    from calibkit.sweep import books

    study = trained.copy(tmp_path / "shard")
    with monkeypatch.context() as patch:
        patch.setattr(books, "write_notes", lambda *_: ())
        study.run(RECIPE, shard=Shard(1, 2))
    main = trained.copy(tmp_path / "main")
    assert bring_in(main.store, study.store.folder).rows.get("runs") is None
    assert main.one("SELECT done FROM progress") == 2  # the cells are there, their plan is not
    report = study.run(RECIPE, shard=Shard(1, 2))
    assert report.measured == 0
    bring_in(main.store, study.store.folder)
    assert main.one("SELECT done FROM progress") == study.one("SELECT done FROM progress") > 2


def test_notes_are_written_once(undisturbed, tmp_path):
    study = undisturbed.copy(tmp_path / "study")
    recipe_id = plan(study.store, study.recipe(RECIPE)).recipe_id
    first = write_notes(study.store, recipe_id)
    assert len(first) == len({path.name for path in first}) >= 5  # the run by --where wrote some
    assert write_notes(study.store, recipe_id) != []  # not merged yet: the same files
    assert sorted(study.store.fragments.glob("*.json")) == sorted(first)
    merge(study.store)
    assert write_notes(study.store, recipe_id) == []


def test_another_recipe_that_measured_the_same_cells_comes_with_its_plan(trained, shards, tmp_path):
    """The run of it decides which version of it the views show."""
    other = {"name": "other", "measure": {"noise": {"keyboard": [0.1], "ocr": [0.1]}}}
    shard = trained.copy(tmp_path / "shard")
    shard.run(RECIPE, other, where="policy = 'random' AND bits = 3 AND seed = 0")
    shard.run(RECIPE, shard=Shard(1, 1))
    main = trained.copy(tmp_path / "main")
    bring_in(main.store, shard.store.folder)
    query = "SELECT recipe, planned, done FROM progress ORDER BY recipe"
    assert main.rows(query) == shard.rows(query) == [("other", 8, 1), ("tiny", 8, 8)]
    query = "SELECT count(*) FROM results WHERE recipe = 'other'"
    assert main.one(query) == shard.one(query) > 0


def test_a_part_by_condition_comes_with_its_plan_as_a_shard_does(
    trained, undisturbed, tmp_path, everything_measured
):
    """Two stores measure two halves by --where; a third, with the models, gets both."""
    main = trained.copy(tmp_path / "main")
    for policy in ("random", "made"):
        half = trained.copy(tmp_path / policy)
        assert half.run(RECIPE, where=f"policy = '{policy}'").asked_missing == 0
        bring_in(main.store, half.store.folder)
    assert main.rows("FROM progress") == [("tiny", 8, 8, 0, 0)]
    assert everything_measured(main) == everything_measured(undisturbed)
