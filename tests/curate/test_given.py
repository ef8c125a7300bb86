"""Vectors that came with the documents, as an array about a pool."""

import json

import numpy as np
import pytest

from calibkit.corpora.ingest import ingest
from calibkit.corpora.reading import find_corpus
from calibkit.curate.encoding import Library
from calibkit.curate.features import Features
from calibkit.curate.given import given_vectors
from calibkit.curate.subsets import build_subset
from calibkit.errors import BadInput
from calibkit.policies import make_policy
from calibkit.store.connection import Store


@pytest.fixture
def embedded(tmp_path):
    """A store whose corpus has documents on a line: document n at (n, 0), n its first word."""
    file = tmp_path / "train.jsonl"
    rows = [
        {"text": f"{n} words and {n} more", "label": "ab"[n % 2], "at": [n, 0]} for n in range(120)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    store = Store(tmp_path / "store.duckdb")
    ingest(store, "line", train=file, vectors="at")
    return store


def test_rows_are_those_of_the_pool_s_documents(embedded):
    with embedded.reading() as con:
        library = Library(embedded, find_corpus(con, "line"), 0.5)
    features = Features(library, "train")
    vectors = given_vectors(features)
    assert len(vectors) == len(features.doc_ids) == 42
    expected = [[float(text.split()[0]), 0.0] for text in features.texts]
    assert vectors.tolist() == expected


def test_a_policy_measures_distances_between_them(embedded):
    """The second center is as far from the first one as documents can be."""
    policy = make_policy("k-center", {"features": "given", "candidates": 84})
    built = build_subset(embedded, "line", policy, size=2, seed=0)
    with embedded.reading() as con:
        library = Library(embedded, find_corpus(con, "line"), 1.0)
    features = Features(library, "train")
    place = dict(zip(features.doc_ids, given_vectors(features)[:, 0], strict=True))
    first, second = (place[doc_id] for doc_id in built.doc_ids)
    farthest = max(abs(np.array(list(place.values())) - first))
    assert abs(second - first) == farthest


def test_a_corpus_without_vectors_is_told_how_to_bring_them(store):
    policy = make_policy("k-center", {"features": "given"})
    with pytest.raises(BadInput, match="calibkit ingest made --train FILE .* --vectors COLUMN"):
        build_subset(store, "made", policy, size=5, seed=0)
