from __future__ import annotations

import numpy as np
import pytest

from calibkit.corpora import documents, find_corpus, ingest, tokenize
from calibkit.corpora.reading import index, texts
from calibkit.errors import BadInput, UnknownName
from calibkit.identity import draw_order
from calibkit.ids import PackedIds

pytestmark = pytest.mark.smoke


@pytest.fixture
def corpus_con(fresh_store, write, labelled):
    """A connection to a store with the corpus 'mine', of which two documents stand in test too."""
    ingest(
        fresh_store,
        "mine",
        train=write("train.csv", labelled),
        valid=write("valid.csv", labelled[:5]),
        test=write("test.csv", [labelled[0], labelled[1], ("new", "bread")]),
    )
    with fresh_store.reading() as con:
        yield con


def test_documents_come_in_id_order_with_their_labels(corpus_con, labelled):
    corpus = find_corpus(corpus_con, "mine")
    assert (corpus.version, corpus.labels) == (1, ("apple", "bread", "cheese"))
    assert corpus.documents == {"train": 90, "valid": 5, "test": 3}
    found = documents(corpus_con, corpus, "train")
    assert len(found) == 90
    assert list(found.ids) == sorted(found.ids)
    assert found.label_ids.dtype == np.int64
    pairs = {(t, corpus.labels[y]) for t, y in zip(found.texts, found.label_ids, strict=True)}
    assert pairs == set(labelled)


def test_shares_and_limits_are_the_keyed_draws(corpus_con):
    corpus = find_corpus(corpus_con, "mine")
    whole = documents(corpus_con, corpus, "train").ids
    shared = documents(corpus_con, corpus, "train", share=0.5).ids
    assert set(shared) == {whole[row] for row in draw_order(0, "share", whole)[:45]}
    limited = documents(corpus_con, corpus, "train", share=0.5, limit=7).ids
    assert set(limited) == {shared[row] for row in draw_order(0, "limit", shared)[:7]}
    assert set(documents(corpus_con, corpus, "train", share=0.2).ids) < set(shared)
    assert len(documents(corpus_con, corpus, "test", share=0.01)) == 1
    assert documents(corpus_con, corpus, "train", limit=1000).ids == whole


def test_documents_that_stand_in_test_can_be_left_out(corpus_con, labelled):
    corpus = find_corpus(corpus_con, "mine")
    found = documents(corpus_con, corpus, "train", leave_out_in_test=True)
    assert set(found.texts) == {text for text, _ in labelled[2:]}


def test_unknown_names_are_answered_with_the_near_one(corpus_con):
    with pytest.raises(UnknownName, match="did you mean 'mine'.*calibkit ingest mina"):
        find_corpus(corpus_con, "mina")
    corpus = find_corpus(corpus_con, "mine")
    with pytest.raises(UnknownName, match="did you mean 'valid'"):
        documents(corpus_con, corpus, "valids")
    for share in (0, 1.5):
        with pytest.raises(BadInput, match="allowed: above 0, up to 1"):
            documents(corpus_con, corpus, "train", share=share)
    with pytest.raises(BadInput, match="allowed: 1 and more"):
        documents(corpus_con, corpus, "train", limit=0)


def test_texts_and_the_index_are_those_of_the_documents(fresh_store, write, labelled):
    ingest(fresh_store, "mine", train=write("train.csv", labelled), test=write("t.csv", labelled))
    with fresh_store.reading() as con:
        con.execute("SELECT * FROM documents").fetchone()  # a result that is not read to its end
        corpus = find_corpus(con, "mine")
        whole = documents(con, corpus, "train", share=0.5)
        streamed = texts(con, corpus, "train", share=0.5)
        known = index(con, corpus, "train", share=0.5)
        nothing = index(con, corpus, "train", leave_out_in_test=True)
    assert sorted(streamed) == sorted(whole.texts)
    assert known.ids == whole.ids and isinstance(known.ids, PackedIds)
    assert known.label_ids.tolist() == whole.label_ids.tolist()
    assert known.tokens.tolist() == [len(tokenize(text)) for text in whole.texts]
    assert (len(nothing), nothing.ids, nothing.tokens.tolist()) == (0, (), [])
