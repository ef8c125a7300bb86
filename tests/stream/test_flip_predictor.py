"""The learned choice of moves: its rules, what it learns, and that it is trained once."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from calibkit.errors import UnknownName
from calibkit.models.checkpoints import model_id
from calibkit.quantize.flip_features import FEATURES
from calibkit.quantize.rounding import Gram, round_nearest
from calibkit.quantize.rounding.flips import greedy_flips
from calibkit.quantize.rounding.problem import CodeProblem
from calibkit.quantize.schemes import resolve, settings_from
from calibkit.store.artefacts import Artefacts
from calibkit.stream import flip_predictor
from calibkit.stream.flip_lessons import Lessons, Trial, lessons, trials
from calibkit.stream.flip_network import FlipPredictor, fresh
from calibkit.stream.flip_predictor import (
    fitted,
    followed,
    predictor_for,
    train_predictor,
)
from calibkit.stream.simulated_drifts import SimulatedDrift, Simulator
from calibkit.sweep.jobs import ModelRef, Places

SCHEME = resolve(settings_from({"preset": "robust"}), bits=4)
SEEDS = st.integers(0, 10_000)


def made(seed, rows=12, columns=20, bits=4, samples=60):
    """A layer whose codes were right for another text."""
    g = torch.Generator().manual_seed(seed)
    mix = torch.randn(columns, columns, generator=g, dtype=torch.float64)
    exact = torch.randn(samples, columns, generator=g, dtype=torch.float64) @ mix + 0.5
    quantized = torch.round(exact / 0.5) * 0.5
    weight = torch.randn(rows, columns, generator=g)
    scale = weight.abs().amax(dim=1, keepdim=True) / (2 ** (bits - 1) - 1)
    products = (quantized.T @ quantized, quantized.T @ exact)
    gram = Gram(
        *(p / samples for p in products),
        quantized.mean(0),
        exact.mean(0),
        exact.T @ exact / samples,
    )
    return CodeProblem(weight, scale, bits, round_nearest(weight, scale, bits), gram)


def untrained(seed=0, *, last=0.0):
    network = fresh(torch.Generator().manual_seed(seed))
    with torch.no_grad():
        network.last.weight.normal_(0, last, generator=torch.Generator().manual_seed(seed))
    return FlipPredictor(network.requires_grad_(False))


def same(one, other):
    return all(np.array_equal(t, other.tensors()[name]) for name, t in one.tensors().items())


@given(SEEDS, st.sampled_from([0.01, 0.05, 0.3, 1.0]))
def test_untrained_it_is_the_greedy_rule(seed, most):
    problem = made(seed)
    assert torch.equal(untrained().choose("decoder", problem, most), greedy_flips(problem, most))


@given(SEEDS, st.sampled_from([0.0, 0.004, 0.03, 0.2]), st.sampled_from([2, 4, 8]))
def test_moves_are_few_single_steps_within_the_range(seed, most, bits):
    problem = made(seed, bits=bits)
    moves = untrained(seed, last=1.0).choose("lstm.weight_cell", problem, most)
    assert moves.shape == problem.codes.shape
    assert moves.dtype == torch.int8
    assert int(moves.count_nonzero()) <= int(most * moves.numel())
    assert set(moves.unique().tolist()) <= {-1, 0, 1}
    assert int((problem.codes + moves).abs().max()) <= problem.top


@given(SEEDS)
def test_a_smaller_budget_makes_the_first_of_the_same_moves(seed):
    problem, predictor = made(seed), untrained(seed, last=1.0)
    few, more = (predictor.choose("classifier", problem, most) for most in (0.02, 0.1))
    made_by_few = few != 0
    assert torch.equal(more[made_by_few], few[made_by_few])
    assert int((more != 0).sum()) >= int(made_by_few.sum())


@given(SEEDS)
def test_rows_are_judged_by_themselves_while_the_budget_lasts(seed):
    """Need and step compare rows; without them a row's moves do not depend on the others."""
    problem = made(seed)
    network = untrained(seed, last=1.0).network
    predictor = FlipPredictor(network, ("need", "step"))
    every = predictor.choose("decoder", problem, 1.0)
    half = replace(
        problem, weight=problem.weight[:5], scale=problem.scale[:5], codes=problem.codes[:5]
    )
    assert torch.equal(predictor.choose("decoder", half, 1.0), every[:5])


def test_without_trust_nothing_moves():
    network = untrained().network
    network.last.bias[0] = -30
    assert not bool(FlipPredictor(network).choose("decoder", made(0), 0.5).any())


@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_that_is_turned_off_has_no_say(name):
    problem, predictor = made(4), untrained(4, last=1.0)
    off = FlipPredictor(predictor.network, (name,))
    changed = FlipPredictor.from_tensors(predictor.tensors(), (name,))
    changed.network.first.weight[:, FEATURES.index(name)] *= -5
    assert torch.equal(off.choose("decoder", problem, 0.1), changed.choose("decoder", problem, 0.1))


@given(SEEDS, st.sampled_from(["lstm.weight_input", "decoder"]))
def test_at_strength_0_a_trained_network_is_the_greedy_rule(seed, site):
    problem, network = made(seed), untrained(seed, last=1.0).network
    greedy = greedy_flips(problem, 0.1)
    assert torch.equal(FlipPredictor(network, (), (0.0, 0.0)).choose(site, problem, 0.1), greedy)
    only_gates = FlipPredictor(network, (), (1.0, 0.0))
    full = FlipPredictor(network).choose(site, problem, 0.1)
    expected = greedy if site == "decoder" else full
    assert torch.equal(only_gates.choose(site, problem, 0.1), expected)


def taught(trust, count=6):
    """Trials whose large samples are the small ones, and lessons that teach this much trust."""
    generator = np.random.default_rng(0)
    met, parts = [], []
    for number in range(count):
        problems = {"lstm.weight_cell": made(number), "decoder": made(100 + number)}
        met.append(Trial(SimulatedDrift((1.0,)), problems, problems))
        x = torch.from_numpy(generator.normal(size=(4000, len(FEATURES)))).float()
        optimum = torch.from_numpy(generator.uniform(0, 4, size=4000)).float()
        parts.append(Lessons(x, optimum, trust * optimum, torch.ones(4000)))
    return met, parts


def test_a_network_that_would_do_harm_is_not_followed(monkeypatch):
    monkeypatch.setattr(flip_predictor, "STEPS", 200)
    assert followed(*taught(trust=0.0), 0, (), 0.1) == (0.0, 0.0)


def test_too_few_trials_leave_the_greedy_rule():
    met, parts = taught(trust=1.0, count=2)
    assert followed(met, parts, 0, (), 0.1) == (0.0, 0.0)


def test_a_network_that_helps_on_other_drifts_is_followed(monkeypatch):
    """On the large samples inputs are mirrored where their power is high: those moves do harm."""
    monkeypatch.setattr(flip_predictor, "STEPS", 400)
    met, parts = [], []
    for number in range(6):
        small = {"lstm.weight_cell": made(number, rows=60), "decoder": made(50 + number, rows=60)}
        large = {}
        for site, problem in small.items():
            loud = problem.power > problem.power.median()
            spoilt = problem.slope.clone()
            spoilt[:, loud] *= -1
            large[site] = replace(problem)
            large[site].__dict__["slope"] = spoilt
        trial = Trial(SimulatedDrift((1.0,)), small, large)
        met.append(trial)
        parts.append(lessons(trial, 0, number))
    gates, linear = followed(met, parts, 0, (), 0.02)
    assert gates > 0
    assert linear > 0


def test_a_feature_that_there_is_not_is_refused_with_the_nearest_name(make_model, wrapped):
    model = make_model("discriminative")
    labels = np.arange(len(wrapped)) % 3
    with pytest.raises(UnknownName, match="residual"):
        train_predictor(
            model.kind, model.arrays, SCHEME, wrapped, labels, size=8, without=("residuals",)
        )


def test_a_predictor_is_small_and_comes_back_from_its_arrays():
    predictor = FlipPredictor(untrained(3, last=1.0).network, ("need",), (0.25, 0.75))
    assert sum(p.numel() for p in predictor.network.parameters()) <= 5000
    again = FlipPredictor.from_tensors(predictor.tensors(), predictor.without)
    assert same(predictor, again)
    assert (again.without, again.strength) == (("need",), (0.25, 0.75))
    problem = made(2)
    assert torch.equal(
        again.choose("decoder", problem, 0.1), predictor.choose("decoder", problem, 0.1)
    )


def test_it_learns_when_a_small_sample_can_be_trusted():
    generator = np.random.default_rng(0)
    x = torch.from_numpy(generator.normal(size=(30_000, len(FEATURES)))).float()
    optimum = torch.from_numpy(generator.uniform(0, 4, size=len(x))).float()
    reliable = x[:, FEATURES.index("power")] > 0
    noise = torch.from_numpy(generator.normal(size=len(x))).float()
    wanted = torch.where(reliable, optimum, 0) + noise
    learned = Lessons(x, optimum, wanted, torch.ones(len(x)))
    expected = fitted(learned, 0)(x, optimum)
    clear = x[:, FEATURES.index("power")].abs() > 0.5
    assert float((expected - optimum)[reliable & clear].abs().mean()) < 0.4
    assert float(expected[~reliable & clear].abs().mean()) < 0.4
    blind = fitted(learned, 0, ("power",))(
        x * (torch.tensor(FEATURES.index("power")) != torch.arange(len(FEATURES))), optimum
    )
    assert float((blind - optimum)[reliable & clear].abs().mean()) > 0.6


@pytest.fixture(scope="module")
def text(make_documents):
    return make_documents(120, seed=5), np.arange(120) % 3


def trained(model, text, **settings):
    chosen = {"size": 12, "drifts": 2, "large": 40, **settings}
    return train_predictor(model.kind, model.arrays, SCHEME, *text, **chosen)


def test_lessons_tell_what_moves_do_on_the_large_sample(float_classifier, text):
    simulator = Simulator.of(*text)
    kind, arrays = float_classifier.kind, float_classifier.arrays
    (trial,) = trials(
        kind, arrays, SCHEME, simulator, size=12, seed=0, most=0.02, count=1, large=40
    )
    assert set(trial.small) == set(trial.large)
    for site, small in trial.small.items():
        assert torch.equal(small.codes, trial.large[site].codes)
        assert not torch.equal(small.gram.quantized, trial.large[site].gram.quantized)
    honest = lessons(trial, 0, 0)
    itself = lessons(replace(trial, large=trial.small), 0, 0)
    assert torch.allclose(itself.wanted, itself.optimum.clamp_max(50), rtol=1e-4, atol=1e-4)
    assert len(honest.wanted) == len(honest.features) == len(honest.weight) > 100
    assert not torch.allclose(honest.wanted, honest.optimum, atol=0.1)


def test_training_is_the_same_every_time_and_leaves_torch_as_it_was(make_model, text, monkeypatch):
    monkeypatch.setattr(flip_predictor, "STEPS", 30)
    model = make_model("discriminative")
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    one = trained(model, text)
    torch.set_num_threads(2)
    try:
        two = trained(model, text)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.get_rng_state(), state)
    assert same(one, two)
    assert not same(one, trained(model, text, seed=1))


def test_a_predictor_is_trained_once_for_a_model_and_its_settings(
    tmp_path, make_model, text, monkeypatch
):
    model, (tokens, labels) = make_model("discriminative"), text
    places = Places(tmp_path / "artefacts", tmp_path / "fragments")
    shelf = Artefacts(places.artefacts)
    shelf.save("model", "k1-made", model.arrays, model.config)
    flat = {"ids": tokens.ids, "offsets": tokens.offsets, "labels": labels.astype(np.int32)}
    shelf.save("tokens", "a1-train", flat, {})
    calls = []

    def train(*args, without, **settings):
        calls.append(without)
        return FlipPredictor(untrained(len(calls), last=1.0).network, tuple(without))

    monkeypatch.setattr(flip_predictor, "train_predictor", train)
    ref = ModelRef("k1-made", model_id(model.arrays, model.config), model.kind)

    def found(**settings):
        return predictor_for(places, ref, SCHEME, "a1-train", **{"size": 12, **settings})

    first = found()
    assert same(found(), first)
    assert len(calls) == 1
    ordered = found(without=("residual", "step"))
    assert same(found(without=("step", "residual")), ordered)
    assert ordered.without == ("residual", "step")
    assert len(calls) == 2
    for settings in ({"size": 13}, {"seed": 1}, {"most": 0.01}):
        assert not same(found(**settings), first)
    assert len(calls) == 5
    with pytest.raises(UnknownName, match="position"):
        found(without=("positions",))
