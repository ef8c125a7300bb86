"""A backup of a study is a study: it answers, resumes and verifies like the one it is of."""

import pytest

from calibkit.store.backup import backup
from calibkit.store.connection import Store
from calibkit.sweep.verify import verify

MORE = {"grid": {"bits": [8, 3, 4]}}


@pytest.fixture(scope="module")
def copy(finished, tmp_path_factory):
    folder = tmp_path_factory.mktemp("backup")
    backup(finished.store, folder / "copy.duckdb")
    return type(finished)(folder, Store(folder / "copy.duckdb"))


def test_it_has_everything_and_measures_nothing(copy, finished, everything_measured):
    assert everything_measured(copy) == everything_measured(finished)
    report = copy.run()
    assert (report.measured, report.done) == (0, 8)
    cell = copy.rows("SELECT cell_id FROM results WHERE bits = 3")[0][0]
    assert verify(copy.store, cell, tell=lambda text: None).same


def test_it_resumes_without_training(copy, finished, tmp_path, watched, everything_measured):
    study = copy.copy(tmp_path / "resumed")
    other = finished.copy(tmp_path / "other")
    where = "model = 'discriminative' AND policy = 'random'"
    report = study.run(MORE, where=where, watcher=watched)
    assert (report.measured, report.done) == (1, 9)
    assert not any("epoch" in step for step in watched.steps)
    other.run(MORE, where=where)
    assert everything_measured(study) == everything_measured(other)


def test_without_artefacts_it_trains_the_same_model_again(finished, tmp_path, watched):
    backup(finished.store, tmp_path / "copy.duckdb", artefacts=False)
    study = type(finished)(tmp_path, Store(tmp_path / "copy.duckdb"))
    assert study.run().measured == 0
    where = "model = 'discriminative' AND policy = 'random'"
    assert study.run(MORE, where=where, watcher=watched).measured == 1
    assert any("epoch" in step for step in watched.steps)
    assert study.rows("FROM conflicts") == []
