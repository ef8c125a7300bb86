"""Choices by the number of tokens: the longest, the shortest, every length in its share."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from calibkit.errors import Infeasible
from calibkit.policies.base import Policy
from calibkit.policies.candidates import CandidatePolicy
from calibkit.policies.draw import Draw, Rows
from calibkit.policies.pool import Pool
from calibkit.policies.stratified import label_turns


class Longest(CandidatePolicy, name="longest"):
    """Take the longest documents, by tokens: a control for choices that are long by accident.

    Of a keyed share of the pool (``candidates``), the longest first; equal lengths go to the first
    document id, and beyond the candidates comes the rest of the keyed draw. The same documents
    whatever the model, so a gain here is a gain of length. O(n log n).
    """

    nested: ClassVar[bool] = True

    def pick(self, pool: Pool, size: int, draw: Draw) -> Rows:
        """Return the candidates by falling length, cut to ``size``."""
        candidates, keyed = self.keyed(pool, size, draw)
        order = np.argsort(-pool.lengths[candidates], kind="stable")
        return self.filled(candidates[order[:size]], keyed, size)


class Shortest(CandidatePolicy, name="shortest"):
    """Take the shortest documents, by tokens: a control for choices that are short by accident.

    Of a keyed share of the pool (``candidates``), the shortest first; equal lengths go to the first
    document id, and beyond the candidates comes the rest of the keyed draw. O(n log n).
    """

    nested: ClassVar[bool] = True

    def pick(self, pool: Pool, size: int, draw: Draw) -> Rows:
        """Return the candidates by rising length, cut to ``size``."""
        candidates, keyed = self.keyed(pool, size, draw)
        order = np.argsort(pool.lengths[candidates], kind="stable")
        return self.filled(candidates[order[:size]], keyed, size)


class LengthStratified(Policy, name="length-stratified"):
    """Draw at random within bins of length, with fixed shares of the bins.

    ``bins``: the pool is cut at the quantiles of its lengths in tokens (uncut) into that many bins,
    of about equally many documents; documents of one length are never parted, so where many are
    equally long there are fewer bins, and unequal ones. ``mix: proportional`` gives each bin its
    share of the pool: at every size, its count is less than one document away from the exact share,
    so the lengths of the subset vary less about the pool's than by chance. ``mix: equal`` gives
    each bin the same number. Bins take turns by ``label_turns``, so both are nested.

    Stratified sampling with proportional allocation (Neyman, "On the two different aspects of the
    representative method", 1934). O(n log n).
    """

    nested: ClassVar[bool] = True

    bins: PositiveInt = 8
    mix: Literal["proportional", "equal"] = "proportional"

    def pick(self, pool: Pool, size: int, draw: Draw) -> Rows:
        """Return documents of the bins in turn, within a bin in the order of the keyed draw."""
        bin_of, turns = self._turns(pool, size)
        rows = np.empty(size, dtype=np.intp)
        for number in np.unique(turns):
            own = np.flatnonzero(bin_of == number)
            places = turns == number
            rows[places] = draw.first(pool, own, int(places.sum()))
        return rows

    def foresee(self, pool: Pool, size: int, draw: Draw) -> str:
        """Return nothing: lengths decide. Raises Infeasible where a bin is too small."""
        self._turns(pool, size)
        return ""

    def _turns(self, pool: Pool, size: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the bin of each document, and the bin whose turn it is at each place."""
        pool.require_size(size, self.name)
        bin_of = length_bins(pool.lengths, self.bins)
        counts = np.bincount(bin_of)
        shares = counts if self.mix == "proportional" else np.ones_like(counts)
        turns = label_turns({str(number): int(n) for number, n in enumerate(shares)}, size)
        self._require(pool, bin_of, counts, np.bincount(turns, minlength=len(counts)))
        return bin_of, turns

    def _require(
        self,
        pool: Pool,
        bin_of: NDArray[np.intp],
        counts: NDArray[np.intp],
        quotas: NDArray[np.intp],
    ) -> None:
        short = np.flatnonzero(quotas > counts)
        if not len(short):
            return
        number = int(short[0])
        own = pool.lengths[bin_of == number]
        raise Infeasible(
            f"{self.name}: asked for {int(quotas[number]):,} documents of {own.min()} to "
            f"{own.max()} tokens, the pool has {int(counts[number]):,}; ask for fewer documents, "
            "for fewer bins, or for mix: proportional"
        )


def length_bins(lengths: NDArray[np.int64], bins: int) -> NDArray[np.intp]:
    """Return the bin of each document, intp (n,), numbered from 0 by rising length, none empty.

    lengths: int (n,), n >= 1. The cuts are the lengths at the places n i / bins of the sorted
    lengths, i = 1 ... bins - 1; a document belongs above every cut that it reaches. So a bin has
    fewer than n / bins documents beside those of its smallest length (one each, for bins > n).
    """
    ordered = np.sort(lengths)
    places = np.arange(1, min(bins, len(ordered)), dtype=np.int64) * len(ordered)
    cuts = np.unique(ordered[places // min(bins, len(ordered))])
    cuts = cuts[cuts > ordered[0]]
    return np.searchsorted(cuts, lengths, side="right").astype(np.intp)
