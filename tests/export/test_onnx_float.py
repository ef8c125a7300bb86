"""The float model as ONNX: calibkit's float scores, for any batch and padding."""

import numpy as np
import pytest
import torch
from onnx_network import operators

from calibkit.errors import BadInput
from calibkit.export.onnx import OPSETS, write_float_onnx
from calibkit.models.networks import Discriminative, Generative
from calibkit.models.scoring import score
from calibkit.onnx.running import answers, session

onnx = pytest.importorskip("onnx", reason="the extra `onnx` is not installed")
pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")

SIZES = {"embedding": 12, "hidden": 16}


def scores_of(model, tokens):
    """calibkit's own float scores."""
    network = (Discriminative if model.kind == "discriminative" else Generative)(60, 3, **SIZES)
    network.load_state_dict({name: torch.from_numpy(a) for name, a in model.arrays.items()})
    return score(network, tokens)


@pytest.mark.parametrize("opset", [OPSETS.start, 21, OPSETS.stop - 1])
def test_scores_are_those_of_the_float_model(tmp_path, float_classifier, wrapped, opset):
    path = tmp_path / "float.onnx"
    write_float_onnx(float_classifier.kind, float_classifier.arrays, path, opset=opset)
    expected = scores_of(float_classifier, wrapped)
    for batch in (1, 64):
        scores, labels = answers(session(path), wrapped, 3, batch=batch)
        np.testing.assert_allclose(scores, expected.log_scores, rtol=1e-5, atol=1e-5)
        assert labels.tolist() == expected.predicted.tolist()


def test_the_graph_has_the_standard_lstm_and_no_other_domain(tmp_path, float_classifier):
    path = tmp_path / "float.onnx"
    write_float_onnx(float_classifier.kind, float_classifier.arrays, path)
    graph = onnx.load(path)
    assert ("", "LSTM") in operators(graph.graph)
    assert {domain for domain, _ in operators(graph.graph)} == {""}
    assert [(one.domain, one.version) for one in graph.opset_import] == [("", 21)]


def test_labels_that_are_far_apart_do_not_underflow(tmp_path, make_model, wrapped):
    model = make_model("generative")
    model.arrays["label_embedding.weight"] *= 60
    path = tmp_path / "float.onnx"
    write_float_onnx("generative", model.arrays, path)
    assert "ReduceLogSumExp" in {name for _, name in operators(onnx.load(path).graph)}
    expected = scores_of(model, wrapped).log_scores
    found, _ = answers(session(path), wrapped, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("opset", [17, 24, 0])
def test_other_opsets_are_refused(tmp_path, float_classifier, opset):
    with pytest.raises(BadInput, match=f"^opset {opset}: .* opset 18 to 23; choose one of these"):
        write_float_onnx(
            float_classifier.kind, float_classifier.arrays, tmp_path / "x", opset=opset
        )
    assert not list(tmp_path.iterdir())
