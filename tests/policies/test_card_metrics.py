"""Every metric of a coverage card against the plainest way to compute it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_card import CUT, TYPES, made_pool

from calibkit.errors import BadInput
from calibkit.policies.card import BY_NAME, METRICS, CardDocuments, Reference, SiteReference
from calibkit.policies.card.copies import NEAR, band_keys, has_near_copy
from calibkit.policies.card.sites import bin_middles
from calibkit.policies.mmd import random_fourier_features
from calibkit.policies.profile import profile
from calibkit.quantize.estimators import Histogram
from calibkit.ragged import Ragged

POOL = made_pool()
ROWS = np.random.default_rng(1).permuted(np.tile(np.arange(600), (7, 1)), axis=1)[:, :50]


def value(name, rows=ROWS, documents=POOL.documents, reference=POOL.reference):
    found = BY_NAME[name].of(documents, reference, np.asarray(rows))
    assert found.shape[0] == len(rows)
    return found if BY_NAME[name].by_site else found[:, 0]


def words(row):
    return POOL.documents.tokens[row][1:-1]


def test_label_mix_beside_plain_counting():
    labels = POOL.documents.label_ids
    expected = [np.mean(labels == k) for k in range(3)]
    for found, distance, rows in zip(
        value("label_chi_square"), value("label_distance"), ROWS, strict=True
    ):
        seen = [int((labels[rows] == k).sum()) for k in range(3)]
        chi = sum((o - 50 * e) ** 2 / (50 * e) for o, e in zip(seen, expected, strict=True))
        assert found == pytest.approx(chi)
        off = sum(abs(o / 50 - e) for o, e in zip(seen, expected, strict=True)) / 2
        assert distance == pytest.approx(off)


def test_a_label_that_the_pool_lacks_has_no_chi_square():
    reference = replace(POOL.reference, label_shares=np.array([0.5, 0.5, 0.0]))
    has_it = [(POOL.documents.label_ids[rows] == 2).any() for rows in ROWS]
    assert np.isinf(value("label_chi_square", reference=reference)).tolist() == has_it


def test_lengths_tokens_and_vocabulary_beside_the_profile():
    documents = POOL.documents
    names = ["label " + "abc"[k] for k in documents.label_ids]
    counts = {name: names.count(name) for name in set(names)}
    for place, rows in enumerate(ROWS):
        seen = profile(
            [names[row] for row in rows],
            documents.lengths[rows],
            documents.tokens.take(rows),
            pool_counts=counts,
            vocabulary_types=TYPES,
        )
        one = ROWS[place : place + 1]
        for metric, field in {
            "length_p10": "length_p10",
            "length_p50": "length_p50",
            "length_p90": "length_p90",
            "types_covered": "vocabulary_coverage",
            "oov_share": "oov_share",
            "label_distance": "label_total_variation",
        }.items():
            assert value(metric, one)[0] == pytest.approx(getattr(seen, field)), metric
        kept = sum(min(int(documents.lengths[row]), CUT) for row in rows)
        assert value("tokens_kept", one)[0] == pytest.approx(kept / documents.lengths[rows].sum())


def test_tokens_covered_counts_the_pools_tokens():
    everything = np.concatenate([words(row) for row in range(600)])
    known = everything[everything != 1]
    for found, rows in zip(value("tokens_covered"), ROWS, strict=True):
        types = {int(i) for row in rows for i in words(row)} - {1}
        assert found == pytest.approx(np.isin(known, list(types)).mean())


def test_documents_without_words_have_shares():
    empty = CardDocuments(np.zeros(2, np.int64), np.zeros(2, np.int64), Ragged.of([[2, 3], [2, 3]]))
    reference = Reference.of(empty, labels=1, vocabulary_types=0)
    shares = {
        name: value(name, [[0, 1]], empty, reference)[0]
        for name in ("tokens_kept", "types_covered", "tokens_covered", "oov_share")
    }
    assert shares == {"tokens_kept": 1, "types_covered": 0, "tokens_covered": 0, "oov_share": 0}


def test_mmd_is_the_distance_of_mean_features():
    kernel = POOL.reference.kernel
    features = random_fourier_features(POOL.vectors, kernel).astype(np.float64)
    for found, rows in zip(value("mmd"), ROWS, strict=True):
        gap = features[rows].mean(axis=0) - features.mean(axis=0)
        assert found == pytest.approx(np.linalg.norm(gap), rel=1e-5)
    everything = np.arange(600)[None]
    assert value("mmd", everything)[0] == 0
    one_label = np.flatnonzero(POOL.documents.label_ids == 0)[None, :50]
    assert value("mmd", one_label)[0] > value("mmd").max()


def plainly_copied(signatures):
    alike = (signatures[:, None, :] == signatures[None, :, :]).mean(axis=2) >= NEAR
    return (alike & ~np.eye(len(signatures), dtype=bool)).any(axis=1)


def test_near_copies_beside_comparing_all_pairs():
    signatures = POOL.documents.signatures
    found = value("near_copies", np.arange(600)[None])[0]
    assert found == plainly_copied(signatures).mean() > 0
    for share, rows in zip(value("near_copies"), ROWS, strict=True):
        assert share == plainly_copied(signatures[rows]).mean()


@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(0, 12), st.integers(1, 3))
def test_copies_are_found_whatever_the_buckets_are_like(seed, n, changed, originals):
    """Documents that differ from one of few originals in some values, all in large buckets."""
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 2**32, size=(originals, 64), dtype=np.uint32)
    signatures = base[rng.integers(0, originals, size=n)].copy()
    for row in signatures:
        row[rng.choice(64, size=rng.integers(0, changed + 1), replace=False)] = rng.integers(0, 9)
    found = has_near_copy(signatures, band_keys(signatures))
    assert found.tolist() == plainly_copied(signatures).tolist()


def test_thousands_of_copies_of_one_text_take_no_thousands_of_comparisons_each():
    signatures = np.tile(np.arange(64, dtype=np.uint32), (5000, 1))
    signatures[::2, :4] += 7
    assert has_near_copy(signatures, band_keys(signatures)).all()


def test_leakage_is_a_mean_of_flags():
    flags = POOL.documents.near_test
    assert value("near_test").tolist() == [flags[rows].mean() for rows in ROWS]
    leaked = replace(POOL.documents, in_test=np.arange(600) % 3 == 0)
    expected = [np.mean(rows % 3 == 0) for rows in ROWS]
    assert value("in_test", documents=leaked).tolist() == pytest.approx(expected)


def test_ranges_beside_the_values_themselves():
    covered, clipped = value("range_covered"), value("clip_rate")
    assert covered.shape == clipped.shape == (7, 3)
    for site, values in enumerate(POOL.values):
        middles = bin_middles(values).ravel()
        low, high = np.quantile(middles, [0.001, 0.999], method="inverted_cdf")
        for place, rows in enumerate(ROWS):
            smallest = bin_middles(values[rows].min(keepdims=True)).item()
            largest = bin_middles(values[rows].max(keepdims=True)).item()
            share = (min(largest, high) - max(smallest, low)) / (high - low)
            assert covered[place, site] == pytest.approx(share)
            outside = np.mean((middles < smallest) | (middles > largest))
            assert clipped[place, site] == pytest.approx(outside, abs=1e-12)
    everything = np.arange(600)[None]
    assert value("range_covered", everything) == pytest.approx(1.0)
    assert value("clip_rate", everything) == pytest.approx(0.0, abs=1e-12)


def test_a_site_that_never_changes_is_covered_by_its_one_value():
    site = SiteReference.of(Histogram.of(np.full(10, 0.5, dtype=np.float32)))
    middle = bin_middles(np.float32([0.5]))
    assert site.covered(middle, middle).tolist() == [1.0]
    assert site.clipped(middle, middle).tolist() == [0.0]
    assert site.covered(middle + 1, middle + 1).tolist() == [0.0]


def test_bin_middles_are_the_levels_of_a_histogram():
    values = np.float32([-3.0, -1e-30, 0.0, 1e-30, 0.1, 7.5, 1000.0])
    assert set(bin_middles(values)) == set(Histogram.of(values).levels)
    assert (np.diff(bin_middles(values)) > 0).all()


def test_log_det_beside_numpy():
    documents = POOL.documents
    for found, rows in zip(value("log_det"), ROWS, strict=True):
        mean = documents.gram[rows].astype(np.float64).sum(axis=0) / 50
        assert found == pytest.approx(np.log(np.linalg.det(mean)), abs=2e-5)  # the ridge
    assert value("log_det", np.arange(600)[None])[0] == pytest.approx(0.0, abs=1e-4)
    few = value("log_det", [[0, 1]])[0]  # two inputs, five directions
    assert np.isfinite(few)
    assert few < value("log_det").min()


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_sets_are_measured_one_by_one(metric):
    """Neither the other sets nor the order of rows matter."""
    together = metric.of(POOL.documents, POOL.reference, ROWS)
    for place, rows in enumerate(ROWS):
        alone = metric.of(POOL.documents, POOL.reference, rows[None, ::-1])
        assert alone[0] == pytest.approx(together[place], rel=1e-12, abs=1e-15)
        taken = POOL.documents.take(rows)
        again = metric.of(taken, POOL.reference, np.arange(50)[None])
        assert again[0].tolist() == together[place].tolist()


def test_documents_that_do_not_fit_are_refused():
    with pytest.raises(BadInput, match="2 label_ids but 3 lengths"):
        CardDocuments(np.zeros(2, np.int64), np.zeros(3, np.int64), Ragged.of([[2, 3]] * 2))
    none = CardDocuments(np.zeros(0, np.int64), np.zeros(0, np.int64), Ragged.of([]))
    with pytest.raises(BadInput, match="empty pool"):
        Reference.of(none, labels=1, vocabulary_types=0)
