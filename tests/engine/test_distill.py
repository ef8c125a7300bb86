"""Distillation: the quantized network comes nearer to what the float network says."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from calibkit.engine import cost
from calibkit.engine import distill as distillation
from calibkit.engine.batches import batches
from calibkit.engine.calibrate import calibrate
from calibkit.engine.distill import COURSES, Course, Teacher, distill
from calibkit.engine.integer_state import IntegerState
from calibkit.engine.plain import Decoder, brevitas_states, classifier_logits, next_tokens
from calibkit.engine.shifts import NEAREST_ROUNDED, ordered_weights, weight_shifts
from calibkit.errors import BadInput
from calibkit.models.checkpoints import from_arrays
from calibkit.models.scoring import score
from calibkit.quantize.networks import site_weight, weight_tensors
from calibkit.quantize.schemes import resolve, settings_from
from calibkit.quantize.sites import WEIGHT_SITES
from calibkit.ragged import Ragged

SHORT = Course(steps=6, batch=8)


def few(make_documents, *, seed=0):
    return make_documents(20, seed=seed, longest=7)


def rounded(model, subset, bits=4, **settings):
    scheme = resolve(settings_from(settings), bits=bits)
    done = calibrate(model.kind, model.arrays, subset, scheme)
    return scheme, IntegerState.of(done, model.arrays, scheme)


def divergence(model, network, tokens):
    """Mean KL from the float network's outputs, of documents or of words under every label."""
    teacher = Teacher(model.kind, model.arrays, tokens)
    with torch.no_grad():
        (one,) = batches(tokens, drop_last=model.kind == "generative")
        states = brevitas_states(network)(one)
        if model.kind == "discriminative":
            said = classifier_logits(network, one.mean(states))
            wanted = teacher.logits[torch.from_numpy(one.rows)]
        else:
            head, words = Decoder(network), teacher.words(one, torch.arange(one.total))
            h = head.quantize(states)[0] @ head.hidden_weight.T
            said = torch.cat([h + label for label in head.label_logits])
            wanted = torch.cat([words.states @ words.weight.T + y for y in words.biases])
        p, q = F.log_softmax(said.double(), dim=1), F.log_softmax(wanted.double(), dim=1)
        return float(F.kl_div(p, q, reduction="batchmean", log_target=True))


def test_outputs_come_nearer_to_the_float_networks(float_classifier, make_documents):
    model, subset = float_classifier, few(make_documents)
    scheme, before = rounded(model, subset, bits=3, preset="robust", rounding="nearest")
    after = distill(before, model.arrays, scheme, subset, Course(steps=60, batch=8))
    far, near = (
        divergence(model, state.network(model.arrays, scheme), subset) for state in (before, after)
    )
    assert near < 0.7 * far
    assert after.thresholds == before.thresholds and after.zero_points == before.zero_points
    for site, scale in before.weight_scales.items():
        np.testing.assert_array_equal(after.weight_scales[site], scale)
        assert int(np.abs(after.codes[site]).max()) <= 3
        assert (after.codes[site] != before.codes[site]).any(), site


def test_codes_come_from_the_documents_and_not_from_their_order_or_threads(
    float_classifier, make_documents
):
    model, subset = float_classifier, few(make_documents)
    scheme, state = rounded(model, subset)
    other = few(make_documents, seed=1)
    first = distill(state, model.arrays, scheme, subset, SHORT).tensors()
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        shuffled = subset.take(np.random.default_rng(1).permutation(len(subset)))
        again = distill(state, model.arrays, scheme, shuffled, SHORT).tensors()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    for name, values in first.items():
        np.testing.assert_array_equal(values, again[name], err_msg=name)
    changed = distill(state, model.arrays, scheme, other, SHORT).tensors()
    assert any((values != changed[name]).any() for name, values in first.items())


def test_words_that_no_document_has_keep_their_codes(float_classifier, make_documents):
    model, subset = float_classifier, few(make_documents)
    scheme, before = rounded(model, subset)
    after = distill(before, model.arrays, scheme, subset, SHORT)
    unseen = np.setdiff1d(np.arange(60), subset.ids)
    assert len(unseen)
    np.testing.assert_array_equal(
        after.codes["embedding"][unseen], before.codes["embedding"][unseen]
    )


@pytest.mark.parametrize("preset", ["brevitas-default", "robust"])
def test_calibration_distils_where_a_scheme_says_so(
    float_classifier, make_documents, monkeypatch, preset
):
    model, subset = float_classifier, few(make_documents)
    monkeypatch.setattr(distillation, "COURSES", dict.fromkeys(COURSES, SHORT))
    scheme, state = rounded(model, subset, preset=preset, rounding="nearest")
    wanted = resolve(settings_from({"preset": preset, "rounding": "distill"}), bits=4)
    done = calibrate(model.kind, model.arrays, subset, wanted)
    expected = distill(state, model.arrays, wanted, subset, SHORT)
    assert tuple(done.site_codes) == WEIGHT_SITES[model.kind]
    assert done.activation_thresholds == state.thresholds
    tensors = weight_tensors(done.network)
    for site, codes in done.site_codes.items():
        np.testing.assert_array_equal(codes.chosen, expected.codes[site])
        np.testing.assert_array_equal(codes.nearest, state.codes[site])
        parts = [f"{site}.input", f"{site}.hidden"] if site.startswith("lstm.") else [site]
        held = torch.cat([tensors[part] for part in parts], dim=1).numpy()
        np.testing.assert_array_equal(held, codes.chosen * state.weight_scales[site])
        assert site_weight(model.arrays, site).shape == codes.chosen.shape
    again = IntegerState.of(done, model.arrays, wanted)
    for name, values in expected.tensors().items():
        np.testing.assert_array_equal(again.tensors()[name], values, err_msg=name)
    exact = ordered_weights(model.kind, model.arrays)
    told = weight_shifts(model.arrays, done, wanted, exact)
    assert [row.site for row in told if row.pair == NEAREST_ROUNDED] == [*WEIGHT_SITES[model.kind]]


@given(st.integers(1, 500), st.integers(1, 40), st.integers(1, 3000))
def test_a_course_is_whole_passes_of_hardly_more_steps(steps, batch, documents):
    course = Course(steps=steps, batch=batch)
    done = course.passes(documents) * course.steps_of(documents)
    assert steps <= done < steps + course.steps_of(documents)


@pytest.mark.parametrize("change", [{"rate": 0.0, "bias_rate": 0.0}, {"rate": 0.0}])
def test_nothing_learned_is_nothing_changed(float_classifier, make_documents, change):
    model, subset = float_classifier, few(make_documents)
    scheme, before = rounded(model, subset, symmetric=False, ranges="minmax")
    after = distill(before, model.arrays, scheme, subset, replace(SHORT, **change))
    for site, codes in before.codes.items():
        np.testing.assert_array_equal(after.codes[site], codes)
    moved = any((after.biases[site] != bias).any() for site, bias in before.biases.items())
    assert moved is ("bias_rate" not in change)


def test_what_cannot_be_distilled_is_refused(float_classifier, make_documents):
    model = float_classifier
    scheme, state = rounded(model, few(make_documents))
    with pytest.raises(BadInput, match="at least one document"):
        distill(state, model.arrays, scheme, Ragged.of([]))
    dynamic = resolve(settings_from({"dynamic": True}), bits=4)
    with pytest.raises(BadInput, match=r"quantize\.dynamic"):
        distill(state, model.arrays, dynamic, few(make_documents))


class Counting(TorchDispatchMode):
    """Adds up the multiply-adds of every matrix product."""

    PRODUCTS = (torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.addmm_)

    def __init__(self):
        super().__init__()
        self.macs = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket in self.PRODUCTS:
            left, right = args[-2:]
            self.macs += left.shape[0] * left.shape[1] * right.shape[1]
        return func(*args, **(kwargs or {}))


def test_the_teacher_says_what_the_float_model_says(float_classifier, make_documents):
    model = float_classifier
    subset = few(make_documents).take(np.random.default_rng(2).permutation(20))
    teacher = Teacher(model.kind, model.arrays, subset)
    wanted = score(from_arrays(model.arrays, model.config), subset).log_scores
    if model.kind == "discriminative":
        said = F.log_softmax(teacher.logits.double(), dim=1).numpy()
        np.testing.assert_allclose(said, wanted, rtol=1e-4, atol=1e-5)
        return
    found = np.tile(model.arrays["log_prior"].astype(np.float64), (len(subset), 1))
    for one in batches(subset, drop_last=True, size=8):  # other batches than the teacher's own
        words, every = teacher.words(one, torch.arange(one.total)), torch.arange(one.total)
        for label, biases in enumerate(words.biases):
            logits = words.states @ words.weight.T + biases
            said = F.log_softmax(logits, dim=1)[every, next_tokens(one, subset)].numpy()
            np.add.at(found[:, label], one.rows[one.documents.numpy()], said)
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


@pytest.mark.parametrize("tokens", [256, 7])
def test_its_cost_is_that_of_its_products(float_classifier, make_documents, tokens):
    model, subset = float_classifier, few(make_documents)
    scheme, state = rounded(model, subset)
    work = cost.Work.of(model.kind, model.arrays, subset)
    course = Course(steps=2, batch=20, tokens=tokens)
    with Counting() as counting:
        distill(state, model.arrays, scheme, subset, course)
    found = cost.distill_macs(work, course)
    found += cost.states_macs(work)  # the float model's, which are counted with the ranges
    # the student multiplies every word once, however often it occurs
    (one,) = batches(subset, drop_last=work.generative)
    words = len(np.unique(one.pack(one.ids[:, :, None]).numpy()))
    found -= 2 * 3 * (work.positions - words) * 4 * work.hidden * work.embedding
    assert counting.macs == found
    whole = resolve(settings_from({"rounding": "distill"}), bits=4)
    usual = cost.distill_macs(work, COURSES[model.kind])
    assert cost.calibrate_macs(work, whole) == cost.states_macs(work) + usual
