"""Range estimators that weigh clipping against rounding, from a histogram of the values.

A histogram's bins are the float32 numbers that agree in sign, exponent and the first eight bits
of the mantissa: 0.4 % wide relative to the value, the same for every tensor, so that counts add up
in any order and no bin depends on what was seen first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SHIFT = 15
"""Low bits of a float32 that a histogram forgets."""

KEYS = 1 << (32 - SHIFT)


@dataclass(frozen=True)
class Histogram:
    """Counts of values near ``levels`` (increasing float64, the middles of their bins)."""

    levels: NDArray[np.float64]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, values: NDArray[np.float32]) -> Histogram:
        """Count the values of an array."""
        return cls.from_keys(np.bincount(keys(values), minlength=KEYS).astype(np.int64))

    @classmethod
    def from_keys(cls, by_key: NDArray[np.int64]) -> Histogram:
        """Make a histogram of counts by key, see `keys`."""
        found = np.flatnonzero(by_key)
        bits = (found - KEYS // 2).astype(np.int32) << np.int32(SHIFT)
        low = bits.view(np.float32).astype(np.float64)
        high = (bits | np.int32((1 << SHIFT) - 1)).view(np.float32).astype(np.float64)
        levels = (low + high) / 2
        order = np.argsort(levels, kind="stable")
        return cls(levels[order], by_key[found][order])

    @classmethod
    def sum(cls, parts: Iterable[tuple[Histogram, int]]) -> Histogram:
        """Add histograms up, each the given number of times."""
        every = list(parts)
        levels = np.concatenate([h.levels for h, _ in every])
        counts = np.concatenate([h.counts * n for h, n in every])
        found, place = np.unique(levels, return_inverse=True)
        added = np.zeros(len(found), dtype=np.int64)
        np.add.at(added, place, counts)
        return cls(found, added)

    @property
    def top(self) -> float:
        """The largest magnitude, up to the width of its bin; 0 in the bins of zero."""
        top = float(np.abs(self.levels[[0, -1]]).max()) if len(self.levels) else 0.0
        return top if top >= np.finfo(np.float32).tiny else 0.0


def keys(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return each value's bin: its float32 bits without the low ones, from 0 to KEYS - 1."""
    bits = np.ascontiguousarray(values, dtype=np.float32).reshape(-1).view(np.int32)
    return (bits >> np.int32(SHIFT)).astype(np.int64) + KEYS // 2


@dataclass(frozen=True)
class Codes:
    """The integer codes of a quantizer: low .. high; ``per_threshold`` steps make the threshold."""

    low: int
    high: int
    per_threshold: int

    @classmethod
    def activation(cls, bits: int, *, signed: bool) -> Codes:
        """Codes of an activation: -2^(b-1) .. 2^(b-1) - 1, or 0 .. 2^b - 1."""
        if signed:
            return cls(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, 2 ** (bits - 1))
        return cls(0, 2**bits - 1, 2**bits - 1)

    @classmethod
    def shifted(cls, bits: int, zero_point: int) -> Codes:
        """Codes 0 .. 2^b - 1 of an activation, counted from the one that means 0."""
        top = 2**bits - 1
        return cls(-zero_point, top - zero_point, max(zero_point, top - zero_point))

    @classmethod
    def weight(cls, bits: int) -> Codes:
        """Codes of a weight, the narrow range -(2^(b-1) - 1) .. 2^(b-1) - 1."""
        top = 2 ** (bits - 1) - 1
        return cls(-top, top, top)


def mse_threshold(
    seen: Histogram, codes: Codes, *, through: Callable[[Floats], Floats] = np.positive
) -> float:
    """Return the threshold of least mean squared error between values and quantized values.

    through: the errors that count are those of what this function makes of the values; a sigmoid
    forgives what a quantizer does to large ones. Increasing, element by element; the values
    themselves if not given.
    Searched on a grid, then on a finer one around its best point; 0 for a histogram of zeros.
    """
    error = squared_error(seen, through=through)
    return _best(lambda threshold: error(codes, threshold), seen.top, codes)


def squared_error(
    seen: Histogram, *, through: Callable[[Floats], Floats] = np.positive
) -> Callable[[Codes, float], float]:
    """Return what gives the sum of squared errors of quantized values, by codes and threshold.

    through: as in `mse_threshold`.
    """
    weights, made = seen.counts.astype(np.float64), through(seen.levels)
    # sums of y^0, y^1 and y^2 up to each level: what falls to one code is a difference of two
    sums = [np.cumsum(weights * made**power) for power in (0, 1, 2)]
    count, first, second = (np.concatenate([[0.0], total]) for total in sums)

    def error(codes: Codes, threshold: float) -> float:
        values = np.arange(codes.low, codes.high + 1, dtype=np.float64)
        step = threshold / codes.per_threshold
        inner = np.searchsorted(seen.levels, (values[:-1] + 0.5) * step)
        edges = np.concatenate([[0], inner, [len(seen.levels)]])
        at, mass, moment = through(values * step), np.diff(count[edges]), np.diff(first[edges])
        return float(second[-1] + at @ (at * mass - 2 * moment))

    return error


KL_BINS = 2048


def kl_threshold(seen: Histogram, codes: Codes) -> float:
    """Return the threshold whose quantized values lose the least information about the values.

    Minimises the Kullback-Leibler divergence KL(P || Q) over thresholds, as entropy calibration
    does (Migacz, "8-bit inference with TensorRT", 2017): P are the values, clipped, over 2,048
    even bins; Q spreads each code's mass evenly over those of its bins that are not empty.
    """
    top = seen.top
    if top <= 0:
        return 0.0
    low = 0.0 if codes.low == 0 else -top
    edges = np.linspace(low, top, KL_BINS + 1)
    mass, _ = np.histogram(np.clip(seen.levels, low, top), bins=edges, weights=seen.counts)
    middles = (edges[1:] + edges[:-1]) / 2
    total = mass.sum()

    def divergence(threshold: float) -> float:
        step = threshold / codes.per_threshold
        code = np.clip(np.rint(middles / step), codes.low, codes.high).astype(np.int64) - codes.low
        kept = (middles >= codes.low * step - step / 2) & (middles <= codes.high * step + step / 2)
        inside = np.where(kept, mass, 0.0)
        clipped = np.bincount(code, weights=np.where(kept, 0.0, mass), minlength=1)
        p = inside.copy()
        # what is clipped lands in the outermost bin that is kept
        places = np.flatnonzero(kept)
        if not len(places):
            return float("inf")
        p[places[0]] += clipped[: len(clipped) // 2].sum()
        p[places[-1]] += clipped[len(clipped) // 2 :].sum()
        filled = inside > 0
        in_code = np.bincount(code[filled], weights=inside[filled], minlength=code.max() + 1)
        bins = np.bincount(code[filled], minlength=code.max() + 1)
        q = np.zeros_like(p)
        q[filled] = (in_code / np.maximum(bins, 1))[code[filled]]
        compared = p > 0
        floor = 1e-12 * total
        ratio = p[compared] / np.maximum(q[compared] / max(q.sum(), floor) * total, floor)
        return float(np.sum(p[compared] / total * np.log(ratio)))

    return _best(divergence, top, codes)


def row_mse_thresholds(weight: NDArray[np.float32], codes: Codes) -> NDArray[np.float32]:
    """Return, per row of a weight matrix, the threshold of least squared error: (rows, 1)."""
    rows = max(1, (1 << 16) // weight.shape[1])
    blocks = [
        _row_mse_thresholds(weight[start : start + rows], codes)
        for start in range(0, len(weight), rows)
    ]
    return np.concatenate(blocks)


def _row_mse_thresholds(weight: NDArray[np.float32], codes: Codes) -> NDArray[np.float32]:
    top = np.abs(weight).max(axis=1, keepdims=True)
    best = np.full(top.shape, np.inf)
    found = top.copy()
    error = np.empty_like(weight)
    for share in np.linspace(0.3, 1.0, 36):
        threshold = (top * np.float32(share)).astype(np.float32)
        step = np.where(threshold > 0, threshold, 1) / np.float32(codes.per_threshold)
        np.divide(weight, step, out=error)
        np.rint(error, out=error)
        np.clip(error, codes.low, codes.high, out=error)
        error *= step
        error -= weight
        np.square(error, out=error)
        total = error.sum(axis=1, keepdims=True, dtype=np.float64)
        better = total < best
        best[better], found[better] = total[better], threshold[better]
    return np.asarray(found, dtype=np.float32)


def _best(loss: Callable[[float], float], top: float, codes: Codes) -> float:
    """Return the threshold of least loss between 1 % of the largest magnitude and all of it.

    The largest positive code is a step short of the threshold, so the search goes that far above.
    """
    if top <= 0:
        return 0.0
    most = top * codes.per_threshold / codes.high
    coarse = np.geomspace(0.01 * top, most, 80)
    at = _argmin(loss, coarse)
    fine = np.geomspace(coarse[max(at - 1, 0)], coarse[min(at + 1, len(coarse) - 1)], 33)
    return float(fine[_argmin(loss, fine)])


def _argmin(loss: Callable[[float], float], thresholds: Iterable[float]) -> int:
    return int(np.argmin([loss(float(threshold)) for threshold in thresholds]))
