"""What every document shows each quantizer: largest magnitudes, and sums of any functions.

Passes of the float model over real tokens. The sums of a subset are those of its documents added
up, so what a range is chosen by can be told for every coalition. Values are counted in bins first,
document by document: then many functions of a value cost no more than a matrix product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calibkit.engine.batches import Batch, batches
from calibkit.engine.float_pass import FloatBatch, FloatModel, Values
from calibkit.engine.statistics import OBSERVED, ONCE, PARTS
from calibkit.quantize.estimators import SHIFT
from calibkit.quantize.networks import Arrays
from calibkit.ragged import Ragged

Floats = NDArray[np.float64]

OCTAVES = 12
"""Values below 2^-12 of the largest magnitude count as 0."""

PER_OCTAVE = 1 << (23 - SHIFT)
"""Bins between a power of 2 and the next: as fine as a `Histogram`, .4 %."""


@dataclass(frozen=True)
class Bins:
    """Bins of values up to a largest magnitude, in increasing order; larger ones fall in the last.

    base: the key of the faintest magnitude that is not 0.
    """

    base: int

    @classmethod
    def up_to(cls, top: float) -> Bins:
        """Return the bins of values whose magnitudes reach ``top``, a positive number."""
        key = int(np.array([top], dtype=np.float32).view(np.int32)[0]) >> SHIFT
        return cls(max(key - OCTAVES * PER_OCTAVE, 0))

    @property
    def side(self) -> int:
        """Bins of each sign, that of 0 included."""
        return OCTAVES * PER_OCTAVE + 2

    @property
    def levels(self) -> Floats:
        """The middle of each bin: float64 (2 * side,), 0 for the two bins of faint values."""
        bits = (self.base + np.arange(self.side - 1)).astype(np.int32) << np.int32(SHIFT)
        low = bits.view(np.float32).astype(np.float64)
        high = (bits | np.int32((1 << SHIFT) - 1)).view(np.float32).astype(np.float64)
        positive = np.concatenate([[0.0], (low + high) / 2])
        return np.concatenate([-positive[::-1], positive])

    def places(self, values: Tensor) -> Tensor:
        """Return the bin of each value, int64."""
        keys = (values.abs().view(torch.int32) >> SHIFT).to(torch.int64)
        away = (keys - (self.base - 1)).clamp_(0, self.side - 1)
        return torch.where(values < 0, self.side - 1 - away, self.side + away)


@dataclass(frozen=True)
class Asked:
    """What to add up at a site or at a part of one.

    top: the largest magnitude of the values there. functions: of the levels (bins,) of values,
    giving (bins, columns).
    """

    top: float
    functions: Callable[[Floats], Floats]


def document_tops(
    kind: str, arrays: Arrays, tokens: Ragged, names: Sequence[str], *, batch: int = OBSERVED
) -> dict[str, Floats]:
    """Return the largest magnitude that each document shows: float64 (documents,) by name.

    names: of sites, and of parts of one as `calibkit.engine.statistics` has them
    (``lstm.cell/new``). Independent of the documents' order, and of ``batch`` up to the rounding
    of float32 products.
    """
    found = {name: np.zeros(len(tokens)) for name in names}
    for done in _passes(kind, arrays, tokens, batch):
        for name in names:
            tops = torch.zeros(len(done.batch.rows))
            for part, seen in _parts(done, name):
                largest = seen.values.abs().amax(dim=1)
                if part in ONCE:
                    tops.clamp_(min=float(largest.max()))
                else:
                    tops.scatter_reduce_(0, _documents(done.batch, part), largest, "amax")
            found[name][done.batch.rows] = tops.numpy()
    return found


def document_sums(
    kind: str, arrays: Arrays, tokens: Ragged, asked: Mapping[str, Asked], *, batch: int = OBSERVED
) -> dict[str, Floats]:
    """Return what is asked of each document: float64 (documents, columns) by name.

    asked: by the names of sites and parts, as in `document_tops`. Every value counts as often as
    the quantizer sees it. Order and ``batch``: as there.
    """
    bins = {name: Bins.up_to(one.top) for name, one in asked.items()}
    weights = {name: one.functions(bins[name].levels) for name, one in asked.items()}
    found = {name: np.zeros((len(tokens), made.shape[1])) for name, made in weights.items()}
    for done in _passes(kind, arrays, tokens, batch):
        for name, made in weights.items():
            counts = [_counts(done.batch, *one, bins[name]) for one in _parts(done, name)]
            found[name][done.batch.rows] = np.sum(counts, axis=0) @ made
    return found


def _passes(kind: str, arrays: Arrays, tokens: Ragged, size: int) -> Iterator[FloatBatch]:
    model = FloatModel.of(kind, arrays)
    with torch.inference_mode():
        for one in batches(tokens, drop_last=kind == "generative", size=size):
            yield model.run(one)


def _parts(done: FloatBatch, name: str) -> Iterator[tuple[str, Values]]:
    """Yield the parts of a site, or the one part that is named, with what they saw of a batch."""
    site = name.partition("/")[0]
    for part, seen in zip(PARTS.get(site, (site,)), done.sites[site], strict=True):
        if name in (site, part):
            yield part, seen


def _documents(one: Batch, part: str) -> Tensor:
    """Return the place in the batch of each row's document."""
    return torch.arange(len(one.rows)) if part == "classifier.input" else one.documents


def _counts(one: Batch, part: str, seen: Values, bins: Bins) -> Floats:
    """Return how often each document shows values of each bin: (documents, bins)."""
    places, wide = bins.places(seen.values), 2 * bins.side
    if part in ONCE:  # every document sees these rows, once for each position
        shown = torch.bincount(places.flatten(), minlength=wide).numpy()
        repeated: Floats = one.lengths.numpy()[:, None] * shown.astype(np.float64)
        return repeated
    places += _documents(one, part)[:, None] * wide
    counted = torch.bincount(places.flatten(), minlength=len(one.rows) * wide)
    counts: Floats = counted.numpy().reshape(len(one.rows), wide) * float(seen.times)
    return counts
