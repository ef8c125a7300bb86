"""What a model says at few bits: the harness's own path, with one calibration pass."""

import numpy as np
import pytest

from calibkit.engine import native, quantized_scores
from calibkit.engine.calibrate import calibrate
from calibkit.engine.plain import evaluate
from calibkit.engine.quantized_scores import QuantizedScores, scheme_for
from calibkit.models.checkpoints import from_arrays
from calibkit.models.scoring import score
from calibkit.quantize.schemes import SchemeSettings, resolve


def test_the_scheme_is_robust_with_nearest_rounding():
    settings = SchemeSettings(preset="robust")
    expected = resolve(settings, bits=4, rounding="nearest").as_dict()
    found = scheme_for(4).as_dict()
    assert dict(found["rounding"]) == dict.fromkeys(("embedding", "gates", "linear"), "nearest")
    assert found == expected | {"arithmetic": "integer"}


def test_scores_are_the_same_with_and_without_the_compiled_kernels(
    float_classifier, make_documents, monkeypatch
):
    if not native.available():
        pytest.skip("no compiled kernels here: there is nothing to compare with")
    kind, arrays = float_classifier.kind, float_classifier.arrays
    calibration, tokens = make_documents(30, seed=1), make_documents(50)
    compiled = QuantizedScores(kind, arrays, calibration).scores(tokens, 3)
    monkeypatch.setattr(native, "available", lambda: False)
    without = QuantizedScores(kind, arrays, calibration).scores(tokens, 3)
    np.testing.assert_array_equal(compiled, without)


def test_scores_are_those_of_the_plain_path(float_classifier, make_documents):
    """But for the rounding of whole-number arithmetic."""
    kind, arrays = float_classifier.kind, float_classifier.arrays
    calibration, tokens = make_documents(30, seed=1), make_documents(50)
    scheme = resolve(SchemeSettings(preset="robust"), bits=4, rounding="nearest")
    network = calibrate(kind, arrays, calibration, scheme).network
    expected = evaluate(network, tokens, np.zeros(50, dtype=np.int64))
    of = QuantizedScores(kind, arrays, calibration)
    np.testing.assert_allclose(of.scores(tokens, 4), expected.scores, atol=1e-4)
    sure = np.sort(expected.scores, axis=1)
    sure = sure[:, -1] - sure[:, -2] > 1e-3
    assert (of.labels(tokens, 4) == expected.predicted)[sure].all()
    assert sure.sum() > 30


def test_more_bits_are_nearer_to_the_float_model(float_classifier, make_documents):
    kind, arrays, tokens = float_classifier.kind, float_classifier.arrays, make_documents(60)
    exact = score(from_arrays(arrays, float_classifier.config), tokens).log_scores
    of = QuantizedScores(kind, arrays, tokens)
    errors = [np.abs(of.scores(tokens, bits) - exact).mean() for bits in (8, 5, 3)]
    assert errors == sorted(errors)
    assert errors[0] < 0.2 * errors[2]


@pytest.mark.parametrize("widths", [(8, 4, 2)])
def test_one_calibration_pass_serves_all_widths(
    widths, discriminative_classifier, make_documents, monkeypatch
):
    passes = []
    real = quantized_scores.collect_statistics
    monkeypatch.setattr(
        quantized_scores,
        "collect_statistics",
        lambda *args, **how: passes.append(1) or real(*args, **how),
    )
    tokens = make_documents(20)
    of = QuantizedScores("discriminative", discriminative_classifier.arrays, tokens)
    for bits in widths:
        of.scores(tokens, bits)
    assert passes == [1]
