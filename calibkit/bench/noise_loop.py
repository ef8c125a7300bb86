"""Every kind of noise as one would write it first: a loop over the characters of a text.

The same draws and the same rules as `calibkit.corpora.noise`, told a second time, so that the two
can be held against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from string import ascii_lowercase, ascii_uppercase, digits

from calibkit.corpora.noise.kinds import CONTROLS
from calibkit.corpora.noise.shapes import DOUBLES, MISREAD, MISREAD_PAIRS
from calibkit.corpora.vocabulary import UNK, Vocabulary
from calibkit.identity import keyed_generator

KEYS = {
    key: (column + shift, row)
    for row, (keys, shift) in enumerate(
        [("1234567890", 0.0), ("qwertyuiop", 0.5), ("asdfghjkl", 0.75), ("zxcvbnm", 1.25)]
    )
    for column, key in enumerate(keys)
}

Draws = Sequence[float]


def corrupt(
    texts: Sequence[str], doc_ids: Sequence[str], kind: str, level: float, seed: int
) -> list[str]:
    """Return the texts corrupted, one after the other."""
    found = []
    for text, doc_id in zip(texts, doc_ids, strict=True):
        generator = keyed_generator(seed, "noise", kind, doc_id)
        whether = [generator.random() for _ in text]
        which = [generator.random() for _ in text]
        if kind in WORD_KINDS:
            found.append(WORD_KINDS[kind](text, whether, which, level))
        else:
            found.append(_by_character(text, whether, which, level, CHOICES[kind]))
    return found


def _by_character(
    text: str,
    whether: Draws,
    which: Draws,
    level: float,
    choices: Callable[[str, str], Sequence[str]],
) -> str:
    done = []
    for place, character in enumerate(text):
        hit = whether[place] < level
        instead = choices(character, text[place + 1 : place + 2]) if hit else ""
        done.append(instead[int(which[place] * len(instead))] if instead else character)
    return "".join(done)


def _neighbours(character: str, following: str) -> list[str]:
    if character.lower() not in KEYS or not character.isascii():
        return []
    x, y = KEYS[character.lower()]
    near = [
        key
        for key, (other, row) in KEYS.items()
        if key != character.lower() and abs(row - y) <= 1 and abs(other - x) <= 1
    ]
    return [key.upper() for key in near] if character.isupper() else near


def _alphabet(character: str) -> str:
    if not character.isalnum():
        return ""
    if not character.isalpha():
        return digits
    return ascii_uppercase if character.isupper() else ascii_lowercase


def _other_case(character: str, following: str) -> list[str]:
    other = character.swapcase()
    return [other] if len(other) == 1 and other != character == other.swapcase() else []


def _gap(character: str, following: str) -> list[str]:
    if character.isspace():
        return [""]
    return [character + " "] if character.isalnum() and following.isalnum() else []


CHOICES: dict[str, Callable[[str, str], Sequence[str]]] = {
    "keyboard": _neighbours,
    "substitute": lambda c, _: [x for x in _alphabet(c) if x != c],
    "delete": lambda c, _: [""] if c.isalnum() else [],
    "insert": lambda c, _: [c + x for x in _alphabet(c)],
    "repeat": lambda c, _: [c + c] if c.isalnum() else [],
    "case": _other_case,
    "homoglyph": lambda c, _: DOUBLES.get(c, ""),
    "space": _gap,
}
"""Kind -> what may take the place of a character, given the one behind it."""


def _ocr(text: str, whether: Draws, which: Draws, level: float) -> str:
    done, place = [], 0
    while place < len(text):
        pair = text[place : place + 2]
        if pair in MISREAD_PAIRS:
            done.append(MISREAD_PAIRS[pair] if whether[place] < level else pair)
            place += 2
            continue
        instead = MISREAD.get(text[place], [])
        hit = instead and whether[place] < level
        done.append(instead[int(which[place] * len(instead))] if hit else text[place])
        place += 1
    return "".join(done)


def _words(text: str, extra: str = "") -> Iterator[tuple[int, int]]:
    """Yield (start, end) of the runs of letters and digits."""
    place = 0
    for inside, run in groupby(text, key=lambda c: c.isalnum() or c in extra):
        size = sum(1 for _ in run)
        if inside:
            yield place, place + size
        place += size


def _swap(text: str, whether: Draws, which: Draws, level: float) -> str:
    done = list(text)
    for start, end in _words(text):
        first = start + (which[start] >= 0.5 and end - start > 2)
        for place in range(first, end - 1, 2):
            if whether[place] < level:
                done[place], done[place + 1] = done[place + 1], done[place]
    return "".join(done)


def _scramble(text: str, whether: Draws, which: Draws, level: float) -> str:
    done = list(text)
    for start, end in _words(text):
        inner = done[start + 1 : end - 1]
        if len(inner) > 1 and whether[start] < level:
            keys = which[start + 1 : end - 1]
            mixed = [inner[place] for place in sorted(range(len(inner)), key=keys.__getitem__)]
            done[start + 1 : end - 1] = mixed if mixed != inner else inner[1:] + inner[:1]
    return "".join(done)


def _drop(text: str, whether: Draws, which: Draws, level: float) -> str:
    done, place = [], 0
    for start, end in _words(text, "_"):
        done.append(text[place:start])
        place = end
        if whether[start] < level:
            place += text[end : end + 1].isspace()
        else:
            done.append(text[start:end])
    return "".join([*done, text[place:]])


WORD_KINDS: dict[str, Callable[[str, Draws, Draws, float], str]] = {
    "ocr": _ocr,
    "swap": _swap,
    "scramble-middle": _scramble,
    "word-drop": _drop,
}
"""Kinds that look at more than a character and the one behind it."""


def match_unknown(
    texts: Sequence[str],
    doc_ids: Sequence[str],
    kind: str,
    level: float,
    seed: int,
    vocabulary: Vocabulary,
) -> list[list[int]]:
    """Return token ids under a control: as many unknown ones as its kind of noise makes."""
    noisy = corrupt(texts, doc_ids, CONTROLS[kind], level, seed)
    found = []
    for text, changed, doc_id in zip(texts, noisy, doc_ids, strict=True):
        clean = vocabulary.encode([text], most_tokens=None).ids.tolist()
        other = vocabulary.encode([changed], most_tokens=None).ids.tolist()
        generator = keyed_generator(seed, "noise", "unk-match", doc_id)
        draws = [generator.random() for _ in clean]
        known = [p for p in range(1, len(clean) - 1) if clean[p] != UNK]
        left = max(len(other) - 2, 1)
        wanted = (2 * (len(clean) - 2) * other.count(UNK) + left) // (2 * left)
        for place in sorted(known, key=draws.__getitem__)[: max(wanted - clean.count(UNK), 0)]:
            clean[place] = UNK
        found.append(clean)
    return found
