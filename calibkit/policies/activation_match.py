"""The subset on which a model's activations look as they do on the pool."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from calibkit.errors import BadInput
from calibkit.policies.candidates import CandidatePolicy, count_not_finite
from calibkit.policies.draw import Draw, Rows
from calibkit.policies.pool import Pool
from calibkit.policies.threads import one_thread

LEAST = 1e-4
"""Shares of the pool nearer 0 or 1 than this are taken for this: rare values must not outweigh."""

_BLOCK = 1 << 12


class ActivationMatch(CandidatePolicy, name="activation-match"):
    """Take, again and again, the document after which the activations look most like the pool's.

    At every activation site the values of the subset's documents, pooled (so that each token
    counts the same), are compared with those of the WHOLE pool: their mean, in units of the pool's
    standard deviation; their variance (about the pool's mean), in units of the pool's; and the
    shares below quantiles of the pool, in units of sqrt(p (1 - p)) for the pool's share p. What is
    made small is the mean over sites of the squared difference of the mean + that of the variance +
    the mean squared difference of the shares.

    Subsets whose activation statistics are those of all data, as in SelectQ (Zhang et al.,
    "SelectQ: calibration data selection for post-training quantization", Machine Intelligence
    Research, 2025), which clusters statistics per layer; here they are matched directly, greedily.

    ``candidates``: the selection runs on so many documents of the keyed draw, by default on half
    the pool (rounded up); what differs between seeds is which documents are candidates.

    Ties go to the first document id. By default, when more than half of the pool is asked for, the
    rest follows in the order of the keyed draw: subsets stay nested. O(n s q) time for the targets
    of n documents, s sites and q quantiles, O(m s q) for each document taken of m candidates.
    """

    needs: ClassVar[tuple[str, ...]] = ("moments",)
    nested: ClassVar[bool] = True

    def pick(self, pool: Pool, size: int, draw: Draw) -> Rows:
        """Return the greedy order of the candidates, cut to ``size``."""
        candidates, keyed = self.keyed(pool, size, draw)
        moments = pool.need("moments", self.name)
        _check(moments, self.name)
        found = deviations(moments[candidates], pooled(moments))
        order = match(found, min(size, len(candidates)))
        return self.filled(candidates[order], keyed, size)


@dataclass(frozen=True, eq=False)
class Deviations:
    """How far the values of m documents, summed, are from what the pool's would be.

    sums: float64 (sites, m, 2 + Q), whole numbers, in steps of ``step``: for each document the sum
    over its values v of (v - mean) / sd, of ((v - mean)^2 - variance) / variance, and for each
    quantile of (share of v below - the pool's share p) / sqrt(p (1 - p) Q). counts: float64
    (sites, m), values of each document.
    """

    sums: NDArray[np.float64]
    counts: NDArray[np.float64]
    step: float


def pooled(moments: NDArray[Any]) -> NDArray[np.float64]:
    """Return the sum over documents of ``moments`` (n, sites, 3 + Q): float64 (sites, 3 + Q)."""
    total = np.zeros(moments.shape[1:])
    for start in range(0, len(moments), _BLOCK):
        total += moments[start : start + _BLOCK].sum(axis=0, dtype=np.float64)
    return total


def deviations(moments: NDArray[Any], total: NDArray[np.float64]) -> Deviations:
    """Return the deviations of documents, given their moments and the pool's.

    moments: (m, sites, 3 + Q): number of values, their sum, the sum of their squares, and how many
    are below each of Q quantiles. total: (sites, 3 + Q), from ``pooled``. What does not vary in the
    pool is left out (0). The grid is so fine as sums of all documents' products allow: 2^14 steps
    or more for the largest deviation, up to 10^5 documents and 12 quantiles.
    """
    count, summed, squares = total[:, 0], total[:, 1], total[:, 2]
    mean = summed / count
    variance = squares / count - mean * mean
    kind = moments.dtype if np.issubdtype(moments.dtype, np.floating) else np.float64
    variance[variance <= 8 * np.finfo(kind).eps * mean * mean] = 0.0  # nothing but rounding
    shares = total[:, 3:] / count[:, None]
    varies = shares * (1.0 - shares)
    spread = np.sqrt(np.where(varies > 0, np.maximum(varies, LEAST), 0.0) * max(1, varies.shape[1]))
    found = np.empty((moments.shape[1], len(moments), moments.shape[2] - 1))
    for site in range(moments.shape[1]):
        own = np.asarray(moments[:, site, :], dtype=np.float64)
        n = own[:, 0]
        centred = own[:, 1] - mean[site] * n
        found[site, :, 0] = _over(centred, np.sqrt(variance[site]))
        around = own[:, 2] - mean[site] * (own[:, 1] + centred)
        found[site, :, 1] = _over(around - variance[site] * n, variance[site])
        found[site, :, 2:] = _over(own[:, 3:] - shares[site] * n[:, None], spread[site])
    columns = found.shape[2]
    bits = (52 - len(moments).bit_length() - columns.bit_length()) // 2
    exponent = int(np.frexp(np.abs(found).max(initial=0.0))[1])
    np.rint(np.ldexp(found, bits - exponent, out=found), out=found)
    counts = np.ascontiguousarray(moments[:, :, 0].T, dtype=np.float64)
    return Deviations(found, counts, float(np.ldexp(1.0, exponent - bits)))


@one_thread()
def match(documents: Deviations, count: int) -> Rows:
    """Return ``count`` rows, each making `mismatch` as small as possible; ties: lower row.

    The sums and their products with those of any rows are whole numbers below 2^53, so exact; what
    follows is done element by element, sites in their order: no thread count, block size or vector
    unit changes a bit. O(count sites m Q) time.
    """
    sums, counts = documents.sums, documents.counts
    own = np.einsum("smq,smq->sm", sums, sums)
    so_far, values = np.zeros((sums.shape[0], sums.shape[2])), np.zeros(sums.shape[0])
    order = np.empty(count, dtype=np.intp)
    taken = np.zeros(sums.shape[1], dtype=bool)
    for place in range(count):
        loss = np.zeros(sums.shape[1])
        for site, chosen in enumerate(so_far):
            gap = sums[site] @ chosen
            gap *= 2.0
            gap += own[site]
            gap += math.fsum(chosen * chosen)
            loss += gap / (counts[site] + values[site]) ** 2
        loss[taken] = np.inf
        best = order[place] = np.argmin(loss)
        taken[best] = True
        so_far += sums[:, best]
        values += counts[:, best]
    return order


def mismatch(documents: Deviations, rows: Rows) -> float:
    """Return the mean over sites of the squared differences between ``rows`` and the pool.

    Those of the mean and of the variance, in units of the pool's standard deviation of a value and
    its variance, and the mean over the quantiles, in units of sqrt(p (1 - p)).
    """
    gaps = documents.sums[:, rows].sum(axis=1) * documents.step
    values = documents.counts[:, rows].sum(axis=1)
    return float(((gaps / values[:, None]) ** 2).sum(axis=1).mean())


def _over(values: NDArray[np.float64], by: Any) -> NDArray[np.float64]:
    """Return ``values / by``, 0 where ``by`` is 0."""
    return np.asarray(np.divide(values, by, out=np.zeros_like(values), where=np.asarray(by) > 0))


def _check(moments: NDArray[Any], policy: str) -> None:
    if moments.ndim != 3 or moments.shape[1] < 1 or moments.shape[2] < 3:
        raise BadInput(
            f"{policy}: the pool's 'moments' have the shape {moments.shape}; they must be "
            "(documents, sites, 3 + quantiles): number, sum and sum of squares of the values, and "
            "how many are below each quantile"
        )
    bad = count_not_finite(moments) or int((moments[:, :, 0] <= 0).any(axis=1).sum())
    if bad:
        raise BadInput(
            f"{policy}: the moments of {bad:,} documents are not finite numbers, or of no values "
            "at all; compute them anew"
        )
