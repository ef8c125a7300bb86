"""Calibration documents of which a part is noisy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from calibkit.policies.base import foreseen, select
from calibkit.policies.draw import Draw
from calibkit.policies.generators import Generator, Made, NewDocument, PoolDocument, Source
from calibkit.policies.nested import Part, labels_in, needs_of, version_with
from calibkit.policies.pool import Pool
from calibkit.policies.simple import Random

NoiseKind = Literal[
    "keyboard",
    "substitute",
    "delete",
    "insert",
    "repeat",
    "case",
    "swap",
    "scramble-middle",
    "ocr",
    "homoglyph",
    "space",
    "word-drop",
]
"""The kinds of noise that a text can have; calibkit.corpora.noise says what they do."""


class NoiseMix(Generator, name="noise-mix"):
    """Put noisy copies in the place of a part of the documents that another policy chooses.

    Quantizers that are to stay good on noisy text may have to see some (Hendrycks & Dietterich,
    arXiv 1903.12261, 2019, measured how models fail on corruptions that they were not made for).

    ``of``: the policy that chooses, written ``{use: NAME, ...}``; by default ``random``. The
    originals are those that it chooses by itself with the same seed, in its order. ``share``: the
    part of them that gets noise, rounded to whole documents; which, the keyed draw decides.
    ``noise``, ``level``: kind and rate, as under ``measure.noise``; the errors are other ones for
    each seed. A document that noise leaves as it is, or without any text, stays the original.
    """

    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    noise: NoiseKind = "keyboard"
    level: Annotated[float, Field(gt=0, le=1)] = 0.1
    of: Part = Random()

    @property
    def version(self) -> int:  # type: ignore[override]  # depends on a parameter here
        """Rises when the version of a part does."""
        return version_with([self.of])

    @property
    def needs(self) -> tuple[str, ...]:  # type: ignore[override]  # depends on a parameter here
        """What the policy that chooses needs."""
        return needs_of([self.of])

    def labels_named(self) -> tuple[tuple[str, str], ...]:
        """Return the labels that the policy that chooses mentions."""
        return labels_in("of", self.of)

    def documents(self, pool: Pool, size: int, draw: Draw, source: Source) -> Sequence[Made]:
        """Return the chosen documents, some as noisy copies that name their original.

        Raises Infeasible when the pool cannot give the originals.
        """
        rows = select(self.of, pool, size, draw)
        chosen = pool.ids(rows)
        order = draw.about(f"{draw.purpose}-noisy").order(chosen)
        places = sorted(int(place) for place in order[: math.floor(self.share * size + 0.5)])
        copied = [chosen[place] for place in places]
        noisy = source.corrupted(copied, self.noise, self.level, draw.seed)
        made: list[Made] = [PoolDocument(doc_id) for doc_id in chosen]
        for place, before, after in zip(places, source.texts(copied), noisy, strict=True):
            if after.strip() and after != before:
                label = pool.labels[int(rows[place])]
                made[place] = NewDocument(after, label, made_from=chosen[place])
        return made

    def foresee(self, pool: Pool, size: int, draw: Draw) -> str:
        """Return what is open about the policy that chooses."""
        super().foresee(pool, size, draw)
        return foreseen(self.of, pool, size, draw)
