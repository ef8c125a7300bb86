"""Which range a quantizer gets from any coalition of documents, from sums that add up over them.

Ranges stand on a ladder of thresholds, evenly spaced in the logarithm; a place on it may lie
between two rungs. Orders of joining are (m, k): m orders of k documents each.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from calibkit.measure.shapley import Floats, Order
from calibkit.quantize.estimators import Codes

RUNGS = 128
LOWEST = 0.01
"""The lowest rung, of the largest magnitude; as low as `mse_threshold` looks."""


@dataclass(frozen=True)
class Ladder:
    """Thresholds from 1 % of the largest magnitude to where its code is the highest one."""

    top: float
    codes: Codes

    @property
    def rungs(self) -> Floats:
        """The thresholds, increasing: (128,)."""
        return self.top * np.geomspace(LOWEST, self.codes.per_threshold / self.codes.high, RUNGS)

    def places(self, thresholds: Floats) -> Floats:
        """Return the places of thresholds, from 0 to 127; those beyond an end stand at it."""
        step = math.log(self.codes.per_threshold / self.codes.high / LOWEST) / (RUNGS - 1)
        with np.errstate(divide="ignore"):
            places = np.log(thresholds / (self.top * LOWEST)) / step
        clipped: Floats = np.clip(places, 0, RUNGS - 1)
        return clipped


class Rule(Protocol):
    """How coalitions choose a place on a ladder."""

    @property
    def alone(self) -> Floats:
        """What each document says by itself: one row each."""
        ...

    def joined(self, order: Order) -> Floats:
        """Return what the first 1, 2 ... k documents of each order say together: (m, k, ...)."""
        ...

    def choose(self, said: Floats) -> Floats:
        """Return the places that are chosen by what coalitions say, (...) or (..., columns)."""
        ...


@dataclass(frozen=True)
class Largest:
    """The largest magnitude. alone: (n,) its place, document by document."""

    alone: Floats

    def joined(self, order: Order) -> Floats:
        """Return the largest of the first 1, 2 ... documents of each order."""
        found: Floats = np.maximum.accumulate(self.alone[order], axis=1)
        return found

    def choose(self, said: Floats) -> Floats:
        """Return it as it is."""
        return said


@dataclass(frozen=True)
class Quantile:
    """The q-th percentile of the magnitudes, as `SiteStatistics.percentile` defines it.

    alone: (n, 128) how many of a document's magnitudes reach each rung, the last column how many
    there are at all. Between rungs, magnitudes are taken to be spread evenly.
    """

    alone: Floats
    q: float

    def joined(self, order: Order) -> Floats:
        """Return the counts of the first 1, 2 ... documents of each order."""
        return np.cumsum(self.alone[order], axis=1)

    def choose(self, said: Floats) -> Floats:
        """Return where the counts fall to the rank of the percentile."""
        reach, count = said[..., :-1], said[..., -1]
        lowest = np.clip(np.floor(0.01 * self.q * count + 0.5), 1, count)
        rank = count - lowest + 1
        last = reach.shape[-1] - 1
        at = np.maximum((reach >= rank[..., None]).sum(axis=-1) - 1, 0)
        here, there = _picked(reach, at), _picked(reach, np.minimum(at + 1, last))
        part = (here - rank + 0.5) / np.maximum(here - there, 1.0)
        places: Floats = at + np.clip(part, 0.0, 1.0)
        found: Floats = np.minimum(places, last)
        return found


@dataclass(frozen=True)
class LeastError:
    """The threshold of least squared error. alone: (n, 128) a document's errors at each rung."""

    alone: Floats

    def joined(self, order: Order) -> Floats:
        """Return the errors of the first 1, 2 ... documents of each order."""
        return np.cumsum(self.alone[order], axis=1)

    def choose(self, said: Floats) -> Floats:
        """Return the rung of least error, moved to the vertex of the parabola around it."""
        last = said.shape[-1] - 1
        at = said.argmin(axis=-1)
        low, mid, high = (_picked(said, np.clip(at + d, 0, last)) for d in (-1, 0, 1))
        curve = low - 2 * mid + high
        inside = (at > 0) & (at < last) & (curve > 0)
        shift = np.where(inside, (low - high) / (2 * np.where(inside, curve, 1.0)), 0.0)
        found: Floats = at + np.clip(shift, -0.5, 0.5)
        return found


@dataclass(frozen=True)
class SiteWorth:
    """What a coalition loses at one site: ``weight`` times the error under the range it sets.

    error: (128,) of the values that are judged, at each rung. cap: keeps a range below a place,
    as the guard of the cell state does.
    """

    name: str
    rule: Rule
    error: Floats
    weight: float
    cap: Largest | None = None

    def loss(self, order: Order) -> Floats:
        """Return the losses of the first 1, 2 ... k documents of each order: (m, k)."""
        cap = None if self.cap is None else self.cap.joined(order)
        return self._loss(self.rule.choose(self.rule.joined(order)), cap)

    def losses_alone(self) -> Floats:
        """Return the loss of every document by itself: (n,)."""
        cap = None if self.cap is None else self.cap.alone
        return self._loss(self.rule.choose(self.rule.alone), cap)

    def _loss(self, places: Floats, cap: Floats | None) -> Floats:
        if cap is not None:
            places = np.minimum(places, cap)
        return self.weight * np.interp(places, np.arange(len(self.error)), self.error)


def _picked(said: Floats, at: NDArray[np.intp]) -> Floats:
    found: Floats = np.take_along_axis(said, at[..., None], axis=-1)[..., 0]
    return found


def error_sums(
    rungs: Floats, codes: Codes, through: Callable[[Floats], Floats]
) -> Callable[[Floats], Floats]:
    """Return the function whose sums are squared errors at each rung: (levels, rungs).

    through: what is made of values before they are compared, as in `mse_threshold`.
    """

    def errors(levels: Floats) -> Floats:
        steps = rungs / codes.per_threshold
        nearest = np.clip(np.rint(levels[:, None] / steps), codes.low, codes.high) * steps
        found: Floats = (through(levels)[:, None] - through(nearest)) ** 2
        return found

    return errors


def reach_counts(rungs: Floats) -> Callable[[Floats], Floats]:
    """Return the function whose sums are what `Quantile` reads: (levels, rungs + 1)."""

    def counts(levels: Floats) -> Floats:
        reach = np.abs(levels)[:, None] >= rungs
        return np.concatenate([reach, np.ones((len(levels), 1))], axis=1)

    return counts
