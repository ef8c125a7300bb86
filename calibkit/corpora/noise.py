"""Noise on test documents: corruption kinds with coupled levels.

Every document has one Philox stream per (seed, document, kind), and draws for all its positions
whatever the level. So a position that is corrupted at one level is corrupted in the same way at
every higher one, and neither the order of the documents nor the number of processes matters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from calibkit.errors import BadInput, UnknownName
from calibkit.identity import keyed_generator


@dataclass(frozen=True)
class NoisyTexts:
    """Corrupted texts, in the order of the given ones, and what the corruption did to them.

    eligible: characters that could have been corrupted; changed: those that were;
    realised_rate: changed / eligible (0 without eligible characters);
    length_drift: characters after / characters before - 1.
    """

    texts: tuple[str, ...]
    realised_rate: float
    eligible: int
    changed: int
    length_drift: float


@dataclass(frozen=True)
class _Corrupted:
    texts: list[str]
    eligible: int
    changed: int


_Corruption = Callable[[Sequence[str], Sequence[str], float, int], _Corrupted]
_KINDS: dict[str, _Corruption] = {}


def noise_kinds() -> tuple[str, ...]:
    """Return the names of the known corruption kinds, sorted."""
    return tuple(sorted(_KINDS))


def corrupt(
    texts: Sequence[str], doc_ids: Sequence[str], kind: str, level: float, seed: int
) -> NoisyTexts:
    """Return ``texts`` corrupted at ``level``, a probability per eligible character.

    Level 0 is the identity, and so is kind 'none', which has no other level. Raises UnknownName for
    an unknown kind, BadInput for a level outside [0, 1] or differing numbers of texts and ids.
    """
    if kind != "none" and kind not in _KINDS:
        raise UnknownName("noise kind", kind, [*_KINDS, "none"])
    if not 0.0 <= level <= 1.0:
        raise BadInput(f"noise {kind}: level {level!r} is not between 0 and 1")
    if len(texts) != len(doc_ids):
        raise BadInput(f"noise {kind}: {len(texts)} texts but {len(doc_ids)} document ids")
    if kind == "none":
        if level != 0:
            raise BadInput(f"noise none: the only level is 0, not {level!r}")
        return NoisyTexts(tuple(texts), 0.0, 0, 0, 0.0)
    done = _KINDS[kind](texts, doc_ids, level, seed)
    before = sum(map(len, texts))
    after = sum(map(len, done.texts))
    return NoisyTexts(
        texts=tuple(done.texts),
        realised_rate=done.changed / done.eligible if done.eligible else 0.0,
        eligible=done.eligible,
        changed=done.changed,
        length_drift=after / before - 1 if before else 0.0,
    )


def _position_draws(
    offsets: NDArray[np.int64], doc_ids: Sequence[str], kind: str, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return two independent uniforms per position of the concatenated documents."""
    whether = np.empty(offsets[-1])
    which = np.empty(offsets[-1])
    for doc_id, (start, end) in zip(doc_ids, pairwise(offsets.tolist()), strict=True):
        generator = keyed_generator(seed, "noise", kind, doc_id)
        generator.random(out=whether[start:end])
        generator.random(out=which[start:end])
    return whether, which


_ROWS = ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")
_SHIFT = (0.0, 0.5, 0.75, 1.25)  # how far right each row of a qwerty keyboard starts, in keys


def _key_neighbours() -> dict[str, str]:
    """Return the letters and digits whose keys touch each key of a qwerty keyboard."""
    places = {
        key: (column + _SHIFT[row], row)
        for row, keys in enumerate(_ROWS)
        for column, key in enumerate(keys)
    }
    return {
        key: "".join(
            other
            for other, (ox, oy) in places.items()
            if other != key and abs(oy - y) <= 1 and abs(ox - x) <= 1
        )
        for key, (x, y) in places.items()
    }


def _neighbour_table() -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Return (table, count) by ASCII code: ``table[code, :count[code]]`` may replace ``code``."""
    table = np.zeros((128, 8), dtype=np.uint32)
    count = np.zeros(128, dtype=np.int64)
    for key, others in _key_neighbours().items():
        for typed, instead in ((key.upper(), others.upper()), (key, others)):  # digits: the latter
            count[ord(typed)] = len(instead)
            table[ord(typed), : len(instead)] = [ord(other) for other in instead]
    return table, count


_NEIGHBOURS, _HOW_MANY = _neighbour_table()


def _keyboard(texts: Sequence[str], doc_ids: Sequence[str], level: float, seed: int) -> _Corrupted:
    """Replace letters and digits by a key beside theirs; case, length and the rest are kept."""
    offsets = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum([len(text) for text in texts], out=offsets[1:])
    joined = "".join(texts).encode("utf-32-le", "surrogatepass")
    codes = np.frombuffer(joined, dtype="<u4").copy()
    choices = np.where(codes < 128, _HOW_MANY[np.minimum(codes, 127)], 0)
    eligible = int(np.count_nonzero(choices))
    if level == 0:
        return _Corrupted(list(texts), eligible, 0)
    whether, which = _position_draws(offsets, doc_ids, "keyboard", seed)
    hit = np.flatnonzero((whether < level) & (choices > 0))
    codes[hit] = _NEIGHBOURS[codes[hit], (which[hit] * choices[hit]).astype(np.int64)]
    noisy = codes.tobytes().decode("utf-32-le", "surrogatepass")
    cut = [noisy[start:end] for start, end in pairwise(offsets.tolist())]
    return _Corrupted(cut, eligible, len(hit))


_KINDS["keyboard"] = _keyboard
