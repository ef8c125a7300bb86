"""ONNX Runtime's own quantizers as cells are measured by them: document by document."""

import sys

import numpy as np
import pytest
from onnx_network import operators

from calibkit.engine.shifts import FLOAT_QUANTIZED
from calibkit.errors import BadInput, MissingExtra
from calibkit.export.peers import onnx_dynamic
from calibkit.onnx.documents import LINEAR_INPUT, LINEAR_OUTPUT, STATES
from calibkit.onnx.float_model import write_float_onnx
from calibkit.onnx.quantized import onnx_quantized
from calibkit.onnx.running import answers, padded, session
from calibkit.onnx.shifts import weight_shifts
from calibkit.quantize.networks import site_weight
from calibkit.quantize.sites import WEIGHT_SITES

onnx = pytest.importorskip("onnx", reason="the extra `onnx` is not installed")
runtime = pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")

QUANTIZERS = ("onnx-dynamic", "onnx-static")


@pytest.fixture(scope="module")
def labels(wrapped):
    return np.arange(len(wrapped)) % 3


@pytest.fixture(scope="module")
def made(float_classifier, wrapped):
    """Both quantizations of a model, calibrated with the first half of the documents."""
    half = wrapped.take(range(30))
    given = float_classifier.kind, float_classifier.arrays
    return {name: onnx_quantized(*given, name, half) for name in QUANTIZERS}


@pytest.fixture(scope="module")
def exact(float_classifier, wrapped, tmp_path_factory):
    """The float model's scores by the same runtime, and the file."""
    path = tmp_path_factory.mktemp("float") / "float.onnx"
    write_float_onnx(float_classifier.kind, float_classifier.arrays, path)
    return answers(session(path), wrapped, 3)[0], path


@pytest.mark.parametrize("name", QUANTIZERS)
def test_what_they_say_is_near_the_float_model(made, exact, wrapped, labels, name):
    found, expected = made[name].evaluate(wrapped, labels), exact[0]
    assert found.scores.dtype == np.float64 and found.scores.shape == (60, 3)
    assert 0 < np.abs(found.scores - expected).max() < 0.05 * np.abs(expected).max()
    assert (found.predicted == expected.argmax(axis=1)).mean() > 0.9
    assert found.nll.tolist() == (-found.scores[np.arange(60), labels]).tolist()


@pytest.mark.parametrize("name", QUANTIZERS)
def test_a_document_s_numbers_do_not_depend_on_the_others(made, wrapped, labels, name):
    whole = made[name].evaluate(wrapped, labels)
    rows = [41, 3, 17]
    few = made[name].evaluate(wrapped.take(rows), labels[rows])
    assert np.array_equal(few.scores, whole.scores[rows])
    turned = np.arange(60)[::-1]
    again = made[name].evaluate(wrapped.take(turned), labels[turned])
    assert np.array_equal(again.scores, whole.scores[turned])
    assert again.mean_abs_h == whole.mean_abs_h and again.state_spread == whole.state_spread
    assert np.array_equal(np.sort(again.token_nll), np.sort(whole.token_nll))


@pytest.mark.parametrize("name", QUANTIZERS)
def test_tokens_come_to_their_document(made, float_classifier, wrapped, labels, name):
    found = made[name].evaluate(wrapped, labels)
    total = found.token_nll.sum(dtype=np.float64)
    if float_classifier.kind == "generative":
        prior = float_classifier.arrays["log_prior"].astype(np.float64)[labels].sum()
        assert len(found.token_nll) == wrapped.lengths.sum() - 60
        assert total == pytest.approx(found.nll.sum() + prior, rel=1e-6)
    else:
        assert total == pytest.approx(found.nll.sum(), rel=1e-6)


def test_the_dynamic_one_is_the_file_that_is_shipped(
    made, float_classifier, wrapped, labels, tmp_path
):
    shipped = onnx_dynamic(float_classifier.kind, float_classifier.arrays, tmp_path)
    found = made["onnx-dynamic"].evaluate(wrapped, labels)
    np.testing.assert_allclose(shipped.scores(wrapped, batch=1), found.scores, rtol=1e-5)


def test_the_dynamic_one_reads_no_documents(made, float_classifier):
    nothing = onnx_quantized(float_classifier.kind, float_classifier.arrays, "onnx-dynamic")
    assert nothing.file == made["onnx-dynamic"].file


def test_static_ranges_are_what_the_float_model_has_on_the_documents(
    float_classifier, wrapped, tmp_path
):
    kind, arrays = float_classifier.kind, float_classifier.arrays
    path = write_float_onnx(kind, arrays, tmp_path / "float.onnx", measured=True)
    model = session(path)
    for rows in (range(30), range(30, 60)):
        values = []
        for row in rows:
            states = model.run([STATES], padded(wrapped, np.array([row])))[0][:, 0]
            values.append(states[:-1] if kind == "generative" else states.mean(axis=0)[None])
        every = np.concatenate(values)
        low, high = onnx_quantized(kind, arrays, "onnx-static", wrapped.take(rows)).range_of(
            LINEAR_INPUT
        )
        step = (high - low) / 255
        assert low == pytest.approx(min(every.min(), 0), abs=step)
        assert high == pytest.approx(max(every.max(), 0), abs=step)


def test_static_ranges_are_of_the_documents_whatever_their_order(made, float_classifier, wrapped):
    given = float_classifier.kind, float_classifier.arrays, "onnx-static"
    turned = onnx_quantized(*given, wrapped.take(np.arange(30)[::-1]))
    assert turned.file == made["onnx-static"].file
    others = onnx_quantized(*given, wrapped.take(range(30, 60)))
    for tensor in (LINEAR_INPUT, LINEAR_OUTPUT):
        assert others.range_of(tensor) != turned.range_of(tensor)
    for name, before in turned.weights().items():
        assert np.array_equal(before, others.weights()[name])  # no documents in the weights


@pytest.mark.parametrize("name", QUANTIZERS)
def test_every_weight_is_within_half_a_step_of_the_float_one(made, float_classifier, name):
    arrays = float_classifier.arrays
    found = made[name].weights()
    assert set(found) == {*WEIGHT_SITES[float_classifier.kind]} - {"label_embedding"}
    for site, after in found.items():
        before = site_weight(arrays, site)[:, : after.shape[1]]
        assert after.shape == before.shape
        pieces = [before] if not site.startswith("lstm.") else [before[:, :12], before[:, 12:]]
        whole = {"embedding": np.ptp(before) / 255}
        if site.startswith("lstm."):
            tops = [np.abs(arrays[f"lstm.weight_{p}_l0"]).max() for p in ("ih", "hh")]
        else:
            tops = [np.abs(piece).max() for piece in pieces]
        step = max(whole.get(site, 0), *(top / 127 for top in tops))
        assert np.abs(after - before).max() <= 0.51 * step + 1e-6


@pytest.mark.parametrize("name", QUANTIZERS)
def test_shifts_of_weights_are_measured_site_by_site(made, float_classifier, name):
    rows = weight_shifts(float_classifier.arrays, made[name])
    assert [row.site for row in rows] == list(made[name].weights())
    for row in rows:
        assert (row.quantity, row.pair, row.bits) == ("weights", FLOAT_QUANTIZED, 8)
        assert row.n_a == row.n_b and 0 < row.ks < 0.2 and 25 < row.sqnr_db < 60
        assert row.threshold is None


def test_what_is_quantized_is_what_the_page_says(made, float_classifier):
    names = {
        name: [one for _, one in sorted(operators(onnx.load_from_string(net.file).graph))]
        for name, net in made.items()
    }
    for found in names.values():
        assert "DynamicQuantizeLSTM" in found and not {"LSTM", "Loop"} & {*found}
    assert "MatMulInteger" in names["onnx-dynamic"]
    assert "QuantizeLinear" in names["onnx-static"]
    if float_classifier.kind == "generative":
        tables = {
            t.name for t in onnx.load_from_string(made["onnx-dynamic"].file).graph.initializer
        }
        assert "label_logits.below" in tables  # float, as it is no weight


def test_no_documents_are_no_ranges(float_classifier, wrapped):
    given = float_classifier.kind, float_classifier.arrays, "onnx-static"
    for subset in (None, wrapped.take(range(0))):
        with pytest.raises(BadInput, match="ranges need at least one document"):
            onnx_quantized(*given, subset)


def test_a_tensor_without_a_fixed_range_is_told(made):
    with pytest.raises(BadInput, match=r"has no tensor 'linear\.input_scale'"):
        made["onnx-dynamic"].range_of(LINEAR_INPUT)


def test_what_was_changed_to_calibrate_is_put_back(float_classifier, wrapped):
    before = runtime.SessionOptions
    onnx_quantized(float_classifier.kind, float_classifier.arrays, "onnx-static", wrapped)
    assert runtime.SessionOptions is before


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_extra_is_told(float_classifier, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=rf"package {package}, .* `pip install 'calibkit\[onnx"):
        onnx_quantized(float_classifier.kind, float_classifier.arrays, "onnx-dynamic")
