import numpy as np
import pytest
import torch
from brevitas.core.stats import AbsPercentile
from hypothesis import given
from hypothesis import strategies as st

from calibkit.quantize.estimators import Codes, Histogram
from calibkit.quantize.installation import install
from calibkit.quantize.networks import (
    activation_impl,
    activation_proxies,
    build,
    site_weight,
    weight_proxies,
    weight_tensors,
)
from calibkit.quantize.ranges import (
    SiteStatistics,
    activation_thresholds,
    merge_largest,
    rank_from_top,
    weight_scale,
    weight_thresholds,
)
from calibkit.quantize.schemes import SchemeSettings, resolve
from calibkit.quantize.sites import ACTIVATION_SITES, UNSIGNED_SITES

magnitudes = st.lists(
    st.floats(-100, 100, width=32).map(lambda x: x if x else 0.0), min_size=1, max_size=300
)
percentiles = st.sampled_from([50.1, 60.0, 75.0, 90.0, 99.0, 99.9, 99.999, 100.0])


def summed_up(values: np.ndarray, times: np.ndarray, q: float, batch: int) -> SiteStatistics:
    keep = rank_from_top(int(times.sum()), q)
    kept: list[tuple[np.ndarray, np.ndarray]] = []
    for start in range(0, len(values), batch):
        part = slice(start, start + batch)
        kept.append((np.abs(values[part]), times[part]))
        kept = [merge_largest(kept, keep)]
    zeros = (0.0, 0.0, 0.0, 0.0)
    seen = Histogram.of(values)
    return SiteStatistics(int(times.sum()), *zeros, *kept[0], seen)


@given(magnitudes, percentiles, st.integers(1, 50))
def test_percentile_is_that_of_brevitas(values, q, batch):
    x = np.array(values, dtype=np.float32)
    ours = summed_up(x, np.ones(len(x), dtype=np.int64), q, batch).percentile(q)
    assert ours == float(AbsPercentile(q, None)(torch.from_numpy(x)))


@given(magnitudes, percentiles, st.integers(1, 50), st.randoms(use_true_random=False))
def test_a_value_with_multiplicity_counts_that_often(values, q, batch, random):
    x = np.array(values, dtype=np.float32)
    times = np.array([random.randint(1, 9) for _ in values], dtype=np.int64)
    ours = summed_up(x, times, q, batch).percentile(q)
    assert ours == float(AbsPercentile(q, None)(torch.from_numpy(np.repeat(x, times))))


def test_too_low_a_percentile_is_refused_instead_of_guessed():
    seen = summed_up(np.arange(100, dtype=np.float32), np.ones(100, dtype=np.int64), 99.0, 100)
    with pytest.raises(ValueError, match="needs 11 magnitudes"):
        seen.percentile(90.0)


@pytest.mark.parametrize("bits", range(2, 9))
def test_steps_and_codes_are_those_of_the_brevitas_quantizers(float_classifier, bits):
    kind, arrays = float_classifier.kind, float_classifier.arrays
    scheme = resolve(SchemeSettings(), bits=bits)
    thresholds = {site: 0.3 + 0.1 * i for i, site in enumerate(ACTIVATION_SITES[kind])}
    weights = weight_thresholds(kind, arrays, scheme)
    network = build(kind, arrays)
    install(network, scheme, weights, thresholds)
    x = torch.linspace(-9, 9, 4001)
    for site, proxy in activation_proxies(network).items():
        value, step, zero, width = activation_impl(proxy)(x)
        signed = site not in UNSIGNED_SITES
        steps = Codes.activation(bits, signed=signed).per_threshold
        assert float(step) == np.float32(thresholds[site]) / np.float32(steps)
        assert float(zero) == 0
        assert float(width) == bits
        codes = torch.round(value / step)
        low = -(2 ** (bits - 1)) if signed else 0
        assert (codes.min(), codes.max()) == (low, low + 2**bits - 1)
    for name, tensor in weight_tensors(network).items():
        site = name.rsplit(".", 1)[0] if name.startswith("lstm.") else name
        value, step, _, width = weight_proxies(network)[site].tensor_quant(tensor)
        assert float(step) == float(weight_scale(weights[site], bits))
        assert float(width) == bits
        assert torch.round(value / step).abs().max() <= 2 ** (bits - 1) - 1


def test_weight_thresholds_are_the_maxima_that_brevitas_finds(float_classifier):
    kind, arrays = float_classifier.kind, float_classifier.arrays
    network = build(kind, arrays)
    scheme = resolve(SchemeSettings(), bits=8)
    for site, threshold in weight_thresholds(kind, arrays, scheme).items():
        name = f"{site}.input" if site.startswith("lstm.") else site
        tensor = weight_tensors(network)[name]
        theirs = weight_proxies(network)[site].tensor_quant(tensor)[1]
        assert float(theirs) == float(weight_scale(threshold, 8))


def test_per_channel_thresholds_are_row_maxima_over_both_gate_matrices(float_classifier):
    arrays = float_classifier.arrays
    scheme = resolve(SchemeSettings(weights="per-channel"), bits=4)
    found = weight_thresholds(float_classifier.kind, arrays, scheme)
    rows = np.abs(np.hstack([arrays["lstm.weight_ih_l0"], arrays["lstm.weight_hh_l0"]])).max(1)
    hidden = len(rows) // 4
    for i, gate in enumerate(("input", "forget", "cell", "output")):
        expected = rows[i * hidden : (i + 1) * hidden, None]
        np.testing.assert_array_equal(found[f"lstm.weight_{gate}"], expected)
    assert (found["embedding"] > 0).all()  # the padding row is all 0


def test_silent_sites_and_rows_keep_a_scale_that_can_hold_a_bias(discriminative_classifier):
    arrays = dict(discriminative_classifier.arrays)
    arrays["classifier.weight"] = arrays["classifier.weight"].copy()
    arrays["classifier.weight"][1] = 0.0
    scheme = resolve(SchemeSettings(weights="per-channel"), bits=4)
    rows = weight_thresholds("discriminative", arrays, scheme)["classifier"][:, 0]
    assert rows[1] == np.abs(arrays["classifier.weight"]).max()
    silent = SiteStatistics(
        count=4,
        low=0.0,
        high=0.0,
        mean=0.0,
        mean_square=0.0,
        largest=np.zeros(4, np.float32),
        multiplicity=np.ones(4, np.int64),
        histogram=Histogram.of(np.zeros(4, np.float32)),
    )
    seen = dict.fromkeys(ACTIVATION_SITES["discriminative"], silent)
    assert set(activation_thresholds("discriminative", seen, scheme).values()) == {1.0}


@pytest.mark.parametrize("estimator", ["mse", "kl"])
def test_estimators_by_site_pattern_decide_thresholds(float_classifier, make_documents, estimator):
    from calibkit.engine.statistics import collect_statistics

    documents, kind = make_documents(40), float_classifier.kind
    seen = collect_statistics(kind, float_classifier.arrays, documents, percentile=99.999)
    settings = SchemeSettings(ranges={"lstm.acc_*": estimator})
    scheme = resolve(settings, bits=3)
    plain = activation_thresholds(kind, seen, resolve(SchemeSettings(), bits=3))
    found = activation_thresholds(kind, seen, scheme)
    changed = {site for site in found if found[site] != plain[site]}
    assert changed == {f"lstm.acc_{gate}" for gate in ("input", "forget", "cell", "output")}


def test_weight_ranges_by_squared_error_lower_it(float_classifier):
    kind, arrays = float_classifier.kind, float_classifier.arrays
    for granularity in ("per-tensor", "per-channel"):
        widest, best = (
            weight_thresholds(
                kind, arrays, resolve(SchemeSettings(weights=granularity, weight_ranges=r), bits=3)
            )
            for r in ("minmax", "mse")
        )
        for site, threshold in best.items():
            assert threshold.shape == widest[site].shape
            weight = site_weight(arrays, site)
            errors = []
            for t in (threshold, widest[site]):
                step = weight_scale(t, 3)
                rounded = np.clip(np.rint(weight / step), -3, 3) * step
                errors.append(np.square(weight - rounded).sum())
            assert errors[0] <= errors[1] * 1.01
