"""The control among generators: documents without any sense."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from calibkit.errors import Infeasible
from calibkit.policies.draw import Draw
from calibkit.policies.generators import Generator, NewDocument, Source
from calibkit.policies.pool import Pool
from calibkit.policies.turns import in_turn

_SPECIALS = 4
"""Ids of the vocabulary below its first type."""


class RandomTokens(Generator, name="random-tokens"):
    """Make documents of tokens drawn at random; labels in turn, lengths as in the pool.

    A control: what does calibration take from documents, beyond their lengths? Each document has
    the length of one that is drawn from the pool, and a label that says nothing about its tokens.

    ``draw``: ``uniform`` gives every type of the training vocabulary the same chance, ``unigram``
    the chance that a token of the pool is of that type.
    """

    nested: ClassVar[bool] = True

    draw: Literal["uniform", "unigram"] = "uniform"

    @property
    def needs(self) -> tuple[str, ...]:  # type: ignore[override]  # depends on a parameter here
        """``tokens`` for unigram: the pool's documents, to count their types."""
        return ("tokens",) if self.draw == "unigram" else ()

    def documents(self, pool: Pool, size: int, draw: Draw, source: Source) -> Sequence[NewDocument]:
        """Return the documents; a larger draw begins with a smaller one.

        Raises Infeasible where the training vocabulary has no type.
        """
        types = source.types()
        upto = self._chances(pool, len(types)).cumsum()
        if not upto.size or not upto[-1]:
            raise Infeasible(
                f"{self.name}: there is no type to draw from; the training vocabulary has "
                f"{len(types):,}, of those in the pool's {len(pool):,} documents none"
            )
        made = []
        for place, label in enumerate(in_turn(dict.fromkeys(pool.label_names, 1.0), size)):
            random = draw.generator(self.name, str(place))
            length = int(pool.lengths[random.integers(len(pool))])
            drawn = np.searchsorted(upto, random.integers(upto[-1], size=length), side="right")
            made.append(NewDocument(source.text([types[int(row)] for row in drawn]), label))
        return made

    def foresee(self, pool: Pool, size: int, draw: Draw) -> str:
        """Return nothing: it makes as many documents as are asked for."""
        super().foresee(pool, size, draw)
        return ""

    def _chances(self, pool: Pool, types: int) -> NDArray[np.int64]:
        """Return the weight of each type, int64 (types,)."""
        if self.draw == "uniform":
            return np.ones(types, dtype=np.int64)
        counts = np.bincount(pool.need_tokens(self.name).ids, minlength=types + _SPECIALS)
        return counts[_SPECIALS:].astype(np.int64)
