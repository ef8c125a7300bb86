"""Recipes with arithmetic: integer, from end to end."""

import json

import pytest

from calibkit.engine import native

INTEGER = {"quantize": {"arithmetic": "integer"}, "grid": {"policy": ["random"]}}


@pytest.fixture(scope="module")
def by_torch(ingested, tmp_path_factory):
    study = ingested.copy(tmp_path_factory.mktemp("integer"))
    report = study.run(INTEGER, engine="torch")
    assert (report.measured, report.failed, report.missing) == (4, 0, 0)
    return study


def test_cells_of_both_models_are_measured_in_integers(by_torch):
    assert by_torch.rows("SELECT DISTINCT arithmetic FROM cells") == [("integer",)]
    schemes = by_torch.rows("SELECT scheme FROM cells")
    assert {json.loads(scheme)["arithmetic"] for (scheme,) in schemes} == {"integer"}
    rows = by_torch.rows("SELECT model_kind, bits, nll, ks_token_nll FROM results WHERE noise = 0")
    assert len(rows) == 4 and all(nll > 0 and ks is not None for *_, nll, ks in rows)


@pytest.mark.skipif(not native.available(), reason=f"no native kernels: {native.why_not()}")
def test_the_engine_changes_no_number(by_torch, fresh, everything_measured):
    assert fresh.run(INTEGER, engine="native").measured == 4
    assert everything_measured(fresh) == everything_measured(by_torch)


def test_they_are_other_cells_than_in_floats_and_nearly_the_same_numbers(
    finished, by_torch, everything_measured
):
    query = (
        "SELECT model, bits, noise, nll, cell_id FROM results WHERE policy = 'random' ORDER BY ALL"
    )
    pairs = list(zip(finished.rows(query), by_torch.rows(query), strict=True))
    assert len(pairs) == 8
    for floats, integers in pairs:
        assert floats[:3] == integers[:3] and floats[4] != integers[4]
        assert integers[3] == pytest.approx(floats[3], rel=0.01)
    assert everything_measured(finished, ["models"]) == everything_measured(by_torch, ["models"])


def test_a_distribution_added_later_is_in_the_cell_s_arithmetic(
    by_torch, fresh, everything_measured
):
    only = {"where": "model = 'generative'", "engine": "torch"}
    fresh.run(INTEGER, {"measure": {"distributions": []}}, **only)
    fresh.run(INTEGER, {"measure": {"distributions": ["token-nll"]}}, **only)
    whole = everything_measured(by_torch, ["distributions"])["distributions"]
    added = everything_measured(fresh, ["distributions"])["distributions"]
    assert added and set(added) <= set(whole)
