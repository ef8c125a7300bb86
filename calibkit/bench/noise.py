"""Noise: documents a second of every kind, and a whole test set at every level, encoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from calibkit.bench import inputs, noise_loop
from calibkit.bench.measuring import Case
from calibkit.bench.timing import Stages
from calibkit.corpora.noise import LEVELS, corrupt, corrupt_tokens
from calibkit.corpora.noise.kinds import CONTROLS
from calibkit.corpora.vocabulary import Vocabulary
from calibkit.ragged import Ragged

SEED = 0
WHOLE = 1 << 20
"""More tokens than any document has: documents are not cut."""


def kind_of_noise(*, kind: str, documents: int, sample: int, level: float) -> Case:
    """Return one kind of noise on texts; a control includes encoding them."""
    texts = inputs.texts(documents)
    ids = [f"d1-{row:020x}" for row in range(documents)]
    words = Vocabulary.build(texts, min_count=2)
    control = kind in CONTROLS

    def loop(stages: Stages) -> Any:
        with stages("noise", times=documents / sample):
            if control:
                return noise_loop.match_unknown(
                    texts[:sample], ids[:sample], kind, level, SEED, words
                )
            return noise_loop.corrupt(texts[:sample], ids[:sample], kind, level, SEED)

    def arrays(stages: Stages) -> Any:
        with stages("noise"):
            if control:
                return corrupt_tokens(
                    texts, ids, kind, level, SEED, words, most_tokens=WHOLE
                ).tokens
            return corrupt(texts, ids, kind, level, SEED).texts

    def right(expected: Any, found: Any) -> dict[str, bool]:
        if not control:
            return {"noise": tuple(expected) == tuple(found[:sample])}
        return {"noise": [found[row].tolist() for row in range(sample)] == expected}

    return Case(
        f"noise {kind}",
        {"plain": loop, "numpy": arrays},
        right,
        {
            "documents": documents,
            "plain_documents": sample,
            "level": level,
            "against": "a loop over characters with the same draws, text for text",
        },
    )


def all_levels(*, documents: int, sample: int, levels: Sequence[float] = LEVELS) -> Case:
    """Return a test set at every level of typing errors, as token ids."""
    texts = inputs.texts(documents)
    ids = [f"d1-{row:020x}" for row in range(documents)]
    words = Vocabulary.build(texts, min_count=2)

    def loop(stages: Stages) -> list[Ragged]:
        with stages("noise", times=documents / sample):
            return [
                words.encode(noise_loop.corrupt(texts[:sample], ids[:sample], "keyboard", p, SEED))
                for p in levels
            ]

    def arrays(stages: Stages) -> list[Ragged]:
        with stages("noise"):
            return [corrupt_tokens(texts, ids, "keyboard", p, SEED, words).tokens for p in levels]

    def right(expected: list[Ragged], found: list[Ragged]) -> dict[str, bool]:
        pairs = zip(expected, found, strict=True)
        same = (a[row].tolist() == b[row].tolist() for a, b in pairs for row in range(sample))
        return {"noise": all(same)}

    return Case(
        "noise at seven levels, encoded",
        {"plain": loop, "numpy": arrays},
        right,
        {
            "documents": documents,
            "plain_documents": sample,
            "levels": len(levels),
            "against": "a loop over characters with the same draws, token for token",
        },
    )
