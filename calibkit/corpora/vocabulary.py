"""The vocabulary of a model: which tokens have an id, and texts as sequences of ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from calibkit.corpora.text import tokenize
from calibkit.errors import BadInput
from calibkit.identity import content_id
from calibkit.ragged import Ragged

SPECIALS = ("<pad>", "<unk>", "<bos>", "<eos>")
PAD, UNK, BOS, EOS = range(4)

MOST_TOKENS = 80
"""Documents are cut to this many tokens, <bos> and <eos> not counted."""


@dataclass(frozen=True)
class Vocabulary:
    """Token types by id: ``types[id]``; the first four are <pad>, <unk>, <bos> and <eos>.

    The tokenizer never produces a special, so no text can contain one.
    """

    types: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.types[:4] != SPECIALS:
            raise BadInput(
                f"a vocabulary starts with {' '.join(SPECIALS)}, not with {self.types[:4]!r}"
            )
        if len(set(self.types)) != len(self.types):
            twice = next(name for name, n in Counter(self.types).items() if n > 1)
            raise BadInput(f"a vocabulary has every type once; {twice!r} stands in it twice")

    @classmethod
    def build(cls, texts: Iterable[str], *, min_count: int = 5, most: int = 40_000) -> Vocabulary:
        """Return the types that occur at least ``min_count`` times, the ``most`` frequent of them.

        Ordered by falling count, then by name; the four specials come on top of ``most``.
        """
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(tokenize(text))
        kept = sorted((-n, name) for name, n in counts.items() if n >= min_count)[:most]
        return cls((*SPECIALS, *(name for _, name in kept)))

    def __len__(self) -> int:
        return len(self.types)

    @cached_property
    def id(self) -> str:  # noqa: A003
        """Content id of the ordered types."""
        return content_id("vocabulary", self.types)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.types)}

    def encode(self, texts: Iterable[str], *, most_tokens: int | None = MOST_TOKENS) -> Ragged:
        """Return each text as <bos>, at most ``most_tokens`` token ids, <eos>; unknown is <unk>.

        None encodes whole texts.
        """
        find = self._ids.get
        flat: list[int] = []
        ends = [0]
        for text in texts:
            flat.append(BOS)
            flat.extend([find(token, UNK) for token in tokenize(text)[:most_tokens]])
            flat.append(EOS)
            ends.append(len(flat))
        return Ragged(np.array(flat, dtype=np.int32), np.array(ends, dtype=np.int64))

    def decode(self, ids: Sequence[int] | NDArray[np.int32]) -> list[str]:
        """Return the types of ``ids``, specials included."""
        return [self.types[int(number)] for number in ids]

    def oov_share(self, texts: Iterable[str], *, most_tokens: int | None = None) -> float:
        """Return the share of tokens that have no id of their own; 0 when there are no tokens.

        ``most_tokens`` limits the count to what a model reads of each text.
        """
        known = self._ids
        seen = missing = 0
        for text in texts:
            tokens = tokenize(text)[:most_tokens]
            seen += len(tokens)
            missing += sum(token not in known for token in tokens)
        return missing / seen if seen else 0.0
