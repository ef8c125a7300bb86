"""A model, a subset and documents, from a store."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from calibkit.corpora.ingest import ingest
from calibkit.corpora.reading import find_corpus
from calibkit.curate.subsets import build_subset, read_subset
from calibkit.decide.subject import load_subject
from calibkit.errors import BadInput, StoreDamaged
from calibkit.identity import draw_order
from calibkit.policies import make_policy
from calibkit.store import Store


@pytest.fixture
def store(modelled_store) -> Store:
    return Store(modelled_store.path)


@pytest.fixture
def own_store(modelled_store, tmp_path) -> Store:
    """A copy that a test may change."""
    copy = tmp_path / modelled_store.path.name
    shutil.copyfile(modelled_store.path, copy)
    shutil.copytree(f"{modelled_store.path}.d", f"{copy}.d")
    return Store(copy)


def digest(store: Store) -> set[tuple[str, bytes]]:
    files = [store.path, *store.folder.rglob("*")]
    return {(str(path), path.read_bytes()) for path in files if path.is_file()}


def same(tokens, other) -> bool:
    equal = np.array_equal(tokens.offsets, other.offsets)
    return equal and np.array_equal(tokens.ids, other.ids)


@pytest.mark.parametrize("kind", ["discriminative", "generative"])
def test_a_subject_is_the_model_its_subset_and_the_valid_documents(kind, store, modelled_store):
    before = digest(store)
    subject = load_subject(store, modelled_store.models[kind], modelled_store.subset)
    assert subject.kind == kind and subject.labels == ("art", "sea", "sky")
    assert (len(subject.subset), len(subject.tokens), subject.left_out) == (24, 60, 0)
    assert set(np.unique(subject.label_ids)) == {0, 1, 2}
    assert subject.tokens.ids.max() < len(subject.arrays["embedding.weight"])
    with store.reading() as con:
        doc_ids = read_subset(con, modelled_store.subset).doc_ids
        texts = dict(con.execute("SELECT doc_id, text FROM documents").fetchall())
    words = [len(texts[doc_id].split()) + 2 for doc_id in doc_ids]
    assert subject.subset.lengths.tolist() == words  # in calibration order, in <bos> ... <eos>
    assert [one.doc_id for one in subject.chosen] == list(doc_ids)
    assert [one.text for one in subject.chosen] == [texts[doc_id] for doc_id in doc_ids]
    assert {one.label for one in subject.chosen} <= set(subject.labels)
    assert digest(store) == before


def test_the_start_of_an_id_or_key_is_enough(store, modelled_store):
    whole = load_subject(store, modelled_store.models["generative"], modelled_store.subset)
    model, subset = modelled_store.models["generative"][:8], modelled_store.subset[:8]
    for name in (model, "k1-0000000000000001"):
        short = load_subject(store, name, subset)
        assert short.kind == "generative" and same(short.tokens, whole.tokens)


def test_a_number_of_documents_is_the_first_of_the_keyed_order(store, modelled_store):
    model = modelled_store.models["discriminative"]
    whole = load_subject(store, model, modelled_store.subset)
    some = load_subject(store, model, modelled_store.subset, documents=10)
    with store.reading() as con:
        ids = [
            i
            for (i,) in con.execute(
                "SELECT doc_id FROM documents WHERE split = 'valid' ORDER BY doc_id"
            ).fetchall()
        ]
    rows = np.sort(draw_order(0, "limit", ids)[:10])
    assert same(some.tokens, whole.tokens.take(rows))
    assert some.label_ids.tolist() == whole.label_ids[rows].tolist()
    more = load_subject(store, model, modelled_store.subset, documents=1000)
    assert same(more.tokens, whole.tokens)


def test_calibration_documents_are_not_measured_on(store, modelled_store):
    model = modelled_store.models["discriminative"]
    subject = load_subject(store, model, modelled_store.valid_subset)
    assert subject.left_out == 24 and len(subject.tokens) == 36
    other = load_subject(store, model, modelled_store.subset, split="train")
    assert other.left_out == 24 and len(other.tokens) == 120 - 24


def test_no_document_is_left(own_store, modelled_store):
    policy = make_policy("random")
    every = build_subset(own_store, "made", policy, size=60, seed=0, pool="valid").subset_id
    with pytest.raises(BadInput, match=r"valid split .* has no document .* give another split"):
        load_subject(own_store, modelled_store.models["generative"], every)


@pytest.mark.parametrize(
    ("model", "subset", "said"),
    [
        ("m1-nobody", "", r"no model .* starts with 'm1-nobody'; `calibkit list models`"),
        ("", "", r"2 models with an id that starts with ''"),
        ("k1-0000000000000000", "s1-nobody", r"no subset .* 's1-nobody'; `calibkit list subsets`"),
        ("k1-0000000000000000", "s1-", r"2 subsets with an id that starts with 's1-'"),
    ],
)
def test_what_is_not_there_exactly_once_is_refused(store, model, subset, said):
    with pytest.raises(BadInput, match=said):
        load_subject(store, model, subset)


def test_a_subset_of_another_corpus_is_refused(
    own_store, modelled_store, tmp_path, make_corpus_files
):
    files = make_corpus_files(tmp_path / "b", {"train": 40, "valid": 8, "test": 8}, seed=1)
    ingest(own_store, "other", **files)
    policy = make_policy("random")
    subset = build_subset(own_store, "other", policy, size=8, seed=0).subset_id
    said = rf"the subset {subset} is of the corpus 'other', version 1, and the model .* 'made'"
    with pytest.raises(BadInput, match=said):
        load_subject(own_store, modelled_store.models["generative"], subset)


def test_a_later_version_of_the_corpus_changes_nothing(
    own_store, modelled_store, tmp_path, make_corpus_files
):
    before = load_subject(own_store, modelled_store.models["generative"], modelled_store.subset)
    files = make_corpus_files(tmp_path / "b", {"train": 40, "valid": 8, "test": 8}, seed=1)
    ingest(own_store, "made", **files)
    with own_store.reading() as con:
        assert find_corpus(con, "made").version == 2
    after = load_subject(own_store, modelled_store.models["generative"], modelled_store.subset)
    assert same(after.tokens, before.tokens) and same(after.subset, before.subset)


def test_a_lost_model_is_said(own_store, modelled_store):
    shutil.rmtree(own_store.artefacts)
    with pytest.raises(StoreDamaged, match="k1-0000000000000000"):
        load_subject(own_store, modelled_store.models["discriminative"], modelled_store.subset)
