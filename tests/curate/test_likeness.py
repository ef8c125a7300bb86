"""What filters and token-coverage look at, computed from a real store and kept there."""

from __future__ import annotations

import numpy as np
import pytest

from calibkit.corpora.ingest import ingest
from calibkit.corpora.reading import find_corpus
from calibkit.curate.encoding import Library
from calibkit.curate.features import Features
from calibkit.curate.likeness import equal_texts, nearest_in_test, signatures
from calibkit.curate.subsets import SubsetBuilder, build_subset
from calibkit.errors import BadInput, Infeasible
from calibkit.policies import make_policy, minhash
from calibkit.store.connection import Store


@pytest.fixture(scope="module")
def copies(tmp_path_factory) -> Store:
    """Training documents with equal texts, near copies, and near copies of test documents."""
    folder = tmp_path_factory.mktemp("likeness")
    rng = np.random.default_rng(0)

    def texts(count):
        return [" ".join(f"w{n}" for n in rng.integers(0, 500, 30)) for _ in range(count)]

    train, test = texts(60), texts(20)
    train += [train[3], train[3], train[4].upper()]  # two equal texts; another case is another text
    train += [f"{train[i]} and some more" for i in range(10)]  # near copies
    train += [f"but {test[i]}" for i in range(5)]  # near copies of test documents
    train += [test[7]]  # in no pool
    splits = {"train": train, "valid": texts(10), "test": test}
    files = {}
    for name, found in splits.items():
        rows = [f"{text},{'sea' if i % 2 else 'sky'}" for i, text in enumerate(found)]
        files[name] = folder / f"{name}.csv"
        files[name].write_text("\n".join(["text,label", *rows, ""]))
    store = Store(folder / "store.duckdb")
    ingest(store, "made", **files)
    return store


@pytest.fixture
def features(copies) -> Features:
    with copies.reading() as con:
        corpus = find_corpus(con, "made")
    return Features(Library(copies, corpus, 1.0), "train")


def texts_of(store, subset) -> list[str]:
    with store.reading() as con:
        return [
            con.execute("SELECT text FROM documents WHERE doc_id = ?", [i]).fetchone()[0]
            for i in subset.doc_ids
        ]


def test_equal_texts_have_the_row_of_the_first_by_id(features):
    first = equal_texts(features)
    texts = features.texts
    assert first.tolist() == [texts.index(text) for text in texts]
    assert (first < np.arange(len(texts))).sum() == 2


def test_signatures_are_those_of_the_pools_texts_and_are_kept(features, monkeypatch):
    found = signatures(features)
    assert (found == minhash.signatures(features.texts)).all()
    assert found.dtype == np.uint32
    monkeypatch.setattr(minhash, "signatures", None)  # not computed again
    assert (signatures(features) == found).all()
    monkeypatch.setattr(minhash, "VERSION", 2)  # other signatures have another key
    with pytest.raises(TypeError):
        signatures(features)


def test_near_copies_of_test_documents_are_known_whatever_the_share(features, copies):
    found = dict(zip(features.texts, nearest_in_test(features).tolist(), strict=True))
    near = {text for text, similarity in found.items() if similarity >= 0.8}
    assert near == {text for text in found if text.startswith("but ")}
    assert len(near) == 5
    shared = Features(Library(copies, features.library.corpus, 0.5), "train")
    of_share = dict(zip(shared.texts, nearest_in_test(shared).tolist(), strict=True))
    assert of_share == {text: found[text] for text in shared.texts}


def test_a_filtered_subset_has_no_copies_and_nothing_near_the_test_split(copies):
    filters = {"duplicates": "drop", "near_duplicates": 0.8, "near_test": 0.8}
    policy = make_policy("random", {"filters": filters})
    with pytest.raises(Infeasible, match="the filters leave 60 of 78"):
        build_subset(copies, "made", policy, size=61, seed=0)
    texts = texts_of(copies, build_subset(copies, "made", policy, size=60, seed=0))
    assert len({text.lower() for text in texts}) == 60
    assert sum("and some more" in text for text in texts) <= 10
    assert not any(text.startswith("but ") for text in texts)
    found = minhash.signatures(texts)
    assert len(minhash.similar_pairs(found, 0.8)) == 0


def test_only_equal_texts_are_dropped_where_only_they_are_named(copies):
    policy = make_policy("random", {"filters": {"duplicates": "drop"}})
    texts = texts_of(copies, build_subset(copies, "made", policy, size=76, seed=0))
    assert len(set(texts)) == 76


def test_policies_of_policies_choose_from_a_store(copies):
    random = build_subset(copies, "made", make_policy("random"), size=20, seed=1)
    params = {
        "parts": [
            {"policy": {"use": "subset", "id": random.subset_id}, "share": 1},
            {"policy": {"use": "token-coverage", "filters": {"max_tokens": 40}}, "share": 1},
        ]
    }
    mixed = build_subset(copies, "made", make_policy("mixture", params), size=20, seed=0)
    assert len(set(mixed.doc_ids) & set(random.doc_ids[:10])) == 10
    assert len(set(mixed.doc_ids)) == 20
    of = {"use": "subset", "id": random.subset_id}
    again = [
        build_subset(copies, "made", make_policy("shuffle", {"of": of}), size=20, seed=seed)
        for seed in (0, 1)
    ]
    assert {frozenset(subset.doc_ids) for subset in again} == {frozenset(random.doc_ids)}
    assert len({random.subset_id, again[0].subset_id, again[1].subset_id}) == 3


def test_a_mixture_of_what_ignores_the_seed_is_one_request(features, copies):
    subset = build_subset(copies, "made", make_policy("random"), size=12, seed=4)
    part = {"policy": {"use": "subset", "id": subset.subset_id}, "share": 1}
    policy = make_policy("mixture", {"parts": [part]})
    builder = SubsetBuilder(features.library)
    one, other = (builder.build(policy, 12, seed) for seed in (0, 9))
    assert other.existed
    assert one.doc_ids == other.doc_ids


def test_a_subset_that_the_store_lacks_is_refused(copies):
    policy = make_policy("shuffle", {"of": {"use": "subset", "id": "s1-none"}})
    with pytest.raises(BadInput, match="the store has no subset 's1-none'"):
        build_subset(copies, "made", policy, size=3, seed=0)
