"""Which kinds of noise there are, by name, and the version of each one's derivation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from calibkit.corpora.noise import letters, shapes, words
from calibkit.corpora.noise.characters import Characters
from calibkit.corpora.noise.edits import Edits, Uniforms

LEVELS = (0.01, 0.02, 0.05, 0.10, 0.15, 0.20, 0.30)
"""The levels that studies use, beside the clean documents."""

MATCH = "unk-match"
"""Name of the control; alone it matches keyboard, ``unk-match-KIND`` matches another kind."""

MATCHED = "keyboard"


@dataclass(frozen=True)
class Kind:
    """A kind of noise on text.

    edits: what the kind would do at every position, given one uniform per position from which it
    chooses. version: to be raised when the same seed gives other texts than before.
    """

    edits: Callable[[Characters, Uniforms], Edits]
    version: int = 1


KINDS: dict[str, Kind] = {
    "case": Kind(letters.case),
    "delete": Kind(letters.delete),
    "homoglyph": Kind(shapes.homoglyph),
    "insert": Kind(letters.insert),
    "keyboard": Kind(letters.keyboard),
    "ocr": Kind(shapes.ocr),
    "repeat": Kind(letters.repeat),
    "scramble-middle": Kind(words.scramble_middle),
    "space": Kind(words.space),
    "substitute": Kind(letters.substitute),
    "swap": Kind(words.swap),
    "word-drop": Kind(words.word_drop),
}
"""Kinds of noise on text."""

CONTROLS = {MATCH: MATCHED} | {
    f"{MATCH}-{name}": name
    for name in KINDS
    if name not in (MATCHED, "case", "word-drop")  # the last two make no word unknown
}
"""Control -> the kind whose unknown tokens it has."""

CONTROL_VERSION = 1
"""Version of how the controls are derived from the kinds that they match."""


def noise_kinds() -> tuple[str, ...]:
    """Return the names of all kinds of noise, the controls included, sorted."""
    return tuple(sorted([*KINDS, *CONTROLS]))


def noise_version(kind: str) -> int | list[int]:
    """Return what goes into the keys of stored noisy documents, beside kind, level and seed.

    A control has two versions, its own and that of the kind it matches. 'none' has version 1.
    """
    if kind in CONTROLS:
        return [CONTROL_VERSION, KINDS[CONTROLS[kind]].version]
    return KINDS[kind].version if kind in KINDS else 1
