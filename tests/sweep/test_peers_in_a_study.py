"""Other tools' quantizers as presets of a grid: their cells are cells like all others."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import pytest

from calibkit.errors import BadInput, Infeasible, MissingExtra
from calibkit.export.cell import read_cell
from calibkit.onnx import packages
from calibkit.recipe import parse_recipe
from calibkit.sweep import quantized
from calibkit.sweep.cell_recipe import cell_recipe
from calibkit.sweep.dry_run import dry_run, unknown_kinds
from calibkit.sweep.plan import plan
from calibkit.sweep.probe import probe
from calibkit.sweep.verify import verify

pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")

PRESETS = ["robust", "onnx-dynamic", "onnx-static"]
PEERS = {"name": "peers", "grid": {"seed": [0, 1], "bits": [8], "preset": PRESETS}}
THEIRS = "preset LIKE 'onnx%'"


@pytest.fixture(scope="module")
def peers(ingested, tmp_path_factory):
    """Both quantizers of ONNX Runtime beside calibkit's own, measured; never to be changed."""
    study = ingested.copy(tmp_path_factory.mktemp("peers"))
    report = study.run(PEERS)
    assert (report.measured, report.failed, report.missing) == (24, 0, 0)
    return study


@pytest.fixture
def another_version(monkeypatch):
    """As if another onnxruntime were installed than the one that measured ``peers``."""

    def installed(package):
        return "9.9.9" if package == "onnxruntime" else version(package)

    packages.runtime_version.cache_clear()
    monkeypatch.setattr(packages, "version", installed)
    yield
    packages.runtime_version.cache_clear()


@pytest.fixture(params=["onnx", "onnxruntime"])
def without(request, monkeypatch):
    """As if one of the two packages were not installed."""

    def missing(package):
        if package == request.param:
            raise PackageNotFoundError(package)
        return version(package)

    packages.runtime_version.cache_clear()
    monkeypatch.setattr(packages, "version", missing)
    yield request.param
    packages.runtime_version.cache_clear()


def cell_of(study, preset, model):
    found = study.rows(
        f"SELECT min(cell_id) FROM results WHERE preset = '{preset}' AND model = '{model}'"
    )
    return found[0][0]


def told(text):
    pass


def test_they_have_all_that_can_be_measured_and_nothing_else(peers):
    columns = "accuracy, nll, macro_f1, mean_abs_h, ks_weights, ks_token_nll, flags"
    for found in peers.rows(f"SELECT {columns} FROM results WHERE {THEIRS}"):
        accuracy, nll, macro_f1, mean_abs_h, ks_weights, ks_token_nll, flags = found
        assert 0.5 < accuracy <= 1 and 0.5 < macro_f1 <= 1 and nll > 0 and flags == ""
        assert 0 < ks_weights < 0.1 and 0 < ks_token_nll < 0.5 and 0 < mean_abs_h < 1
    nothing = f"SELECT count(ks_activations) FROM results WHERE {THEIRS}"
    assert peers.one(nothing) == 0
    assert peers.one(f"SELECT count(*) FROM activation_shift WHERE {THEIRS}") == 0
    assert peers.one("SELECT min(ks_activations) > 0 FROM results WHERE preset = 'robust'")
    sites = f"SELECT count(DISTINCT site), min(site_bits) FROM weight_shift WHERE {THEIRS}"
    assert peers.one(sites) == (7, 8)  # no label embedding: that stays float
    assert peers.one(f"SELECT min(sqnr_db) > 25 FROM weight_shift WHERE {THEIRS}")


def test_a_network_that_reads_as_the_float_model_does_is_near_it(peers):
    for model, float_h, h in peers.rows(
        "SELECT model, b.mean_abs_h, r.mean_abs_h FROM results AS r JOIN baselines AS b"
        f" USING (model, noise) WHERE b.stage = 'port' AND {THEIRS}"
    ):
        assert h == pytest.approx(float_h, rel=0.02), model


def test_documents_that_are_not_read_make_no_spread(peers):
    rows = peers.rows(
        "SELECT model, preset, noise, count(DISTINCT nll), count(DISTINCT subset_id), count(*)"
        f" FROM results WHERE {THEIRS} GROUP BY ALL"
    )
    assert len(rows) == 8
    for _, preset, _, values, subsets, cells in rows:
        assert subsets > 1 and cells == 4
        assert values == 1 if preset == "onnx-dynamic" else values > 1
    spread = "SELECT sd, ci_low = ci_high FROM summary WHERE preset = 'onnx-dynamic'"
    assert {*peers.rows(spread)} == {(0.0, True)}


def test_the_version_of_the_tool_is_part_of_a_cell_and_of_its_provenance(peers):
    installed = version("onnxruntime")
    told = "SELECT DISTINCT arithmetic, scheme, versions ->> 'onnxruntime' FROM provenance WHERE "
    quantizers = [f'{{"bits": 8, "quantizer": "{name}"}}' for name in PRESETS[1:]]
    assert {*peers.rows(told + "arithmetic <> 'float-torch'")} == {
        (f"onnxruntime {installed}", scheme, installed) for scheme in quantizers
    }


def test_another_version_measures_other_cells(peers, another_version):
    planned = plan(peers.store, peers.recipe(PEERS))
    states = {(cell.point.preset, cell.state) for cell in planned.cells}
    assert states == {("robust", "done"), ("onnx-dynamic", "missing"), ("onnx-static", "missing")}
    cell = cell_of(peers, "onnx-static", "generative")
    pip = rf"`pip install onnxruntime=={version('onnxruntime')}`"
    with pytest.raises(Infeasible, match=rf"here is onnxruntime 9\.9\.9: .* {pip}"):
        verify(peers.store, cell, tell=told)


def test_a_machine_with_another_version_measures_no_cell_of_this_one(
    fresh, another_version, monkeypatch
):
    monkeypatch.setattr(quantized, "arithmetic_of", lambda scheme: "onnxruntime 1.22.0")
    report = fresh.run(PEERS, where="preset = 'onnx-static' AND model = 'discriminative'")
    assert (report.measured, report.failed) == (0, 4)
    (message,) = {message for (message,) in fresh.rows("SELECT message FROM failed")}
    assert message.startswith("the cell was planned for onnxruntime 9.9.9, and the machine")


def test_without_the_extra_nothing_is_begun(fresh, without):
    before = sorted(fresh.store.folder.rglob("*"))
    needs = rf"needs the package {without}, .* `pip install 'calibkit\[onnx\]'`"
    with pytest.raises(MissingExtra, match=needs):
        fresh.run(PEERS)
    with pytest.raises(MissingExtra, match=needs):
        plan(fresh.store, fresh.recipe(PEERS))
    assert sorted(fresh.store.folder.rglob("*")) == before
    assert fresh.one("SELECT count(*) FROM runs") == 0
    assert len(plan(fresh.store, fresh.recipe()).cells) == 8  # a recipe without them


def test_running_again_measures_nothing_and_a_level_later_is_all_that_is_added(
    peers, tmp_path, everything_measured
):
    study = peers.copy(tmp_path / "again")
    assert study.run(PEERS).measured == 0
    before = everything_measured(study)
    more = {"measure": {"noise": {"keyboard": [0.1, 0.3]}}}
    assert study.run(PEERS, more).measured == 24
    after = everything_measured(study)
    assert set(before["evaluations"]) < set(after["evaluations"])
    assert before["distributions"] == after["distributions"]
    counted = f"SELECT noise, count(*) FROM results WHERE {THEIRS} GROUP BY ALL ORDER BY ALL"
    assert study.rows(counted) == [(0.0, 16), (0.1, 16), (0.3, 16)]


def test_two_processes_measure_what_one_does(peers, fresh, everything_measured):
    part = f"{THEIRS} AND policy = 'random'"
    assert fresh.run(PEERS, executor="local", workers=2, where=part).measured == 8
    found, whole = everything_measured(fresh), everything_measured(peers)
    for name in ("evaluations", "predictions", "distributions", "label_evaluations", "cells"):
        assert found[name]
        assert set(found[name]) < set(whole[name])


@pytest.mark.parametrize("model", ["discriminative", "generative"])
@pytest.mark.parametrize("preset", ["onnx-dynamic", "onnx-static"])
def test_every_number_comes_back(peers, model, preset):
    found = verify(peers.store, cell_of(peers, preset, model), tell=told)
    assert found.same and found.numbers > 200 and found.changed == {}


def test_a_cell_s_recipe_gives_the_cell(peers):
    for preset in ("onnx-dynamic", "onnx-static"):
        cell = cell_of(peers, preset, "generative")
        recipe = parse_recipe(cell_recipe(peers.store, cell).text)
        assert recipe.quantize.model_dump(exclude_unset=True) == {"preset": preset}
        (planned,) = plan(peers.store, recipe).cells
        assert planned.state == "done"
        there = peers.one(f"SELECT cell_id FROM plan_cells WHERE plan_key = '{planned.plan_key}'")
        assert there == cell


def test_there_are_no_integers_of_calibkit_s_to_export(peers):
    cell = cell_of(peers, "onnx-static", "discriminative")
    with pytest.raises(BadInput, match=f"the cell {cell} was quantized by onnx-static of ONNX"):
        read_cell(peers.store, cell, tell=told)


def test_a_cell_that_fails_is_a_row_and_the_others_go_on(fresh, monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("no luck")

    monkeypatch.setattr(quantized, "onnx_quantized", fails)
    report = fresh.run(PEERS, where="model = 'discriminative' AND policy = 'random' AND seed = 0")
    assert (report.measured, report.failed) == (2, 1)
    assert fresh.one("SELECT preset, stage, message FROM failed") == (
        "onnx-static", "cell", "no luck",
    )  # fmt: skip
    monkeypatch.undo()
    where = "model = 'discriminative' AND policy = 'random' AND seed = 0"
    assert fresh.run(PEERS, where=where).measured == 1
    assert fresh.rows("FROM failed") == []


def test_a_dry_run_estimates_them_from_timings_or_a_probe(peers, fresh):
    only = {"grid": {"preset": ["onnx-static"], "model": ["discriminative"]}}
    planned = plan(fresh.store, fresh.recipe(PEERS, only))
    probed = probe(fresh.store, planned, unknown_kinds(fresh.store, planned))
    found = dry_run(fresh.store, planned, probed)
    assert found.estimate.basis == "probed" and found.estimate.cell_seconds > 0
    again = plan(peers.store, peers.recipe(PEERS), again=True)
    takes = dry_run(peers.store, again).estimate
    assert takes.basis == "timed" and takes.cell_seconds > 0
