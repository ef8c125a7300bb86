"""What questions about streams answer, against numbers computed another way."""

from __future__ import annotations

import made_streams
import pytest
from made_streams import Trajectory, make_streams, trajectories

from calibkit.decide.answers import answer
from calibkit.decide.stream_gains import stream_gains
from calibkit.decide.stream_rows import read_streamed
from calibkit.store import Store

JITTER = (0.0, 0.004, -0.003, 0.001, 0.002, -0.004)


def accuracy(one: Trajectory, step: int, phase: int) -> float:
    """Draws and models differ; each method gains its own in each phase, and forgets the first."""
    base = 0.6 + 0.02 * one.seed + 0.05 * one.model_seed + 0.01 * phase
    if one.method == "frozen" or not step:
        return base
    gain = {"gpfq": 0.01, "flips": 0.03, "recalibrated": 0.04}[one.method]
    own = JITTER[(one.seed + len(one.method)) % 6]
    lost = 0.02 * (one.method == "gpfq") * (phase == 0) * (step > 1)
    return base + gain + own + 0.01 * phase - lost


@pytest.fixture(scope="module", params=[1, 2], ids=["one model", "two"])
def streams(request, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("streams") / "store.duckdb")
    models = [("generative", seed) for seed in range(request.param)]
    make_streams(store, trajectories(models=models), accuracy)
    return store


def by_method(store, name):
    return {row["method"]: row for row in answer(store, name).table}


def results(store):
    with store.reading() as con:
        return {one.method: one for one in stream_gains(read_streamed(con, "stream-made"))}


def test_keeps_up_says_what_the_command_says(streams):
    asked, found = by_method(streams, "keeps-up"), results(streams)
    assert list(asked) == ["recalibrated", "flips", "gpfq"]  # by gain
    for method, row in asked.items():
        against = found[method].against
        assert against is not None
        gain = against.online
        assert row["gain"] == pytest.approx(gain.gain)
        assert row["online"] == pytest.approx(found[method].level.gain)
        assert row["other"] == pytest.approx(found["frozen"].level.gain)
        assert row["floor"] == pytest.approx(gain.floor)
        assert (row["draws"], row["wins"], row["pairs"], row["models"]) == (
            gain.draws, gain.wins, gain.pairs, gain.models,
        )  # fmt: skip
        assert row["p"] == pytest.approx(gain.p_flip)
        assert row["macs_share"] == pytest.approx(against.macs_ratio)
        if gain.models == 1:
            assert (row["ci_low"], row["ci_high"]) == pytest.approx((gain.low, gain.high))
        if against.share is not None:
            assert row["share"] == pytest.approx(against.share.ratio)
    assert asked["recalibrated"]["share"] == 1 and asked["flips"]["verdict"] == "better"


def test_keeps_up_compares_with_any_method(streams):
    rows = answer(streams, "keeps-up", {"than": "gpfq"}).table
    with streams.reading() as con:
        found = stream_gains(read_streamed(con, "stream-made"), than="gpfq")
    results = {one.method: one.against for one in found}
    assert {row["method"] for row in rows} == {"frozen", "flips", "recalibrated"}
    for row in rows:
        against = results[row["method"]]
        assert against is not None and against.share is None and row["share"] is None
        assert row["gain"] == pytest.approx(against.online.gain)
        assert row["floor"] == pytest.approx(against.online.floor)
        assert row["wins"] == against.online.wins


def test_by_phase_says_what_the_command_says(streams):
    found = results(streams)
    rows = answer(streams, "by-phase").table
    assert len(rows.rows) == 3 * 3
    for row in rows:
        against = found[row["method"]].against
        assert against is not None
        phase = against.phases[row["place"]]
        assert row["phase"] == phase.name
        assert row["gain"] == pytest.approx(phase.gain.gain)
        assert row["floor"] == pytest.approx(phase.gain.floor)
        assert row["below"] is (phase.gain.gain < -phase.gain.floor)
        assert (row["accuracy"], row["frozen"]) == pytest.approx((phase.gain.a, phase.gain.b))


def test_the_share_is_of_the_recalibration_on_everything(tmp_path, monkeypatch):
    """Another one on the budget, whose name comes first, is a method like any other."""
    monkeypatch.setitem(made_streams.UPDATES, "anew", ("reservoir", "recalibrate"))
    monkeypatch.setitem(made_streams.MACS, "anew", 100)
    store = Store(tmp_path / "store.duckdb")
    planned = trajectories(methods=("frozen", "anew", "recalibrated"))
    gains = {"frozen": 0.0, "anew": 0.01, "recalibrated": 0.04}
    make_streams(store, planned, lambda one, *at: 0.6 + 0.01 * one.seed + gains[one.method])
    asked, found = by_method(store, "keeps-up"), results(store)
    for method, share in (("anew", 0.25), ("recalibrated", 1.0)):
        assert asked[method]["share"] == pytest.approx(share)
        against = found[method].against
        assert against is not None and against.reference == "recalibrated"
        assert asked[method]["macs_share"] == pytest.approx(against.macs_ratio)


def test_forgets_has_the_means_of_the_view(streams):
    found = results(streams)
    for method, row in by_method(streams, "forgets").items():
        for name in ("forgetting", "backward_transfer", "forward_transfer", "final_accuracy"):
            assert row[name] == pytest.approx(found[method].means[name]), name
        assert row["forgetting_low"] <= row["forgetting"] <= row["forgetting_high"]
    # gpfq loses .02 of the first of the two phases that can be forgotten
    assert by_method(streams, "forgets")["gpfq"]["forgetting"] == pytest.approx(0.01)
    assert by_method(streams, "forgets")["frozen"]["forgetting"] == 0


def test_by_batch_follows_the_current_phase(streams):
    rows = [row for row in answer(streams, "by-batch").table if row["method"] == "frozen"]
    assert [(row["step"], row["phase"]) for row in rows] == [
        (1, "calm"), (2, "typos"), (3, "typos"), (4, "rare"),
    ]  # fmt: skip
    lift = 0.025 * (rows[0]["models"] - 1)
    assert [row["accuracy"] for row in rows] == pytest.approx(
        [0.65 + lift, 0.66 + lift, 0.66 + lift, 0.67 + lift]
    )
    assert rows[0]["ci_low"] < rows[0]["accuracy"] < rows[0]["ci_high"]
    assert {row["float_accuracy"] for row in rows} == {0.9}


def test_document_life_counts_stays(streams):
    rows = [row for row in answer(streams, "document-life").table if row["method"] == "flips"]
    assert [
        (row["came_with"], row["per_trajectory"], row["still_there"], row["share_of_last"])
        for row in rows
    ] == [("first subset", 2, 0, 0), ("calm", 1, 0, 0), ("typos", 2, 0.5, 0.5),
          ("rare", 1, 1, 0.5)]  # fmt: skip
    assert [(row["steps_stayed"], row["longest"]) for row in rows] == [
        (1.5, 2), (2, 2), (2, 2), (1, 1),
    ]  # fmt: skip


def test_methods_and_models_restrict(streams):
    given = {"recipe": "stream-made", "method": "gpfq", "model": "generative", "bits": "4"}
    (row,) = answer(streams, "keeps-up", given).table
    assert row["method"] == "gpfq" and row["share"] is not None
