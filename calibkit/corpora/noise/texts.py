"""Corrupted texts and what the corruption did to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from calibkit.corpora.noise.characters import Characters
from calibkit.corpora.noise.kinds import CONTROLS, KINDS, noise_kinds
from calibkit.errors import BadInput, UnknownName
from calibkit.identity import keyed_generator

AT_ONCE = 1 << 19
"""Characters that are corrupted together, which bounds the memory; no result depends on it."""


@dataclass(frozen=True)
class NoisyTexts:
    """Corrupted texts, in the order of the given ones, and what the corruption did to them.

    eligible: places (characters, pairs or words) that could have been corrupted; changed: those
    that were; realised_rate: changed / eligible (0 without eligible places);
    length_drift: characters after / characters before - 1.
    """

    texts: tuple[str, ...]
    realised_rate: float
    eligible: int
    changed: int
    length_drift: float


def corrupt(
    texts: Sequence[str], doc_ids: Sequence[str], kind: str, level: float, seed: int
) -> NoisyTexts:
    """Return ``texts`` corrupted at ``level``, a probability per eligible place.

    Level 0 is the identity, and so is kind 'none', which has no other level. Raises UnknownName for
    an unknown kind, BadInput for a level outside [0, 1], differing numbers of texts and ids, or a
    control, which has no texts.
    """
    check_kind(kind, level)
    if len(texts) != len(doc_ids):
        raise BadInput(f"noise {kind}: {len(texts)} texts but {len(doc_ids)} document ids")
    if kind in CONTROLS:
        raise BadInput(
            f"noise {kind}: it puts <unk>, which no text can contain, in the place of tokens; "
            "use corrupt_tokens"
        )
    if kind == "none":
        return NoisyTexts(tuple(texts), 0.0, 0, 0, 0.0)
    noisy: list[str] = []
    eligible = changed = 0
    for start, end in _blocks([len(text) for text in texts]):
        clean = Characters.of(texts[start:end])
        whether, which = _position_draws(clean.offsets, doc_ids[start:end], kind, seed)
        edits = KINDS[kind].edits(clean, which)
        units = edits.units
        hits = int(np.count_nonzero(whether[units] < level))
        noisy += edits.made(clean, whether < level).texts() if hits else texts[start:end]
        eligible += len(units)
        changed += hits
    before = sum(map(len, texts))
    return NoisyTexts(
        texts=tuple(noisy),
        realised_rate=changed / eligible if eligible else 0.0,
        eligible=eligible,
        changed=changed,
        length_drift=sum(map(len, noisy)) / before - 1 if before else 0.0,
    )


def check_kind(kind: str, level: float) -> None:
    """Raise UnknownName or BadInput unless there is such a kind with such a level."""
    if kind != "none" and kind not in KINDS and kind not in CONTROLS:
        raise UnknownName("noise kind", kind, [*noise_kinds(), "none"])
    if not 0.0 <= level <= 1.0:
        raise BadInput(f"noise {kind}: level {level!r} is not between 0 and 1")
    if kind == "none" and level != 0:
        raise BadInput(f"noise none: the only level is 0, not {level!r}")


def _blocks(lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield ranges of documents that have ``AT_ONCE`` characters each, or are one document."""
    start = size = 0
    for place, length in enumerate(lengths):
        if size and size + length > AT_ONCE:
            yield start, place
            start, size = place, 0
        size += length
    if lengths:
        yield start, len(lengths)


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
