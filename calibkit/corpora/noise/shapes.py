"""Noise from shapes that look alike: what scanners misread and what spoofers type."""

from __future__ import annotations

import numpy as np

from calibkit.corpora.noise.characters import Characters
from calibkit.corpora.noise.edits import Edits, Uniforms, chosen, each

MISREAD: dict[str, list[str]] = {
    "0": ["O"], "1": ["l", "I"], "2": ["Z"], "5": ["S"], "6": ["b", "G"], "8": ["B"], "9": ["g"],
    "B": ["8"], "C": ["G"], "D": ["O"], "E": ["F"], "F": ["E"], "G": ["6", "C"], "I": ["l", "1"],
    "O": ["0", "Q"], "Q": ["O"], "S": ["5"], "U": ["V"], "V": ["U"], "Z": ["2"],
    "a": ["o"], "b": ["h", "6"], "c": ["e"], "d": ["cl"], "e": ["c"], "f": ["t"], "g": ["q", "9"],
    "h": ["b"], "i": ["j", "l"], "j": ["i"], "l": ["1", "I"], "m": ["rn"], "n": ["ri"],
    "o": ["a"], "q": ["g"], "t": ["f"], "u": ["v"], "v": ["u"], "w": ["vv"], "y": ["v"],
}  # fmt: skip
"""Character -> what a scanner may take it for."""

MISREAD_PAIRS = {"cl": "d", "ri": "n", "rn": "m"}
"""Two characters that a scanner may take for one. No pair may end as another begins: a character
is in one place of a text at most."""

DOUBLES: dict[str, str] = {
    "A": "\u0391\u0410", "B": "\u0392\u0412", "C": "\u03f9\u0421", "E": "\u0395\u0415",
    "H": "\u0397\u041d", "I": "\u0399\u0406", "J": "\u0408", "K": "\u039a\u041a",
    "M": "\u039c\u041c", "N": "\u039d", "O": "\u039f\u041e", "P": "\u03a1\u0420", "S": "\u0405",
    "T": "\u03a4\u0422", "X": "\u03a7\u0425", "Y": "\u03a5\u04ae", "Z": "\u0396",
    "a": "\u0430", "c": "\u0441\u03f2", "d": "\u0501", "e": "\u0435", "g": "\u0581",
    "h": "\u04bb", "i": "\u0456", "j": "\u0458\u03f3", "l": "\u04cf", "n": "\u0578",
    "o": "\u03bf\u043e", "p": "\u0440", "q": "\u051b", "s": "\u0455", "u": "\u057d",
    "v": "\u03bd", "w": "\u051d", "x": "\u0445", "y": "\u0443",
}  # fmt: skip
"""Latin letter -> Greek, Cyrillic and Armenian letters of the same shape."""


def ocr(clean: Characters, which: Uniforms) -> Edits:
    """Misread a character, or a pair of them, as others of the same shape.

    Where a pair such as ``rn`` stands it is one place, and its characters are no places of their
    own.
    """
    first, second, count = chosen(clean, lambda letter: MISREAD.get(letter, []), which)
    unit = each(count > 0)
    following = np.roll(clean.codes, -1)
    for pair, instead in MISREAD_PAIRS.items():
        found = (clean.codes == ord(pair[0])) & (following == ord(pair[1]))
        at = np.flatnonzero(found & ~clean.ends_document)
        unit[at] = unit[at + 1] = at
        first[at], count[at], count[at + 1] = ord(instead), 1, 0
    return Edits(unit, first, second, count)


def homoglyph(clean: Characters, which: Uniforms) -> Edits:
    """Replace a Latin letter by a letter of another alphabet with the same shape."""
    first, _, count = chosen(clean, lambda letter: DOUBLES.get(letter, ""), which)
    return Edits(each(count > 0), first)
