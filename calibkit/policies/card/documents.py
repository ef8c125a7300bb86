"""What a coverage card looks at: documents as arrays, and the pool that they are held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibkit.errors import BadInput
from calibkit.policies.card.sites import SiteReference
from calibkit.policies.draw import Rows
from calibkit.policies.mmd import FourierKernel
from calibkit.policies.profile import FIRST_TYPE
from calibkit.ragged import Ragged

_BLOCK = 1 << 14


@dataclass(frozen=True, eq=False)
class CardDocuments:
    """n documents, of a pool or of a subset; what is None is not known of them.

    label_ids: int64 (n,), by the corpus's labels. lengths: int64 (n,), tokens uncut. tokens: as a
    model reads them (ids of the training vocabulary, cut, between begin and end). features: int8
    (n, d), random Fourier features in steps (`calibkit.policies.mmd`). signatures: uint32 (n, 64),
    MinHash. in_test, near_test: bool (n,), whether the text, or a near copy of it, stands in the
    test split. ranges: float32 (n, sites, 2), smallest and largest value of each document at each
    activation site of a float model. gram: float32 (n, k, k), Gram matrix of what the model's
    linear layer reads, in directions that make the pool's mean the identity; a sum over ``inputs``
    rows, float64 (n,).
    """

    label_ids: NDArray[np.int64]
    lengths: NDArray[np.int64]
    tokens: Ragged
    features: NDArray[np.int8] | None = None
    signatures: NDArray[np.uint32] | None = None
    in_test: NDArray[np.bool_] | None = None
    near_test: NDArray[np.bool_] | None = None
    ranges: NDArray[np.float32] | None = None
    gram: NDArray[np.float32] | None = None
    inputs: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        for name, value in self._known().items():
            if len(value) != len(self):
                raise BadInput(f"a card has {len(self):,} label_ids but {len(value):,} {name}")

    def __len__(self) -> int:
        return len(self.label_ids)

    def take(self, rows: Rows) -> CardDocuments:
        """Return the documents at ``rows``, in that order."""
        taken: dict[str, Any] = {
            name: value.take(rows) if isinstance(value, Ragged) else value[rows]
            for name, value in self._known().items()
        }
        return replace(self, **taken)

    def _known(self) -> dict[str, Any]:
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, eq=False)
class Reference:
    """What a pool is like as a whole: what subsets and draws are held against.

    label_shares: float64 (labels,), by label id. vocabulary_types: types of the training
    vocabulary, special tokens not counted. type_shares: float64 (last type id + 1,), each type's
    share of those of the pool's tokens that the vocabulary has. documents: how many there are.
    kernel, feature_total: of the pool's random Fourier features, int64 (d,). sites: by name, in the
    order of the second axis of ``ranges``.
    """

    documents: int
    label_shares: NDArray[np.float64]
    vocabulary_types: int
    type_shares: NDArray[np.float64]
    kernel: FourierKernel | None = None
    feature_total: NDArray[np.int64] | None = None
    sites: Mapping[str, SiteReference] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        pool: CardDocuments,
        *,
        labels: int,
        vocabulary_types: int,
        kernel: FourierKernel | None = None,
        sites: Mapping[str, SiteReference] | None = None,
    ) -> Reference:
        """Describe a pool; ``labels``: of the corpus, whether or not the pool has documents."""
        if not len(pool):
            raise BadInput("an empty pool has no card to hold a subset against")
        ids = pool.tokens.ids
        types = np.bincount(ids[ids >= FIRST_TYPE], minlength=FIRST_TYPE).astype(np.float64)
        total = None if pool.features is None else feature_total(pool.features)
        return cls(
            len(pool),
            np.bincount(pool.label_ids, minlength=labels) / len(pool),
            vocabulary_types,
            types / max(types.sum(), 1.0),
            kernel,
            total,
            dict(sites or {}),
        )


def feature_total(features: NDArray[np.int8]) -> NDArray[np.int64]:
    """Return the sum (d,) of random Fourier features in steps (n, d)."""
    total = np.zeros(features.shape[1], dtype=np.int64)
    for start in range(0, len(features), _BLOCK):
        total += features[start : start + _BLOCK].sum(axis=0, dtype=np.int64)
    return total
