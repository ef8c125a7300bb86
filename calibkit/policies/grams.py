"""Gram matrices of documents: what a linear layer sees of each, in whitened directions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibkit.errors import BadInput
from calibkit.policies.pool import Pool


def document_grams(pool: Pool, policy: str) -> NDArray[Any]:
    """Return the pool's ``gram``, (n, k, k), checked.

    Raises Infeasible where it is missing, BadInput for another shape, for numbers that are not
    finite, and for a negative diagonal.
    """
    grams = pool.need("gram", policy)
    if grams.ndim != 3 or grams.shape[1] != grams.shape[2]:
        raise BadInput(f"{policy}: 'gram' has the shape {grams.shape}; it must be (n, k, k)")
    bad = ~np.isfinite(grams).all(axis=(1, 2)) | (np.einsum("nii->ni", grams) < 0).any(axis=1)
    if bad.any():
        raise BadInput(
            f"{policy}: the Gram matrices of {int(bad.sum()):,} documents have numbers that are "
            "not finite or a negative diagonal; compute them anew"
        )
    return grams


def traces(grams: NDArray[Any]) -> NDArray[np.float64]:
    """Return the trace of each of ``grams`` (n, k, k), the same for any order of summation.

    float64 (n,). The diagonals are rounded to a grid of at least 2^40 steps for the largest value
    (k up to 4,096), on which sums are exact.
    """
    diagonals = np.einsum("nii->ni", grams).astype(np.float64)
    bits = 52 - diagonals.shape[1].bit_length()
    exponent = int(np.frexp(diagonals.max(initial=0.0))[1])
    whole = np.rint(np.ldexp(diagonals, bits - exponent))
    return np.asarray(np.ldexp(whole.sum(axis=1), exponent - bits))
