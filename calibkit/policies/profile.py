"""What a subset is made of, beside the pool that it was chosen from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibkit.errors import BadInput
from calibkit.ragged import Ragged

UNKNOWN = 1
"""Token id of what the vocabulary does not have."""
FIRST_TYPE = 4
"""Lowest token id of a type; below are padding, unknown, begin and end."""


@dataclass(frozen=True)
class Profile:
    """A subset in numbers; shares are fractions in [0, 1], lengths are in tokens.

    length_p10, length_p50, length_p90: quantiles of document length (linear interpolation).
    oov_share: tokens outside the vocabulary, of all tokens as the model reads them.
    vocabulary_coverage: distinct types that occur, of all types of the vocabulary.
    label_total_variation: half the summed absolute difference of the label mix from the pool's.
    label_mix: share of each label of the pool, by name, those without documents included.
    """

    documents: int
    tokens: int
    length_p10: float
    length_p50: float
    length_p90: float
    oov_share: float
    vocabulary_coverage: float
    label_total_variation: float
    label_mix: dict[str, float]


def profile(
    labels: Sequence[str],
    lengths: NDArray[np.int64],
    tokens: Ragged,
    *,
    pool_counts: Mapping[str, int],
    vocabulary_types: int,
) -> Profile:
    """Return the profile of a subset of n documents.

    labels: n label names. lengths: int (n,), tokens per document, uncut. tokens: the n documents as
    the model reads them (ids, cut and wrapped). pool_counts: how many documents of each label
    the pool has. vocabulary_types: size of the vocabulary, the four special tokens not counted.
    Raises BadInput for an empty subset, lists that do not fit, or a label that the pool lacks.
    """
    if not len(labels) == len(lengths) == len(tokens):
        raise BadInput(
            f"a profile needs one label, length and token list per document; there are "
            f"{len(labels):,}, {len(lengths):,} and {len(tokens):,}"
        )
    if not labels:
        raise BadInput("an empty subset has no profile; choose at least one document")
    documents = sum(pool_counts.values())
    pool_mix = {name: pool_counts[name] / documents for name in sorted(pool_counts)}
    strange = sorted(set(labels) - set(pool_mix))
    if strange:
        raise BadInput(f"the subset has the label {strange[0]!r}, which its pool does not have")
    label_mix = _mix(labels, list(pool_mix))
    p10, p50, p90 = np.quantile(np.asarray(lengths, dtype=np.float64), [0.1, 0.5, 0.9])
    words = tokens.ids[(tokens.ids >= FIRST_TYPE) | (tokens.ids == UNKNOWN)]
    types = np.unique(words[words >= FIRST_TYPE])
    return Profile(
        documents=len(labels),
        tokens=int(np.sum(lengths)),
        length_p10=float(p10),
        length_p50=float(p50),
        length_p90=float(p90),
        oov_share=float(np.mean(words == UNKNOWN)) if len(words) else 0.0,
        vocabulary_coverage=len(types) / vocabulary_types if vocabulary_types else 0.0,
        label_total_variation=sum(abs(label_mix[k] - pool_mix[k]) for k in pool_mix) / 2,
        label_mix=label_mix,
    )


def _mix(labels: Sequence[str], names: Sequence[str]) -> dict[str, float]:
    counts = Counter(labels)
    return {name: counts[name] / len(labels) for name in names}
