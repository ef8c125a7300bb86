"""From a float model, a subset and a scheme to a frozen quantized network."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from calibkit.engine.correction import SiteCodes, correct_gates, correct_linear
from calibkit.engine.distill import distill
from calibkit.engine.float_pass import RememberedStates
from calibkit.engine.integer_state import IntegerState
from calibkit.engine.statistics import collect_statistics
from calibkit.errors import BadInput
from calibkit.quantize.contradictions import refuse_peer
from calibkit.quantize.installation import install, set_bits
from calibkit.quantize.networks import (
    DYNAMIC,
    QUANTIZED,
    Arrays,
    QuantClassifier,
    activation_impl,
    activation_proxies,
    build,
    linear_name,
)
from calibkit.quantize.ranges import (
    SiteStatistics,
    activation_ranges,
    weight_thresholds,
)
from calibkit.quantize.schemes import Scheme
from calibkit.ragged import Ragged


@dataclass(frozen=True)
class Calibrated:
    """A frozen quantized network and what was chosen for it.

    thresholds: per activation site, none where the scheme is dynamic. site_codes: integer codes of
    the linear layer, and of every other weight site that the scheme does not round to nearest.
    """

    network: QuantClassifier
    activation_thresholds: dict[str, float]
    weight_thresholds: dict[str, NDArray[np.float32]]
    site_codes: dict[str, SiteCodes]

    @property
    def codes(self) -> NDArray[np.int8]:
        """The linear layer's codes (rows, columns) as chosen by the scheme's rounding."""
        return self.site_codes[linear_name(self.network.kind)].chosen

    @property
    def nearest_codes(self) -> NDArray[np.int8]:
        """The linear layer's codes as nearest rounding would have them."""
        return self.site_codes[linear_name(self.network.kind)].nearest


def calibrate(
    kind: str,
    arrays: Arrays,
    subset: Ragged,
    scheme: Scheme,
    *,
    statistics: Mapping[str, SiteStatistics] | None = None,
    observed: Mapping[str, float] | None = None,
) -> Calibrated:
    """Quantize a float model with a calibration subset.

    kind: discriminative or generative; arrays: its state dict; subset: in calibration order;
    statistics, observed: those of `collect_statistics`, and of `brevitas_thresholds`, for this
    model and subset, where already at hand; the scheme's observer decides which are needed.
    Raises BadInput for an empty subset, and for another tool's quantizer.
    """
    refuse_peer(scheme.quantizer, "that tool makes its network (`calibkit.onnx.quantized`)")
    if not len(subset):
        raise BadInput("the calibration subset is empty; ranges need at least one document")
    with torch.inference_mode():
        thresholds: dict[str, float] = {}
        zero_points: dict[str, int] = {}
        if not scheme.dynamic:
            thresholds, zero_points = chosen_ranges(
                kind, arrays, subset, scheme, statistics=statistics, observed=observed
            )
        weights = weight_thresholds(kind, arrays, scheme)
        network = build(kind, arrays, DYNAMIC if scheme.dynamic else QUANTIZED)
        install(network, scheme, weights, thresholds, zero_points)
        if scheme.distilled:
            rounded = Calibrated(network, thresholds, weights, {})
            return _distilled(rounded, arrays, subset, scheme)
        codes = correct_gates(network, arrays, subset, scheme, weights)
        codes[linear_name(kind)] = correct_linear(network, arrays, subset, scheme, weights)
    return Calibrated(network, thresholds, weights, codes)


def _distilled(rounded: Calibrated, arrays: Arrays, subset: Ragged, scheme: Scheme) -> Calibrated:
    """Train a network whose weights are rounded to nearest, and put in what came of it."""
    before = IntegerState.of(rounded, arrays, scheme)
    after = distill(before, arrays, scheme, subset)
    after.write_weights(rounded.network)
    codes = {site: SiteCodes(after.codes[site], before.codes[site]) for site in before.codes}
    return replace(rounded, site_codes=codes)


def chosen_ranges(
    kind: str,
    arrays: Arrays,
    subset: Ragged,
    scheme: Scheme,
    *,
    statistics: Mapping[str, SiteStatistics] | None = None,
    observed: Mapping[str, float] | None = None,
    floats: RememberedStates | None = None,
) -> tuple[dict[str, float], dict[str, int]]:
    """Return thresholds and zero points of all activation sites, by the scheme's observer.

    statistics, observed: as in `calibrate`; floats: as in `collect_statistics`. A scheme that is
    not dynamic.
    """
    if scheme.observer == "brevitas":
        return dict(observed or brevitas_thresholds(kind, arrays, subset, scheme)), {}
    if statistics is None:
        statistics = collect_statistics(
            kind, arrays, subset, percentile=scheme.percentile, floats=floats
        )
    return activation_ranges(kind, statistics, scheme)


def brevitas_thresholds(
    kind: str, arrays: Arrays, subset: Ragged, scheme: Scheme
) -> dict[str, float]:
    """Return the thresholds that Brevitas's own calibration arrives at.

    Its protocol: batches of ``scheme.observer_batch`` documents in calibration order, padded to
    the longest, statistics averaged over calls. They depend on order, batching and padding, and
    not on bit widths.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from brevitas.graph.calibrate import calibration_mode

    network = build(kind, arrays)
    set_bits(network, scheme)
    size = scheme.observer_batch
    with torch.no_grad(), calibration_mode(network):
        for start in range(0, len(subset), size):
            rows = [subset[row] for row in range(start, min(start + size, len(subset)))]
            lengths = torch.tensor([len(ids) for ids in rows])
            ids = torch.zeros(len(rows), int(lengths.max()), dtype=torch.int64)
            for place, tokens in enumerate(rows):
                ids[place, : len(tokens)] = torch.from_numpy(tokens.astype(np.int64))
            network(ids, lengths)
    return {
        site: float(activation_impl(proxy).scaling_impl.value)
        for site, proxy in activation_proxies(network).items()
    }
