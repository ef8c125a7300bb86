"""Label scores on integers: against float64, between implementations, in whole evaluations."""

import logging
import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.engine import native
from calibkit.engine.calibrate import calibrate
from calibkit.engine.choice import kernels_by
from calibkit.engine.integer import IntegerClassifier, IntegerDecoder, IntegerLSTM
from calibkit.engine.integer.decoder import LEAST_TOTAL, by_word
from calibkit.engine.integer.fixed_point import Multipliers, WholeMatrix
from calibkit.engine.integer.grids import Grid
from calibkit.engine.integer.powers import ONE
from calibkit.engine.native.integer import NativeIntegerDecoder, NativeIntegerLSTM
from calibkit.engine.plain import evaluate
from calibkit.errors import BadInput
from calibkit.models.settings import settings_from
from calibkit.models.training import train
from calibkit.quantize.schemes import SchemeSettings, resolve
from calibkit.ragged import Ragged

KINDS = ("discriminative", "generative")
built = pytest.mark.skipif(not native.available(), reason=f"no native kernels: {native.why_not()}")


def quantized(model, documents, *, bits=8, site_bits=None, **given):
    scheme = resolve(SchemeSettings(bits=site_bits, **given), bits=bits)
    return calibrate(model.kind, model.arrays, documents, scheme).network


def by_integers(network, tokens, labels, engine="auto", **how):
    kernels = kernels_by(engine, network, tokens, arithmetic="integer")
    return evaluate(network, tokens, labels, kernels=kernels, **how)


def identical(a, b):
    return (
        np.array_equal(a.scores, b.scores)
        and np.array_equal(a.predicted, b.predicted)
        and np.array_equal(a.token_nll, b.token_nll)
        and a.mean_abs_h == b.mean_abs_h
    )


# ---------------------------------------------------------------- sums over a vocabulary by label


def decoder(weight, unit, label_bits):
    """A decoder of codes ``weight`` (V, H), each product worth ``unit`` (V,) bits."""
    label_logits = (label_bits * ONE).round().to(torch.int32)
    return IntegerDecoder(
        output=Grid(torch.tensor(1.0), -128, 127),
        read=torch.arange(-128, 128),
        matrix=WholeMatrix(weight, largest=128, site="decoder"),
        units=Multipliers.of(unit * ONE, "decoder"),
        label_logits=label_logits,
        tops=by_word(label_logits)[0],
        factors=by_word(label_logits)[1],
        prior=torch.zeros(len(label_logits), dtype=torch.int64),
    )


def natively(one):
    """The same decoder at every instruction set."""
    fields = {name: getattr(one, name) for name in IntegerDecoder.__dataclass_fields__}
    return [NativeIntegerDecoder(**fields, level=level) for level in native.levels()]


def drawn(words, labels, hidden, tokens, spread, seed):
    rng = np.random.default_rng(seed)
    weight = torch.from_numpy(rng.integers(-127, 128, (words, hidden)))
    unit = (rng.random(words) + 0.5) * spread / (5e3 * math.sqrt(hidden))
    label_bits = torch.from_numpy(rng.normal(size=(labels, words)) * 3)
    codes = torch.from_numpy(rng.integers(-128, 128, (tokens, hidden)))
    targets = torch.from_numpy(rng.integers(0, words, tokens))
    return decoder(weight, unit, label_bits), weight, unit, label_bits, codes, targets


def exact_scores(weight, unit, label_bits, codes, targets):
    """log2 p(target | h, y) in float64."""
    logits = (codes @ weight.T).to(torch.float64) * torch.from_numpy(unit)
    rows = [((logits + b) * math.log(2)).log_softmax(1).gather(1, targets[:, None])
            for b in label_bits]  # fmt: skip
    return torch.cat(rows, dim=1) / math.log(2)


@settings(deadline=None)
@given(
    words=st.sampled_from([1, 5, 16, 47, 767, 769, 2000]),
    labels=st.sampled_from([1, 2, 4, 14, 200]),
    hidden=st.sampled_from([1, 6, 33, 100]),
    tokens=st.integers(0, 19),
    spread=st.sampled_from([0.05, 1.0, 6.0]),
    seed=st.integers(0, 9),
)
def test_token_scores_are_close_to_float64_and_the_same_natively(
    words, labels, hidden, tokens, spread, seed
):
    one, *case, codes, targets = drawn(words, labels, hidden, tokens, spread, seed)
    found = one.token_scores(codes, targets)
    expected = exact_scores(*case, codes, targets)
    assert found.shape == (tokens, labels)
    assert ((found.double() / ONE - expected).abs() < 1e-4 * expected.abs() + 1e-4).all()
    if native.available():
        peaks, totals = one.sums(codes)
        for other in natively(one):
            assert torch.equal(peaks, other.sums(codes)[0])
            assert torch.equal(totals, other.sums(codes)[1])


def test_the_sums_are_those_of_whole_numbers_summed_one_by_one():
    """The definition once more, in Python's own integers, over three blocks of words."""
    from calibkit.engine.integer.powers import power

    one, *_, codes, _ = drawn(1700, 3, 7, 4, 2.0, 1)
    peaks, totals = one.sums(codes)
    shared = one.shared_logits(codes, slice(None)).tolist()
    for t, logits in enumerate(shared):
        peak, total = None, [0, 0, 0]
        for start in range(0, 1700, 768):
            block = range(start, min(start + 768, 1700))
            with_top = {v: logits[v] + int(one.tops[v]) for v in block}
            bits = math.ceil(Fraction(max(with_top.values()), ONE))
            if peak is None or bits > peak:
                total = [x >> (bits - peak) if peak is not None else 0 for x in total]
                peak = bits
            e = {v: int(power(torch.tensor([peak * ONE - x]))) for v, x in with_top.items()}
            for label in range(3):
                total[label] += sum(e[v] * int(one.factors[label, v]) for v in block) >> 16
        assert (peak, total) == (int(peaks[t]), totals[t].tolist())


@pytest.mark.parametrize("gap", [5.0, 12.0, 30.0, 200.0, 2000.0])
def test_a_label_far_below_the_shared_peak_is_summed_for_itself(gap):
    # the state and all labels but the last want word 0; the last one all but rules it out
    weight = torch.tensor([[100], [0], [1], [0]])
    label_bits = torch.zeros(3, 4, dtype=torch.float64)
    label_bits[2, 0] = -2 * gap
    unit = np.full(4, gap / 1e4)
    one = decoder(weight, unit, label_bits)
    codes, targets = torch.tensor([[100], [50], [-100]]), torch.tensor([0, 2, 3])
    totals = one.sums(codes)[1]
    assert bool(totals[0, 2] < LEAST_TOTAL) == (gap > 10) and totals[0, 0] >= LEAST_TOTAL
    found = one.token_scores(codes, targets).double() / ONE
    expected = exact_scores(weight, unit, label_bits, codes, targets)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    if native.available():
        for other in natively(one):
            assert torch.equal(other.token_scores(codes, targets).double() / ONE, found)


def test_many_labels_far_below_are_summed_in_groups():
    rng = np.random.default_rng(0)
    label_bits = torch.from_numpy(rng.normal(size=(40, 300)) * 30)
    weight = torch.from_numpy(rng.integers(-127, 128, (300, 4)))
    unit = np.full(300, 1e-3)
    one = decoder(weight, unit, label_bits)
    codes, targets = torch.from_numpy(rng.integers(-128, 128, (9, 4))), torch.arange(9)
    assert int((one.sums(codes)[1] < LEAST_TOTAL).sum()) > 100
    expected = exact_scores(weight, unit, label_bits, codes, targets)
    found = one.token_scores(codes, targets).double() / ONE
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=built)])
def test_a_token_s_scores_do_not_depend_on_its_neighbours(compiled):
    one, *_, codes, targets = drawn(900, 5, 12, 700, 1.0, 0)
    one = natively(one)[0] if compiled else one
    together = one.token_scores(codes, targets)
    apart = [one.token_scores(codes[i : i + 1], targets[i : i + 1]) for i in (0, 511, 512, 699)]
    assert torch.equal(together[[0, 511, 512, 699]], torch.cat(apart))


# ----------------------------------------------------------------------------------- classifiers


def exact_codes(head, sums, lengths):
    ratio = Fraction(int(head.pooled.values), 2**head.pooled.shift)
    return [
        [
            min(max(math.floor(Fraction(s, n) * ratio + Fraction(1, 2)), head.input.low),
                head.input.high)
            for s in row
        ]
        for row, n in zip(sums.tolist(), lengths.tolist(), strict=True)
    ]  # fmt: skip


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10**6), bits=st.integers(2, 8), longest=st.sampled_from([1, 80, 10**6]))
def test_logits_are_those_of_rational_arithmetic(make_model, wrapped, seed, bits, longest):
    network = quantized(make_model("discriminative"), wrapped, bits=bits, weights="per-channel")
    head = IntegerClassifier.of(network)
    rng = np.random.default_rng(seed)
    lengths = torch.from_numpy(rng.integers(1, longest + 1, 7))
    means = rng.uniform(head.output.low, head.output.high, (7, 16))
    sums = torch.from_numpy((means * lengths.numpy()[:, None]).astype(np.int64))
    codes = torch.tensor(exact_codes(head, sums, lengths))
    expected = (codes @ head.matrix.codes.T.to(torch.int64) + head.bias) * head.logits.values
    assert torch.equal(head.logits_of(sums, lengths), expected)


def test_a_document_too_long_for_64_bits_is_refused(make_model, wrapped):
    head = IntegerClassifier.of(quantized(make_model("discriminative"), wrapped))
    with pytest.raises(BadInput, match=r"classifier\.input: a document has 1048576 tokens"):
        head.logits_of(torch.zeros(1, 16, dtype=torch.int64), torch.tensor([1 << 20]))


# ----------------------------------------------------------------------------- whole evaluations


@pytest.mark.parametrize("labels", [2, 14, 200])
@pytest.mark.parametrize("kind", KINDS)
def test_engines_batches_and_orders_give_the_same_evaluation(
    make_model, make_documents, kind, labels
):
    documents = make_documents(70)
    truth = np.arange(70, dtype=np.int64) % labels
    network = quantized(make_model(kind, labels=labels), documents, bits=5)
    first = by_integers(network, documents, truth, "torch")
    for engine in ("plain", "auto", *(("native",) if native.available() else ())):
        assert identical(first, by_integers(network, documents, truth, engine))
    small = by_integers(network, documents, truth, batch=7)
    assert np.array_equal(first.scores, small.scores)
    order = np.random.default_rng(0).permutation(70)
    shuffled = by_integers(network, documents.take(order), truth[order])
    assert np.array_equal(first.scores[order], shuffled.scores)
    assert np.array_equal(first.predicted[order], shuffled.predicted)
    if kind == "generative":  # in canonical order whatever the order given
        assert np.array_equal(np.sort(first.token_nll), np.sort(shuffled.token_nll))


@pytest.mark.parametrize("kind", KINDS)
def test_the_number_of_threads_changes_nothing(make_model, make_documents, kind):
    documents, truth = make_documents(40), np.arange(40, dtype=np.int64) % 3
    network = quantized(make_model(kind, hidden=40), documents)
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(by_integers(network, documents, truth, "torch"))
    finally:
        torch.set_num_threads(before)
    assert identical(found[0], found[1]) and identical(found[0], found[2])


@pytest.mark.parametrize(
    "given",
    [
        {"weights": "per-channel"},
        {"separate_io": True, "separate_hv": True},
        {"symmetric": False},
        {"weights": "per-channel", "separate_hv": True},
        {"site_bits": {"lstm.cell": 8, "decoder": 3, "lstm.weight_*": 5, "lstm.io": 7}},
        {"rounding": "gpfq"},
    ],
)
@pytest.mark.parametrize("bits", [8, 4, 2])
def test_generative_scores_are_brevitas_s_where_the_states_are(
    make_model, wrapped, wrapped_labels, bits, given
):
    network = quantized(make_model("generative", hidden=24), wrapped, bits=bits, **given)
    lstm, head = IntegerLSTM.of(network), IntegerDecoder.of(network)
    same_states = kernels_by("auto", network, wrapped)
    expected = evaluate(
        network, wrapped, wrapped_labels,
        kernels=replace(same_states, states=lstm.states),
    )  # fmt: skip
    found = evaluate(
        network, wrapped, wrapped_labels,
        kernels=replace(same_states, states=lstm.states, head=lambda _: head),
    )  # fmt: skip
    assert np.allclose(found.nll, expected.nll, rtol=1e-4, atol=0)
    assert np.allclose(found.token_nll, expected.token_nll, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("bits", [8, 5, 3])
def test_discriminative_scores_are_brevitas_s_where_the_states_are(
    make_model, wrapped, wrapped_labels, bits
):
    network = quantized(make_model("discriminative", labels=4), wrapped, bits=bits)
    lstm, head = IntegerLSTM.of(network), IntegerClassifier.of(network)
    kernels = kernels_by("auto", network, wrapped)
    expected = evaluate(network, wrapped, wrapped_labels,
                        kernels=replace(kernels, states=lstm.states))  # fmt: skip
    found = evaluate(network, wrapped, wrapped_labels,
                     kernels=replace(kernels, states=lstm.states, head=lambda _: head))  # fmt: skip
    near = np.isclose(found.scores, expected.scores, rtol=1e-6, atol=1e-6).all(axis=1)
    assert near.mean() > 0.9  # means that lie between two codes may go either way
    assert np.array_equal(found.predicted[near], expected.predicted[near])


@pytest.mark.parametrize("kind", KINDS)
def test_a_trained_model_says_the_same_as_under_brevitas(kind):
    rng = np.random.default_rng(0)
    truth = np.arange(400, dtype=np.int64) % 4
    own = 20 + truth[:, None] * 10 + rng.integers(0, 10, (400, 12))
    words = np.where(rng.random((400, 12)) < 0.3, own, rng.integers(4, 20, (400, 12)))
    tokens = Ragged.of([np.r_[2, row, 3].astype(np.int32) for row in words])
    chosen = settings_from(kind, {"epochs": 2, "hidden": 24, "embedding": 24, "batch": 16,
                                  "learning_rate": 0.01})  # fmt: skip
    done = train(chosen, tokens, truth, tokens.take(range(40)), truth[:40], 4, 60, 0)
    arrays = {name: value.numpy() for name, value in done.model.state_dict().items()}
    network = calibrate(kind, arrays, tokens.take(range(64)), resolve(SchemeSettings(), bits=8))
    expected = evaluate(network.network, tokens, truth,
                        kernels=kernels_by("auto", network.network, tokens))  # fmt: skip
    found = by_integers(network.network, tokens, truth)
    assert (expected.predicted == truth).mean() > 0.5
    assert (found.predicted == expected.predicted).mean() >= 0.9975  # one of 400 may differ
    assert abs(found.nll.mean() / expected.nll.mean() - 1) < 1e-3
    assert found.mean_abs_h == pytest.approx(expected.mean_abs_h, rel=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_ties_go_to_the_lowest_label(make_model, wrapped, wrapped_labels, kind):
    model = make_model(kind, labels=4)
    name = "classifier.weight" if kind == "discriminative" else "label_embedding.weight"
    model.arrays[name][1] = model.arrays[name][2]
    for other in ("classifier.bias", "log_prior"):
        if other in model.arrays:
            model.arrays[other][1] = model.arrays[other][2] = model.arrays[other].max() + 300
    found = by_integers(quantized(model, wrapped), wrapped, wrapped_labels)
    assert np.array_equal(found.scores[:, 1], found.scores[:, 2])
    assert set(found.predicted) == {1}


def test_a_label_that_never_occurred_stays_finite_and_last(make_model, wrapped, wrapped_labels):
    model = make_model("generative")
    model.arrays["log_prior"][1] = -np.inf
    found = by_integers(quantized(model, wrapped), wrapped, wrapped_labels)
    assert np.isfinite(found.scores).all() and 1 not in found.predicted


# ------------------------------------------------------------------------------ choice, presence


@pytest.mark.parametrize("kind", KINDS)
def test_without_the_extension_torch_serves_and_nothing_changes(
    make_model, wrapped, wrapped_labels, monkeypatch, kind
):
    network = quantized(make_model(kind), wrapped)
    before = by_integers(network, wrapped, wrapped_labels)
    monkeypatch.setenv("CALIBKIT_NO_NATIVE", "1")
    assert identical(before, by_integers(network, wrapped, wrapped_labels))
    with pytest.raises(BadInput, match=r"CALIBKIT_NO_NATIVE is set.*integer"):
        by_integers(network, wrapped, wrapped_labels, "native")


@built
@pytest.mark.parametrize("wrong", [(NativeIntegerLSTM, "states"), (NativeIntegerDecoder, "sums")])
def test_auto_drops_kernels_that_are_wrong_and_says_so(
    make_model, wrapped, wrapped_labels, monkeypatch, caplog, wrong
):
    network = quantized(make_model("generative"), wrapped)
    expected = by_integers(network, wrapped, wrapped_labels)
    right = getattr(*wrong)

    def moved(self, given):
        found = right(self, given)
        return found + 1 if torch.is_tensor(found) else (found[0], found[1] + 1)

    monkeypatch.setattr(*wrong, moved)
    with caplog.at_level(logging.WARNING):
        found = by_integers(network, wrapped, wrapped_labels)
    assert "native integer kernels are wrong" in caplog.text
    assert identical(expected, found)
