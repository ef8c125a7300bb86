"""The native kernels: states bit for bit, scores to a stated error, the same bits everywhere."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.engine import native
from calibkit.engine.batches import batches, make_batch
from calibkit.engine.calibrate import calibrate
from calibkit.engine.choice import kernels_by, states_by
from calibkit.engine.mirror import Mirror
from calibkit.engine.native.decoder import NativeDecoder
from calibkit.engine.native.mirror import NativeMirror
from calibkit.engine.native.scoring import LEAST_MASS, Scorer, label_token_log_probs
from calibkit.engine.plain import Kernels, brevitas_states, evaluate
from calibkit.errors import BadInput
from calibkit.quantize.networks import PORT, build
from calibkit.quantize.schemes import SchemeSettings, resolve
from calibkit.ragged import Ragged

ROOT = Path(__file__).parents[2]

built = pytest.mark.skipif(not native.available(), reason=f"no native kernels: {native.why_not()}")
KINDS = ("discriminative", "generative")


def quantized(model, documents, *, bits=8, by_site=None, **options):
    scheme = resolve(SchemeSettings(bits=by_site, **options), bits=bits)
    return calibrate(model.kind, model.arrays, documents, scheme).network


# ------------------------------------------------------------------------------- hidden states


@built
@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    bits=st.integers(2, 8),
    cell=st.integers(2, 8),
    gates=st.integers(2, 8),
    hidden=st.sampled_from([1, 4, 16, 21]),
    seed=st.integers(0, 5),
    size=st.sampled_from([5, 256]),
    separate=st.booleans(),
    guard=st.booleans(),
    symmetric=st.booleans(),
)
def test_states_are_brevitas_s_bit_for_bit(
    make_model,
    make_documents,
    kind,
    bits,
    cell,
    gates,
    hidden,
    seed,
    size,
    separate,
    guard,
    symmetric,
):
    model = make_model(kind, seed=seed, hidden=hidden)
    documents = make_documents(20, seed=seed)
    by_site = {"lstm.cell": cell, "lstm.acc_*": gates, "lstm.weight_forget": gates}
    options = {"separate_io": separate, "separate_hv": separate, "cell_guard": guard}
    options |= {"symmetric": symmetric}
    network = quantized(model, documents, bits=bits, by_site=by_site, **options)
    compiled, plain, mirror = NativeMirror(network), brevitas_states(network), Mirror(network)
    with torch.inference_mode():
        for one in batches(documents, drop_last=kind == "generative", size=size):
            found = compiled.states(one)
            assert torch.equal(found, mirror.states(one))
            assert torch.equal(found, plain(one))


@built
@pytest.mark.parametrize("kind", KINDS)
def test_states_of_a_document_do_not_depend_on_its_batch(make_model, make_documents, kind):
    longest = make_documents(150, seed=3, longest=80)  # more than one window of documents
    network = quantized(make_model(kind, hidden=20), longest)
    compiled, cut = NativeMirror(network), kind == "generative"
    with torch.inference_mode():
        (one,) = batches(longest, drop_last=cut, size=200)
        together = one.pad(compiled.states(one))
        assert one.lengths[-1] == (1 if cut else 2)  # <bos> and <eos> only, or one token
        for place in (0, 1, 63, 64, 148, 149):
            alone = make_batch(longest, one.rows[place : place + 1], drop_last=cut)
            length = int(one.lengths[place])
            assert torch.equal(compiled.states(alone), together[place, :length])


@built
@pytest.mark.parametrize("kind", KINDS)
def test_states_are_the_same_at_every_instruction_set(make_model, make_documents, kind):
    documents = make_documents(70, seed=1)
    network = quantized(make_model(kind, hidden=37), documents, bits=6)
    with torch.inference_mode():
        one = next(batches(documents, drop_last=kind == "generative"))
        first, *others = [NativeMirror(network, level=v).states(one) for v in native.levels()]
    assert first.abs().max() > 0
    assert all(torch.equal(first, other) for other in others)


@built
def test_documents_of_another_vocabulary_are_refused(make_model, make_documents):
    network = quantized(make_model("discriminative"), make_documents(9))
    strange = Ragged.of([np.array([2, 60, 3])])
    with pytest.raises(IndexError, match="outside the vocabulary of 60 words"):
        NativeMirror(network).states(next(batches(strange)))


# -------------------------------------------------------------------------------------- scores


def exact(states, weight, biases, targets, unit=1.0):
    logits = (states.double() @ weight.double().T) * unit
    rows = [(logits + b.double()).log_softmax(1).gather(1, targets[:, None]) for b in biases]
    return torch.cat(rows, dim=1)


@built
@settings(max_examples=40, deadline=None)
@given(
    words=st.sampled_from([1, 5, 16, 47, 769, 2000]),
    labels=st.sampled_from([1, 2, 4, 14, 200]),
    hidden=st.sampled_from([1, 6, 33, 100]),
    tokens=st.integers(0, 19),
    scale=st.sampled_from([0.05, 1.0, 6.0]),
    as_codes=st.booleans(),
    seed=st.integers(0, 9),
)
def test_scores_are_close_to_float64_and_the_same_at_every_instruction_set(
    words, labels, hidden, tokens, scale, as_codes, seed
):
    draw = torch.Generator().manual_seed(seed)
    biases = torch.randn((labels, words), generator=draw) * 3
    targets = torch.randint(0, words, (tokens,), generator=draw)
    if as_codes:
        states = torch.randint(-128, 128, (tokens, hidden), generator=draw).float()
        weight = torch.randint(-127, 128, (words, hidden), generator=draw).float()
        unit = (torch.rand(words, generator=draw, dtype=torch.float64) + 0.5) * scale / 2e4
    else:
        states = torch.rand((tokens, hidden), generator=draw) * 2 - 1
        weight = torch.randn((words, hidden), generator=draw) * scale
        unit = None
    expected = exact(states, weight, biases, targets, 1.0 if unit is None else unit)
    first, *others = [
        Scorer(weight, biases, unit=unit, level=v)(states, targets) for v in native.levels()
    ]
    assert first.shape == (tokens, labels)
    torch.testing.assert_close(first.double(), expected, rtol=1e-5, atol=3e-5)
    assert all(torch.equal(first, other) for other in others)


@built
@pytest.mark.parametrize("gap", [30.0, 70.0, 200.0, 5e4])
def test_spreads_beyond_float32_exponents_are_redone_exactly(gap):
    # state and label want different words, gap nats apart: both exponentials underflow together
    weight = torch.tensor([[gap], [0.0], [0.0], [-gap]])
    biases = torch.tensor([[-gap, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0], [-2 * gap, -gap, 0.0, gap]])
    states, targets = torch.tensor([[1.0], [0.5], [-1.0]]), torch.tensor([0, 2, 3])
    found = label_token_log_probs(states, weight, biases, targets)
    expected = exact(states, weight, biases, targets)
    assert torch.isfinite(found).all()
    # a logit of 5e4 is itself known to .002 only, in float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-5 + gap * 1e-7)


@built
def test_a_token_s_scores_do_not_depend_on_its_neighbours():
    draw = torch.Generator().manual_seed(0)
    states = torch.rand((700, 12), generator=draw)
    targets = torch.randint(0, 900, (700,), generator=draw)
    scorer = Scorer(torch.randn((900, 12), generator=draw), torch.randn((5, 900), generator=draw))
    together = scorer(states, targets)
    apart = torch.cat([scorer(states[i : i + 1], targets[i : i + 1]) for i in (0, 255, 256, 699)])
    assert torch.equal(together[[0, 255, 256, 699]], apart)


@built
def test_a_target_outside_the_vocabulary_is_refused():
    scorer = Scorer(torch.zeros(4, 2), torch.zeros(2, 4))
    with pytest.raises(IndexError, match="vocabulary of 4 words"):
        scorer(torch.zeros(1, 2), torch.tensor([4]))


@built
@pytest.mark.parametrize("weights", ["per-tensor", "per-channel"])
@pytest.mark.parametrize("bits", [8, 6, 4, 3, 2])
def test_a_cell_scored_natively_says_the_same_to_a_ten_thousandth(
    make_model, wrapped, wrapped_labels, bits, weights
):
    network = quantized(make_model("generative", hidden=24), wrapped, bits=bits, weights=weights)
    torch_, native_ = (
        evaluate(
            network,
            wrapped,
            wrapped_labels,
            kernels=kernels_by("auto", network, wrapped, arithmetic=arithmetic),
        )
        for arithmetic in ("float-torch", "float-native")
    )
    assert np.allclose(torch_.nll, native_.nll, rtol=1e-4, atol=0)
    assert np.allclose(torch_.scores, native_.scores, rtol=1e-5)
    assert torch_.mean_abs_h == native_.mean_abs_h
    best = np.sort(torch_.scores, axis=1)
    clear = best[:, -1] - best[:, -2] > 1e-4 * np.abs(best[:, -1])
    assert np.array_equal(torch_.predicted[clear], native_.predicted[clear])


@built
def test_a_network_without_quantizers_is_scored_in_floats(make_model, wrapped, wrapped_labels):
    network = build("generative", make_model("generative").arrays, PORT)
    kernels = Kernels(brevitas_states(network), NativeDecoder)
    plain = evaluate(network, wrapped, wrapped_labels)
    fast = evaluate(network, wrapped, wrapped_labels, kernels=kernels)
    assert np.allclose(plain.scores, fast.scores, rtol=1e-5)


@built
def test_codes_whose_sums_could_leave_exact_floats_are_scored_in_floats(
    make_model, wrapped, wrapped_labels, monkeypatch
):
    network = quantized(make_model("generative"), wrapped)
    assert NativeDecoder(network).step is not None
    monkeypatch.setattr("calibkit.engine.native.decoder.EXACT_BELOW", 1 << 10)
    assert NativeDecoder(network).step is None
    plain = evaluate(network, wrapped, wrapped_labels)
    kernels = Kernels(brevitas_states(network), NativeDecoder)
    floats = evaluate(network, wrapped, wrapped_labels, kernels=kernels)
    assert np.allclose(plain.scores, floats.scores, rtol=1e-5)


@built
def test_codes_beyond_a_byte_are_scored_in_floats(make_model, wrapped, wrapped_labels):
    """Label vectors far to one side make most codes of an asymmetric quantizer positive."""
    model = make_model("generative")
    model.arrays["label_embedding.weight"] += 8
    network = quantized(model, wrapped, symmetric=False)
    assert NativeDecoder(network).step is None
    assert NativeDecoder(quantized(model, wrapped, bits=7, symmetric=False)).step is not None
    torch_, native_ = (
        evaluate(
            network,
            wrapped,
            wrapped_labels,
            kernels=kernels_by("auto", network, wrapped, arithmetic=arithmetic),
        )
        for arithmetic in ("float-torch", "float-native")
    )
    assert np.allclose(torch_.scores, native_.scores, rtol=1e-5)


@built
@pytest.mark.parametrize("bits", [8, 4])
def test_the_engine_changes_no_number(float_classifier, wrapped, wrapped_labels, bits):
    network = quantized(float_classifier, wrapped, bits=bits)
    first, *others = (
        evaluate(network, wrapped, wrapped_labels, kernels=kernels_by(engine, network, wrapped))
        for engine in ("plain", "torch", "native", "auto")
    )
    for other in others:
        assert np.array_equal(first.scores, other.scores)
        assert np.array_equal(first.token_nll, other.token_nll)
        assert first.mean_abs_h == other.mean_abs_h


# ---------------------------------------------------------------------------- choice, presence


@built
def test_auto_takes_the_kernels_and_drops_them_where_they_differ(
    float_classifier, wrapped, monkeypatch
):
    network = quantized(float_classifier, wrapped)
    assert isinstance(states_by("auto", network, wrapped).many.__self__, NativeMirror)
    right = NativeMirror.states
    monkeypatch.setattr(NativeMirror, "states", lambda self, one: right(self, one) + 1e-6)
    chosen = states_by("auto", network, wrapped).many.__self__
    assert type(chosen) is Mirror


def test_without_the_extension_torch_serves_and_nothing_changes(
    float_classifier, wrapped, wrapped_labels, monkeypatch
):
    network = quantized(float_classifier, wrapped)
    before = evaluate(
        network, wrapped, wrapped_labels, kernels=kernels_by("auto", network, wrapped)
    )
    monkeypatch.setenv("CALIBKIT_NO_NATIVE", "1")
    assert not native.available()
    assert "CALIBKIT_NO_NATIVE" in native.why_not()
    assert native.info() == {"available": False, "reason": native.why_not()}
    kernels = kernels_by("auto", network, wrapped)
    assert type(kernels.states.many.__self__) is Mirror
    after = evaluate(network, wrapped, wrapped_labels, kernels=kernels)
    assert np.array_equal(before.scores, after.scores)
    for engine, arithmetic in (("native", "float-torch"), ("auto", "float-native")):
        with pytest.raises(BadInput, match="CALIBKIT_NO_NATIVE is set.*float-torch"):
            kernels_by(engine, network, wrapped, arithmetic=arithmetic)


@built
def test_the_instruction_set_in_use_is_told():
    assert native.info() == {"available": True, "instructions": native.levels()[0].name}
    assert native.levels()[-1].name == "baseline"


def test_the_package_builds_without_a_compiler_and_says_what_is_missing(tmp_path):
    ran = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", f"--build-lib={tmp_path / 'lib'}"]
        + [f"--build-temp={tmp_path / 'temp'}"],
        cwd=ROOT,
        env=os.environ | {"CC": "no-such-compiler", "CXX": "no-such-compiler"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "native kernels were not built" in ran.stderr
    assert "torch engine serves instead" in ran.stderr
    assert not list(tmp_path.rglob("*.so"))


def test_telling_whether_there_are_kernels_needs_no_torch():
    said = (
        "import sys; from calibkit.engine import native; "
        "print(native.info(), 'torch' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", said], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert ran.stdout.split()[-1] == "False"


def test_the_accuracy_of_a_sum_is_kept_above_its_least_mass():
    vocabulary = 40_000
    assert vocabulary * math.exp(-87) / LEAST_MASS < 1e-7
