"""Quantized networks as ONNX: the integer engine's codes and answers, and what a file holds."""

import json
import sys
from functools import cache

import numpy as np
import pytest
from made_network import answered, every, frozen_network
from onnx_network import operators, stored

from calibkit.corpora.vocabulary import UNK
from calibkit.errors import BadInput, Infeasible, MissingExtra
from calibkit.export.onnx import MODEL, OPSETS, check_onnx, export_onnx
from calibkit.export.onnx.tracing import first_difference
from calibkit.onnx.documents import IDS, LENGTHS
from calibkit.onnx.graph import packed_nibbles
from calibkit.onnx.running import padded, session

onnx = pytest.importorskip("onnx", reason="the extra `onnx` is not installed")
pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")

KINDS = ("discriminative", "generative")
MIXED = {"lstm.cell": 8, "embedding": 3, "lstm.weight_forget": 4, "lstm.sigmoid_*": 2}
SCHEMES = [
    {"bits": 8},
    {"bits": 8, "symmetric": False, "weights": "per-channel"},
    {"bits": 4, "weights": "per-channel", "separate_io": True, "separate_hv": True},
    {"bits": 3, "symmetric": False, "separate_io": True},
    {"bits": 5, "site_bits": MIXED},
]


@pytest.fixture(scope="module")
def small(make_model, wrapped):
    """Makes a network of either kind at some bits, with what it answers; each of them once."""

    @cache
    def made(kind, bits):
        frozen = frozen_network(make_model(kind), wrapped, bits=bits)
        return frozen, answered(frozen, wrapped)

    return made


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda one: f"{one['bits']} bits {list(one)[1:]}")
@pytest.mark.parametrize("kind", KINDS)
def test_answers_and_codes_are_those_of_the_integer_engine(
    tmp_path, make_model, make_documents, kind, scheme
):
    documents = make_documents(40, longest=18)
    frozen = frozen_network(make_model(kind, hidden=20), documents, **scheme)
    file = export_onnx(frozen, tmp_path)
    assert file.path == tmp_path / MODEL and file.size == file.path.stat().st_size
    tested = answered(frozen, documents)
    found = check_onnx(tmp_path, frozen, tested, batch=16)
    assert (found.documents, found.agreement) == (40, 1.0)
    assert found.distance < 1e-5 and found.accuracy == tested.accuracy == 0.5
    assert found.runtime.startswith("onnxruntime 1.")
    for ids in every(documents)[:4]:
        assert first_difference(file.path, frozen, ids) is None
    assert {domain for domain, _ in operators(onnx.load(file.path).graph)} == {""}


@pytest.mark.parametrize("kind", KINDS)
def test_answers_depend_neither_on_the_batch_nor_on_what_padding_is(
    tmp_path, small, make_documents, kind
):
    documents = make_documents(6, longest=9)
    frozen, _ = small(kind, 4)
    model = session(export_onnx(frozen, tmp_path).path)
    given = padded(documents, np.arange(6))
    scores, labels = model.run(None, given)
    assert scores.dtype == np.float64 and labels.tolist() == scores.argmax(axis=1).tolist()
    steps = np.arange(given[IDS].shape[1])
    strange = np.where(steps < given[LENGTHS][:, None], given[IDS], -7)
    wider = np.pad(strange, ((0, 0), (0, 30)), constant_values=10**12)
    for ids in (strange, wider):
        np.testing.assert_allclose(
            model.run(None, {IDS: ids, LENGTHS: given[LENGTHS]})[0], scores, rtol=1e-6
        )
    for row in range(6):
        alone, _ = model.run(None, padded(documents, np.array([row])))
        np.testing.assert_allclose(alone[0], scores[row], rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_strange_documents_are_answered_as_documented(tmp_path, small, kind):
    frozen, _ = small(kind, 4)
    model = session(export_onnx(frozen, tmp_path).path)

    def scores(ids, length):
        given = {IDS: np.array([ids], dtype=np.int64), LENGTHS: np.array([length])}
        return model.run(None, given)[0].tolist()

    assert scores([2, 60, 5, 3], 4) == scores([2, UNK, 5, 3], 4)  # outside of the vocabulary
    assert scores([2, -1, 5, 3], 4) == scores([2, UNK, 5, 3], 4)
    assert scores([2, 5, 3], 0) == scores([2], 1)  # a length is at least 1 ...
    assert scores([2, 5, 3], 99) == scores([2, 5, 3], 3)  # ... and at most the padded one
    if kind == "generative":  # nothing is predicted of <bos> alone
        np.testing.assert_allclose(scores([2], 1)[0], frozen.arrays["log_prior"], atol=2e-5)


def test_labels_that_are_far_apart_do_not_underflow(tmp_path, make_model, make_documents):
    documents, model = make_documents(20), make_model("generative")
    model.arrays["label_embedding.weight"] *= 60
    frozen = frozen_network(model, documents, bits=8)
    export_onnx(frozen, tmp_path)
    graph = onnx.load(tmp_path / MODEL).graph
    assert "ReduceLogSumExp" in {name for _, name in operators(graph)}
    assert check_onnx(tmp_path, frozen, answered(frozen, documents)).distance < 1e-5


# ------------------------------------------------------------------------------------- the file


@pytest.mark.parametrize(
    ("bits", "opset", "kept"), [(8, 21, 8), (5, 21, 8), (4, 21, 4), (3, 23, 4), (4, 20, 8)]
)
def test_weights_are_stored_as_int4_or_int8(tmp_path, small, bits, opset, kept):
    frozen, tested = small("discriminative", bits)
    file = export_onnx(frozen, tmp_path, opset=opset)
    assert set(file.stored_bits.values()) == {kept}
    tensors = stored(file.path)
    names = ("embedding", "lstm.weight_input", "lstm.weight_hidden", "classifier")
    kind = {4: onnx.TensorProto.INT4, 8: onnx.TensorProto.INT8}[kept]
    assert {tensors[name].data_type for name in names} == {kind}
    assert len(tensors["embedding"].raw_data) == 60 * 12 * kept // 8
    found = onnx.numpy_helper.to_array(tensors["embedding"]).astype(np.int64)
    assert 2 ** (bits - 1) >= np.abs(found).max() > 2 ** (bits - 2)
    assert check_onnx(tmp_path, frozen, tested).agreement == 1.0


def test_codes_are_packed_the_earlier_one_low():
    assert packed_nibbles(np.array([[1, -1, -8], [7, 0, 2]], dtype=np.int8)) == b"\xf1\x78\x20"
    assert packed_nibbles(np.array([3, -3, 5], dtype=np.int8)) == b"\xd3\x05"


@pytest.mark.parametrize("opset", OPSETS)
def test_every_opset_that_is_offered_runs(tmp_path, small, opset):
    frozen, tested = small("generative", 4)
    export_onnx(frozen, tmp_path, opset=opset)
    loaded = onnx.load(tmp_path / MODEL)
    assert [(one.domain, one.version) for one in loaded.opset_import] == [("", opset)]
    assert check_onnx(tmp_path, frozen, tested).agreement == 1.0


def test_the_file_says_what_it_is_and_how_texts_become_ids(tmp_path, small):
    frozen, _ = small("generative", 4)
    export_onnx(frozen, tmp_path, facts={"cell_id": "x1", "accuracy": 0.5})
    told = session(tmp_path / MODEL).get_modelmeta().custom_metadata_map
    assert tuple(told["calibkit.vocabulary"].split("\n")) == frozen.vocabulary.types
    assert told["calibkit.kind"] == "generative"
    assert json.loads(told["calibkit.labels"]) == ["label 0", "label 1", "label 2"]
    assert json.loads(told["calibkit.facts"]) == {"cell_id": "x1", "accuracy": 0.5}
    assert json.loads(told["calibkit.scheme"]) == frozen.scheme.as_dict()
    rule = json.loads(told["calibkit.tokenizer"])
    assert (rule["most_tokens"], rule["token"]) == (20, r"\w+|[^\w\s]")
    assert [rule[name] for name in ("pad", "unk", "bos", "eos")] == [0, 1, 2, 3]


def test_the_same_network_is_the_same_file(tmp_path, small):
    frozen, _ = small("discriminative", 4)
    first = export_onnx(frozen, tmp_path).path.read_bytes()
    assert export_onnx(frozen, tmp_path).path.read_bytes() == first


# ------------------------------------------------------------------------------------- refusals


def test_two_bits_and_unknown_opsets_are_refused(tmp_path, make_model, wrapped):
    frozen = frozen_network(
        make_model("discriminative"), wrapped, bits=8, site_bits={"classifier": 2}
    )
    with pytest.raises(Infeasible, match=r"^classifier: weights of 2 bits .* a cell of 3 to 8"):
        export_onnx(frozen, tmp_path)
    with pytest.raises(BadInput, match=r"^opset 24: graphs are written in opset 18 to 23"):
        export_onnx(frozen, tmp_path, opset=24)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named_with_the_extra_that_brings_it(
    tmp_path, small, monkeypatch, package
):
    frozen, tested = small("discriminative", 4)
    if package == "onnxruntime":
        export_onnx(frozen, tmp_path)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=rf"package {package}, .* `pip install 'calibkit\[onnx"):
        if package == "onnx":
            export_onnx(frozen, tmp_path)
        else:
            check_onnx(tmp_path, frozen, tested)
