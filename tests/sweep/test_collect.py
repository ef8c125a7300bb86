"""Garbage is what nothing needs: a store without it gives the same tables and the same numbers."""

import json
import os
import signal
import time

import numpy as np
import pytest

from calibkit.errors import StoreBusy, StoreError
from calibkit.store import garbage as garbage_module
from calibkit.store.artefacts import Artefacts
from calibkit.store.fragments import merge, write_fragment
from calibkit.store.rows import insert
from calibkit.sweep.collect import REMADE, TRAINED, Wanted, collect, find_garbage
from calibkit.sweep.verify import verify

COVERING = {
    "policies": {"cover": {"use": "k-center"}, "near": {"use": "herding", "features": "hidden"}},
    "grid": {"model": ["discriminative"], "policy": ["random", "cover", "near"]},
}
EVERYTHING = Wanted(caches=True, quarantine=True, merged=True)
NOBODY = "0" * 16


@pytest.fixture(scope="module")
def measured(ingested, tmp_path_factory):
    """A finished study with features of both kinds."""
    study = ingested.copy(tmp_path_factory.mktemp("measured"))
    assert study.run(COVERING).done == 6
    return study


@pytest.fixture
def study(measured, tmp_path):
    """A copy of it, in which nothing is younger than two hours."""
    copy = measured.copy(tmp_path / "study")
    age(copy)
    return copy


def age(study):
    then = time.time() - 2 * garbage_module.GRACE_SECONDS
    for path in study.store.folder.rglob("*"):
        os.utime(path, (then, then))


def paths(found):
    return {one.path for one in found.waste}


def kept_artefact(study, kind, key, config=None):
    """Save an artefact; return its note and its tensors."""
    folder = study.store.artefacts / kind
    before = set(folder.glob("*"))
    Artefacts(study.store.artefacts).save(kind, key, {"x": np.array([hash(key)])}, config or {})
    return set(folder.glob("[!.]*")) - before


def test_there_is_none_in_a_finished_study(study):
    assert find_garbage(study.store).waste == ()
    assert find_garbage(study.store).told == ()


@pytest.mark.parametrize(
    "flags", [(False, False, False), (True, False, False), (False, True, True), (True, True, True)]
)
def test_after_any_collection_a_complete_recipe_measures_nothing(
    study, measured, tmp_path, flags, everything_measured
):
    before = everything_measured(study)
    wanted = Wanted(*flags)
    found = find_garbage(study.store, wanted)
    assert collect(study.store, wanted) == found
    assert find_garbage(study.store, wanted).waste == ()
    kinds = {one.what for one in found.waste}
    assert kinds == ({"tokens", "vocabulary", "feature", "reference"} if flags[0] else set()) | (
        {"merged"} if flags[2] else set()
    )
    assert everything_measured(study) == before
    report = study.run(COVERING)
    assert (report.measured, report.done, report.conflicts) == (0, 6, 0)
    for policy in ("random", "near"):
        cell = study.rows(f"SELECT cell_id FROM results WHERE policy = '{policy}'")[0][0]
        assert verify(study.store, cell, tell=lambda text: None).same


def test_what_was_a_cache_is_made_anew_and_gives_the_same_numbers(
    study, measured, tmp_path, watched, everything_measured
):
    other = measured.copy(tmp_path / "other")
    collect(study.store, EVERYTHING)
    more = {"grid": {"bits": [8, 3, 4], "seed": [0, 1]}}
    where = "seed = 0 AND bits = 4 OR seed = 1 AND policy = 'near' AND bits = 4"
    report = study.run(COVERING, more, where=where, watcher=watched)
    assert (report.measured, report.failed) == (4, 0)
    assert not any("epoch" in step for step in watched.steps)  # weights are no cache
    other.run(COVERING, more, where=where)
    assert everything_measured(study) == everything_measured(other)


def test_what_killed_writers_left_goes_when_it_is_old(study):
    old, young = [], []
    for place in ("fragments", "artefacts/model", "merged", "quarantine"):
        folder = study.store.folder / place
        folder.mkdir(parents=True, exist_ok=True)
        old.append(folder / ".a.json.host.7.0.tmp")
        young.append(folder / ".b.json.host.7.1.tmp")
    spilled = study.store.folder / "tmp" / "duckdb_temp_storage-0.tmp"
    spilled.parent.mkdir(exist_ok=True)
    old += [spilled, study.store.folder / "fresh.duckdb"]
    for path in old:
        path.write_bytes(b"12345")
    age(study)
    for path in young:
        path.write_text("in the making")
    found = find_garbage(study.store)
    assert paths(found) == set(old)
    assert {one.what for one in found.waste} == {"leftover"}
    assert found.bytes == 5 * len(old)
    collect(study.store)
    assert not any(path.exists() for path in old)
    assert all(path.exists() for path in young)


def test_tensors_that_no_key_refers_to_go_when_they_are_old(study):
    folder = study.store.artefacts / "feature"
    young = folder / f"{'a' * 64}.safetensors"
    old = folder / f"{'b' * 64}.safetensors"
    old.write_text("x")
    age(study)
    young.write_text("x")
    found = find_garbage(study.store)
    assert [(one.what, one.path, one.why) for one in found.waste] == [
        ("tensors", old, "no key refers to it")
    ]


def test_tensors_stay_as_long_as_one_key_refers_to_them(study):
    shelf = Artefacts(study.store.artefacts)
    made_from = {"made_from": ["subset", f"s1-{NOBODY}"]}
    for key, config in (("a1-one", made_from), ("a1-two", {})):
        shelf.save("tokens", key, {"ids": np.arange(7)}, config)
    age(study)
    found = find_garbage(study.store)
    assert [path.name for path in paths(found)] == ["a1-one.json"]
    collect(study.store)
    assert shelf.load("tokens", "a1-two").tensors["ids"].tolist() == list(range(7))


@pytest.mark.parametrize(
    ("kind", "key", "config"),
    [
        ("model", f"k1-{NOBODY}", {"model_id": f"m1-{NOBODY}"}),
        ("checkpoint", f"k1-{NOBODY}-003", {}),
        ("tokens", "a1-a", {"made_from": ["subset", f"s1-{NOBODY}"]}),
        ("tokens", "a1-b", {"made_from": ["test", f"c1-{NOBODY}", 1.0, None]}),
        ("vocabulary", "a1-c", {"types": [], "made_from": [f"c1-{NOBODY}", 1.0]}),
        ("feature", "a1-d", {"made_from": ["misses:8", f"m1-{NOBODY}", ["x"]]}),
        ("feature", "a1-e", {"made_from": ["misses:8", 1, f"k1-{NOBODY}"]}),
        ("ranges", "a1-f", {"made_from": [f"m1-{NOBODY}", "a1-x"], "lstm.cell": 1.0}),
    ],
)
def test_artefacts_of_nothing_in_the_store_go_when_they_are_old(study, kind, key, config):
    files = kept_artefact(study, kind, key, config)
    assert len(files) == 2 and find_garbage(study.store).waste == ()
    age(study)
    found = find_garbage(study.store)
    assert paths(found) == files
    assert {one.what for one in found.waste} == {kind}
    assert all("the store has no" in one.why for one in found.waste)
    collect(study.store)
    assert not any(path.exists() for path in files)


def test_models_stay_while_anything_names_them(study):
    """A row, a fragment that waits, a merged one, a cell."""
    key = study.one("SELECT model_key FROM models")
    waiting, merged = f"k1-{'1' * 16}", f"k1-{'2' * 16}"
    for other in (waiting, merged):
        kept_artefact(study, "model", other)
        kept_artefact(study, "checkpoint", f"{other}-001")
    note = {"fragment": 1, "kind": "note", "rows": {"models": []}}
    write_fragment(study.store.fragments, waiting, note)
    write_fragment(study.store.merged, merged, note)
    age(study)
    assert find_garbage(study.store).waste == ()
    with study.store.writing() as con:  # the cells alone still need the weights
        con.execute("DELETE FROM models")
    (study.store.merged / f"{key}.json").unlink()
    names = {path.name for path in paths(find_garbage(study.store))}
    assert f"{key}.json" not in names
    assert {name.rpartition("-")[0] for name in names if name.endswith("json")} == {key}


def test_where_a_trajectory_stands_stays_while_a_recipe_plans_it(study):
    folder = study.store.folder / "streams"
    folder.mkdir()
    planned, other = f"j1-{'1' * 16}", f"j1-{'2' * 16}"
    for name in (planned, other):
        (folder / f"{name}.safetensors").write_bytes(b"here")
    row = {"recipe_id": "y1-a", "trajectory_id": planned, "stream_id": "w1-a", "model": "a",
           "method": "b", "policy": "c", "preset": "d"}  # fmt: skip
    with study.store.writing() as con:
        insert(con, "stream_trajectories", [row])
    assert find_garbage(study.store).waste == ()
    age(study)
    (found,) = find_garbage(study.store).waste
    assert (found.what, found.path.stem, found.bytes) == ("stream", other, 4)
    assert "no stream recipe of the store" in found.why
    with_caches = {one.path.stem for one in find_garbage(study.store, EVERYTHING).waste}
    assert {planned, other} <= with_caches
    collect(study.store)
    assert [path.stem for path in folder.iterdir()] == [planned]


def test_kinds_that_this_version_does_not_know_are_left_and_told(study):
    kept_artefact(study, "of-tomorrow", "a1-a")
    age(study)
    found = find_garbage(study.store, EVERYTHING)
    assert not any("of-tomorrow" in str(path) for path in paths(found))
    assert any("1 artefact of the kind 'of-tomorrow'" in line for line in found.told)


def test_every_kind_there_is_in_a_store_is_known(study):
    there = {path.name for path in study.store.artefacts.iterdir()}
    assert there and there <= {*TRAINED, *REMADE}


def test_beside_a_note_that_cannot_be_read_all_tensors_stay(study):
    (note, *_) = (study.store.artefacts / "model").glob("*.json")
    note.chmod(0o644)
    note.write_text(note.read_text()[:40])
    age(study)
    found = find_garbage(study.store, EVERYTHING)
    assert not any(path.parent == note.parent for path in paths(found))
    assert any(note.name in line and "cannot be read" in line for line in found.told)


def test_merged_fragments_go_only_where_the_store_has_all_of_them(study):
    cell = study.rows("SELECT cell_id FROM results WHERE policy = 'cover' AND bits = 3")[0][0]
    other = study.rows("SELECT cell_id FROM results WHERE policy = 'near' AND bits = 3")[0][0]
    with study.store.writing() as con:
        con.execute("DELETE FROM distributions WHERE cell_id = ? AND site = 'lstm.io'", [cell])
        con.execute(
            "UPDATE evaluations SET nll = nll + 1e-12 WHERE cell_id = ? AND noise = 0", [other]
        )
    (study.store.merged / "f1-torn.json").write_text("{")
    found = collect(study.store, Wanted(merged=True))
    left = {path.name: path.read_text() for path in study.store.merged.glob("*.json")}
    assert left.pop("f1-torn.json") == "{"
    assert len(left) == 2 and all(one.what == "merged" for one in found.waste)
    measured = {json.loads(text)["rows"]["cells"][0]["cell_id"] for text in left.values()}
    assert measured == {cell, other}
    told = " ".join(found.told)
    assert "f1-torn.json: no complete JSON" in told
    assert "the store lacks 1 of its rows of distributions" in told
    assert "the store has other numbers of evaluations" in told
    merge(study.store, study.store.merged)  # and from what is left, the lost row comes back
    assert study.one(f"SELECT count(*) FROM distributions WHERE cell_id = '{cell}'") == study.one(
        f"SELECT count(*) FROM distributions WHERE cell_id = '{other}'"
    )


def test_quarantine_goes_only_when_it_is_named(study):
    place = study.store.quarantine / "model-k1-x-7"
    place.mkdir(parents=True)
    (place / "file").write_text("123")
    (study.store.quarantine / "f1-bad.json").write_text("12")
    assert find_garbage(study.store).waste == ()
    found = collect(study.store, Wanted(quarantine=True))
    assert len(found.waste) == 2 and found.bytes == 5
    assert list(study.store.quarantine.iterdir()) == []


def test_a_dry_run_changes_nothing(study):
    before = {path: path.stat().st_mtime for path in study.store.folder.rglob("*")}
    assert find_garbage(study.store, EVERYTHING).bytes > 0
    assert {path: path.stat().st_mtime for path in study.store.folder.rglob("*")} == before


def test_nothing_is_removed_under_a_sweep(measured, tmp_path, nursery, wait_for_line):
    study = measured.copy(tmp_path / "busy")
    log = tmp_path / "log"
    pid = nursery.start(
        study, log, COVERING, {"grid": {"bits": [4]}}, pause="calibkit.sweep.quantized:calibrate:1"
    )
    wait_for_line(log, "paused")
    before = sorted(study.store.folder.rglob("*"))
    with pytest.raises(StoreBusy, match=f"PID {pid} on .* is at work in the store"):
        collect(study.store, EVERYTHING)
    assert sorted(study.store.folder.rglob("*")) == before
    assert len(find_garbage(study.store, EVERYTHING).waste) > 0  # looking is allowed
    os.kill(pid, signal.SIGKILL)
    nursery.wait(pid)
    assert len(collect(study.store, EVERYTHING).waste) > 0
    pid = nursery.start(study, log, COVERING, {"grid": {"bits": [4]}})
    assert nursery.wait(pid) == 0, log.read_text()
    assert study.one("SELECT done FROM progress") == 3


def test_files_that_may_not_be_removed_are_told(study, monkeypatch):
    def refuse(path, missing_ok=False):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(garbage_module.Path, "unlink", refuse)
    with pytest.raises(StoreError, match="Permission denied; 0.0 MB were removed before it"):
        garbage_module.remove(find_garbage(study.store, EVERYTHING).waste)
