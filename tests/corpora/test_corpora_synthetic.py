"""Made documents in the store: their ids, their flags, who made them."""

from __future__ import annotations

from datetime import datetime

import pytest

from calibkit.corpora.ingest import ingest
from calibkit.corpora.reading import documents, documents_by_id, find_corpus
from calibkit.corpora.synthetic import (
    SYNTHETIC,
    Provenance,
    add_synthetic,
    identified,
)
from calibkit.errors import UnknownName
from calibkit.store import Store


@pytest.fixture
def store(tmp_path, make_corpus_files):
    found = Store(tmp_path / "store.duckdb")
    ingest(found, "made", **make_corpus_files(tmp_path, {"train": 60, "valid": 15, "test": 15}))
    return found


def by(request, **changes):
    values = {"generator": "of-tests", "params": '{"a":1}', "seed": 3, "model_id": None}
    return Provenance(request, **(values | changes), created_at=datetime(2026, 1, 2))


def added(store, made, provenance):
    with store.reading() as con:
        corpus = find_corpus(con, "made")
    found = identified(corpus, made)
    with store.writing() as con:
        return found, add_synthetic(con, corpus, found, provenance)


def rows(store, query):
    with store.reading() as con:
        return con.execute(query).fetchall()


def test_ids_are_derived_as_at_ingest(store):
    """An id of ingest is that of the same parts with another split: one derivation for both."""
    import hashlib

    with store.reading() as con:
        corpus = find_corpus(con, "made")
        train = documents(con, corpus, "train")
    text, label = train.texts[0], corpus.labels[train.label_ids[0]]
    (made,) = identified(corpus, [(f"  {text}\n", label, "")])
    assert (made.text, made.label, made.made_from) == (text, label, None)
    for split, doc_id in (("train", train.ids[0]), (SYNTHETIC, made.doc_id)):
        parts = "\x1f".join(("made", split, label, text, "0"))
        assert doc_id == "d1-" + hashlib.md5(parts.encode()).hexdigest()[:20]


def test_equal_texts_are_told_apart_by_label_and_occurrence_alone(store):
    made = [("a wave", "sea", ""), ("a wave", "sky", ""), ("a  wave", "sea", "")]
    found, new = added(store, made, by("r1"))
    assert new == len({document.doc_id for document in found}) == 3
    again, new = added(store, [made[0], made[2], ("a reef", "sea", "")], by("r2", seed=4))
    assert new == 1
    assert [document.doc_id for document in again[:2]] == [found[0].doc_id, found[2].doc_id]


def test_adding_again_changes_nothing(store):
    made = [("one text", "sea", ""), ("two texts", "sky", "")]
    assert added(store, made, by("r1"))[1] == 2
    before = rows(store, "FROM documents ORDER BY ALL"), rows(store, "FROM synthetic_documents")
    assert added(store, made, by("r1"))[1] == 0
    after = rows(store, "FROM documents ORDER BY ALL"), rows(store, "FROM synthetic_documents")
    assert after == before


def test_rows_say_what_a_document_is_and_who_made_it(store):
    with store.reading() as con:
        corpus = find_corpus(con, "made")
        (leaked, *_) = documents(con, corpus, "test").texts
        original = documents(con, corpus, "train").ids[7]
    made = [
        ("The same, twice", "art", original),
        ("The same, twice", "sky", ""),
        (leaked, "sea", ""),
    ]
    found, _ = added(store, made, by("r9", model_id="m1-x"))
    there = rows(
        store,
        "SELECT text, split, label, tokens, is_duplicate, in_test FROM documents"
        " JOIN labels USING (corpus_id, label_id) WHERE split = 'synthetic' ORDER BY label",
    )
    tokens = len(leaked.split())
    assert there == [
        ("The same, twice", "synthetic", "art", 4, False, False),
        (leaked, "synthetic", "sea", tokens, False, True),
        ("The same, twice", "synthetic", "sky", 4, True, False),
    ]
    assert rows(
        store,
        "SELECT request_key, doc_id, generator, params, seed, model_id, made_from, label"
        " FROM synthetic_documents ORDER BY label",
    ) == [
        ("r9", found[0].doc_id, "of-tests", '{"a":1}', 3, "m1-x", original, "art"),
        ("r9", found[2].doc_id, "of-tests", '{"a":1}', 3, "m1-x", None, "sea"),
        ("r9", found[1].doc_id, "of-tests", '{"a":1}', 3, "m1-x", None, "sky"),
    ]


def test_a_made_document_is_of_no_split_that_can_be_drawn_from(store):
    with store.reading() as con:
        before = find_corpus(con, "made")
        seen = {split: documents(con, before, split).ids for split in before.documents}
    found, _ = added(store, [("a text of its own", "sea", "")], by("r1"))
    with store.reading() as con:
        after = find_corpus(con, "made")
        assert after == before
        assert {split: documents(con, after, split).ids for split in after.documents} == seen
        with pytest.raises(UnknownName, match="no split of corpus 'made' is called 'synthetic'"):
            documents(con, after, SYNTHETIC)
        one = documents_by_id(con, after, [found[0].doc_id, seen["train"][0]])
    assert one.texts[0] == "a text of its own"
    assert after.labels[one.label_ids[0]] == "sea"
