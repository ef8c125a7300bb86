"""The gate of an export to ONNX: a graph that is wrong anywhere is refused, and the site named."""

import numpy as np
import pytest
from made_network import answered, frozen_network

from calibkit.errors import BadInput, Infeasible
from calibkit.export.onnx import MODEL, check_onnx, export_onnx
from calibkit.export.onnx.recurrence import Tables

onnx = pytest.importorskip("onnx", reason="the extra `onnx` is not installed")
pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")


@pytest.fixture(scope="module", params=["discriminative", "generative"])
def exported(request, tmp_path_factory, make_model, make_documents):
    documents = make_documents(60, longest=18)
    frozen = frozen_network(
        make_model(request.param, hidden=20), documents, bits=6, separate_io=True
    )
    folder = tmp_path_factory.mktemp("gate")
    export_onnx(frozen, folder)
    return folder, frozen, answered(frozen, documents)


def corrupted(exported, tmp_path, find, change):
    """A copy of the export in which the tensors that ``find`` accepts are changed."""
    graph = onnx.load(exported[0] / MODEL)
    chosen = [one for one in graph.graph.initializer if find(one)]
    assert len(chosen) == 1
    values = onnx.numpy_helper.to_array(chosen[0]).copy()
    chosen[0].CopyFrom(onnx.numpy_helper.from_array(change(values), chosen[0].name))
    onnx.save(graph, tmp_path / MODEL)
    return tmp_path, *exported[1:]


def table(frozen, site):
    """Accepts the table of all nonlinearities, or that of tanh by cell code."""
    gates = Tables.of(frozen.lstm).values
    squash = np.roll(frozen.lstm.squash.numpy(), frozen.lstm.cell.low)
    wanted = gates if site == "gates" else squash.astype(np.float64)
    return lambda one: np.array_equal(onnx.numpy_helper.to_array(one), wanted)


CASES = {
    "embedding": (r"input is the first site that differs, at step 0", np.flip),
    "lstm.weight_input": (r"lstm\.acc_\w+ is the first site that differs, at step 0", np.flip),
    "lstm.weight_hidden": (r"lstm\.acc_\w+ is the first site that differs, at step 1", np.flip),
    "gates": (r"lstm\.sigmoid_input is the first site that differs, at step 0", lambda v: v[::-1]),
    "squash": (r"lstm\.tanh_hidden is the first site that differs", lambda v: v[::-1]),
}


@pytest.mark.parametrize("what", CASES)
def test_the_first_site_that_differs_is_named(exported, tmp_path, what):
    message, change = CASES[what]
    _, frozen, _ = exported
    find = table(frozen, what) if what in ("gates", "squash") else lambda one: one.name == what
    bad = corrupted(exported, tmp_path, find, lambda values: np.ascontiguousarray(change(values)))
    with pytest.raises(Infeasible, match=f"{message}.*: code -?[0-9]+ instead of -?[0-9]+"):
        check_onnx(*bad)


def test_a_wrong_last_layer_is_named(exported, tmp_path):
    name = "classifier" if exported[1].kind == "discriminative" else "decoder"
    bad = corrupted(exported, tmp_path, lambda one: one.name == name, lambda v: np.flip(v).copy())
    with pytest.raises(Infeasible, match=rf"equal up to {name}\.input, .* difference is in {name}"):
        check_onnx(*bad)


def test_scores_that_are_off_are_refused_where_labels_agree(make_model, make_documents, tmp_path):
    documents = make_documents(30)
    frozen = frozen_network(make_model("generative"), documents, bits=8)
    export_onnx(frozen, tmp_path)
    graph = onnx.load(tmp_path / MODEL)
    prior = next(one for one in graph.graph.initializer if one.name == "log_prior")
    values = onnx.numpy_helper.to_array(prior) - 3.0  # of every label
    prior.CopyFrom(onnx.numpy_helper.from_array(values, "log_prior"))
    onnx.save(graph, tmp_path / MODEL)
    with pytest.raises(Infeasible, match=r"the score of document \d+ is off by .* 0\.001 is all"):
        check_onnx(tmp_path, frozen, answered(frozen, documents))


def test_a_file_that_is_none_is_refused(exported, tmp_path):
    (tmp_path / MODEL).write_bytes(b"no graph")
    with pytest.raises(BadInput, match=r"classifier\.onnx: ONNX Runtime .* cannot load it"):
        check_onnx(tmp_path, *exported[1:])
