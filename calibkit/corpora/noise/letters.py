"""Noise on single letters and digits: what fingers do to text."""

from __future__ import annotations

from functools import cache
from string import ascii_lowercase, ascii_uppercase, digits

import numpy as np

from calibkit.corpora.noise.characters import Characters
from calibkit.corpora.noise.edits import Edits, Uniforms, chosen, each

_ROWS = ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")
_SHIFT = (0.0, 0.5, 0.75, 1.25)  # how far right each row of a qwerty keyboard starts, in keys


@cache
def _key_neighbours() -> dict[str, str]:
    """Return the letters and digits whose keys touch each key of a qwerty keyboard, by case."""
    places = {
        key: (column + _SHIFT[row], row)
        for row, keys in enumerate(_ROWS)
        for column, key in enumerate(keys)
    }
    beside = {
        key: "".join(
            other
            for other, (ox, oy) in places.items()
            if other != key and abs(oy - y) <= 1 and abs(ox - x) <= 1
        )
        for key, (x, y) in places.items()
    }
    upper = {key.upper(): others.upper() for key, others in beside.items()}
    return upper | beside  # a digit has no case to keep: lower


def keyboard(clean: Characters, which: Uniforms) -> Edits:
    """Replace an ASCII letter or digit by a key beside its own; case and length are kept."""
    first, _, count = chosen(clean, lambda letter: _key_neighbours().get(letter, ""), which)
    return Edits(each(count > 0), first)


def _alphabet(letter: str) -> str:
    if not letter.isalnum():
        return ""
    if not letter.isalpha():
        return digits
    return ascii_uppercase if letter.isupper() else ascii_lowercase


def substitute(clean: Characters, which: Uniforms) -> Edits:
    """Replace a letter by another Latin letter of its case, a digit by another digit."""
    first, _, count = chosen(clean, lambda x: _alphabet(x).replace(x, ""), which)
    return Edits(each(count > 0), first)


def delete(clean: Characters, which: Uniforms) -> Edits:
    """Leave a letter or digit out."""
    nothing = np.zeros(len(clean), dtype=np.int64)
    return Edits(each(clean.alphanumeric), clean.codes, clean.codes, nothing)


def insert(clean: Characters, which: Uniforms) -> Edits:
    """Put a random letter of the same case behind a letter, a random digit behind a digit."""
    second, _, count = chosen(clean, _alphabet, which)
    return Edits(each(count > 0), clean.codes, second, np.full(len(clean), 2, dtype=np.int64))


def repeat(clean: Characters, which: Uniforms) -> Edits:
    """Type a letter or digit twice."""
    twice = np.full(len(clean), 2, dtype=np.int64)
    return Edits(each(clean.alphanumeric), clean.codes, clean.codes, twice)


def _other_case(letter: str) -> str:
    """Return the one letter that differs in case alone and leads back; else nothing."""
    other = letter.swapcase()
    return other if len(other) == 1 and other != letter == other.swapcase() else ""


def case(clean: Characters, which: Uniforms) -> Edits:
    """Turn a lower-case letter into upper case, or the other way round."""
    first, _, count = chosen(clean, _other_case, which)
    return Edits(each(count > 0), first)
