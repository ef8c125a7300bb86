"""P values of several comparisons, adjusted so that each can be held against one level."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from calibkit.errors import BadInput


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values adjusted for a declared family, in the order given (Holm, 1979).

    Calling what is at most 0.05 a finding makes the chance of any false one at most 5 %, however
    the comparisons depend on each other. Raises BadInput for a p value outside [0, 1].
    """
    p = _checked(p_values)
    order = np.argsort(p, kind="stable")
    steps = p[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(value) for value in adjusted]


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Return p values adjusted for exploring, in the order given (Benjamini & Hochberg, 1995).

    Of what is at most 0.05, at most 5 % are false findings on average, where the comparisons are
    independent or depend positively. Raises BadInput for a p value outside [0, 1].
    """
    p = _checked(p_values)
    if not len(p):
        return []
    from scipy.stats import false_discovery_control

    return [float(value) for value in false_discovery_control(p, method="bh")]


def _checked(p_values: Sequence[float]) -> NDArray[np.float64]:
    p: NDArray[np.float64] = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise BadInput("p values must lie between 0 and 1, and none may be missing")
    return p
