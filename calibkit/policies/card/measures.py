"""What the metrics of a coverage card compute, for many sets of documents at once.

Each takes documents, a pool, and ``rows``, intp (sets, size), and returns float64 (sets, 1), or
(sets, sites) where a model's activation sites are looked at one by one. The same function serves
the subset and the random draws that it is compared with.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from calibkit.policies.card.copies import band_keys, has_near_copy
from calibkit.policies.card.documents import CardDocuments, Reference, feature_total
from calibkit.policies.card.sites import bin_middles
from calibkit.policies.draw import Rows
from calibkit.policies.mmd import discrepancy
from calibkit.policies.profile import FIRST_TYPE, UNKNOWN
from calibkit.ragged import Ragged

Values = NDArray[np.float64]

RIDGE = 1e-6
"""Added to the diagonal of a Gram matrix, so that fewer documents than directions have a number."""


def _column(values: list[float] | Values) -> Values:
    return np.asarray(values, dtype=np.float64).reshape(-1, 1)


def _label_counts(documents: CardDocuments, reference: Reference, rows: Rows) -> Values:
    labels = len(reference.label_shares)
    shifted = documents.label_ids[rows] + labels * np.arange(len(rows))[:, None]
    counts = np.bincount(shifted.reshape(-1), minlength=labels * len(rows))
    return counts.reshape(len(rows), labels).astype(np.float64)


def label_chi_square(documents: CardDocuments, reference: Reference, rows: Rows) -> Values:
    """Return Pearson's chi-square of the label counts; infinite for a label that the pool lacks."""
    expected = reference.label_shares * rows.shape[1]
    off = _label_counts(documents, reference, rows) - expected
    there = expected > 0
    found = (off[:, there] ** 2 / expected[there]).sum(axis=1)
    found[(off[:, ~there] > 0).any(axis=1)] = np.inf
    return _column(found)


def label_total_variation(documents: CardDocuments, reference: Reference, rows: Rows) -> Values:
    """Return half the summed absolute difference between the label mix and the pool's."""
    mix = _label_counts(documents, reference, rows) / rows.shape[1]
    return _column(np.abs(mix - reference.label_shares).sum(axis=1) / 2)


def length_quantile(q: float) -> Callable[[CardDocuments, Reference, Rows], Values]:
    """Return the measure of a quantile of document length, uncut (linear interpolation)."""

    def of(documents: CardDocuments, reference: Reference, rows: Rows) -> Values:
        return _column(np.quantile(documents.lengths[rows], q, axis=1))

    return of


def tokens_kept(documents: CardDocuments, reference: Reference, rows: Rows) -> Values:
    """Return which share of the tokens is left after documents are cut; 1 without tokens."""
    kept = (documents.tokens.lengths - 2)[rows].sum(axis=1)
    return _share(kept, documents.lengths[rows].sum(axis=1), empty=1.0)


def _seen_types(tokens: Ragged, chosen: Rows, last: int) -> NDArray[np.bool_]:
    seen = np.zeros(last, dtype=bool)
    ids = tokens.take(chosen).ids
    seen[ids[ids < last]] = True
    seen[:FIRST_TYPE] = False
    return seen


def types_covered(documents: CardDocuments, reference: Reference, rows: Rows) -> Values:
    """Return which share of the vocabulary's types occurs."""
    last = FIRST_TYPE + reference.vocabulary_types
    counts = [_seen_types(documents.tokens, chosen, last).sum() for chosen in rows]
    return _column(np.array(counts) / max(1, reference.vocabulary_types))


def tokens_covered(documents: CardDocuments, reference: Reference, rows: Rows) -> Values:
    """Return which share of the pool's tokens, unknown ones left out, is of a type that occurs."""
    shares = reference.type_shares
    return _column(
        [float(shares[_seen_types(documents.tokens, chosen, len(shares))].sum()) for chosen in rows]
    )


def oov_share(documents: CardDocuments, reference: Reference, rows: Rows) -> Values:
    """Return which share of the tokens, as a model reads them, is outside the vocabulary."""
    tokens = documents.tokens
    document = np.repeat(np.arange(len(tokens)), tokens.lengths)
    unknown = np.bincount(document[tokens.ids == UNKNOWN], minlength=len(tokens))
    return _share(unknown[rows].sum(axis=1), (tokens.lengths - 2)[rows].sum(axis=1), empty=0.0)


def mmd(documents: CardDocuments, reference: Reference, rows: Rows) -> Values:
    """Return the maximum mean discrepancy to the pool; see `calibkit.policies.mmd`."""
    assert documents.features is not None
    assert reference.kernel is not None
    assert reference.feature_total is not None
    return _column(
        [
            discrepancy(
                reference.kernel,
                feature_total(documents.features[chosen]),
                len(chosen),
                reference.feature_total,
                reference.documents,
            )
            for chosen in rows
        ]
    )


def near_copies(documents: CardDocuments, reference: Reference, rows: Rows) -> Values:
    """Return which share of the documents has a near copy among the others."""
    assert documents.signatures is not None
    keys = band_keys(documents.signatures)
    return _column([float(has_near_copy(documents.signatures[c], keys[c]).mean()) for c in rows])


def in_test(documents: CardDocuments, reference: Reference, rows: Rows) -> Values:
    """Return which share of the documents has a text that stands in the test split."""
    assert documents.in_test is not None
    return _column(documents.in_test[rows].mean(axis=1))


def near_test(documents: CardDocuments, reference: Reference, rows: Rows) -> Values:
    """Return which share of the documents has a near copy in the test split."""
    assert documents.near_test is not None
    return _column(documents.near_test[rows].mean(axis=1))


def _subset_ranges(documents: CardDocuments, rows: Rows) -> tuple[Values, Values]:
    """Return the smallest and the largest value of each set at each site: (sets, sites) twice."""
    assert documents.ranges is not None
    smallest = np.array([documents.ranges[chosen, :, 0].min(axis=0) for chosen in rows])
    largest = np.array([documents.ranges[chosen, :, 1].max(axis=0) for chosen in rows])
    return bin_middles(smallest), bin_middles(largest)


def range_covered(documents: CardDocuments, reference: Reference, rows: Rows) -> Values:
    """Return which share of the pool's range from p0.1 to p99.9 the values at each site cover."""
    smallest, largest = _subset_ranges(documents, rows)
    sites = enumerate(reference.sites.values())
    return np.stack([one.covered(smallest[:, i], largest[:, i]) for i, one in sites], axis=1)


def clip_rate(documents: CardDocuments, reference: Reference, rows: Rows) -> Values:
    """Return which share of the pool's values at each site lies outside the documents' values."""
    smallest, largest = _subset_ranges(documents, rows)
    sites = enumerate(reference.sites.values())
    return np.stack([one.clipped(smallest[:, i], largest[:, i]) for i, one in sites], axis=1)


def log_det(documents: CardDocuments, reference: Reference, rows: Rows) -> Values:
    """Return the log determinant of the mean Gram matrix; the pool's is 0.

    In directions in which the pool's is the identity; the objective of D-optimal design (Kiefer &
    Wolfowitz, 1959). `RIDGE` bounds it below where there are fewer inputs than directions.
    """
    assert documents.gram is not None
    assert documents.inputs is not None
    width = documents.gram.shape[1]
    found = []
    for chosen in rows:
        total = documents.gram[chosen].sum(axis=0, dtype=np.float64)
        mean = total / max(1.0, float(documents.inputs[chosen].sum()))
        found.append(float(np.linalg.slogdet(mean + RIDGE * np.eye(width))[1]))
    return _column(found)


def _share(part: NDArray[np.int64], whole: NDArray[np.int64], *, empty: float) -> Values:
    shares = np.full(len(whole), empty)
    np.divide(part, whole, out=shares, where=whole > 0)
    return _column(shares)
