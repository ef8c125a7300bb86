"""Updates of quantized networks on new text: ranges, re-rounding, moved codes, and the guard."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from calibkit.engine import cost
from calibkit.engine.calibrate import calibrate
from calibkit.engine.gram import gate_gram, linear_gram
from calibkit.engine.integer_state import IntegerState, float_biases
from calibkit.engine.update import rounded
from calibkit.engine.updating import flip, moved, problems, reround, update_ranges
from calibkit.errors import BadInput
from calibkit.quantize.networks import linear_name, quantized_weight, site_weight
from calibkit.quantize.rounding import Gram, bias_shift, round_by
from calibkit.quantize.rounding.flips import greedy_flips
from calibkit.quantize.rounding.problem import CodeProblem
from calibkit.quantize.schemes import resolve, settings_from
from calibkit.quantize.sites import GATES
from calibkit.ragged import Ragged

GATE_SITES = [f"lstm.weight_{gate}" for gate in GATES]
ROBUST = {"preset": "robust"}
CORRECTED = {
    "preset": "robust",
    "rounding": {"gates": "least-squares", "linear": "gpfq"},
    "bias_correction": True,
}


@pytest.fixture(scope="module")
def text(make_documents):
    """Documents that nothing was calibrated on."""
    return make_documents(40, seed=7)


def calibrated(model, subset, settings=ROBUST, bits=4):
    scheme = resolve(settings_from(settings), bits=bits)
    done = calibrate(model.kind, model.arrays, subset, scheme)
    return scheme, IntegerState.of(done, model.arrays, scheme)


def nothing(site, problem):
    return torch.zeros(problem.codes.shape, dtype=torch.int8)


def greedy(most):
    return lambda site, problem: greedy_flips(problem, most)


def same(state, other):
    theirs = other.tensors()
    equal = all(np.array_equal(v, theirs[k]) for k, v in state.tensors().items())
    return equal and state.config() == other.config()


@pytest.mark.parametrize("settings", [ROBUST, {"symmetric": False, "ranges": "minmax"}, {}])
def test_updated_ranges_are_those_of_calibration_on_the_subset(
    float_classifier, wrapped, text, settings
):
    model = float_classifier
    scheme, state = calibrated(model, wrapped, settings)
    found = update_ranges(state, model.arrays, scheme, text)
    expected = calibrated(model, text, settings)[1]
    assert found.thresholds == expected.thresholds != state.thresholds
    assert found.zero_points == expected.zero_points
    assert same(replace(found, thresholds=state.thresholds, zero_points=state.zero_points), state)


def test_problems_are_calibrations_moments_and_the_present_codes(float_classifier, wrapped, text):
    model, last = float_classifier, linear_name(float_classifier.kind)
    scheme, state = calibrated(model, wrapped)
    found = problems(state, model.arrays, scheme, text)
    assert [*found] == [*GATE_SITES, last]
    network = state.network(model.arrays, scheme)
    gates, linear = (f(network, model.arrays, text) for f in (gate_gram, linear_gram))
    for site, problem in found.items():
        gram = linear if site == last else gates
        assert torch.equal(problem.gram.quantized, gram.quantized)
        assert torch.equal(problem.gram.mixed, gram.mixed)
        np.testing.assert_array_equal(problem.codes.numpy(), state.codes[site])
        np.testing.assert_array_equal(problem.weight.numpy(), site_weight(model.arrays, site))
        assert problem.offset is None  # the biases are the float model's
        width = network.embedding.embedding_dim
        parts = [slice(None)] if site == last else [slice(None, width), slice(width, None)]
        names = [site] if site == last else [f"{site}.input", f"{site}.hidden"]
        for name, part in zip(names, parts, strict=True):
            chosen = problem.chosen[:, part].to(torch.float32)
            torch.testing.assert_close(chosen, quantized_weight(network, name))


def test_a_bias_that_stays_is_part_of_the_error_and_one_that_follows_takes_up_the_mean(
    float_classifier, wrapped, text
):
    model = float_classifier
    scheme, state = calibrated(model, wrapped, CORRECTED)
    stay = problems(state, model.arrays, scheme, text)
    follow = problems(state, model.arrays, scheme, text, biases="follow")
    for site, problem in stay.items():
        offset = state.biases[site] - float_biases(model.kind, model.arrays)[site]
        np.testing.assert_allclose(problem.offset.numpy(), offset, atol=1e-6)
        quantized, floats = problem.gram.means()
        mean = problem.chosen @ quantized - problem.weight.double() @ floats + problem.offset
        without = follow[site]
        assert without.offset is None
        torch.testing.assert_close(problem.objective, without.objective + mean.square())
    again = problems(state, model.arrays, scheme, wrapped)
    last = linear_name(model.kind)  # whose moments have not changed since it was corrected
    quantized, floats = again[last].gram.means()
    mean = again[last].chosen @ quantized - again[last].weight.double() @ floats
    torch.testing.assert_close(mean, -again[last].offset, atol=1e-5, rtol=0)


def test_rounding_under_an_offset_is_rounding_of_what_the_offset_leaves():
    g = torch.Generator().manual_seed(0)
    floats = torch.randn(200, 6, generator=g, dtype=torch.float64) + 1
    quantized = torch.round(floats / 0.5) * 0.5
    weight = torch.randn(5, 6, generator=g)
    scale = weight.abs().amax(1, keepdim=True) / 7
    offset = torch.randn(5, generator=g, dtype=torch.float64)
    from calibkit.engine.gram import Sums

    sums = Sums(exact=True)
    sums.add(quantized, floats)
    one = CodeProblem(weight, scale, 4, torch.zeros(5, 6), sums.gram(), offset)
    for method in ("gpfq", "least-squares"):
        found = one.with_codes(rounded(one, method))
        blind = one.with_codes(round_by(method, weight, scale, 4, one.gram))
        assert float(found.objective.sum()) < 0.8 * float(blind.objective.sum())
    # the path that gpfq follows: W x - offset, column by column
    codes = rounded(one, "gpfq").double()
    path = -offset[None] + torch.zeros(200, 1, dtype=torch.float64)
    for t in range(6):
        path = path + floats[:, t : t + 1] * weight[:, t].double()
        x = quantized[:, t]
        target = (x @ path) / (x @ x)
        expected = torch.clamp(torch.round(target / scale[:, 0].double()), -7, 7)
        assert torch.equal(codes[:, t], expected)
        path = path - x[:, None] * expected * scale[:, 0].double()


@pytest.mark.parametrize("settings", [ROBUST, CORRECTED])
def test_greedy_moves_lower_the_error_within_their_share(float_classifier, wrapped, text, settings):
    model = float_classifier
    scheme, state = calibrated(model, wrapped, settings)
    updated, report = flip(state, model.arrays, scheme, text, greedy(0.05), most=0.05)
    assert report.objective_after < report.objective_before
    assert report.refused == () and report.macs > 0
    total = 0
    for site, codes in state.codes.items():
        delta = updated.codes[site].astype(int) - codes
        assert int(np.abs(updated.codes[site]).max()) <= 7
        assert int(np.abs(delta).max(initial=0)) <= 1
        changed = int((delta != 0).sum())
        assert changed <= int(0.05 * codes.size)
        assert (changed > 0) == (site in {*GATE_SITES, linear_name(model.kind)})
        total += changed
    assert total == report.flips
    assert updated.config() == state.config()
    for name, value in state.tensors().items():
        if not name.startswith("codes/"):
            np.testing.assert_array_equal(updated.tensors()[name], value)


def test_the_linear_layer_is_asked_under_the_new_gates(float_classifier, wrapped, text):
    model, last = float_classifier, linear_name(float_classifier.kind)
    scheme, state = calibrated(model, wrapped)
    asked = {}

    def choose(site, problem):
        asked[site] = problem
        return greedy_flips(problem, 0.05) if site in GATE_SITES else nothing(site, problem)

    updated, _ = flip(state, model.arrays, scheme, text, choose, most=0.05)
    assert [*asked] == [*GATE_SITES, last]
    expected = linear_gram(updated.network(model.arrays, scheme), model.arrays, text)
    assert torch.equal(asked[last].gram.quantized, expected.quantized)
    before = linear_gram(state.network(model.arrays, scheme), model.arrays, text)
    assert not torch.equal(expected.quantized, before.quantized)


def test_no_moves_change_nothing(float_classifier, wrapped, text):
    model = float_classifier
    scheme, state = calibrated(model, wrapped, CORRECTED)
    updated, report = flip(state, model.arrays, scheme, text, nothing, most=0.02)
    assert same(updated, state) and report.flips == 0 and report.refused == ()
    assert report.objective_before == report.objective_after > 0


def worst(site, problem):
    """Moves that each add the most to the objective."""
    up = (problem.slope > 0) & (problem.codes < problem.top)
    return up.to(torch.int8)


def test_the_guard_keeps_codes_that_moves_would_make_worse(float_classifier, wrapped, text):
    model, last = float_classifier, linear_name(float_classifier.kind)
    scheme, state = calibrated(model, wrapped)
    kept, report = flip(state, model.arrays, scheme, text, worst, most=1.0)
    assert same(kept, state)
    assert report.refused == (*GATE_SITES, last) and report.flips == 0
    assert report.objective_after == report.objective_before
    let, without = flip(state, model.arrays, scheme, text, worst, most=1.0, guard=False)
    assert without.refused == () and without.flips > 0
    assert without.objective_after > without.objective_before
    assert not same(let, state)


def test_what_greedy_moves_may_be_and_what_is_checked_is_one_number():
    """0.043 * 100 * 100 is 430, and 0.043 * 10,000 is 429 and a fraction."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(300, 100, generator=g).double()
    gram = Gram(x.T @ x / 300, x.T @ x / 300, x.mean(0), x.mean(0), x.T @ x / 300)
    weight = torch.randn(100, 100, generator=g)
    codes = torch.zeros(100, 100)  # far from their weights: more moves help than are allowed
    problem = CodeProblem(weight, torch.tensor(0.2), 4, codes, gram)
    moves = greedy_flips(problem, 0.043)
    assert int(moves.count_nonzero()) == 430
    assert torch.equal(moved("decoder", problem, moves, 0.043), moves.to(torch.float32))


def test_moves_that_break_the_rules_are_errors_and_ranges_hold(float_classifier, wrapped, text):
    model = float_classifier
    scheme, state = calibrated(model, wrapped)
    one = problems(state, model.arrays, scheme, text)["lstm.weight_cell"]
    every = torch.ones_like(one.codes)
    up = moved("lstm.weight_cell", one, every, 1.0)
    assert torch.equal(up, (one.codes + 1).clamp(max=7)) and bool((one.codes == 7).any())
    size = every.numel()
    with pytest.raises(ValueError, match=rf"lstm.weight_cell: {size} moves; a share of 0.5 is"):
        moved("lstm.weight_cell", one, every, 0.5)
    with pytest.raises(ValueError, match="at most 1, not 2"):
        moved("lstm.weight_cell", one, 2 * every, 1.0)
    with pytest.raises(ValueError, match="moves"):
        moved("lstm.weight_cell", one, every[:1], 1.0)


def test_rerounding_is_calibrations_rounding_where_the_gates_stay(float_classifier, wrapped, text):
    """On the very documents of calibration, GPFQ finds GPFQ's codes of the linear layer again."""
    model, last = float_classifier, linear_name(float_classifier.kind)
    scheme, state = calibrated(model, wrapped)
    updated, report = reround(state, model.arrays, scheme, wrapped)
    network = updated.network(model.arrays, scheme)
    gram = linear_gram(network, model.arrays, wrapped)
    weight = torch.from_numpy(site_weight(model.arrays, last))
    expected = round_by("gpfq", weight, torch.from_numpy(state.weight_scales[last]), 4, gram)
    if last not in report.refused:
        np.testing.assert_array_equal(updated.codes[last], expected.numpy())
    assert report.objective_after <= report.objective_before
    for site, codes in updated.codes.items():
        touched = site in {*GATE_SITES, last} and site not in report.refused
        assert touched or np.array_equal(codes, state.codes[site])
    for site, scale in state.weight_scales.items():
        np.testing.assert_array_equal(updated.weight_scales[site], scale)


def test_rerounding_brings_hidden_layers_closer_on_its_text(float_classifier, wrapped, text):
    model = float_classifier
    for settings in ({}, ROBUST):  # whose gates are rounded to nearest
        scheme, state = calibrated(model, wrapped, settings)
        updated, report = reround(state, model.arrays, scheme, text)
        before, after = (
            sum(float(p.objective.sum()) for s, p in found.items() if s in GATE_SITES)
            for found in (problems(s, model.arrays, scheme, text) for s in (state, updated))
        )
        assert after < before and report.objective_after < report.objective_before


def test_biases_follow_where_asked_and_where_the_scheme_corrects_them(
    float_classifier, wrapped, text
):
    model, last = float_classifier, linear_name(float_classifier.kind)
    for settings, moves in ((CORRECTED, True), (ROBUST, False)):
        scheme, state = calibrated(model, wrapped, settings)
        updated, _ = flip(
            state, model.arrays, scheme, text, greedy(0.02), most=0.02, biases="follow"
        )
        for site, bias in state.biases.items():
            assert (updated.biases[site] != bias).any() == moves
        if moves:
            network = updated.network(model.arrays, scheme)
            gram = linear_gram(network, model.arrays, text)
            weight = torch.from_numpy(site_weight(model.arrays, last))
            shift = bias_shift(weight, quantized_weight(network, last), gram).numpy()
            expected = float_biases(model.kind, model.arrays)[last] + shift
            np.testing.assert_allclose(updated.biases[last], expected, atol=1e-5)


def test_updates_do_not_depend_on_the_order_of_the_documents(float_classifier, wrapped, text):
    model = float_classifier
    scheme, state = calibrated(model, wrapped)
    shuffled = text.take(np.random.default_rng(0).permutation(len(text)))
    for update in (
        lambda tokens: reround(state, model.arrays, scheme, tokens)[0],
        lambda tokens: flip(state, model.arrays, scheme, tokens, greedy(0.02), most=0.02)[0],
        lambda tokens: update_ranges(state, model.arrays, scheme, tokens),
    ):
        assert same(update(text), update(shuffled))


def test_layers_can_be_left_alone(float_classifier, wrapped, text):
    model, last = float_classifier, linear_name(float_classifier.kind)
    scheme, state = calibrated(model, wrapped)
    for layers, sites in ((("linear",), {last}), (("gates",), {*GATE_SITES})):
        flipped, report = flip(
            state, model.arrays, scheme, text, greedy(0.05), most=0.05, layers=layers
        )
        again, _ = reround(state, model.arrays, scheme, text, guard=False, layers=layers)
        assert report.codes == sum(state.codes[site].size for site in sites)
        for updated in (flipped, again):
            changed = {s for s, c in state.codes.items() if (updated.codes[s] != c).any()}
            assert changed == sites


def test_gates_come_first_in_whatever_order_layers_are_named(float_classifier, wrapped, text):
    """A recipe's list has no order: trajectories with the same layers are one trajectory."""
    model = float_classifier
    scheme, state = calibrated(model, wrapped)
    named, turned = (
        flip(state, model.arrays, scheme, text, greedy(0.05), most=0.05, layers=layers)
        for layers in (("gates", "linear"), ("linear", "gates"))
    )
    assert same(named[0], turned[0])
    assert named[1] == turned[1]


def test_what_an_update_cannot_do_is_refused(float_classifier, wrapped):
    model = float_classifier
    scheme, state = calibrated(model, wrapped)
    empty = Ragged.of([])
    dynamic = resolve(settings_from({"dynamic": True}), bits=4)
    for chosen, tokens, told in (
        (scheme, empty, "at least one document"),
        (dynamic, wrapped, r"quantize\.dynamic"),
    ):
        with pytest.raises(BadInput, match=told):
            update_ranges(state, model.arrays, chosen, tokens)
        with pytest.raises(BadInput, match=told):
            reround(state, model.arrays, chosen, tokens)
        with pytest.raises(BadInput, match=told):
            flip(state, model.arrays, chosen, tokens, nothing, most=0.1)
        with pytest.raises(BadInput, match=told):
            problems(state, model.arrays, chosen, tokens)


def test_an_update_costs_what_its_parts_cost(float_classifier, wrapped, text):
    model = float_classifier
    scheme, state = calibrated(model, wrapped)
    work = cost.Work.of(model.kind, model.arrays, text)
    # the float model's states are computed once, for the gates
    passes = cost.gate_gram_macs(work, exact=True)
    passes += cost.linear_gram_macs(work, exact=True, passes=1)
    shapes = [work.gate_shape, work.linear_shape]
    labels = [0, 3 if work.generative else 0]
    slopes = sum(cost.slope_macs(*s, labels=n) for s, n in zip(shapes, labels, strict=True))
    _, report = flip(state, model.arrays, scheme, text, nothing, most=0.1)
    assert report.macs == passes + slopes
