"""Thresholds (the largest magnitude a quantizer represents) from statistics. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibkit.quantize.asymmetric import codes_between, mse_ends, percentile_ends
from calibkit.quantize.estimators import (
    Codes,
    Histogram,
    kl_threshold,
    mse_threshold,
    row_mse_thresholds,
)
from calibkit.quantize.networks import Arrays, site_weight
from calibkit.quantize.schemes import Scheme
from calibkit.quantize.sites import ACTIVATION_SITES, UNSIGNED_SITES, WEIGHT_SITES


@dataclass(frozen=True)
class SiteStatistics:
    """What one pass of the float model tells about an activation site.

    count: how many values the site saw (with multiplicity); largest: the largest magnitudes in
    descending order with their multiplicities, reaching down to the lowest percentile asked for;
    histogram: all values, for the estimators that weigh clipping against rounding.
    """

    count: int
    low: float
    high: float
    mean: float
    mean_square: float
    largest: NDArray[np.float32]
    multiplicity: NDArray[np.int64]
    histogram: Histogram

    def percentile(self, q: float) -> float:
        """Return the q-th percentile of the magnitudes as Brevitas defines it.

        That is the k-th smallest of n magnitudes with k = floor(q / 100 * n + 1/2), exact.
        Raises ValueError where the kept magnitudes do not reach that far down.
        """
        rank = rank_from_top(self.count, q)
        reached = np.cumsum(self.multiplicity)
        at = int(np.searchsorted(reached, rank, side="left"))
        if at >= len(self.largest):
            raise ValueError(f"percentile {q} needs {rank} magnitudes, {reached[-1]} were kept")
        return float(self.largest[at])


def rank_from_top(count: int, q: float) -> int:
    """Return which largest magnitude of ``count`` is the q-th percentile: 1 is the maximum."""
    k = int(np.floor(0.01 * q * count + 0.5))
    return count - min(max(k, 1), count) + 1


def activation_thresholds(
    kind: str, statistics: Mapping[str, SiteStatistics], scheme: Scheme
) -> dict[str, float]:
    """Return one threshold per activation site, as in `activation_ranges`."""
    return activation_ranges(kind, statistics, scheme)[0]


def activation_ranges(
    kind: str, statistics: Mapping[str, SiteStatistics], scheme: Scheme
) -> tuple[dict[str, float], dict[str, int]]:
    """Return thresholds and zero points of the activation sites by the scheme's range estimators.

    statistics: by site, and by part of a site where the scheme asks for it (``lstm.io/hidden``,
    ``decoder.input/hidden``, ``lstm.cell/new``), as `calibkit.engine.statistics` collects them.
    Zero points: of the signed sites of an asymmetric scheme, the code from 0 to 2^b - 1 that means
    0; none otherwise.
    """
    thresholds: dict[str, float] = {}
    zero_points: dict[str, int] = {}
    for site in ACTIVATION_SITES[kind]:
        seen, bits = statistics[observed_part(site, scheme)], scheme.bits_of(site)
        codes = Codes.activation(bits, signed=site not in UNSIGNED_SITES)
        if scheme.symmetric or site in UNSIGNED_SITES:
            threshold = _threshold(site, seen, codes, scheme)
        else:
            codes, threshold = codes_between(*_ends(site, seen, bits, scheme), bits)
            zero_points[site] = -codes.low
        # a site that is always 0 has no range; Brevitas's 1e-10 would make the scale of the bias
        # behind it so small that 32 bits cannot hold the bias
        thresholds[site] = threshold if threshold > 0 else 1.0
        if site == "lstm.cell" and scheme.cell_guard:
            new = statistics["lstm.cell/new"]
            thresholds[site] = guarded(thresholds[site], new, codes)
    return thresholds, zero_points


def _threshold(site: str, seen: SiteStatistics, codes: Codes, scheme: Scheme) -> float:
    estimator = scheme.estimator_of(site)
    if estimator == "minmax":
        return max(abs(seen.low), abs(seen.high))
    if estimator == "kl":
        return kl_threshold(seen.histogram, codes)
    if estimator == "percentile":
        return seen.percentile(scheme.percentile)
    through = nonlinearity_of(site) if estimator == "output-mse" else np.positive
    return mse_threshold(seen.histogram, codes, through=through)


def _ends(site: str, seen: SiteStatistics, bits: int, scheme: Scheme) -> tuple[float, float]:
    """Return both ends of an asymmetric range; ``kl`` is refused with the scheme."""
    estimator = scheme.estimator_of(site)
    if estimator == "minmax":
        return seen.low, seen.high
    if estimator == "percentile":
        return percentile_ends(seen.histogram, seen.low, seen.high, scheme.percentile)
    through = nonlinearity_of(site) if estimator == "output-mse" else np.positive
    return mse_ends(seen.histogram, bits, through=through)


def nonlinearity_of(site: str) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Return what the network applies to the values of an activation site; often nothing."""
    if site in ("lstm.acc_cell", "lstm.cell"):
        return np.tanh
    return _sigmoid if site.startswith("lstm.acc_") else np.positive


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x))


def observed_part(site: str, scheme: Scheme) -> str:
    """Return what an activation site's range is made of: the site, or one part of what it sees."""
    if site == "lstm.io" and scheme.separate_io:
        return "lstm.io/hidden"
    if site == "decoder.input" and scheme.separate_hv:
        return "decoder.input/hidden"
    return site


def guarded(threshold: float, new: SiteStatistics, codes: Codes) -> float:
    """Return the threshold of the cell state's quantizer, capped so that the LSTM stays alive.

    new: statistics of i * g, all that a step adds to the cell state. What is at most half a step
    rounds to 0; where that is all of i * g, the cell state stays 0 for ever and so does the hidden
    state. The cap is a step of max |i * g|, half of what would be deadly: then whatever adds more
    than half the largest i * g counts, also when the quantized gates fall somewhat short of the
    float ones. Cell states are clipped at 2^(b-1) times the largest i * g, so it is for few bits.
    """
    largest = max(abs(new.low), abs(new.high)) * codes.per_threshold
    return min(threshold, largest) if largest > 0 else threshold


def weight_thresholds(kind: str, arrays: Arrays, scheme: Scheme) -> dict[str, NDArray[np.float32]]:
    """Return the threshold of each weight site: a scalar, or (rows, 1) per output channel.

    minmax: the largest magnitude; mse: the threshold of least squared error. Calibration documents
    have no part in either.
    """
    found: dict[str, NDArray[np.float32]] = {}
    for site in WEIGHT_SITES[kind]:
        weight = site_weight(arrays, site)
        codes = Codes.weight(scheme.bits_of(site))
        whole = scheme.weights == "per-tensor"
        top: Any
        if scheme.weight_ranges == "mse":
            top = (
                np.float32(mse_threshold(Histogram.of(weight), codes))
                if whole
                else row_mse_thresholds(weight, codes)
            )
        else:
            magnitude = np.abs(weight)
            top = magnitude.max() if whole else magnitude.max(axis=1, keepdims=True)
        largest = np.float32(np.max(top)) or np.float32(1)
        # a row of zeros takes the tensor's range, for the same reason as a silent activation site
        found[site] = np.where(top > 0, top, largest).astype(np.float32)
    return found


def weight_scale(threshold: NDArray[np.float32], bits: int) -> NDArray[np.float32]:
    """Return the step of a weight quantizer: codes run over -(2^(b-1) - 1) .. 2^(b-1) - 1."""
    return np.asarray(threshold / np.float32(2 ** (bits - 1) - 1), dtype=np.float32)


def merge_largest(
    parts: Sequence[tuple[NDArray[np.float32], NDArray[np.int64]]], keep: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the largest magnitudes of several lists whose multiplicities sum to ``keep``."""
    values = np.concatenate([v for v, _ in parts])
    counts = np.concatenate([c for _, c in parts])
    order = np.argsort(-values, kind="stable")
    values, counts = values[order], counts[order]
    enough = int(np.searchsorted(np.cumsum(counts), keep, side="left")) + 1
    return values[:enough], counts[:enough]
