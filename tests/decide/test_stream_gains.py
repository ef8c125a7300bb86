"""Gains of methods on a stream, against numbers worked out by hand."""

from __future__ import annotations

import pytest
from made_streams import MACS, PHASES, Trajectory, make_streams, trajectories

from calibkit.decide.stream_gains import MethodResult, stream_gains
from calibkit.decide.stream_rows import read_streamed
from calibkit.errors import BadInput, UnknownName
from calibkit.measure.clustered import clustered_interval
from calibkit.store import Store

GAINS = {"frozen": 0.0, "gpfq": 0.02, "flips": 0.04, "recalibrated": 0.05}
LATE = {"frozen": 0.0, "gpfq": 0.0, "flips": 0.01, "recalibrated": 0.02}
"""What is gained after the first phase, beyond ``GAINS``."""
WIGGLE = (0.0, 0.001, -0.001, 0.002, -0.002, 0.0)


def accuracy(one: Trajectory, step: int, phase: int) -> float:
    """.7, seeds .01 apart; methods gain from step 1 on, and each draw a little more or less."""
    base = 0.7 + 0.01 * one.seed + 0.1 * one.model_seed
    if not step:
        return base
    late = LATE[one.method] * (phase > 0)
    wiggle = WIGGLE[one.seed] * (one.method == "recalibrated")
    return base + GAINS[one.method] + late + wiggle


@pytest.fixture
def streams(tmp_path) -> Store:
    return Store(tmp_path / "store.duckdb")


def gains_of(store: Store, recipe: str = "stream-made") -> dict[str, MethodResult]:
    with store.reading() as con:
        found = stream_gains(read_streamed(con, recipe))
    return {one.method: one for one in found}


def test_gains_are_paired_over_draws(streams):
    make_streams(streams, trajectories(), accuracy)
    found = gains_of(streams)
    assert list(found) == ["frozen", "gpfq", "flips", "recalibrated"]  # as the recipe has them
    assert found["frozen"].against is None and found["frozen"].is_frozen
    level = found["frozen"].level
    assert (level.gain, level.draws, level.models) == (pytest.approx(0.725), 6, 1)
    assert level.low == pytest.approx(0.725 - 2.5706 * 0.0187083 / 6**0.5, abs=1e-6)
    flips = found["flips"].against
    assert flips is not None
    # four batches: one in the first phase, three later
    assert flips.online.gain == pytest.approx((0.04 + 3 * 0.05) / 4)
    assert flips.final.gain == pytest.approx((0.04 + 2 * 0.05) / 3)
    assert (flips.online.wins, flips.online.pairs, flips.online.draws) == (6, 6, 6)
    assert [(p.phase, p.name) for p in flips.phases] == list(enumerate(n for n, _ in PHASES))
    assert [p.gain.gain for p in flips.phases] == pytest.approx([0.04, 0.05, 0.05])
    assert (flips.worst.name, flips.worst.gain.gain) == ("calm", pytest.approx(0.04))


def test_the_floor_is_what_two_draws_of_the_frozen_method_differ_by(streams):
    make_streams(streams, trajectories(), accuracy)
    flips = gains_of(streams)["flips"].against
    assert flips is not None
    # |i - j| / 100 over the pairs of 0..5: 35 / 15 on average
    assert flips.online.floor == pytest.approx(0.35 / 15)
    assert [p.gain.floor for p in flips.phases] == pytest.approx([0.35 / 15] * 3)


def test_a_phase_may_fall_below_its_floor_that_is_not_the_worst(streams):
    """In ``calm`` draws differ by much, and a loss is worst there; in ``rare`` they do not."""

    def uneven(one: Trajectory, step: int, phase: int) -> float:
        base = 0.5 + (0.05 if phase == 0 else 0.001) * one.seed
        lost = (0.03, 0.0, 0.01)[phase] * (one.method == "flips")
        return base - lost * (step > 0)

    make_streams(streams, trajectories(methods=("frozen", "flips")), uneven)
    flips = gains_of(streams)["flips"].against
    assert flips is not None
    assert flips.worst.name == "calm" and not flips.worst.is_below_floor
    assert [one.name for one in flips.falling] == ["rare"]


def test_with_one_draw_nobody_knows_a_floor_to_fall_below(streams):
    make_streams(
        streams,
        trajectories(methods=("frozen", "flips"), seeds=1),
        lambda one, step, phase: 0.5 - 0.4 * (one.method == "flips") * (step > 0),
    )
    flips = gains_of(streams)["flips"].against
    assert flips is not None and flips.falling == ()


def test_p_values_of_a_setting_know_of_each_other(streams):
    make_streams(streams, trajectories(), accuracy)
    found = gains_of(streams)
    for name in ("gpfq", "flips", "recalibrated"):
        against = found[name].against
        assert against is not None
        assert against.online.p == pytest.approx(2 / 2**6)  # all six draws on one side
        assert against.p_adjusted == pytest.approx(3 * 2 / 2**6)


def test_the_share_of_the_gain_of_recalibrating(streams):
    make_streams(streams, trajectories(), accuracy)
    found = gains_of(streams)
    flips, whole = found["flips"].against, found["recalibrated"].against
    assert flips is not None and whole is not None and flips.share is not None
    assert flips.reference == "recalibrated"
    assert flips.share.ratio == pytest.approx(0.0475 / 0.065)
    assert flips.share.low < flips.share.ratio < flips.share.high
    assert flips.share.low > 0.70 and flips.share.high < 0.76
    assert whole.share is None and whole.share_why == "it is the reference itself"
    assert flips.macs_ratio == pytest.approx((MACS["flips"] + 2) / (MACS["recalibrated"] + 2))


def test_no_share_where_recalibrating_may_gain_nothing(streams):
    def even(one: Trajectory, step: int, phase: int) -> float:
        lift = 0.0 if one.method != "recalibrated" else (0.01 if one.seed % 2 else -0.01)
        return 0.7 + lift * (step > 0)

    make_streams(streams, trajectories(), even)
    flips = gains_of(streams)["flips"].against
    assert flips is not None and flips.share is None
    assert flips.share_why == "the interval of the gain of recalibrated holds 0"


def test_no_share_where_recalibrating_loses(streams):
    make_streams(
        streams,
        trajectories(),
        lambda one, step, phase: 0.7 - 0.01 * (one.method == "recalibrated") * (step > 0),
    )
    gpfq = gains_of(streams)["gpfq"].against
    assert gpfq is not None and gpfq.share is None
    assert gpfq.share_why == "recalibrated loses against the frozen network"


def test_no_share_without_such_a_method_or_with_one_draw(streams, tmp_path):
    make_streams(streams, trajectories(methods=("frozen", "gpfq")), accuracy)
    gpfq = gains_of(streams)["gpfq"].against
    assert gpfq is not None and gpfq.share is None and gpfq.reference is None
    assert gpfq.share_why == "no method calibrates anew on everything seen"
    assert gpfq.macs_ratio is None
    other = Store(tmp_path / "other.duckdb")
    make_streams(other, trajectories(seeds=1), accuracy)
    alone = gains_of(other)["gpfq"].against
    assert alone is not None
    assert alone.share_why == "fewer than two draws in common with recalibrated"
    assert (alone.online.low, alone.online.high, alone.online.floor) == (None, None, None)


def test_several_float_models_are_clusters(streams):
    models = [("discriminative", seed) for seed in (0, 1, 2)]

    def by_model(one: Trajectory, step: int, phase: int) -> float:
        lift = 0.01 * (1 + one.model_seed) * (one.method == "flips")
        return 0.5 + lift * (step > 0)

    make_streams(streams, trajectories(methods=("frozen", "flips"), models=models), by_model)
    flips = gains_of(streams)["flips"].against
    assert flips is not None
    gain = flips.online
    assert (gain.gain, gain.models, gain.draws, gain.pairs) == (pytest.approx(0.02), 3, 6, 18)
    expected = clustered_interval([[0.01 * (1 + seed)] * 6 for seed in (0, 1, 2)])
    assert expected is not None and (gain.low, gain.high) == pytest.approx(
        (expected.low, expected.high)
    )


def test_only_draws_that_both_have_are_compared(streams):
    make_streams(
        streams,
        trajectories(),
        accuracy,
        steps_done=lambda one: 2 if one.method == "flips" and one.seed == 5 else None,
    )
    found = gains_of(streams)
    flips = found["flips"].against
    assert flips is not None and flips.online.draws == 5 and found["flips"].level.draws == 5
    assert flips.share is not None and flips.share.ratio == pytest.approx(0.0475 / 0.065)


def test_models_are_settings_of_their_own(streams):
    models = [("discriminative", 0), ("generative", 0)]
    make_streams(streams, trajectories(models=models), accuracy)
    with streams.reading() as con:
        found = stream_gains(read_streamed(con, "stream-made"))
    assert [(one.setting.model, one.method) for one in found][:5] == [
        ("discriminative", "frozen"), ("discriminative", "gpfq"), ("discriminative", "flips"),
        ("discriminative", "recalibrated"), ("generative", "frozen"),
    ]  # fmt: skip


def test_means_are_those_of_the_view(streams):
    make_streams(streams, trajectories(), accuracy)
    flips = gains_of(streams)["flips"]
    assert flips.steps == 4
    assert flips.means["final_accuracy"] == pytest.approx(0.725 + 0.14 / 3)
    assert flips.means["forgetting"] == pytest.approx(0.0)
    assert flips.means["seconds"] == pytest.approx(11.0)
    assert flips.means["macs"] == 4 * 12


def test_a_recipe_of_which_nothing_is_finished_has_none(streams):
    make_streams(streams, trajectories(), accuracy, steps_done=lambda one: 3)
    assert gains_of(streams) == {}
    assert gains_of(streams, "unheard-of") == {}


def test_methods_are_compared_with_any_other(streams):
    make_streams(streams, trajectories(), accuracy)
    with streams.reading() as con:
        streamed = read_streamed(con, "stream-made")
    found = {one.method: one for one in stream_gains(streamed, than="gpfq")}
    flips, frozen = found["flips"].against, found["frozen"].against
    assert found["gpfq"].against is None
    assert flips is not None and frozen is not None
    assert flips.online.gain == pytest.approx(0.0475 - 0.02)
    assert (frozen.online.gain, frozen.online.wins) == (pytest.approx(-0.02), 0)
    assert flips.share is None and "the frozen network" in flips.share_why
    with pytest.raises(UnknownName, match="no method .*'flip'.*did you mean 'flips'"):
        stream_gains(streamed, than="flip")


def test_levels_outside_of_0_and_1_are_refused(streams):
    make_streams(streams, trajectories(seeds=1), accuracy)
    with streams.reading() as con, pytest.raises(BadInput, match="between 0 and 1"):
        stream_gains(read_streamed(con, "stream-made"), level=95)
