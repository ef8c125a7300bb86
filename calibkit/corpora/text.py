"""Text: the one normal form that is stored, and the tokens that both classifiers read."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

_find_tokens: Callable[[str], list[str]] = re.compile(r"\w+|[^\w\s]").findall

_SPACE, _WORD, _SIGN = 0, 1, 2
_KINDS = np.array(
    [
        _SPACE if chr(code).isspace() else _WORD if chr(code).isalnum() or code == 95 else _SIGN
        for code in range(128)
    ],
    dtype=np.uint8,
)
"""What each ASCII character is to `tokenize`; code 95 is the underscore."""

_UNCLEAN = ("  ", " \n", "\n ", *(s for s in map(chr, range(32)) if s.isspace() and s != "\n"))
"""What no ASCII texts in normal form have, put one below the other."""


def clean(text: str) -> str:
    """Return the normal form of ``text``: Unicode NFC, runs of white space as one space.

    Two documents are the same text when their normal forms are equal; case is kept.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return " ".join(text.split())


def clean_all(texts: Sequence[str]) -> list[str]:
    """Return the normal form of each text: ``[clean(text) for text in texts]``."""
    whole = "\n".join(["", *texts, ""])
    is_clean = whole.isascii() and whole.count("\n") == len(texts) + 1
    if is_clean and not any(spaces in whole for spaces in _UNCLEAN):
        return list(texts)
    return [clean(text) for text in texts]


def tokenize(text: str) -> list[str]:
    """Return the lower-cased tokens: runs of letters, digits and underscores, or one other sign.

    Every text with a visible character has at least one token.
    """
    return _find_tokens(text.lower())


def token_counts(texts: Sequence[str]) -> NDArray[np.int32]:
    """Return the number of tokens of each text, int32 (n,): ``len(tokenize(text))``."""
    if all(map(str.isascii, texts)):
        return _ascii_counts(texts)
    counts = np.empty(len(texts), dtype=np.int32)
    plain = [row for row, text in enumerate(texts) if text.isascii()]
    counts[plain] = _ascii_counts([texts[row] for row in plain])
    for row, text in enumerate(texts):
        if not text.isascii():
            counts[row] = len(tokenize(text))
    return counts


def _ascii_counts(texts: Sequence[str]) -> NDArray[np.int32]:
    """Return the number of tokens of each text; all are ASCII, one code per character."""
    kinds = _KINDS[np.frombuffer("".join(texts).encode(), dtype=np.uint8)]
    sizes = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    counts = np.zeros(len(texts), dtype=np.int32)
    starts = (np.cumsum(sizes) - sizes)[sizes > 0]
    if not len(starts):
        return counts
    begins = kinds == _WORD
    begins[1:] &= kinds[:-1] != _WORD
    begins[starts] = kinds[starts] == _WORD  # a word may end the text before
    begins |= kinds == _SIGN
    counts[sizes > 0] = np.add.reduceat(begins, starts, dtype=np.int32)
    return counts
