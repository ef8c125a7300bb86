"""Noise that needs to know where words begin and end: order within them, gaps, whole words.

A word is a run of letters and digits; ``word-drop`` takes the tokenizer's words, in which
underscores count as well.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calibkit.corpora.noise.characters import Characters
from calibkit.corpora.noise.edits import Edits, Uniforms, each


def swap(clean: Characters, which: Uniforms) -> Edits:
    """Let two neighbours within a word change places.

    The pairs are disjoint, so that no swap undoes or moves another one: they start at the first
    character of a word, or with even chance at the second where the word has more than two. Pairs
    of equal characters are not eligible.
    """
    words = clean.runs(clean.alphanumeric)
    shifted = (which[words.first] >= 0.5) & (words.lengths > 2)
    place = np.arange(len(clean)) - words.first - shifted
    following = np.roll(clean.codes, -1)
    pair = clean.with_next(clean.alphanumeric) & (place >= 0) & (place % 2 == 0)
    pair &= clean.codes != following
    left = np.flatnonzero(pair)
    unit = each(pair)
    unit[left + 1] = left
    first = np.where(pair, following, clean.codes)
    first[left + 1] = clean.codes[left]
    return Edits(unit, first)


def scramble_middle(clean: Characters, which: Uniforms) -> Edits:
    """Put the characters of a word between its first and its last in another order.

    The order is that of a random key per character; where that spells the same word, the inner
    characters move on by one. Words whose inner characters are all equal are not eligible.
    """
    words = clean.runs(clean.alphanumeric)
    place = np.arange(len(clean))
    inner = np.flatnonzero(words.inside & (place > words.first) & (place < words.last))
    start, codes = words.first[inner], clean.codes[inner]
    mixed = codes[np.lexsort((which[inner], start))]
    closes = start != np.roll(start, -1)
    closes[-1:] = True
    opens = np.roll(closes, 1)
    moved_on = np.roll(codes, -1)
    moved_on[closes] = codes[opens]
    word = np.cumsum(opens) - 1
    eligible = _any_of(word, moved_on != codes)
    unit = np.full(len(clean), -1, dtype=np.int64)
    unit[start[eligible]] = start[eligible]
    unit[inner[eligible]] = start[eligible]
    first = clean.codes.copy()
    first[inner] = np.where(_any_of(word, mixed != codes), mixed, moved_on)
    return Edits(unit, first)


def _any_of(group: NDArray[np.int64], holds: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return, for each place, whether it holds anywhere in its group; groups count from 0."""
    found: NDArray[np.bool_] = (np.bincount(group[holds], minlength=len(group)) > 0)[group]
    return found


def space(clean: Characters, which: Uniforms) -> Edits:
    """Drop white space, or put a space between two characters of a word."""
    white = clean.where(str.isspace)
    gap = clean.with_next(clean.alphanumeric)
    put = np.full(len(clean), ord(" "), dtype=np.uint32)
    return Edits(each(white | gap), clean.codes, put, np.where(white, 0, 2))


def word_drop(clean: Characters, which: Uniforms) -> Edits:
    """Leave a word out, together with one white space directly behind it."""
    words = clean.runs(clean.alphanumeric | (clean.codes == ord("_")))
    unit = np.where(words.inside, words.first, -1)
    followed = np.roll(clean.where(str.isspace), -1) & ~clean.ends_document
    last = np.flatnonzero(words.inside & (np.arange(len(clean)) == words.last) & followed)
    unit[last + 1] = unit[last]
    return Edits(unit, clean.codes, clean.codes, np.zeros(len(clean), dtype=np.int64))
