"""Two fixed networks on the same documents: the exact test of who is right more often."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibkit.measure.detectable import detectable_by_mcnemar
from calibkit.measure.paired import PairedDifference, paired_difference


@dataclass(frozen=True)
class McNemar:
    """The exact two-sided p value, the difference with its interval, and what could be found.

    discordance: share of the documents that exactly one of the two gets right. detectable: the
    smallest difference of accuracies found with a chance of 80 % at that discordance.
    """

    p: float
    difference: PairedDifference
    discordance: float
    detectable: float


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_], level: float = 0.95) -> McNemar:
    """Return McNemar's exact test (1947) of whether each is right alone equally often.

    first, second: (n,) whether each document is right. It says something about these two networks
    and other documents, nothing about other calibration sets. Raises BadInput for no documents,
    arrays of different lengths, or a level outside (0, 1).
    """
    from scipy.stats import binomtest

    found = paired_difference(first, second, level)
    discordant = found.gained + found.lost
    p = float(binomtest(found.gained, discordant).pvalue) if discordant else 1.0
    discordance = discordant / found.documents
    detectable = detectable_by_mcnemar(found.documents, discordance, level=level)
    return McNemar(min(p, 1.0), found, discordance, detectable)
