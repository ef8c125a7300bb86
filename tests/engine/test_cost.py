"""Multiply-adds in closed form, against the matrix products that are really done."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from calibkit.engine import cost
from calibkit.engine.batches import batches, make_batch
from calibkit.engine.calibrate import calibrate
from calibkit.engine.float_pass import FloatModel
from calibkit.engine.gram import Sums
from calibkit.engine.integer_state import IntegerState
from calibkit.engine.mirror import SMALLEST_PRODUCT, Mirror
from calibkit.engine.plain import Classifier, Decoder
from calibkit.engine.straight_through import StraightThrough
from calibkit.quantize.rounding import Gram, round_by
from calibkit.quantize.rounding.problem import CodeProblem
from calibkit.quantize.schemes import resolve, settings_from
from calibkit.ragged import Ragged

PRODUCTS = (torch.ops.aten.mm, torch.ops.aten.mv, torch.ops.aten.addmm, torch.ops.aten.addmm_)


class Counting(TorchDispatchMode):
    """Adds up the multiply-adds of every matrix product."""

    def __init__(self):
        super().__init__()
        self.macs = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket in PRODUCTS:
            left, right = args[-2:]
            self.macs += left.shape[0] * left.shape[1] * (right.shape[1] if right.ndim > 1 else 1)
        return func(*args, **(kwargs or {}))


@contextmanager
def counted(expected):
    with torch.no_grad(), Counting() as counting:
        yield
    assert counting.macs == expected


@pytest.fixture(scope="module")
def same_lengths():
    """Documents of one length: no product is padded to `SMALLEST_PRODUCT` rows."""
    words = np.random.default_rng(0).integers(4, 60, size=(20, 9))
    return Ragged.of([np.r_[2, row, 3].astype(np.int32) for row in words])


@pytest.fixture(scope="module")
def settled(float_classifier, same_lengths):
    model = float_classifier
    assert len(same_lengths) >= SMALLEST_PRODUCT
    scheme = resolve(settings_from({"preset": "robust"}), bits=4)
    done = calibrate(model.kind, model.arrays, same_lengths, scheme)
    return model, scheme, done, IntegerState.of(done, model.arrays, scheme)


def test_work_is_the_shapes_of_a_model_and_its_text(float_classifier, wrapped):
    model = float_classifier
    work = cost.Work.of(model.kind, model.arrays, wrapped)
    left_out = len(wrapped) if model.kind == "generative" else 0
    assert work.positions == len(wrapped.ids) - left_out and work.documents == len(wrapped)
    assert (work.vocabulary, work.labels, work.embedding, work.hidden) == (60, 3, 12, 16)
    assert work.gate_shape == (64, 28)
    assert work.linear_shape == ((60, 32) if model.kind == "generative" else (3, 16))


def test_passes(settled, same_lengths):
    model, _, done, _ = settled
    work = cost.Work.of(model.kind, model.arrays, same_lengths)
    (one,) = batches(same_lengths, drop_last=work.generative)
    mirror, exact = Mirror(done.network), FloatModel.of(model.kind, model.arrays)
    with counted(cost.states_macs(work)):
        states = mirror.states(one)
    with counted(cost.states_macs(work)):
        exact.hidden(one)
    labels = np.zeros(len(same_lengths), dtype=np.int64)
    with torch.no_grad(), Counting() as counting:
        if work.generative:
            Decoder(done.network).score(one, states, same_lengths, labels)
            counting.macs += work.labels * work.linear_shape[0] * work.hidden  # v, by F.linear
            expected = cost.head_macs(work)
        else:
            Classifier(done.network).score(one, states, same_lengths, labels)
            expected = cost.head_macs(work)
    assert counting.macs == pytest.approx(expected, rel=0.2)


def test_moments():
    rows, columns = 7, 5
    sums, exact = Sums(), Sums(exact=True)
    q, x = torch.randn(2, rows, columns)
    for one, matrices in ((sums, 2), (exact, 3)):
        with counted(matrices * rows * columns**2):
            one.add(q, x)
    v = torch.randn(4, 3)
    with counted(3 * 4 * 9):
        exact.beside(v, v)


def test_moments_of_layers_are_two_passes_and_their_products(float_classifier, wrapped):
    model = float_classifier
    work = cost.Work.of(model.kind, model.arrays, wrapped)
    passes = 2 * cost.states_macs(work)
    assert cost.gate_gram_macs(work) == passes + 2 * work.positions * 28 * 28
    rows = work.positions if work.generative else work.documents
    labels = 3 if work.generative else 0
    assert cost.linear_gram_macs(work, exact=True) == passes + 3 * (rows + labels) * 16 * 16


def layer(rows, columns):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(4 * columns, columns, generator=g).double()
    gram = Gram(x.T @ x, x.T @ x, x.mean(0), x.mean(0))
    weight = torch.randn(rows, columns, generator=g)
    codes = torch.clamp(torch.round(weight / 0.5), -7, 7)
    return CodeProblem(weight, torch.tensor(0.5), 4, codes, gram)


@pytest.mark.parametrize("method", ["gpfq", "gptq", "least-squares", "nearest"])
def test_rounding(method):
    one = layer(6, 5)
    factors = {"gptq": 3 * 125, "least-squares": 4 * 125 + 6 * 25}.get(method, 0)  # no products
    with counted(cost.rounding_macs(method, 6, 5) - factors):
        round_by(method, one.weight, one.scale, one.bits, one.gram)


def test_slopes_and_objectives():
    one = layer(6, 5)
    with counted(cost.slope_macs(6, 5)):
        _ = one.slope
    with counted(cost.objective_macs(6, 5, moves=30)):
        one.objective_change(one.codes + 1)
    assert cost.objective_macs(6, 5, moves=2) == 2 * 5 < cost.objective_macs(6, 5, moves=4)


def test_slopes_beside_labels():
    sums = Sums()
    sums.add(*torch.randn(2, 30, 7))
    labels = torch.randn(2, 3, 7)
    gram = sums.beside(*labels)
    weight = torch.randn(6, 14)
    one = CodeProblem(weight, torch.tensor(0.5), 4, torch.round(weight), gram)
    with counted(cost.slope_macs(6, 14, labels=3)):
        _ = one.slope
    assert cost.slope_macs(1000, 200, labels=4) < 0.3 * cost.slope_macs(1000, 200)


def test_calibration_is_its_passes_and_its_rounding(float_classifier, wrapped):
    model = float_classifier
    work = cost.Work.of(model.kind, model.arrays, wrapped)
    states = cost.states_macs(work)
    # the float model's pass is in the first of them, which ranges are chosen by
    gates, linear = cost.gate_gram_macs(work, passes=1), cost.linear_gram_macs(work, passes=1)

    def macs(**settings):
        return cost.calibrate_macs(work, resolve(settings_from(settings), bits=4))

    rounding = cost.rounding_macs("gpfq", *work.linear_shape)
    assert macs() == states
    assert macs(preset="robust") == states + linear + rounding
    both = macs(preset="robust", rounding={"gates": "gpfq"})
    by_gates = 3 * (gates + cost.rounding_macs("gpfq", 64, 28))
    assert both == states + by_gates + linear + rounding
    assert macs(bias_correction=True) == states + 3 * gates + linear


def test_fine_tuning(settled, same_lengths):
    model, scheme, _, state = settled
    work = cost.Work.of(model.kind, model.arrays, same_lengths)
    network = StraightThrough(state, model.arrays, scheme)
    one = make_batch(same_lengths, np.arange(20), drop_last=work.generative)
    labels = torch.arange(20) % 3
    with Counting() as counting:
        network.loss(one, same_lengths, labels).backward()
    first = 20 * 64 * 16  # the state before the first token needs no gradient
    assert counting.macs == cost.fine_tune_macs(work, epochs=1, batch=20) - first
    twice = cost.fine_tune_macs(work, epochs=2, batch=20)
    assert twice == 2 * cost.fine_tune_macs(work, epochs=1, batch=20)


def test_a_predictor():
    assert cost.predictor_macs(100, (5, 8, 3)) == 100 * (5 * 8 + 8 * 3)
