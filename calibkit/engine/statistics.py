"""calibkit's own observer: range statistics of every activation site in one float pass.

Brevitas averages per-call statistics, one call per time step, so its scales depend on batching
and padding. Here every real token's value counts once, exactly, in any order and any batching.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from calibkit.engine.batches import BATCH
from calibkit.engine.float_pass import FloatModel, Values
from calibkit.quantize.estimators import KEYS, Histogram, keys
from calibkit.quantize.networks import Arrays, linear_name
from calibkit.quantize.ranges import SiteStatistics, merge_largest, rank_from_top
from calibkit.quantize.schemes import ACTIVATION_SITES
from calibkit.ragged import Ragged


def collect_statistics(
    kind: str, arrays: Arrays, tokens: Ragged, *, percentile: float, batch: int = BATCH
) -> dict[str, SiteStatistics]:
    """Return the statistics of every activation site over a calibration subset.

    percentile: the lowest percentile that will be asked for; it decides how many of the largest
    magnitudes are kept. Exact; independent of the documents' order, and of ``batch`` up to the
    rounding of float32 matrix products.
    """
    model = FloatModel.of(kind, arrays)
    expected = values_per_site(kind, arrays, tokens)
    observers = {
        site: Observer(keep=rank_from_top(count, percentile)) for site, count in expected.items()
    }
    with torch.inference_mode():
        for done in model.passes(tokens, size=batch):
            for site, found in done.sites.items():
                for values in found:
                    observers[site].add(values)
    for site, observer in observers.items():
        if observer.count != expected[site]:
            raise AssertionError(f"{site}: saw {observer.count} values, expected {expected[site]}")
    return {site: observer.finish() for site, observer in observers.items()}


def values_per_site(kind: str, arrays: Arrays, tokens: Ragged) -> dict[str, int]:
    """Return how many values each activation site sees over the documents."""
    steps = int((tokens.lengths - (1 if kind == "generative" else 0)).sum())
    embedding = arrays["embedding.weight"].shape[1]
    hidden = arrays["lstm.weight_hh_l0"].shape[1]
    counts = {site: steps * hidden for site in ACTIVATION_SITES[kind]}
    counts["input"] = steps * embedding
    counts["lstm.io"] = steps * (embedding + hidden)
    counts["lstm.cell"] = steps * hidden * 3
    if kind == "generative":
        labels = len(arrays["label_embedding.weight"])
        counts["decoder.input"] = steps * hidden * labels * 2
    else:
        counts[f"{linear_name(kind)}.input"] = len(tokens) * hidden
    return counts


@dataclass
class Observer:
    """Streaming count, extremes, moments, histogram and ``keep`` largest magnitudes of a site."""

    keep: int
    count: int = 0
    low: float = float("inf")
    high: float = float("-inf")
    total: float = 0.0
    total_square: float = 0.0
    largest: list[tuple[NDArray[np.float32], NDArray[np.int64]]] = field(default_factory=list)
    by_key: NDArray[np.int64] = field(default_factory=lambda: np.zeros(KEYS, dtype=np.int64))

    def add(self, seen: Values) -> None:
        """Take in the values of one batch."""
        flat = seen.values.flatten()
        self.count += flat.numel() * seen.times
        self.low = min(self.low, float(flat.min()))
        self.high = max(self.high, float(flat.max()))
        wide = flat.to(torch.float64)
        self.total += float(wide.sum()) * seen.times
        self.total_square += float(wide.square().sum()) * seen.times
        self.by_key += np.bincount(keys(flat.numpy()), minlength=KEYS) * seen.times
        wanted = min(flat.numel(), -(-self.keep // seen.times))
        top = torch.topk(flat.abs(), wanted).values.numpy()
        self.largest.append((top, np.full(len(top), seen.times, dtype=np.int64)))
        if len(self.largest) >= 8:
            self.largest = [merge_largest(self.largest, self.keep)]

    def finish(self) -> SiteStatistics:
        """Return the statistics of everything seen."""
        values, multiplicity = merge_largest(self.largest, self.keep)
        return SiteStatistics(
            self.count,
            self.low,
            self.high,
            self.total / self.count,
            self.total_square / self.count,
            values,
            multiplicity,
            Histogram.from_keys(self.by_key),
        )
