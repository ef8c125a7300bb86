"""What every quantizer of the float model sees of every document: extremes, moments, counts.

One pass of the float model over real tokens, batch by batch; each site's values are reduced to one
row per document before the next batch is computed, so memory does not grow with the documents but
by the result. Over all documents the rows add up to what `calibkit.engine.statistics` observes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calibkit.engine.batches import Batch, batches
from calibkit.engine.float_pass import FloatBatch, FloatModel
from calibkit.engine.statistics import OBSERVED, ONCE, PARTS, collect_statistics
from calibkit.quantize.estimators import Histogram
from calibkit.quantize.networks import Arrays
from calibkit.quantize.sites import ACTIVATION_SITES
from calibkit.ragged import Ragged

QUANTILES = (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)
"""Shares of the pool's values at a site below the thresholds that `document_moments` counts by."""

COUNTS_FROM = 3
"""Column of `document_moments` where the counts begin; count, sum, sum of squares are before."""


def document_ranges(
    kind: str, arrays: Arrays, tokens: Ragged, *, batch: int = OBSERVED
) -> NDArray[np.float32]:
    """Return the smallest and largest value of each document at each activation site.

    float32 (documents, sites, 2), sites in the order of ``ACTIVATION_SITES[kind]``. The decoder's
    input is [h_t ; v_y] for every label y, so its range is never narrower than that of the label
    vectors. Independent of the documents' order, and of ``batch`` up to the rounding of float32
    matrix products.
    """
    found = np.empty((len(tokens), len(ACTIVATION_SITES[kind]), 2), dtype=np.float32)
    for one, parts in _passes(kind, arrays, tokens, batch):
        low = torch.full((len(one.rows), found.shape[1]), float("inf"))
        high = torch.full_like(low, float("-inf"))
        for part in parts:
            bottom, top = part.once(_extremes)
            if part.documents is None:
                low[:, part.site].clamp_(max=float(bottom.min()))
                high[:, part.site].clamp_(min=float(top.max()))
            else:
                low[:, part.site].scatter_reduce_(0, part.documents, bottom, "amin")
                high[:, part.site].scatter_reduce_(0, part.documents, top, "amax")
        found[one.rows] = torch.stack([low, high], dim=2).numpy()
    return found


def document_moments(
    kind: str, arrays: Arrays, tokens: Ragged, *, batch: int = OBSERVED
) -> NDArray[np.float32]:
    """Return, for each document and activation site, sums that add up over documents.

    float32 (documents, sites, 3 + 9): the number of values, their sum, the sum of their squares,
    and how many of them lie below each of 9 thresholds, the `QUANTILES` of all documents' values at
    the site (as fine as the bins of a `Histogram`: .4 %). The sum of a subset's rows divided by its
    number of values is its mean, its mean square and its distribution function; that of all rows
    is the pool's. Two passes; ``batch`` as in `document_ranges`.
    """
    seen = collect_statistics(kind, arrays, tokens, percentile=100.0, batch=batch)
    sites = ACTIVATION_SITES[kind]
    thresholds = np.array([quantiles(seen[site].histogram) for site in sites], dtype=np.float32)
    columns = COUNTS_FROM + len(QUANTILES)
    found = np.empty((len(tokens), len(sites), columns), dtype=np.float32)
    for one, parts in _passes(kind, arrays, tokens, batch):
        total = torch.zeros(len(one.rows), len(sites), columns, dtype=torch.float64)
        for part in parts:
            below = _below(part.values, thresholds[part.site].tolist())
            rows = torch.cat([part.once(_moments), below], dim=1) * part.times
            if part.documents is None:  # every document sees these rows, once for each position
                total[:, part.site] += rows.sum(0) * one.lengths[:, None]
            else:
                total[:, part.site].index_add_(0, part.documents, rows)
        found[one.rows] = total.numpy()
    return found


def quantiles(seen: Histogram) -> NDArray[np.float64]:
    """Return the levels below which the shares `QUANTILES` of the values lie, as fine as a bin."""
    reached = np.cumsum(seen.counts)
    at = np.searchsorted(reached, np.array(QUANTILES) * reached[-1], side="left")
    levels: NDArray[np.float64] = seen.levels[at]
    return levels


@dataclass(frozen=True)
class _Part:
    """Some of the values that a site sees of one batch.

    site: its number. values: (rows, width). times: how often each is seen. documents: the place in
    the batch of each row's document; None: all documents see all rows, once at every position.
    ``once`` keeps what has been computed of these values for the sites that see them as well.
    """

    site: int
    values: Tensor
    times: int
    documents: Tensor | None
    kept: dict[tuple[int, str], Tensor]

    def once(self, compute: Callable[[Tensor], Tensor]) -> Tensor:
        key = (id(self.values), compute.__name__)
        if key not in self.kept:
            self.kept[key] = compute(self.values)
        return self.kept[key]


def _passes(
    kind: str, arrays: Arrays, tokens: Ragged, size: int
) -> Iterator[tuple[Batch, list[_Part]]]:
    """Yield each batch with everything that its sites see."""
    model = FloatModel.of(kind, arrays)
    with torch.inference_mode():
        for one in batches(tokens, drop_last=kind == "generative", size=size):
            yield one, _parts(kind, model.run(one))


def _parts(kind: str, done: FloatBatch) -> list[_Part]:
    positions, documents = done.batch.documents, torch.arange(len(done.batch.rows))
    kept: dict[tuple[int, str], Tensor] = {}
    found = []
    for number, site in enumerate(ACTIVATION_SITES[kind]):
        for name, seen in zip(PARTS.get(site, (site,)), done.sites[site], strict=True):
            if name in ONCE:
                found.append(_Part(number, seen.values, 1, None, kept))
            else:
                of = documents if name == "classifier.input" else positions
                found.append(_Part(number, seen.values, seen.times, of, kept))
    return found


def _extremes(values: Tensor) -> Tensor:
    """Return the smallest and the largest of each row: (2, rows)."""
    return torch.stack([values.amin(dim=1), values.amax(dim=1)])


def _moments(values: Tensor) -> Tensor:
    """Return number, sum and sum of squares of each row: float64 (rows, 3)."""
    wide = values.to(torch.float64)
    count = wide.new_full((len(wide),), wide.shape[1])
    return torch.stack([count, wide.sum(dim=1), wide.square_().sum(dim=1)], dim=1)


def _below(values: Tensor, thresholds: list[float]) -> Tensor:
    """Return how many of each row's values lie below each threshold: float64 (rows, thresholds)."""
    ones, marks = values.new_ones(values.shape[1]), torch.empty_like(values)
    # a product with ones counts four times as fast as a sum of booleans
    counts = [torch.lt(values, edge, out=marks) @ ones for edge in thresholds]
    return torch.stack(counts, dim=1).to(torch.float64)
