"""One row of distribution statistics: what changed between two samples of one quantity."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibkit.errors import BadInput
from calibkit.measure.ks import (
    Sample,
    ks_against_levels,
    ks_between_levels,
    ks_distance,
    ks_p_value,
    ordered,
)
from calibkit.measure.wasserstein import (
    BLOCK,
    wasserstein_against_levels,
    wasserstein_between_levels,
    wasserstein_per_sigma,
)


@dataclass(frozen=True)
class Shift:
    """How sample b differs from sample a; None = does not apply or is not defined.

    quantity: weight, activation, token-nll; site: which tensor or quantizer; pair: what a and b
    are (float-quantized, nearest-rounded, ...). n_a, n_b: numbers of values. ks: D in [0, 1];
    ks_p: its asymptotic p value. wasserstein: in standard deviations of a (None: a is constant).
    sqnr_db: signal to quantization noise in dB, of paired samples (None: no signal or no noise).
    code_change_rate, mean_code_change: share of integer codes that differ, and mean |difference|.
    clip_rate: share of values outside the representable range; range_use: share of that range
    that the values span. tail_p999, tail_p9999: ratio b / a of the 99.9 % and 99.99 % quantiles
    of |x| (None: that of a is 0). threshold: largest representable magnitude.
    """

    quantity: str
    site: str
    pair: str
    n_a: int
    n_b: int
    ks: float
    ks_p: float
    wasserstein: float | None
    tail_p999: float | None
    tail_p9999: float | None
    bits: int | None = None
    sqnr_db: float | None = None
    code_change_rate: float | None = None
    mean_code_change: float | None = None
    clip_rate: float | None = None
    range_use: float | None = None
    threshold: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return dataclasses.asdict(self)


def shift_between(quantity: str, site: str, pair: str, a: Sample, b: Sample) -> Shift:
    """Return the shift from sample a to sample b, of any sizes and in any order.

    What needs more than two samples (sqnr_db, clip_rate, ...) is None; fill it in with
    dataclasses.replace. Raises BadInput for samples that are empty or not finite.
    """
    a, b = ordered(a), ordered(b)
    distance = ks_distance(a, b)
    return Shift(
        quantity=quantity,
        site=site,
        pair=pair,
        n_a=len(a),
        n_b=len(b),
        ks=distance,
        ks_p=ks_p_value(distance, len(a), len(b)),
        wasserstein=wasserstein_per_sigma(a, b),
        tail_p999=_ratio(tail_magnitude(b, 0.999), tail_magnitude(a, 0.999)),
        tail_p9999=_ratio(tail_magnitude(b, 0.9999), tail_magnitude(a, 0.9999)),
    )


def shift_to_levels(
    quantity: str,
    site: str,
    pair: str,
    sorted_sample: Sample,
    levels: Sample,
    counts: NDArray[np.integer],
) -> Shift:
    """Return the shift from a sorted sample to one of few values, given as levels and counts.

    The same numbers as shift_between, in the time of a few searches: ``sorted_sample`` comes from
    calibkit.measure.ks.ordered and serves every bit width. Raises BadInput for an empty sample,
    and for levels that do not increase.
    """
    if not len(sorted_sample):
        raise BadInput("an empty sample has no distribution; give at least one value")
    n_a, n_b = len(sorted_sample), int(np.sum(counts))
    distance = ks_against_levels(sorted_sample, levels, counts)
    tails = [_level_tail(levels, counts, share) for share in (0.999, 0.9999)]
    return Shift(
        quantity=quantity,
        site=site,
        pair=pair,
        n_a=n_a,
        n_b=n_b,
        ks=distance,
        ks_p=ks_p_value(distance, n_a, n_b),
        wasserstein=wasserstein_against_levels(sorted_sample, levels, counts),
        tail_p999=_ratio(tails[0], tail_magnitude(sorted_sample, 0.999)),
        tail_p9999=_ratio(tails[1], tail_magnitude(sorted_sample, 0.9999)),
    )


def shift_between_levels(
    quantity: str,
    site: str,
    pair: str,
    levels: Sample,
    before: NDArray[np.integer],
    after: NDArray[np.integer],
) -> Shift:
    """Return the shift between two samples of few values, counted at the same levels (L,).

    The same numbers as shift_between. Raises BadInput for levels that do not increase.
    """
    n_a, n_b = int(np.sum(before)), int(np.sum(after))
    distance = ks_between_levels(levels, before, after)
    ratios = [
        _ratio(_level_tail(levels, after, share), _level_tail(levels, before, share))
        for share in (0.999, 0.9999)
    ]
    return Shift(
        quantity=quantity,
        site=site,
        pair=pair,
        n_a=n_a,
        n_b=n_b,
        ks=distance,
        ks_p=ks_p_value(distance, n_a, n_b),
        wasserstein=wasserstein_between_levels(levels, before, after),
        tail_p999=ratios[0],
        tail_p9999=ratios[1],
    )


def tail_magnitude(sorted_sample: Sample, share: float) -> float:
    """Return the smallest |x| that at least this share of a sorted sample does not exceed."""
    n = len(sorted_sample)
    rank = _rank(n, share)
    reach = n - rank + 1  # whatever is that large in magnitude stands this near to one of the ends
    if 2 * reach < n:
        sorted_sample = np.concatenate([sorted_sample[:reach], sorted_sample[-reach:]])
    magnitudes = np.abs(sorted_sample)
    return float(np.partition(magnitudes, len(magnitudes) - reach)[len(magnitudes) - reach])


def sqnr_db(signal: NDArray[Any], quantized: NDArray[Any]) -> float | None:
    """Return 10 log10(sum x^2 / sum (x - q)^2), dB, of two arrays of one shape.

    None where the signal is all zero or there is no error: neither ratio has a logarithm.
    """
    power = error = 0.0
    flat, other = np.asarray(signal).reshape(-1), np.asarray(quantized).reshape(-1)
    for start in range(0, len(flat), BLOCK):
        x = flat[start : start + BLOCK].astype(np.float64)
        power += float(np.sum(x**2))
        error += float(np.sum((x - other[start : start + BLOCK]) ** 2))
    return 10.0 * math.log10(power / error) if power > 0 and error > 0 else None


def clip_rate(sorted_sample: Sample, low: float, high: float) -> float:
    """Return the share of a sorted sample outside the representable range [low, high]."""
    below = int(np.searchsorted(sorted_sample, low, side="left"))
    upto = int(np.searchsorted(sorted_sample, high, side="right"))
    return (below + len(sorted_sample) - upto) / len(sorted_sample)


def range_use(sorted_sample: Sample, low: float, high: float) -> float | None:
    """Return the share of the range [low, high] that the (clipped) values span.

    None where the range has no width.
    """
    if high <= low:
        return None
    first, last = np.clip([sorted_sample[0], sorted_sample[-1]], low, high)
    return float((last - first) / (high - low))


def code_changes(before: NDArray[np.integer], after: NDArray[np.integer]) -> tuple[float, float]:
    """Return the share of integer codes that differ, and the mean |difference| over all codes."""
    first, second = np.asarray(before).reshape(-1), np.asarray(after).reshape(-1)
    changed = total = 0
    for start in range(0, len(first), BLOCK):
        block = slice(start, start + BLOCK)
        change = np.abs(second[block].astype(np.int64) - first[block])
        changed += int(np.count_nonzero(change))
        total += int(change.sum())
    return changed / len(first), total / len(first)


def _level_tail(levels: Sample, counts: NDArray[np.integer], share: float) -> float:
    magnitudes = np.abs(np.asarray(levels, dtype=np.float64))
    order = np.argsort(magnitudes, kind="stable")
    upto = np.cumsum(np.asarray(counts)[order])
    return float(magnitudes[order][np.searchsorted(upto, _rank(int(upto[-1]), share))])


def _rank(n: int, share: float) -> int:
    """Return which of n values in increasing order, counted from 1, is the quantile."""
    return max(1, math.ceil(round(share * n, 6)))


def _ratio(b: float, a: float) -> float | None:
    return b / a if a > 0 else None
