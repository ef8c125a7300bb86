import re
import subprocess
import sys

import pytest

from calibkit.errors import BadInput, UnknownName
from calibkit.policies import minhash
from calibkit.store.connection import Store
from calibkit.sweep.plan import plan

pytestmark = pytest.mark.smoke

FROM_DOCSTRINGS = {"corpus": {"name": "docstrings", "from": "docstrings"}}


def keys(study, *changes, **how):
    """The plan keys of a recipe by place in the grid."""
    found = plan(study.store, study.recipe(*changes), **how)
    places = [(c.point.model, c.point.policy, c.point.seed, c.point.bits) for c in found.cells]
    return dict(zip(places, [c.plan_key for c in found.cells], strict=True))


@pytest.mark.parametrize("where", [None, "bits = 8 AND state = 'missing'"])
@pytest.mark.parametrize("filled", [True, False])
def test_planning_loads_nothing_heavy(fresh, filled, where, tmp_path):
    recipe = fresh.recipe_file({} if filled else FROM_DOCSTRINGS)
    store = fresh.store.path if filled else tmp_path / "none.duckdb"
    program = f"""
import sys
from pathlib import Path
import duckdb
from calibkit.recipe import load_recipe
from calibkit.store.connection import Store
from calibkit.sweep.plan import plan
found = plan(Store(Path({str(store)!r})), load_recipe(Path({str(recipe)!r})), where={where!r})
heavy = {{"torch", "brevitas", "sklearn", "scipy", "datasets", "pyarrow", "pandas"}}
if duckdb.__version__.startswith("1."):
    heavy -= {{"pyarrow", "pandas"}}  # DuckDB 1.5 imports them by itself when a query is run
print(len(found.cells), len(found.to_do()), sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"8 {8 if where is None else 4} []"
    assert store.exists() == filled


def test_a_corpus_that_is_not_there_has_no_keys_yet(tmp_path, fresh):
    found = plan(Store(tmp_path / "none.duckdb"), fresh.recipe(FROM_DOCSTRINGS))
    assert {(c.plan_key, c.model_key, c.state) for c in found.cells} == {(None, None, "missing")}
    assert not (tmp_path / "none.duckdb").exists()


@pytest.mark.parametrize("there", [True, False])
def test_a_missing_corpus_without_a_source_is_refused(fresh, tmp_path, there):
    store = fresh.store if there else Store(tmp_path / "none.duckdb")
    with pytest.raises(BadInput, match=r"'elsewhere'.*calibkit ingest elsewhere --train"):
        plan(store, fresh.recipe({"corpus": {"name": "elsewhere"}}))
    assert not (tmp_path / "none.duckdb").exists()


@pytest.mark.parametrize(
    ("policy", "parameter"),
    [
        ({"use": "skewed", "weights": {"see": 1}}, "weights"),
        ({"use": "shuffle", "of": {"use": "one-label", "label": "see"}}, "of.label"),
        ({"use": "union", "parts": [{"use": "skewed", "weights": {"see": 1}}]}, "parts[0].weights"),
    ],
)
def test_a_label_that_the_corpus_lacks_is_refused_before_any_work(
    fresh, watched, policy, parameter
):
    wrong = {"policies": {"random": policy}}
    place = re.escape(f"(policies.random.{parameter})")
    with pytest.raises(UnknownName, match=rf"'see'; did you mean 'sea'\? {place}"):
        fresh.run(wrong, watcher=watched)
    assert watched.phases == []
    assert fresh.one("SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM models)") == (0, 0)


# --------------------------------------------------------------------------------------- identity


def test_names_and_order_are_no_inputs(ingested):
    study = ingested
    grid = {
        "model": ["discriminative", "generative"],
        "policy": ["stratified", "random"],
        "bits": [3, 8],
    }
    noise = {"measure": {"noise": {"keyboard": [0.2, 0.1]}}}
    renamed = {"name": "another", "about": "another", "grid": grid, **noise}
    assert keys(study, renamed) == keys(study)
    assert len(set(keys(study).values())) == 8


@pytest.mark.parametrize(
    ("changes", "how"),
    [
        ({"corpus": {"share": 0.5}}, {}),
        ({"corpus": {"pool": "valid"}}, {}),
        ({"corpus": {"test": "valid"}}, {}),
        ({"models": {"generative": {"epochs": 4}, "discriminative": {"epochs": 4}}}, {}),
        ({"models": {"generative": {"seeds": [7]}, "discriminative": {"seeds": [7]}}}, {}),
        ({"models": {"generative": {"most_tokens": 9}, "discriminative": {"most_tokens": 9}}}, {}),
        ({"grid": {"size": [17]}}, {}),
        ({"quantize": {"percentile": 99.0}}, {}),
        ({"quantize": {"bits": {"lstm.cell": 8}}}, {}),
        ({"quantize": {"rounding": "gpfq"}}, {}),
        ({"quantize": {"weights": "per-channel"}}, {}),
        ({"quantize": {"observer": "brevitas"}}, {}),
        ({"measure": {"documents": 20}}, {}),
        ({}, {"limit_documents": 20}),
    ],
)
def test_every_input_that_decides_numbers_is_in_every_key(ingested, changes, how):
    before, after = keys(ingested), keys(ingested, changes, **how)
    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())


def test_a_changed_policy_or_model_touches_its_own_cells_only(ingested):
    before = keys(ingested)
    mix = {"policies": {"stratified": {"use": "stratified", "mix": "proportional"}}}
    after = keys(ingested, mix)
    assert {place[1] for place in before if before[place] != after[place]} == {"stratified"}
    after = keys(ingested, {"models": {"generative": {"hidden": 13}}})
    assert {place[0] for place in before if before[place] != after[place]} == {"generative"}


def test_a_raised_version_of_what_a_policy_reads_touches_its_own_cells_only(ingested, monkeypatch):
    near = {"use": "random", "filters": {"near_duplicates": 0.8}}
    policies = {"policies": {"stratified": near}}
    before = keys(ingested, policies)
    monkeypatch.setattr(minhash, "VERSION", minhash.VERSION + 1)
    after = keys(ingested, policies)
    assert {place[1] for place in before if before[place] != after[place]} == {"stratified"}


def test_the_device_that_trains_is_an_input(ingested, monkeypatch):
    before = keys(ingested)
    monkeypatch.setenv("CALIBKIT_DEVICE", "cuda")
    assert not set(before.values()) & set(keys(ingested).values())
    monkeypatch.setenv("CALIBKIT_DEVICE", "tpu")
    with pytest.raises(BadInput, match=r"CALIBKIT_DEVICE='tpu'.*cpu or cuda"):
        keys(ingested)


def test_what_is_measured_in_the_same_cell_is_no_input(ingested):
    more = {"measure": {"noise": {"keyboard": [0.05, 0.1]}, "distributions": ["weights"]}}
    assert keys(ingested, more) == keys(ingested)


def test_another_corpus_version_is_another_set_of_results(study, make_corpus_files, tmp_path):
    from calibkit.corpora.ingest import ingest

    before = plan(study.store, study.recipe())
    files = make_corpus_files(tmp_path, {"train": 90, "valid": 30, "test": 30}, seed=5)
    ingest(study.store, "made", **files)
    after = plan(study.store, study.recipe())
    assert after.recipe_id != before.recipe_id
    assert not {c.plan_key for c in after.cells} & {c.plan_key for c in before.cells}
    assert after.counts["missing"] == 8


# ------------------------------------------------------------------------------------ states, where


def test_states_and_counts(study):
    assert plan(study.store, study.recipe()).counts == {
        "planned": 8, "done": 8, "failed": 0, "missing": 0, "to do": 0,
    }  # fmt: skip
    more = study.recipe({"measure": {"noise": {"keyboard": [0.1, 0.2]}}})
    assert plan(study.store, more).counts["missing"] == 8
    fewer = study.recipe({"measure": {"noise": {}, "distributions": []}})
    assert plan(study.store, fewer).counts["done"] == 8


def test_a_cell_without_its_baseline_is_not_done(study):
    with study.store.writing() as con:
        con.execute("DELETE FROM baseline_evaluations WHERE noise > 0")
    assert plan(study.store, study.recipe()).counts["missing"] == 8
    report = study.run()
    assert (report.measured, report.done) == (0, 8)
    assert study.one("SELECT count(*) FROM results WHERE float_accuracy IS NULL") == 0


@pytest.mark.parametrize(
    ("where", "cells"),
    [
        ("bits = 8", 4),
        ("model = 'generative' AND seed IN (0, 2)", 4),
        ("policy LIKE 'strat%' OR bits < 4", 6),
        ("true", 8),
        ("size > 16", 0),
        ("state = 'done'", 0),
        ("NULL", 0),
        ("policy_kind = 'random' AND corpus = 'made' AND recipe = 'tiny' AND model_seed = 0", 4),
        ("bits = 8) OR (bits = 3", None),
        ("bits = 8; DROP TABLE cells", None),
        ("bit = 8", None),
        ("policy = random'", None),
        ("", None),
        ("true UNION SELECT 3", None),
        ("(SELECT count(*) FROM read_text('/etc/passwd')) > 0", None),
    ],
)
def test_where(ingested, where, cells):
    if cells is None:
        with pytest.raises(BadInput, match=r"--where .* is an SQL condition over corpus, recipe"):
            plan(ingested.store, ingested.recipe(), where=where)
    else:
        assert len(plan(ingested.store, ingested.recipe(), where=where).to_do()) == cells
