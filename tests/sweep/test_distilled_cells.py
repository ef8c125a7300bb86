"""Recipes with rounding: distill, from end to end."""

from dataclasses import replace

import pytest
from recipe_parts import ONE_CELL

from calibkit.engine import distill as distillation
from calibkit.engine.distill import COURSES
from calibkit.export.cell import read_cell
from calibkit.quantize.sites import WEIGHT_SITES
from calibkit.sweep.estimate import Probed, estimate
from calibkit.sweep.pace import CellPace, ModelPace
from calibkit.sweep.plan import plan
from calibkit.sweep.probe import ProbeJob, _scaled, _times
from calibkit.sweep.verify import verify

DISTILLED = {
    "quantize": {"preset": "robust", "rounding": "distill"},
    "grid": {"policy": ["random"], "bits": [3]},
}
KINDS = ["discriminative", "generative"]


def silent(text):
    pass


@pytest.fixture(scope="module", autouse=True)
def short_courses():
    short = {kind: replace(course, steps=8, batch=8, rate=0.2) for kind, course in COURSES.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distillation, "COURSES", short)
        yield


@pytest.fixture(scope="module")
def distilled(ingested, tmp_path_factory, short_courses):
    """Never to be changed."""
    study = ingested.copy(tmp_path_factory.mktemp("distilled"))
    report = study.run(DISTILLED)
    assert (report.measured, report.failed, report.missing) == (2, 0, 0)
    return study


def cell_of(study, kind):
    return study.one(f"SELECT cell_id FROM results WHERE model = '{kind}' AND noise = 0")


def estimated(study, *changes, **how):
    return estimate(study.store, plan(study.store, study.recipe(*changes)), **how)


@pytest.mark.parametrize("kind", KINDS)
def test_codes_of_every_layer_have_moved(distilled, kind):
    assert distilled.rows("SELECT DISTINCT rounding FROM results") == [("distill",)]
    moved = dict(
        distilled.rows(
            "SELECT site, code_change_rate FROM weight_shift"
            f" WHERE cell_id = '{cell_of(distilled, kind)}' AND pair = 'nearest-rounded'"
        )
    )
    assert moved.keys() == {*WEIGHT_SITES[kind]} and min(moved.values()) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_that_is_distilled_again_is_the_same(distilled, kind):
    found = verify(distilled.store, cell_of(distilled, kind), tell=silent)
    assert found.same and found.numbers > 100
    # so does an exporter's; it holds the predictions against the store's
    cell = read_cell(distilled.store, cell_of(distilled, kind), tell=silent)
    assert cell.frozen.scheme.distilled
    assert abs(cell.tested.accuracy - cell.stored["accuracy"]) < 0.1


def test_an_estimate_knows_that_all_subsets_take_as_many_steps(fresh):
    own = {**ONE_CELL, "quantize": {"rounding": "distill"}}
    others = {**ONE_CELL, "grid": {**ONE_CELL["grid"], "bits": [7]}}
    fresh.run(own)
    seconds = fresh.one("SELECT seconds FROM cells")
    for size in (16, 48):
        more = {"grid": {"bits": [7], "size": [size]}}
        assert estimated(fresh, own, more).cell_seconds == pytest.approx(seconds)
    assert estimated(fresh, others).basis == "unknown"  # what training took says nothing
    fresh.run(others)
    found = estimated(fresh, own, {"grid": {"bits": [6]}})
    assert found.cell_seconds == pytest.approx(seconds)
    generative = {"grid": {"model": ["generative"]}}
    assert estimated(fresh, own, generative).basis == "unknown"
    plain, trained = CellPace(1.0, 1.0, 0.0, 1.0, 1.0), CellPace(0.0, 1.0, 0.0, 9.0, 1.0)
    without = {"generative": Probed(plain, ModelPace(1.0, 1.0))}
    assert estimated(fresh, own, generative, probed=without).basis == "unknown"
    probed = {"generative": Probed(plain, ModelPace(1.0, 1.0), trained)}
    assert estimated(fresh, own, generative, probed=probed).cell_seconds == 9 + 60


@pytest.mark.parametrize("kind", KINDS)
def test_a_probe_times_distillation_beside_other_cells(fresh, make_documents, kind):
    recipe = fresh.recipe({"grid": {"rounding": ["nearest", "distill"], "bits": [3]}})
    plain, trained = (
        next(cell.scheme.as_dict() for cell in recipe.cells() if cell.scheme.distilled is whole)
        for whole in (False, True)
    )
    settings = recipe.models[kind].settings.as_dict() | {"epochs": 1}
    documents = make_documents(16, longest=6), make_documents(8, seed=1, longest=6)
    job = ProbeJob(settings, plain, trained, 3, 60, *documents, distributions=False)
    facts = {**_times(job), "peak_mb": 100.0}
    found = _scaled(facts, job, {"train": 16, "valid": 8})
    distilled = found.distilled
    assert distilled.fixed >= facts["distilling"] > 0 == distilled.per_calibrated
    assert distilled.per_tested == found.cell.per_tested and found.cell.per_calibrated > 0
    assert _scaled(facts, replace(job, distilled=None), {"train": 16, "valid": 8}).distilled is None
