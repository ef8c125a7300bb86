"""What a dry run says of a plan, and that it leaves everything as it is."""

from __future__ import annotations

import pytest

from calibkit.identity import sha256_hex
from calibkit.sweep.dry_run import NO_CORPUS, dry_run, unknown_kinds
from calibkit.sweep.plan import plan
from calibkit.sweep.probe import probe

MORE = {
    "policies": {
        "one-label": {"use": "one-label", "label": "sea"},
        "gone": {"use": "subset", "id": "s1-none"},
        "brought": {"use": "k-center", "features": "given"},
        "missed": {"use": "miss-weighted"},
        "half": {
            "use": "mixture",
            "parts": [
                {"policy": {"use": "one-label", "label": "sea"}, "share": 1},
                {"policy": {"use": "one-label", "label": "sea"}, "share": 1},
            ],
        },
    },
    "grid": {
        "model": ["discriminative"],
        "policy": ["random", "stratified", "one-label", "gone", "brought", "missed", "half"],
        "size": [16, 90, 300],
    },
}


def dry(study, *changes, probed=None, **how):
    return dry_run(study.store, plan(study.store, study.recipe(*changes), **how), probed)


def everything(study):
    files = sorted(p for p in study.folder.rglob("*") if p.is_file() and p.suffix != ".yaml")
    return {str(path): sha256_hex(path.read_bytes()) for path in files}


def test_rows_have_the_columns_of_results_and_what_is_known_beforehand(study):
    study.recipe_file(MORE)
    before = everything(study)
    rows = dry(study, MORE).rows()
    assert everything(study) == before
    with study.store.reading() as con:
        columns = [c[0] for c in con.execute("FROM results LIMIT 0").description]
    assert set(rows[0]) - set(columns) == {"state", "feasible", "reason", "peak_mb", "basis"}
    assert len(rows) == 7 * 3 * 2
    done = [row for row in rows if row["state"] == "done"]
    assert {(row["policy"], row["size"]) for row in done} == {("random", 16), ("stratified", 16)}
    for row in done:
        assert row["feasible"] is True and row["seconds"] is None
        assert study.rows(
            f"SELECT policy, bits FROM results WHERE cell_id = '{row['cell_id']}' AND noise = 0"
            f" AND subset_id = '{row['subset_id']}'"
        ) == [(row["policy"], row["bits"])]
    new = [row for row in rows if row["state"] == "missing"]
    assert all(row["cell_id"] is None and row["seconds"] > 0 for row in new)
    assert {row["basis"] for row in new} == {"timed"}


def test_every_subset_is_judged_and_a_run_agrees(study):
    found = dry(study, MORE)
    told = {(w.policy, w.size): v for w, v in found.verdicts.items()}
    assert told["random", 16].feasible and told["one-label", 16].feasible
    assert told["half", 16].feasible and told["stratified", 90].feasible
    for at, said in {
        ("random", 300): "asked for 300 documents, the pool has",
        ("one-label", 90): "asked for 90 'sea' documents",
        ("half", 90): "asked for 45 'sea' documents, the pool has",
        ("gone", 16): "the store has no subset 's1-none'",
        ("brought", 16): "corpus 'made' has none",
        ("missed", 300): "asked for 300 documents, the pool has",
    }.items():
        assert told[at].feasible is False and said in told[at].reason, at
    assert told["missed", 16].feasible is None
    assert "misses:8,4,2" in told["missed", 16].reason
    refused = found.judged(False)
    report = study.run(MORE, where="policy <> 'missed'")
    failed = study.rows("SELECT DISTINCT policy, size FROM failed WHERE stage = 'subset'")
    foreseen = {(w.policy, w.size) for w in refused if w.policy != "missed"}
    assert set(failed) == foreseen
    assert report.failed == sum(len(c) for w, c in refused.items() if w.policy != "missed")


def test_counts_say_what_is_there(study):
    counts = dry(study, {"grid": {"bits": [8, 3, 5], "seed": [0, 1]}}).counts
    assert counts == {
        "cells": 24 - 8, "levels": 2, "evaluations": 32, "models": 2, "models there": 2,
        "subsets": 4, "subsets there": 2,
    }  # fmt: skip
    part = dry(study, where="bits = 8 AND policy = 'random'", again=True)
    assert part.counts["cells"] == len(part.rows()) == 2
    nothing = dry(study)
    assert nothing.counts["cells"] == 0 and len(nothing.rows()) == 8


def test_without_the_corpus_feasibility_is_open(tmp_path, ingested):
    study = ingested.copy(tmp_path / "copy")
    other = {"corpus": {"name": "docstrings", "from": "docstrings"}}
    found = dry(study, other)
    assert {v.reason for v in found.verdicts.values()} == {NO_CORPUS}
    assert found.judged(False) == {} and found.estimate.seconds(1) is None
    assert found.counts["subsets there"] == 0


def test_subsets_seen_through_models_are_found_in_the_store(study):
    hidden = {
        "policies": {"hidden": {"use": "k-center", "features": "hidden"}},
        "grid": {"policy": ["hidden"], "model": ["discriminative"], "bits": [8]},
    }
    assert dry(study, hidden).counts["subsets there"] == 0
    assert study.run(hidden).done == 1
    more = dry(
        study, hidden, {"grid": {"bits": [8, 4]}, "models": {"discriminative": {"seeds": [0, 1]}}}
    )
    assert more.counts["subsets there"] == 1 and more.counts["models there"] == 1
    assert {row["subset_id"] is None for row in more.rows() if row["model_seed"] == 0} == {False}
    assert {row["subset_id"] for row in more.rows() if row["model_seed"] == 1} == {None}


@pytest.mark.parametrize("kind", ["discriminative", "generative"])
def test_a_probe_times_what_this_host_has_not(ingested, tmp_path, kind):
    study = ingested.copy(tmp_path / "probed")
    change = {"grid": {"model": [kind], "bits": [8]}}
    study.recipe_file(change)
    planned = plan(study.store, study.recipe(change))
    before = everything(study)
    assert unknown_kinds(study.store, planned) == (kind,)
    found = probe(study.store, planned, [kind])
    assert everything(study) == before
    assert found.keys() == {kind}
    cell, model = found[kind].cell, found[kind].model
    assert min(cell.per_calibrated, cell.per_tested, model.per_epoch, model.per_tested) > 0
    assert cell.peak_mb > 50 and cell.timings == 0
    told = dry(study, change, probed=found)
    assert told.estimate.basis == "probed" and told.estimate.seconds(1) > 0
    report = study.run(change)
    assert report.done == 2
    assert unknown_kinds(study.store, planned) == ()
