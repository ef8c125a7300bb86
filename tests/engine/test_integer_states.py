"""Hidden states on integers: the definition, both implementations, and how near Brevitas is."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.engine import native
from calibkit.engine.batches import batches, make_batch
from calibkit.engine.calibrate import calibrate
from calibkit.engine.integer import IntegerLSTM
from calibkit.engine.integer.fixed_point import Requantizer, WholeMatrix
from calibkit.engine.integer.grids import Grid, bias_codes, grids, weight
from calibkit.engine.integer.lstm import Gate
from calibkit.engine.mirror import COLUMNS, Mirror
from calibkit.engine.native.integer import NativeIntegerLSTM
from calibkit.errors import BadInput
from calibkit.quantize.networks import (
    activation_impl,
    activation_proxies,
    gate_modules,
    quantized_weight,
)
from calibkit.quantize.schemes import SchemeSettings, resolve
from calibkit.ragged import Ragged

KINDS = ("discriminative", "generative")
built = pytest.mark.skipif(not native.available(), reason=f"no native kernels: {native.why_not()}")


def quantized(model, documents, *, bits=8, site_bits=None, **given):
    scheme = resolve(SchemeSettings(bits=site_bits, **given), bits=bits)
    return calibrate(model.kind, model.arrays, documents, scheme).network


def implementations(network):
    """The reference, and the native implementation at every instruction set."""
    found = [IntegerLSTM.of(network)]
    if native.available():
        compiled = NativeIntegerLSTM.of(network)
        found += [replace(compiled, level=level) for level in native.levels()]
    return found


# ------------------------------------------------------------------------------- the definition


def worked_example(cls=IntegerLSTM):
    """One hidden unit, one word; every number below can be followed by hand."""

    def gate(table):
        return Gate(torch.tensor([1 << 30]), torch.tensor([1 << 30]), 31, -8, 7, table)

    sigmoid, tanh = torch.arange(16), torch.arange(-8, 8)
    return cls(
        inputs=torch.tensor([[3, -2, 5, 4]], dtype=torch.int32),
        hidden=WholeMatrix(torch.tensor([[1], [2], [-1], [3]]), largest=8, site="lstm.io"),
        gates=(gate(sigmoid), gate(sigmoid), gate(sigmoid), gate(tanh)),
        kept=Requantizer(1 << 30, 34, -8, 7),  # 1/16
        fresh=Requantizer(1 << 30, 32, -8, 7),  # 1/4
        cell=Grid(torch.tensor(0.5), -8, 7),
        squash=tanh,
        out=Requantizer(1 << 30, 33, -8, 7),  # 1/8
        output=Grid(torch.tensor(0.25), -8, 7),
    )


# 1: accumulators 1.5 -1 2.5 2 -> 2 -1 3 2; i 10, f 7, o 11, g 2; c 20/4 = 5; h 55/8 -> 7
# 2: 5 6 -1 12.5 -> 5 6 -1 7; i 13, f 14, o 7, g 7; c 70/16 + 91/4 -> 4 + 7 -> 7; h 49/8 -> 6
# 3: 4.5 5 -0.5 11 -> 5 5 0 7; i 13, f 13, o 8, g 7; c 91/16 + 91/4 -> 6 + 7 -> 7; h 56/8 = 7
WORKED = [7, 6, 7]


def test_a_cell_worked_out_by_hand():
    one = next(batches(Ragged.of([np.zeros(3, dtype=np.int64)])))
    assert (worked_example().states(one)[:, 0] / 0.25).tolist() == WORKED


@built
def test_a_cell_worked_out_by_hand_natively():
    one = next(batches(Ragged.of([np.zeros(3, dtype=np.int64)])))
    for level in native.levels():
        found = replace(worked_example(NativeIntegerLSTM), level=level).states(one)
        assert (found[:, 0] / 0.25).tolist() == WORKED


def step_by_step(network, ids):
    """The package's text once more, in Python's own integers, for one document."""
    site = grids(network)
    step = {name: float(grid.scale) for name, grid in site.items()}

    def multipliers(ratios):
        shift = max(s for s in range(63) if round(Fraction(max(ratios)) * 2**s) < 2**31)
        return [round(Fraction(r) * 2**shift) for r in ratios], shift

    def rescale(total, shift):
        return math.floor(Fraction(total, 2**shift) + Fraction(1, 2))

    def clamp(code, grid):
        return min(max(code, grid.low), grid.high)

    def requantize(value, ratio, grid):
        ((multiplier,), shift) = multipliers([ratio])
        return clamp(rescale(value * multiplier, shift), grid)

    def nearest(value, name):
        code = round(value / step[name])  # Python rounds halves to even, too
        return clamp(code, site[name])

    read = network.input_sites[-1]
    rows = quantized_weight(network, "embedding")
    for name in network.input_sites:
        codes = torch.clamp(torch.round(rows / site[name].scale), site[name].low, site[name].high)
        rows = codes * site[name].scale
    width = weight(network, "lstm.weight_input.hidden").codes.shape[1]
    h, c, found = [0] * width, [0] * width, []
    gates = {}
    for name in COLUMNS:
        of_input = weight(network, f"lstm.weight_{name}.input")
        of_hidden = weight(network, f"lstm.weight_{name}.hidden")
        bias = bias_codes(gate_modules(network)[name].bias, site[read], of_input.scale)
        ratios = [step[s] * w / step[f"lstm.acc_{name}"]
                  for s in (read, "lstm.io") for w in of_input.steps.tolist()]  # fmt: skip
        both, shift = multipliers(ratios)
        gates[name] = (
            of_input.codes.long(),
            of_hidden.codes.long(),
            bias,
            both[:width],
            both[width:],
            shift,
        )
    squashed = {n: f"lstm.sigmoid_{n}" for n in COLUMNS[:3]} | {"cell": "lstm.tanh_cell"}
    for word in ids:
        code = {}
        for name, (of_input, of_hidden, bias, m_in, m_h, shift) in gates.items():
            grid = site[f"lstm.acc_{name}"]
            sums = of_input @ codes[word].to(torch.int64) + bias
            back = of_hidden @ torch.tensor(h)
            code[name] = []
            for k in range(width):
                total = int(sums[k]) * m_in[k] + int(back[k]) * m_h[k]
                value = clamp(rescale(total, shift), grid) * step[f"lstm.acc_{name}"]
                exact = math.tanh(value) if name == "cell" else 1 / (1 + math.exp(-value))
                code[name].append(nearest(exact, squashed[name]))
        cell, io = site["lstm.cell"], site["lstm.io"]
        for k in range(width):
            kept = requantize(code["forget"][k] * c[k], step["lstm.sigmoid_forget"], cell)
            ratio = step["lstm.sigmoid_input"] * step["lstm.tanh_cell"] / step["lstm.cell"]
            c[k] = clamp(kept + requantize(code["input"][k] * code["cell"][k], ratio, cell), cell)
            t = nearest(math.tanh(c[k] * step["lstm.cell"]), "lstm.tanh_hidden")
            ratio = step["lstm.sigmoid_output"] * step["lstm.tanh_hidden"] / step["lstm.io"]
            h[k] = requantize(code["output"][k] * t, ratio, io)
        found.append(list(h))
    return torch.tensor(found)


@pytest.mark.parametrize("bits", [8, 5, 2])
@pytest.mark.parametrize("separate_io", [False, True])
def test_states_are_those_of_the_definition(make_model, make_documents, bits, separate_io):
    model = make_model("discriminative", hidden=5, seed=bits)
    documents = make_documents(4, longest=8)
    network = quantized(model, documents, bits=bits, separate_io=separate_io, weights="per-channel")
    one = next(batches(documents))
    lstm = IntegerLSTM.of(network)
    found = one.pad(lstm.states(one))
    for place, row in enumerate(one.rows):
        ids = documents[int(row)].tolist()
        codes = lstm.hidden_codes(found[place, : len(ids)])
        assert codes.tolist() == step_by_step(network, ids).tolist()
    assert lstm.hidden_codes(found).abs().max() > 0


# ------------------------------------------------------------------------------ implementations


@settings(max_examples=15, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    bits=st.integers(2, 8),
    cell=st.integers(2, 8),
    gates=st.integers(2, 8),
    hidden=st.sampled_from([1, 4, 16, 21]),
    weights=st.sampled_from(["per-tensor", "per-channel"]),
    separate_io=st.booleans(),
    seed=st.integers(0, 5),
    size=st.sampled_from([5, 256]),
)
def test_both_implementations_give_the_same_states(
    make_model, make_documents, kind, bits, cell, gates, hidden, weights, separate_io, seed, size
):
    documents = make_documents(20, seed=seed)
    by_site = {"lstm.cell": cell, "lstm.acc_*": gates, "lstm.weight_forget": gates}
    model = make_model(kind, seed=seed, hidden=hidden)
    given = {"site_bits": by_site, "weights": weights, "separate_io": separate_io}
    network = quantized(model, documents, bits=bits, **given)
    for one in batches(documents, drop_last=kind == "generative", size=size):
        expected, *others = [lstm.states(one) for lstm in implementations(network)]
        assert all(torch.equal(expected, other) for other in others)


@pytest.mark.parametrize("kind", KINDS)
def test_states_of_a_document_do_not_depend_on_its_batch(make_model, make_documents, kind):
    longest = make_documents(150, seed=3, longest=80)  # more than one window of documents
    network = quantized(make_model(kind, hidden=20), longest)
    cut = kind == "generative"
    (one,) = batches(longest, drop_last=cut, size=200)
    assert one.lengths[-1] == (1 if cut else 2)  # <bos> and <eos> only, or one token
    for lstm in implementations(network)[:2]:
        together = one.pad(lstm.states(one))
        for place in (0, 1, 63, 64, 148, 149):
            alone = make_batch(longest, one.rows[place : place + 1], drop_last=cut)
            length = int(one.lengths[place])
            assert torch.equal(lstm.states(alone), together[place, :length])


@built
def test_documents_of_another_vocabulary_are_refused(make_model, make_documents):
    network = quantized(make_model("discriminative"), make_documents(9))
    strange = next(batches(Ragged.of([np.array([2, 60, 3])])))
    with pytest.raises(IndexError, match="outside the vocabulary of 60 words"):
        NativeIntegerLSTM.of(network).states(strange)
    with pytest.raises(IndexError):
        IntegerLSTM.of(network).states(strange)


# ------------------------------------------------------------------------------------- Brevitas


@pytest.mark.parametrize("weights", ["per-tensor", "per-channel"])
@pytest.mark.parametrize("kind", KINDS)
def test_biases_and_weights_are_brevitas_s_codes(make_model, wrapped, kind, weights):
    network = quantized(make_model(kind), wrapped, bits=5, weights=weights)
    layer = network.lstm.layers[0][0]
    probe = layer.io_quant(torch.zeros(1, 12))
    grid = grids(network)["lstm.io"]
    for name, module in gate_modules(network).items():
        of_input, of_hidden, bias = layer.gate_params_fwd(module, probe)
        ours = weight(network, f"lstm.weight_{name}.input")
        assert torch.equal(ours.codes, of_input.int().to(torch.int8))
        theirs = weight(network, f"lstm.weight_{name}.hidden").codes
        assert torch.equal(theirs, of_hidden.int().to(torch.int8))
        found = bias_codes(module.bias, grid, ours.scale)
        assert torch.equal(found, bias.int().to(torch.int64))


@pytest.mark.parametrize(
    ("bits", "separate_io"), [(8, False), (8, True), (6, False), (4, True), (3, False), (2, False)]
)
@pytest.mark.parametrize("kind", KINDS)
def test_states_are_nearly_always_those_of_brevitas(make_model, make_documents, kind, bits,
                                                    separate_io):  # fmt: skip
    documents = make_documents(60, longest=40)
    model = make_model(kind, hidden=32, embedding=32, gain=0.2)
    network = quantized(model, documents, bits=bits, separate_io=separate_io)
    lstm, mirror = IntegerLSTM.of(network), Mirror(network)
    with torch.inference_mode():
        one = next(batches(documents, drop_last=kind == "generative"))
        ours, theirs = lstm.states(one), mirror.states(one)
    distance = (lstm.hidden_codes(ours) - lstm.hidden_codes(theirs)).abs()
    assert float((distance == 0).double().mean()) > 0.995
    if bits < 8 or separate_io:
        assert distance.max() <= 2
    assert lstm.hidden_codes(ours).abs().max() > 0 or bits < 4


# -------------------------------------------------------------------------------------- refusals


def narrow(network, site, threshold):
    with torch.inference_mode():
        activation_impl(activation_proxies(network)[site]).scaling_impl.value.fill_(threshold)


@pytest.mark.parametrize("cls", [IntegerLSTM, NativeIntegerLSTM])
def test_scales_that_lead_out_of_range_are_refused_by_name(make_model, wrapped, cls):
    network = quantized(make_model("discriminative"), wrapped)
    narrow(network, "lstm.acc_forget", 1e-8)
    with pytest.raises(BadInput, match=r"^lstm\.acc_forget: its sums of products come up to"):
        cls.of(network)
    network = quantized(make_model("discriminative"), wrapped)
    narrow(network, "lstm.io", 1e-9)  # what the bias is counted in
    with pytest.raises(BadInput, match=r"^lstm\.weight_\*: a sum of products and bias leaves 32"):
        cls.of(network)


def test_a_cell_state_of_hardly_any_range_is_no_error(make_model, wrapped):
    network = quantized(make_model("discriminative"), wrapped)
    narrow(network, "lstm.cell", 1e-9)
    assert IntegerLSTM.of(network).fresh.multiplier == 1 << 30  # 512 times is out of any range
    one = next(batches(wrapped))
    expected, *others = [lstm.states(one) for lstm in implementations(network)]
    assert all(torch.equal(expected, other) for other in others)


@pytest.mark.parametrize("bits", [8, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_ranges_with_two_ends_are_codes_like_others(make_model, make_documents, kind, bits):
    """The code 0 means 0, wherever between the ends it lies: hidden states are positive here."""
    documents, model = make_documents(40, longest=30), make_model(kind, hidden=20)
    model.arrays["lstm.bias_ih_l0"][40:60] += 4  # the candidate's
    network = quantized(model, documents, bits=bits, symmetric=False, separate_io=True)
    site = grids(network)
    assert site["lstm.io"].high >= 1.5 * 2 ** (bits - 1)
    assert all(grid.high - grid.low == 2**bits - 1 for grid in site.values())
    one = next(batches(documents, drop_last=kind == "generative"))
    expected, *others = [lstm.states(one) for lstm in implementations(network)]
    assert all(torch.equal(expected, other) for other in others)
    with torch.inference_mode():
        assert float((Mirror(network).states(one) == expected).double().mean()) > 0.99
