"""Other tools' quantizers: their scores are near the float model's, their files smaller."""

import logging
import sys

import numpy as np
import pytest

from calibkit.errors import Infeasible
from calibkit.export.peers import onnx_dynamic, onnx_float, torch_dynamic

pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")


@pytest.fixture(scope="module", params=["discriminative", "generative"])
def peers(request, make_model, tmp_path_factory):
    """One model in all three tools' hands."""
    folder = tmp_path_factory.mktemp("peers")
    model = make_model(request.param, vocabulary=400, embedding=32, hidden=32)
    given = model.kind, model.arrays
    every = (onnx_float(*given, folder), onnx_dynamic(*given, folder), torch_dynamic(*given))
    return {peer.name: peer for peer in every}


def test_they_carry_the_names_that_tables_show(peers):
    assert list(peers) == ["onnx-float", "onnx-dynamic", "torch-dynamic"]


def test_quantized_scores_are_near_the_float_model_s(peers, make_documents):
    documents = make_documents(40, vocabulary=400)
    expected = peers["onnx-float"].scores(documents)
    for name in ("onnx-dynamic", "torch-dynamic"):
        found = peers[name].scores(documents)
        assert found.dtype == np.float64 and found.shape == (40, 3)
        assert 0 < np.abs(found - expected).max() < 0.05 * np.abs(expected).max()
        assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.9


def test_scores_stand_in_the_order_of_the_documents(peers, make_documents):
    documents = make_documents(9, vocabulary=400)
    backwards = documents.take(np.arange(9)[::-1])
    for name in ("onnx-float", "torch-dynamic"):
        found = peers[name].scores(documents)
        np.testing.assert_allclose(peers[name].scores(backwards)[::-1], found, rtol=1e-5, atol=1e-5)


def test_quantized_files_are_smaller(peers):
    whole = peers["onnx-float"].size
    assert peers["onnx-dynamic"].size < 0.5 * whole
    assert peers["torch-dynamic"].size < whole


def test_labels_that_are_far_apart_do_not_underflow(make_model, make_documents, tmp_path):
    model, documents = make_model("generative"), make_documents(10)
    model.arrays["label_embedding.weight"] *= 60
    expected = onnx_float("generative", model.arrays, tmp_path).scores(documents)
    found = torch_dynamic("generative", model.arrays).scores(documents)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, expected, rtol=0.02)


def test_logging_is_left_as_it_was(peers):
    assert logging.root.manager.disable == logging.NOTSET


def test_a_torch_without_dynamic_quantization_is_named(make_model, monkeypatch):
    model = make_model("discriminative")
    monkeypatch.setitem(sys.modules, "torch.ao.quantization", None)
    with pytest.raises(Infeasible, match=r"no torch\.ao\.quantization any more, .* leave torch-dy"):
        torch_dynamic(model.kind, model.arrays)
