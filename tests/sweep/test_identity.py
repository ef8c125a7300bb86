"""The same data give the same ids and the same numbers, wherever and however they are measured."""

import csv
import random

from calibkit.corpora.ingest import ingest
from calibkit.store.connection import Store


def reordered(path, seed):
    with path.open(newline="") as file:
        header, *rows = list(csv.reader(file))
    random.Random(seed).shuffle(rows)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def test_another_store_with_the_rows_in_another_order_gives_the_same_tables(
    ingested, finished, tmp_path, everything_measured
):
    study = ingested.copy(tmp_path / "study")
    study.store.path.unlink()
    files = {split: study.folder / "files" / f"{split}.csv" for split in ("train", "valid", "test")}
    for seed, path in enumerate(files.values()):
        reordered(path, seed)
    other = type(study)(study.folder, Store(study.folder / "other.duckdb"))
    ingest(other.store, "made", **files)
    grid = {"grid": {"policy": ["stratified", "random"], "bits": [3, 8]}, "name": "renamed"}
    part = "model = 'discriminative'"
    assert other.run(grid, where=part).measured == 4
    found, whole = everything_measured(other), everything_measured(finished)
    for name in ("evaluations", "predictions", "distributions", "models", "plan_cells", "cells"):
        assert found[name]
        assert set(found[name]) < set(whole[name])
    for name in ("test_sets", "subset_documents", "subset_profiles", "subset_requests"):
        assert found[name] == whole[name]


def test_one_worker_measures_what_this_process_measures(fresh, finished, everything_measured):
    part = "model = 'generative' AND policy = 'random'"
    assert fresh.run(executor="local", workers=1, where=part).measured == 2
    found, whole = everything_measured(fresh), everything_measured(finished)
    for name in ("results", "predictions", "distributions", "models", "label_results"):
        assert found[name]
        assert set(found[name]) < set(whole[name])


def test_engines_measure_the_same_numbers(fresh, finished, everything_measured):
    part = "bits = 3 AND policy = 'random'"
    assert fresh.run(engine="plain", where=part).measured == 2
    found, whole = everything_measured(fresh), everything_measured(finished)
    for name in ("results", "predictions", "distributions"):
        assert set(found[name]) < set(whole[name])
