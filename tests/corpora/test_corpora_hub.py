"""The hub's loading code, on local folders that the tests make."""

from __future__ import annotations

import json

import pytest

from calibkit.corpora import ingest
from calibkit.corpora.hub import parse_address
from calibkit.errors import BadInput

datasets = pytest.importorskip("datasets")

NAMES = ["sad", "glad"]


@pytest.fixture(autouse=True)
def offline_cache(tmp_path, monkeypatch):
    """Nothing is fetched, and nothing is kept outside the test's folder."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def dataset(count, *, labels=None, start=0):
    features = datasets.Features(
        {"body": datasets.Value("string"), "mood": datasets.ClassLabel(names=NAMES)}
    )
    moods = labels or [number % 2 for number in range(count)]
    bodies = [f"body number {start + number}" for number in range(count)]
    return datasets.Dataset.from_dict({"body": bodies, "mood": moods}, features=features)


def columns():
    return {"text_column": "body", "label_column": "mood"}


def test_class_labels_become_their_names_and_validation_is_valid(fresh_store, tmp_path):
    splits = {
        "train": dataset(40),
        "validation": dataset(6, start=40),
        "test": dataset(8, start=50),
    }
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "moods")
    report = ingest(fresh_store, "moods", source=f"hub:{tmp_path / 'moods'}", **columns())
    assert report.documents == {"train": 40, "valid": 6, "test": 8}
    assert report.labels == ("glad", "sad")
    with fresh_store.reading() as con:
        found = con.execute(
            "SELECT text, label FROM documents JOIN labels USING (corpus_id, label_id)"
            " WHERE split = 'test' ORDER BY text"
        ).fetchall()
        ((source,),) = con.execute("SELECT source FROM corpora").fetchall()
    assert found == [(f"body number {50 + n}", NAMES[n % 2]) for n in range(8)]
    assert json.loads(source)["splits"]["train"] == {"rows": 40}
    assert json.loads(source)["fingerprints"].keys() == {"train", "valid", "test"}


def test_a_folder_of_data_files_is_a_dataset(fresh_store, tmp_path, write, labelled):
    folder = tmp_path / "plain"
    folder.mkdir()
    write("plain/train.csv", labelled)
    write("plain/test.csv", labelled[:5])
    report = ingest(fresh_store, "plain", source=f"hub:{folder}")
    assert report.documents == {"train": 81, "valid": 9, "test": 5}
    assert report.labels == ("apple", "bread", "cheese")
    again = ingest(fresh_store, "plain", source=f"hub:{folder}")
    assert again.already_there


def test_a_split_that_hides_its_labels_is_left_out_and_said(fresh_store, tmp_path):
    splits = {"train": dataset(40), "test": dataset(8, labels=[-1] * 8)}
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "moods")
    report = ingest(fresh_store, "moods", source=f"hub:{tmp_path / 'moods'}", **columns())
    assert report.documents == {"train": 28, "valid": 4, "test": 8}
    assert report.notes[0] == "split 'test' has no labels and was left out"


def test_a_missing_label_is_named_by_its_row(fresh_store, tmp_path):
    splits = {"train": dataset(40), "test": dataset(4, labels=[0, 1, -1, 0])}
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "moods")
    with pytest.raises(BadInput, match=r"moods\[test\]:3: empty label"):
        ingest(fresh_store, "moods", source=f"hub:{tmp_path / 'moods'}", **columns())
    assert not fresh_store.exists()


def test_a_wrong_column_or_split_is_named(fresh_store, tmp_path):
    dataset(40).save_to_disk(tmp_path / "moods")
    with pytest.raises(BadInput, match="no column is called 'text'.*--text-column"):
        ingest(fresh_store, "moods", source=f"hub:{tmp_path / 'moods'}", label_column="mood")
    datasets.DatasetDict({"other": dataset(4)}).save_to_disk(tmp_path / "odd")
    with pytest.raises(BadInput, match="has no split called 'train'; it has: 'other'"):
        ingest(fresh_store, "odd", source=f"hub:{tmp_path / 'odd'}", **columns())


def test_a_dataset_that_cannot_be_loaded_is_one_error(fresh_store, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="could not be loaded"):
        ingest(fresh_store, "mine", source=f"hub:{tmp_path / 'empty'}")
    assert not fresh_store.exists()


def test_addresses(tmp_path):
    assert parse_address("org/name") == ("org/name", None)
    assert parse_address("org/name:config-1") == ("org/name", "config-1")
    assert parse_address(str(tmp_path)) == (str(tmp_path), None)
    assert parse_address(f"{tmp_path}:one") == (str(tmp_path), "one")
    for wrong in ("", "org/", "a/b/c", "org/name:", "https://x/y"):
        with pytest.raises(BadInput, match="hub:ORG/DATASET"):
            parse_address(wrong)
