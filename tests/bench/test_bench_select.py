"""Choosing from large pools: made-up corpora, the plain path, losses, and which rows there are."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest

from calibkit.bench import ingest, select, selecting
from calibkit.bench.corpora import DIMS, HELD_OUT, SITES, write_features, write_files
from calibkit.bench.isolation import MeasurementFailed, apart, own_peak_mb
from calibkit.corpora.ingest import prepared
from calibkit.errors import BadInput, Infeasible, UnknownName

DOCUMENTS = 3_000


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Files, a store with their documents, and features."""
    folder = tmp_path_factory.mktemp("select")
    files = write_files(folder, DOCUMENTS)
    store = str(folder / "pool.duckdb")
    found = ingest.ingested(store=store, files=files.by_split)
    features = {name: str(path) for name, path in write_features(folder, DOCUMENTS).items()}
    return files, {"store": store, "features": features}, found


def test_corpora_are_the_same_every_time_and_their_splits_share_no_text(made, tmp_path):
    files, _, _ = made
    again = write_files(tmp_path, DOCUMENTS)
    assert again.csv.read_bytes() == files.csv.read_bytes()
    with prepared("bench", files=dict(again.by_split)) as corpus:
        assert corpus.staged.documents == {
            "train": DOCUMENTS, "valid": HELD_OUT, "test": HELD_OUT
        }  # fmt: skip
        assert corpus.staged.in_test == 0 and len(corpus.staged.labels) == 10
        quoted, wide = corpus.staging.con.execute(
            "SELECT count(*) FILTER (contains(text, ',') OR contains(text, '\"')),"
            " count(*) FILTER (strlen(text) > length(text)) FROM rows WHERE split = 'train'"
        ).fetchone()
    assert DOCUMENTS / 40 < quoted < DOCUMENTS / 10
    assert DOCUMENTS / 60 < wide < DOCUMENTS / 15


def test_features_are_the_same_every_time(made, tmp_path):
    _, options, _ = made
    for name, path in write_features(tmp_path, DOCUMENTS).items():
        found = np.load(path)
        assert np.array_equal(found, np.load(options["features"][name])) and len(found) == DOCUMENTS
    assert np.load(tmp_path / f"vectors-{DOCUMENTS}.npy").shape[1] == DIMS
    ranges = np.load(tmp_path / f"ranges-{DOCUMENTS}.npy")
    assert ranges.shape[1:] == (SITES, 2) and (ranges[:, :, 0] <= ranges[:, :, 1]).all()


def test_a_corpus_made_by_hand_is_the_one_that_is_ingested(made, tmp_path):
    files, _, found = made
    by_hand = ingest.by_hand(files=files.by_split)
    assert by_hand.outcome == found.outcome
    assert found.outcome[1] == (("train", DOCUMENTS), ("valid", HELD_OUT), ("test", HELD_OUT))
    whole = ingest.ingested(store=str(tmp_path / "whole.duckdb"), files=files.whole)
    assert ingest.by_hand(files=files.whole).outcome == whole.outcome
    assert 0 < whole.loading < whole.seconds
    repeated, some = tmp_path / "repeated.csv", tmp_path / "some.csv"
    head, *lines = files.csv.read_text().splitlines(keepends=True)
    repeated.write_text(head + "".join([*lines, *lines[:50], *lines[20:40]]))
    some.write_text(head + "".join(lines[30:60]))
    splits = {"train": str(repeated), "test": str(some)}
    expected = ingest.by_hand(files=splits).outcome
    assert ingest.ingested(store=str(tmp_path / "more.duckdb"), files=splits).outcome == expected
    assert expected[2:4] == (70, 30 + 20 + 10)


@pytest.mark.parametrize("choice", [*select.DEFAULT, select.Choice("longest", "longest")],
                         ids=lambda choice: choice.name)  # fmt: skip
def test_the_store_and_plain_python_choose_the_same(made, choice):
    _, options, _ = made
    asked = {**options, "policy": choice.policy, "params": choice.params, "size": 40, "seed": 1}
    ours, plain = selecting.in_store(**asked), selecting.in_python(**asked)
    assert ours.ids == plain.ids
    assert ours.ids != selecting.in_store(**asked | {"seed": 2}).ids


@pytest.mark.parametrize("policy", selecting.OBJECTIVES)
def test_losses_are_those_of_candidates_against_the_whole_pool(made, policy):
    _, options, _ = made
    asked = {**options, "policy": policy, "size": 30, "seed": 0}
    found = selecting.losses(**asked, params={"candidates": 300})
    exact, random, ours = (found[f"objective{s}"] for s in ("_exact", "_random", ""))
    assert min(exact, random) <= ours <= max(exact, random)
    assert found["loss"] == pytest.approx(abs(ours - exact) / exact) and found["loss"] > 0
    whole = {"candidates": DOCUMENTS, **selecting.EXACT.get(policy, {})}
    assert selecting.losses(**asked, params=whole)["loss"] == 0
    assert selecting.losses(**asked | {"policy": "longest"}, params={}) == {}


def test_policies_are_chosen_by_name():
    names = [choice.name for choice in select.choices(["stratified", "longest"])]
    assert names == ["stratified", "stratified, proportional", "longest"]
    assert select.choices(None) == list(select.DEFAULT)
    with pytest.raises(UnknownName, match="did you mean 'random'"):
        select.choices(["randm"])
    with pytest.raises(BadInput, match="leverage needs gram of documents"):
        select.choices(["leverage"])


def test_pools_that_the_disk_has_no_room_for_are_left_out_and_told(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 5e7})())
    assert select._fitting([10**6, 10_000], tmp_path, told.append) == [10_000]
    assert "1,000,000 documents are left out: they take about 1.0 GB" in told[0]
    with pytest.raises(Infeasible, match="no room for 1,000,000 documents"):
        select._fitting([10**6], tmp_path, told.append)


def test_rows_of_two_pools(monkeypatch):
    """The whole benchmark on small pools, in this process."""

    def here(function, **options):
        module, _, name = function.partition(":")
        return getattr({"ingest": ingest, "selecting": selecting}[module.split(".")[-1]], name)(
            **options
        )

    monkeypatch.setattr(select, "apart", here)
    sizes = replace(select.QUICK, documents=(2_000, 1_000), size=20, candidates=250, sample=500)
    told = []
    chosen = select.choices(["random", "k-center", "length-stratified"])
    found = list(select.rows(sizes, chosen, quick=True, tell=told.append))
    assert [row["what"] for row in found] == [
        "random from 1,000", "k-center from 1,000", "length-stratified from 1,000",
        "ingest csv", "ingest parquet",
        "random from 2,000", "k-center from 2,000", "length-stratified from 2,000",
    ]  # fmt: skip
    assert [row["engine"] for row in found[-3:]] == ["sql", "two-stage", "pool"]
    assert all(row["exact"] and row["low"] <= row["ratio"] <= row["high"] for row in found)
    assert all(row["rows_per_s"] == pytest.approx(row["documents"] / row["seconds"])
               for row in found)  # fmt: skip
    assert [row["what"] for row in found if "growth_documents" in row] == (
        [row["what"] for row in found[-3:]]
    )
    assert [row["what"] for row in found if "loss" in row] == ["k-center from 1,000"]
    assert found[1]["candidates"] == 250 and found[1]["loss"] > 0
    assert told[0] == "1,000 documents: making them up"


def test_targets_are_for_a_million_documents():
    seconds, memory = select._targets("sql", 1_000_000)
    assert seconds.text(1.5) == "seconds <= 2 s: met"
    assert memory.text(501) == "peak_mb <= 500 MB: missed"
    assert [t.limit for t in select._targets("two-stage", 1_000_000)] == [60]
    assert select._targets("sql", 100_000) == select._targets("pool", 1_000_000) == ()


def test_a_process_apart_starts_from_nothing():
    held = bytearray(300 << 20)
    held[::4096] = b"1" * len(held[::4096])
    pid, threads, heavy, peak = apart("started_by_tests:alone")
    assert pid != os.getpid() and threads == "2" and heavy == []
    assert peak < 200 < own_peak_mb()
    with pytest.raises(MeasurementFailed, match="ValueError: no luck"):
        apart("started_by_tests:fails", word="luck")
    with pytest.raises(MeasurementFailed, match="ended from outside"):
        apart("started_by_tests:dies")
