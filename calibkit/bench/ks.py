"""Kolmogorov-Smirnov distance of a float tensor from its quantized self, against scipy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from calibkit.bench.measuring import Case
from calibkit.bench.timing import Stages
from calibkit.measure.ks import ks_against_levels, ordered

SAME = 1e-12
"""Largest difference of two distances that count the same steps in another order."""


def distances(*, values: int, bits: Sequence[int]) -> Case:
    """Return D at some bit widths; the float tensor is sorted once for all of them."""
    rng = np.random.default_rng(6)
    exact = rng.standard_t(5, size=values).astype(np.float32)
    coded = {width: _codes(exact, width) for width in bits}

    def by_scipy(stages: Stages) -> list[float]:
        from scipy.stats import ks_2samp

        samples = [codes * np.float32(step) for codes, step in coded.values()]
        with stages("distance"):
            return [float(ks_2samp(exact, s, method="asymp").statistic) for s in samples]

    def by_levels(stages: Stages) -> list[float]:
        with stages("distance"):
            in_order = ordered(exact)
            return [_distance(in_order, codes, step) for codes, step in coded.values()]

    def right(expected: list[float], found: list[float]) -> dict[str, bool]:
        return {"distance": bool(np.allclose(found, expected, rtol=0, atol=SAME))}

    widths = f"{bits[0]} bits" if len(bits) == 1 else f"{len(bits)} bit widths"
    return Case(
        f"KS distance, {widths}",
        {"plain": by_scipy, "numpy": by_levels},
        right,
        {
            "values": values,
            "bits": ", ".join(map(str, bits)),
            "against": f"scipy.stats.ks_2samp, within {SAME:g}; sorting counts",
        },
    )


def _codes(exact: NDArray[np.float32], bits: int) -> tuple[NDArray[np.int16], float]:
    top = 2 ** (bits - 1) - 1
    step = float(np.float32(np.quantile(np.abs(exact), 0.9999) / top))
    return np.clip(np.rint(exact / np.float32(step)), -top - 1, top).astype(np.int16), step


def _distance(in_order: NDArray[np.floating], codes: NDArray[np.int16], step: float) -> float:
    low = int(codes.min())
    counts = np.bincount(codes - low)
    levels = (np.arange(len(counts)) + low).astype(np.float32) * np.float32(step)
    return ks_against_levels(in_order, levels, counts)
