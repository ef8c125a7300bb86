"""The pool: the documents that a policy may choose from, as plain arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calibkit.errors import BadInput, Infeasible, UnknownName
from calibkit.ids import PackedIds, rise
from calibkit.policies.draw import Rows
from calibkit.ragged import Ragged

if TYPE_CHECKING:
    from calibkit.policies.draw import Draw

MODEL = "name a trained float model, through which documents are looked at (--model ID)"

REMEDIES = {
    "vectors": "compute calibkit.policies.features.tfidf_svd over the pool's texts",
    "given": "ingest the corpus with a column of vectors (calibkit ingest --vectors COLUMN)",
    "tokens": "hand in the documents as token ids, Pool(tokens=...)",
    "duplicates": "hand in a number per document, the same for equal texts",
    "near-test": "compute calibkit.policies.minhash.nearest_similarity to the test texts",
    "minhash": "compute calibkit.policies.minhash.signatures over the pool's texts",
    "hidden": MODEL,
    "ranges": MODEL,
    "moments": MODEL,
    "gram": MODEL,
    "margins": MODEL,
    "disagreement": MODEL,
    "misses": MODEL,
    "chain": MODEL,
}
"""What a policy may need (without its option, as in ``misses:8,4``) -> how to come by it."""

MODEL_NEEDS = frozenset({*(name for name, remedy in REMEDIES.items() if remedy is MODEL), "writer"})
"""The needs that a float model must be named for; ``writer`` is a generative one that writes."""


def needs_model(needs: Iterable[str]) -> bool:
    """Say whether any of these needs takes a float model."""
    return any(need.partition(":")[0] in MODEL_NEEDS for need in needs)


@dataclass(frozen=True, eq=False)
class Pool:
    """The documents of one split, always in the order of their ids.

    The constructor sorts whatever it is given by document id, so the storage order of a corpus
    never reaches a policy; row numbers are rows of this object: read ``doc_ids``, ``labels`` and
    ``lengths`` from the pool, never from the lists that it was made of.

    A pool of a million documents costs little where its ids are packed and rise already, and its
    arrays are read-only: then nothing is sorted and nothing copied.

    doc_ids: n distinct document ids, a tuple or packed. labels: n label names. lengths: int64
    (n,), tokens per document. arrays: one row per document under the name that policies ask for,
    such as ``vectors`` float32 (n, d) and ``hidden`` float32 (n, h); read-only once here. tokens:
    the n documents as ids of the training vocabulary, for policies that need ``tokens``. ranking:
    gives all rows in the order of a draw, where that can be had sooner than from the ids; it must
    be the same order.

    Raises BadInput for lists of different lengths and for repeated ids.
    """

    doc_ids: Sequence[str]
    labels: tuple[str, ...]
    lengths: NDArray[np.int64]
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    tokens: Ragged | None = None
    ranking: Callable[[Draw], Rows] | None = field(default=None, repr=False)
    label_names: tuple[str, ...] = field(init=False)
    """The distinct labels of the pool, sorted."""
    label_ids: NDArray[np.int64] = field(init=False)
    """int64 (n,): position in ``label_names`` of each document's label."""

    def __post_init__(self) -> None:
        ids, labels = self.doc_ids, tuple(self.labels)
        if not isinstance(ids, PackedIds):
            ids = tuple(ids)
        lengths = np.asarray(self.lengths, dtype=np.int64)
        counts = {"labels": len(labels), "lengths": len(lengths)}
        if self.tokens is not None:
            counts["tokens"] = len(self.tokens)
        for what, have in counts.items():
            if have != len(ids):
                raise BadInput(f"the pool has {len(ids):,} doc_ids but {have:,} {what}")
        arrays = {name: _checked(name, array, len(ids)) for name, array in self.arrays.items()}
        tokens, rows = self.tokens, None
        if not rise(ids):
            ids, rows = _sorted(ids)
            labels = tuple(labels[row] for row in rows)
            tokens = None if tokens is None else tokens.take(rows)
        names = tuple(sorted(set(labels)))
        number = {name: i for i, name in enumerate(names)}
        label_ids = np.fromiter((number[label] for label in labels), np.int64, count=len(labels))
        for name, value in {
            "doc_ids": ids,
            "labels": labels,
            "lengths": _own(lengths, rows),
            "arrays": {name: _own(array, rows) for name, array in arrays.items()},
            "tokens": tokens,
            "label_names": names,
            "label_ids": _frozen(label_ids),
        }.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.doc_ids)

    def with_arrays(self, **arrays: NDArray[Any]) -> Pool:
        """Return this pool with more arrays, whose rows are in the order of ``self.doc_ids``."""
        return replace(self, arrays={**self.arrays, **arrays})

    def take(self, rows: Rows) -> Pool:
        """Return the pool of the documents at ``rows``, which must rise: row i is ``rows[i]``."""
        ids = self.doc_ids
        return Pool(
            ids.take(rows) if isinstance(ids, PackedIds) else self.ids(rows),
            tuple(self.labels[int(row)] for row in rows),
            _frozen(self.lengths[rows]),
            {name: _frozen(array[rows]) for name, array in self.arrays.items()},
            None if self.tokens is None else self.tokens.take(rows),
        )

    def ids(self, rows: Rows | Sequence[int]) -> tuple[str, ...]:
        """Return the document ids at ``rows``, in that order."""
        if isinstance(self.doc_ids, PackedIds):
            return tuple(self.doc_ids.take(np.asarray(rows, dtype=np.intp)))
        return tuple(self.doc_ids[int(row)] for row in rows)

    def rows(self, label: str) -> Rows:
        """Return the rows of the documents of ``label``; UnknownName when the pool has none."""
        if label not in self.label_names:
            raise UnknownName("label of the pool", label, self.label_names)
        return np.flatnonzero(self.label_ids == self.label_names.index(label))

    def label_counts(self) -> dict[str, int]:
        """Return the number of documents per label, in the order of ``label_names``."""
        counts = np.bincount(self.label_ids, minlength=len(self.label_names))
        return {name: int(n) for name, n in zip(self.label_names, counts, strict=True)}

    def has(self, need: str) -> bool:
        """Say whether what a policy may need is there: an array, or ``tokens``."""
        return need in self.arrays or (need == "tokens" and self.tokens is not None)

    def need(self, name: str, policy: str) -> NDArray[Any]:
        """Return the array ``name``, or raise Infeasible saying how to come by it."""
        if name not in self.arrays:
            remedy = REMEDIES.get(
                name.partition(":")[0], f"hand them in by Pool.with_arrays({name}=...)"
            )
            raise Infeasible(f"{policy} needs the {name!r} of the pool's documents: {remedy}")
        return self.arrays[name]

    def need_tokens(self, policy: str) -> Ragged:
        """Return the documents as token ids, or raise Infeasible saying how to come by them."""
        self.require_array("tokens", policy)
        assert self.tokens is not None
        return self.tokens

    def require_array(self, name: str, policy: str) -> None:
        """Raise Infeasible where the array ``name``, or ``tokens``, is not there."""
        if name != "tokens" or self.tokens is None:
            self.need(name, policy)

    def require_size(self, size: int, policy: str) -> None:
        """Raise BadInput for a size below 1, Infeasible for one above the number of documents."""
        require_size(size, len(self), policy)

    def require(self, quotas: Mapping[str, int], policy: str, remedy: str = "") -> None:
        """Raise Infeasible, naming every label whose quota is more than the pool has.

        ``remedy`` is the last clause of the message: what the user could do instead.
        """
        require_quotas(quotas, self.label_counts(), policy, remedy)


def require_size(size: int, documents: int, policy: str) -> None:
    """Raise BadInput for a size below 1, Infeasible for one above the number of documents."""
    if size < 1:
        raise BadInput(f"{policy}: size is {size}; it must be at least 1")
    if size > documents:
        raise Infeasible(
            f"{policy}: asked for {size:,} documents, the pool has {documents:,}; "
            f"ask for at most {documents:,}"
        )


def require_quotas(
    quotas: Mapping[str, int], have: Mapping[str, int], policy: str, remedy: str = ""
) -> None:
    """Raise Infeasible, naming every label whose quota is more than the pool has.

    have: documents of the pool by label. ``remedy`` is the last clause of the message.
    """
    short = [
        f"asked for {quota:,} {label!r} documents, the pool has {have.get(label, 0):,}"
        for label, quota in quotas.items()
        if quota > have.get(label, 0)
    ]
    if short:
        raise Infeasible(f"{policy}: " + "; ".join(short) + (f"; {remedy}" if remedy else ""))


def _sorted(ids: Sequence[str]) -> tuple[Sequence[str], Rows]:
    """Return ids in order, and where they were; raise BadInput for one that stands there twice."""
    if isinstance(ids, PackedIds):
        rows = np.argsort(ids.codes, kind="stable")
        ordered: Sequence[str] = ids.take(rows)
    else:
        rows = np.array(sorted(range(len(ids)), key=ids.__getitem__), dtype=np.intp)
        ordered = tuple(ids[row] for row in rows)
    if not rise(ordered):
        twice = next(one for one, other in pairwise(ordered) if one == other)
        raise BadInput(f"the pool has the document {twice!r} twice; ids must be distinct")
    return ordered, rows


def _checked(name: str, array: NDArray[Any], documents: int) -> NDArray[Any]:
    given = np.asarray(array)
    if given.ndim == 0 or len(given) != documents:
        raise BadInput(
            f"the pool's {name!r} must have one row for each of its {documents:,} documents; "
            f"its shape is {given.shape}"
        )
    return given


def _own(array: NDArray[Any], rows: Rows | None) -> NDArray[Any]:
    """Return the rows of an array that nobody else can write to, copied only if need be."""
    if rows is not None:
        return _frozen(array[rows])
    return array if _is_read_only(array) else _frozen(array.copy())


def _is_read_only(array: NDArray[Any]) -> bool:
    base: Any = array
    while isinstance(base, np.ndarray):
        if base.flags.writeable:
            return False
        base = base.base
    return True


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array
