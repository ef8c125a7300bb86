"""Text: the one normal form that is stored, and the tokens that both classifiers read."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

_find_tokens: Callable[[str], list[str]] = re.compile(r"\w+|[^\w\s]").findall


def clean(text: str) -> str:
    """Return the normal form of ``text``: Unicode NFC, runs of white space as one space.

    Two documents are the same text when their normal forms are equal; case is kept.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return " ".join(text.split())


def tokenize(text: str) -> list[str]:
    """Return the lower-cased tokens: runs of letters, digits and underscores, or one other sign.

    Every text with a visible character has at least one token.
    """
    return _find_tokens(text.lower())
