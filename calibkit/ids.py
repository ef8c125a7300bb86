"""Document ids one behind the other: a third of the memory of as many strings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from operator import lt
from typing import Any, Self, overload

import numpy as np
from numpy.typing import NDArray

_CHUNK = 1 << 16


class PackedIds(Sequence[str]):
    """A sequence of ids of the same length, in ASCII; reads and compares like a tuple of strings.

    codes: bytes (n,), numpy type ``S<length>``, without zero bytes.
    """

    __slots__ = ("codes",)

    def __init__(self, codes: NDArray[np.bytes_]) -> None:
        self.codes = codes

    @classmethod
    def of(cls, ids: Iterable[str]) -> Self | None:
        """Return the ids packed, or None where they differ in length or are not plain ASCII."""
        found = tuple(ids)
        whole = "".join(found)
        width = len(whole) // max(len(found), 1)
        if not width or not whole.isascii() or "\0" in whole or set(map(len, found)) != {width}:
            return None
        return cls(np.frombuffer(whole.encode(), dtype=f"S{width}"))

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> PackedIds: ...
    def __getitem__(self, place: int | slice) -> str | PackedIds:
        if isinstance(place, slice):
            return PackedIds(self.codes[place])
        return str(self.codes[place].decode())

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _CHUNK):
            yield from self.codes[start : start + _CHUNK].astype(str).tolist()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, PackedIds):
            return np.array_equal(self.codes, other.codes)
        if isinstance(other, Sequence) and not isinstance(other, str):
            return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))
        return NotImplemented

    def __repr__(self) -> str:
        return f"PackedIds({len(self)} ids)"

    def __reduce__(self) -> tuple[type[PackedIds], tuple[NDArray[np.bytes_]]]:
        return PackedIds, (self.codes,)

    def take(self, rows: NDArray[Any]) -> PackedIds:
        """Return the ids at ``rows``, in that order."""
        return PackedIds(self.codes[rows])

    def rise(self) -> bool:
        """Say whether each id is above the one before it."""
        return bool((self.codes[:-1] < self.codes[1:]).all())


def packed(parts: Iterable[Sequence[str]]) -> Sequence[str]:
    """Return all ids of the parts: packed if they can be, else a tuple.

    The strings of a part are not needed once the next one comes.
    """
    done: list[PackedIds] = []
    rest = iter(parts)
    for part in rest:
        own = PackedIds.of(part)
        if own is None or (done and own.codes.dtype != done[0].codes.dtype):
            before = [doc_id for one in done for doc_id in one]
            return (*before, *part, *(doc_id for other in rest for doc_id in other))
        done.append(own)
    return PackedIds(np.concatenate([one.codes for one in done])) if done else ()


def rise(ids: Sequence[str]) -> bool:
    """Say whether each of some ids is above the one before it: sorted, and none twice."""
    if isinstance(ids, PackedIds):
        return ids.rise()
    return all(lt(one, other) for one, other in pairwise(ids))
