"""Two classifiers on the same documents: how far apart their accuracies are, and how surely."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from calibkit.errors import BadInput


@dataclass(frozen=True)
class PairedDifference:
    """Accuracy of the first minus that of the second, a fraction, with its confidence interval.

    gained, lost: documents that only the first, or only the second, gets right; documents: all.
    """

    difference: float
    low: float
    high: float
    gained: int
    lost: int
    documents: int
    level: float


def paired_difference(
    first: NDArray[np.bool_], second: NDArray[np.bool_], level: float = 0.95
) -> PairedDifference:
    """Return the difference of two accuracies measured on the same documents.

    first, second: (n,) whether each document is right. The interval is Wald's on the discordant
    documents after half a document is added to each cell of the 2 x 2 table (Agresti and Min,
    2005, Statistics in Medicine 24): it has a width also where no document, or every one, differs.
    Documents are what is sampled; models and calibration sets are not.

    Raises BadInput for no documents, arrays of different lengths, a level outside (0, 1).
    """
    if not 0 < level < 1:
        raise BadInput(f"level: {level} is not allowed; give a number between 0 and 1")
    if len(first) != len(second) or not len(first):
        raise BadInput(
            f"{len(first)} and {len(second)} documents cannot be paired; give the same ones, "
            "at least one"
        )
    n = len(first)
    gained = int(np.count_nonzero(first & ~second))
    lost = int(np.count_nonzero(second & ~first))
    more = n + 2
    centre = (gained - lost) / more
    spread = math.sqrt((gained + lost + 1) - (gained - lost) ** 2 / more) / more
    half = NormalDist().inv_cdf((1 + level) / 2) * spread
    return PairedDifference(
        (gained - lost) / n,
        max(centre - half, -1.0),
        min(centre + half, 1.0),
        gained,
        lost,
        n,
        level,
    )
