import pytest
from recipe_parts import ONE_CELL

from calibkit.sweep.estimate import CellEstimate, Estimate, Probed, estimate
from calibkit.sweep.pace import CellPace, ModelPace
from calibkit.sweep.plan import plan


def estimated(study, *changes, **how):
    return estimate(study.store, plan(study.store, study.recipe(*changes)), **how)


def test_the_estimate_rests_on_this_hosts_own_timings(fresh):
    more = {**ONE_CELL, "grid": {**ONE_CELL["grid"], "bits": [8, 7, 6]}}
    before = estimated(fresh, more)
    assert before.seconds(1) is None and before.peak_mb is None and before.basis == "unknown"
    fresh.run(ONE_CELL)
    found = estimated(fresh, more)
    seconds, peak = fresh.one("SELECT seconds, peak_mb FROM cells")
    assert found.cells == 1 and found.training_seconds == 0 and found.basis == "timed"
    assert found.cell_seconds == pytest.approx(2 * seconds)
    assert found.seconds(2) == pytest.approx(seconds)
    assert found.peak_mb == peak
    with fresh.store.writing() as con:
        con.execute("UPDATE cells SET host = 'another'")
    assert estimated(fresh, more).seconds(1) is None  # what another host took says nothing


def test_each_stage_grows_with_its_own_size(study):
    """The same cells with other sizes: so many more seconds as their stages took."""
    first = {"grid": {"bits": [7], "policy": ["random"], "model": ["generative"]}}
    (base,) = estimated(study, first).by_cell.values()
    testing = "sum(e.seconds)", "JOIN evaluations AS e USING (cell_id)"
    kind = "WHERE model_id IN (SELECT model_id FROM models WHERE kind = 'generative')"
    per_level = study.one(f"SELECT {testing[0]} / 8 FROM cells {testing[1]} {kind}")
    levels = {"measure": {"noise": {"keyboard": [0.1, 0.2, 0.3]}}}
    (more,) = estimated(study, first, levels).by_cell.values()
    assert more.seconds - base.seconds == pytest.approx(2 * per_level)
    stages = "(stages ->> 'calibrate')::DOUBLE + (stages ->> 'rounding')::DOUBLE"
    calibrating = study.one(f"SELECT sum({stages}) / 4 FROM cells {kind}")
    (larger,) = estimated(study, first, {"grid": {"size": [48]}}).by_cell.values()
    assert larger.seconds - base.seconds == pytest.approx(2 * calibrating)
    shifting = study.one(f"SELECT avg((stages ->> 'distributions')::DOUBLE) FROM cells {kind}")
    (fewer,) = estimated(study, first, {"measure": {"distributions": []}}).by_cell.values()
    assert base.seconds - fewer.seconds == pytest.approx(shifting)


def test_models_that_are_missing_count_with_their_baselines(study):
    more = {"models": {"generative": {"seeds": [0, 1, 2]}}}
    found = estimated(study, more)
    per_epoch = study.one("SELECT seconds / epochs FROM models WHERE kind = 'generative'")
    assert found.training == pytest.approx([3 * per_epoch] * 2)
    own = study.one(
        "SELECT sum(seconds) FROM baseline_evaluations"
        " WHERE model_id IN (SELECT model_id FROM models WHERE kind = 'generative')"
    )
    assert found.baselines == pytest.approx([own] * 2)
    assert found.models == 1
    known = estimated(study)
    assert known.training == known.baselines == () and known.seconds(1) == 0.0


def test_one_model_keeps_one_worker_busy_whatever_their_number():
    cells = {i: CellEstimate(2.0, 100.0, "timed") for i in range(6)}
    found = Estimate(cells, (30.0,), (4.0, 8.0))
    assert found.seconds(1) == 30 + 12 + 12
    assert found.seconds(2) == 30 + 8 + 6
    assert found.seconds(64) == 30 + 8 + 2
    unknown = {**cells, 6: CellEstimate(None, None, "unknown")}
    assert Estimate(unknown, (), ()).seconds(1) is None
    assert Estimate(unknown, (), ()).peak_mb is None
    assert Estimate(cells, (None,), ()).seconds(1) is None


def test_without_a_corpus_nothing_is_known(tmp_path):
    from calibkit.recipe import load_recipe
    from calibkit.store.connection import Store

    path = tmp_path / "r.yaml"
    path.write_text(
        "{calibkit: 1, name: r, corpus: {name: docstrings, from: docstrings},"
        " models: {generative: {}}, policies: {random: {use: random}},"
        " grid: {model: [generative], policy: [random], size: [8], seed: [0], bits: [8, 4]}}"
    )
    store = Store(tmp_path / "none.duckdb")
    found = estimate(store, plan(store, load_recipe(path)))
    assert found.seconds(1) is None and len(found.by_cell) == 2 and found.training == (None,)


def test_a_probe_stands_in_for_what_is_not_timed_and_for_nothing_else(fresh):
    both = {**ONE_CELL, "grid": {**ONE_CELL["grid"], "model": ["generative", "discriminative"]}}
    fresh.run(ONE_CELL)
    kinds = {kind for (kind,) in fresh.rows("SELECT kind FROM models")}
    (missing,) = {"generative", "discriminative"} - kinds
    pace = CellPace(1.0, 10.0, 0.0, 100.0, 250.0)
    probed = {missing: Probed(pace, ModelPace(7.0, 3.0))}
    assert estimated(fresh, both).basis == "unknown"
    found = estimated(fresh, both, probed=probed)
    assert found.basis == "probed" and found.peak_mb == 250.0
    (one,) = found.by_cell.values()
    assert one.seconds == 100 + 16 * 1.0 + 60 * 10.0
    assert found.training == (3 * 7.0,) and found.baselines == (60 * 3.0,)
