"""calibkit's own observer: range statistics of every activation site in one float pass.

Brevitas averages per-call statistics, one call per time step, so its scales depend on batching
and padding. Here every real token's value counts once, exactly, in any order and any batching.
Sites that see the same values share the count of them: each part of a site is observed once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from calibkit.engine.batches import BATCH, batches
from calibkit.engine.float_pass import FloatBatch, FloatModel, RememberedStates, Values
from calibkit.quantize.estimators import KEYS, SHIFT, Histogram
from calibkit.quantize.networks import Arrays
from calibkit.quantize.ranges import SiteStatistics, merge_largest, rank_from_top
from calibkit.quantize.sites import ACTIVATION_SITES
from calibkit.ragged import Ragged

PARTS = {
    "lstm.io": ("input", "lstm.io/hidden"),
    "lstm.cell": ("lstm.cell/kept", "lstm.cell/new", "lstm.cell/sum"),
    "decoder.input": ("decoder.input/hidden", "decoder.input/labels"),
}
"""Sites that see several kinds of values, and what those are called, in the order of the calls.

``lstm.cell`` sees f * c, i * g and their sum. A part's statistics stand beside its site's.
"""

OBSERVED = BATCH // 2
"""Documents per batch: the values of every site of a batch are in memory at once."""

SAME = {"decoder.input/hidden": "lstm.io/hidden"}
"""Parts that see the very values that another one sees."""


def collect_statistics(
    kind: str,
    arrays: Arrays,
    tokens: Ragged,
    *,
    percentile: float,
    batch: int = OBSERVED,
    floats: RememberedStates | None = None,
) -> dict[str, SiteStatistics]:
    """Return the statistics of every activation site, and of every part of one (`PARTS`).

    percentile: the lowest percentile that will be asked for; it decides how many of the largest
    magnitudes are kept. floats: keeps the hidden states, where all documents are one batch.
    Exact; independent of the documents' order, and of ``batch`` up to the rounding of float32
    matrix products.
    """
    model = FloatModel.of(kind, arrays)
    sites = {site: PARTS.get(site, (site,)) for site in ACTIVATION_SITES[kind]}
    times = _times(kind, arrays, tokens)
    sizes, counts = _sizes(kind, arrays, tokens), values_per_site(kind, arrays, tokens)
    keep: dict[str, int] = {}
    for site, parts in sites.items():
        for part in parts:
            # the part alone may be asked for its percentile, or give its site's
            most = max(
                rank_from_top(sizes[part], percentile),
                -(-rank_from_top(counts[site], percentile) // times.get(part, 1)),
            )
            name = SAME.get(part, part)
            keep[name] = max(keep.get(name, 0), most)
    observers = {part: Observer(keep=most) for part, most in keep.items()}

    def observe(done: FloatBatch) -> None:
        seen: set[str] = set()
        for site, parts in sites.items():
            for part, values in zip(parts, done.sites[site], strict=True):
                name = SAME.get(part, part)
                if name not in seen and not (name in ONCE and observers[name].count):
                    seen.add(name)
                    observers[name].add(values)

    with torch.inference_mode():
        for one in batches(tokens, drop_last=kind == "generative", size=batch):
            done = model.run(one)
            observe(done)
            if floats is not None and len(tokens) <= batch:
                floats.remember(done)
            del done  # freed before the next batch needs as much
    found = {part: observer.finish() for part, observer in observers.items()}
    for part, size in sizes.items():
        if found[SAME.get(part, part)].count != size:
            counted = found[SAME.get(part, part)].count
            raise AssertionError(f"{part}: saw {counted} values, expected {size}")
    merged = {
        site: _together([(found[SAME.get(p, p)], times.get(p, 1)) for p in parts], percentile)
        for site, parts in sites.items()
    }
    extra = {p: found[SAME.get(p, p)] for parts in sites.values() for p in parts}
    return {**extra, **merged}


ONCE = ("decoder.input/labels",)
"""Parts that are the same in every batch."""


def _sizes(kind: str, arrays: Arrays, tokens: Ragged) -> dict[str, int]:
    """Return how many values each part is shown; the label vectors once."""
    steps = int((tokens.lengths - (1 if kind == "generative" else 0)).sum())
    embedding = arrays["embedding.weight"].shape[1]
    hidden = arrays["lstm.weight_hh_l0"].shape[1]
    parts = [p for site in ACTIVATION_SITES[kind] for p in PARTS.get(site, (site,))]
    sizes = dict.fromkeys(parts, steps * hidden)
    sizes["input"] = steps * embedding
    if kind == "generative":
        sizes["decoder.input/labels"] = len(arrays["label_embedding.weight"]) * hidden
    else:
        sizes["classifier.input"] = len(tokens) * hidden
    return sizes


def values_per_site(kind: str, arrays: Arrays, tokens: Ragged) -> dict[str, int]:
    """Return how many values each activation site sees over the documents."""
    sizes, times = _sizes(kind, arrays, tokens), _times(kind, arrays, tokens)
    return {
        site: sum(sizes[part] * times.get(part, 1) for part in PARTS.get(site, (site,)))
        for site in ACTIVATION_SITES[kind]
    }


def _times(kind: str, arrays: Arrays, tokens: Ragged) -> dict[str, int]:
    """Return how often a site sees what its part is shown once: h for every label, and so on."""
    if kind != "generative":
        return {}
    labels = len(arrays["label_embedding.weight"])
    steps = int((tokens.lengths - 1).sum())
    return {"decoder.input/hidden": labels, "decoder.input/labels": steps}


def _together(parts: Iterable[tuple[SiteStatistics, int]], percentile: float) -> SiteStatistics:
    """Return the statistics of several parts, each with the number of times it is seen."""
    every = list(parts)
    if len(every) == 1 and every[0][1] == 1:
        return every[0][0]
    count = sum(s.count * n for s, n in every)
    largest = [(s.largest, s.multiplicity * n) for s, n in every]
    values, multiplicity = merge_largest(largest, rank_from_top(count, percentile))
    return SiteStatistics(
        count,
        min(s.low for s, _ in every),
        max(s.high for s, _ in every),
        sum(s.mean * s.count * n for s, n in every) / count,
        sum(s.mean_square * s.count * n for s, n in every) / count,
        values,
        multiplicity,
        Histogram.sum([(s.histogram, n) for s, n in every]),
    )


@dataclass
class Observer:
    """Streaming count, extremes, moments, histogram and ``keep`` largest magnitudes of a part."""

    keep: int
    count: int = 0
    low: float = float("inf")
    high: float = float("-inf")
    total: float = 0.0
    total_square: float = 0.0
    largest: list[tuple[NDArray[np.float32], NDArray[np.int64]]] = field(default_factory=list)
    enough: float = -1.0  # so many magnitudes of at least this have been seen already
    by_key: torch.Tensor = field(default_factory=lambda: torch.zeros(KEYS, dtype=torch.int64))

    def add(self, seen: Values) -> None:
        """Take in the values of one batch."""
        flat = seen.values.flatten()
        self.count += flat.numel()
        low, high = (float(end) for end in torch.aminmax(flat))
        self.low, self.high = min(self.low, low), max(self.high, high)
        wide = flat.to(torch.float64)
        self.total += float(wide.sum())
        self.total_square += float(wide.dot(wide))
        keys = (flat.view(torch.int32) >> SHIFT).add_(KEYS // 2)
        self.by_key += torch.bincount(keys, minlength=KEYS)
        if max(-low, high) <= self.enough:
            return
        magnitudes = flat.abs()
        if self.enough >= 0:
            magnitudes = magnitudes[magnitudes > self.enough]
        top = torch.topk(magnitudes, min(magnitudes.numel(), self.keep)).values.numpy()
        self.largest.append((top, np.ones(len(top), dtype=np.int64)))
        self.largest = [merge_largest(self.largest, self.keep)]
        values = self.largest[0][0]
        self.enough = float(values[-1]) if len(values) >= self.keep else -1.0

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
            Histogram.from_keys(self.by_key.numpy()),
        )
