"""How a calibration subset follows a stream: candidates are its documents and those of a batch.

The budget is fixed: whatever comes, somebody goes. Every rule is a function of the candidates, a
keyed draw, and what the present quantized network says of them; labels are read by miss-pmf alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from calibkit.policies import Draw, Herding, Policy, Pool, RangeCover, Rows, select
from calibkit.policies.mass import by_quota, quotas
from calibkit.stream.members import Members


class Look(Protocol):
    """What the device can tell of the candidates; nothing is computed before it is asked for."""

    def states(self) -> NDArray[np.float32]:
        """Return the mean hidden state of each candidate: float32 (n, hidden)."""
        ...

    def ranges(self) -> NDArray[np.float32]:
        """Return smallest and largest value at each activation site: float32 (n, sites, 2)."""
        ...

    def right(self) -> NDArray[np.bool_]:
        """Return whether the network labels each candidate as it should: (n,)."""
        ...


@dataclass(frozen=True, eq=False)
class Offer:
    """What a rule chooses from.

    candidates: the subset's documents, then those of the batch. kept: how many are the subset's.
    size: the budget. draw: of this trajectory, the same at every step, so that a document's luck
    is drawn once. step: counts batches from 1.
    """

    candidates: Members
    kept: int
    size: int
    draw: Draw
    step: int
    look: Look


Rule = Callable[[Offer], tuple[Members, Rows]]
"""Returns the candidates as they are known then, and the rows that stay."""


def updated(name: str, offer: Offer) -> Members:
    """Return the subset after a batch, by the rule of this name.

    Documents that stay keep their order; newcomers follow.
    """
    candidates, rows = RULES[name](offer)
    return candidates.take(np.sort(rows))


def _frozen(offer: Offer) -> _Found:
    return offer.candidates, np.arange(offer.kept)


def _fifo(offer: Offer) -> _Found:
    """Keep the latest: documents come in order, and the oldest leave."""
    count = len(offer.candidates)
    return offer.candidates, np.arange(max(0, count - offer.size), count)


def _reservoir(offer: Offer) -> _Found:
    """Keep a uniform sample of all documents ever seen.

    Each document has one keyed number, and the ``size`` smallest stay: Vitter's reservoir (1985)
    without state, the same for every order. The first subset counts as documents seen.
    """
    return offer.candidates, offer.draw.order(offer.candidates.doc_ids)[: offer.size]


def _everything(offer: Offer) -> _Found:
    return offer.candidates, np.arange(len(offer.candidates))


def _herding(offer: Offer) -> _Found:
    """Keep those whose hidden states are distributed as the candidates' (kernel herding)."""
    policy = Herding(features="hidden", candidates=len(offer.candidates))
    return offer.candidates, _by(policy, offer, {"hidden": offer.look.states()})


def _range_cover(offer: Offer) -> _Found:
    """Keep those that drive the quantizers to the ends of the candidates' ranges."""
    policy = RangeCover(candidates=len(offer.candidates))
    return offer.candidates, _by(policy, offer, {"ranges": offer.look.ranges()})


def _miss_pmf(offer: Offer) -> _Found:
    """Redraw the subset from the distribution of quantization misses (QCore, arXiv 2404.13990).

    A miss is a turn from right to wrong between one quantized network of the stream and the next;
    a newcomer that the present network gets wrong has one. Each level of misses gets its share of
    the budget by largest remainder, and documents are drawn uniformly inside a level, anew at each
    step.
    """
    known = offer.candidates.looked_at(offer.look.right())
    pool, rows = _pool(known, {"misses": known.misses})
    levels = known.misses[rows]
    again = offer.draw.about(f"{offer.draw.purpose} step {offer.step}")
    return known, rows[by_quota(pool, levels, quotas(levels, offer.size), again)]


def _by(policy: Policy, offer: Offer, arrays: Mapping[str, NDArray[np.float32]]) -> Rows:
    pool, rows = _pool(offer.candidates, arrays)
    return rows[select(policy, pool, offer.size, offer.draw)]


def _pool(candidates: Members, arrays: Mapping[str, NDArray[Any]]) -> tuple[Pool, Rows]:
    """Return the candidates as a pool, and the candidate that each of its rows is.

    A pool is in the order of document ids.
    """
    names = tuple(str(label) for label in candidates.labels)
    pool = Pool(candidates.doc_ids, names, candidates.tokens.lengths, arrays)
    place = {doc_id: row for row, doc_id in enumerate(candidates.doc_ids)}
    return pool, np.array([place[doc_id] for doc_id in pool.doc_ids], dtype=np.intp)


_Found = tuple[Members, Rows]

RULES: dict[str, Rule] = {
    "frozen": _frozen,
    "fifo": _fifo,
    "reservoir": _reservoir,
    "herding": _herding,
    "range-cover": _range_cover,
    "miss-pmf": _miss_pmf,
    "everything": _everything,
}
"""Name of a subset update -> what it does."""
