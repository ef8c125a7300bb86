import numpy as np
import pytest

from calibkit.corpora.reading import find_corpus
from calibkit.corpora.vocabulary import BOS, EOS, Vocabulary
from calibkit.curate.encoding import NOISE_FACTS, Encoder, Library, artefacts_of, kept
from calibkit.errors import StoreError
from calibkit.ragged import Ragged


@pytest.fixture
def library(store):
    with store.reading() as con:
        return Library(store, find_corpus(con, "made"), 1.0)


@pytest.fixture
def encoder(library):
    return Encoder(library, min_count=2, most_types=1000, most_tokens=12)


def tokens_of(encoder, key):
    tensors = artefacts_of(encoder.library.store).load("tokens", key).tensors
    return Ragged(tensors["ids"], tensors["offsets"]), tensors["labels"]


def test_the_vocabulary_is_that_of_the_training_split(encoder):
    whole = encoder.library.split("train").texts
    assert encoder.vocabulary == Vocabulary.build(whole, min_count=2, most=1000)
    again = Encoder(encoder.library, 2, 1000, 99)
    assert again.vocabulary.id == encoder.vocabulary.id
    assert Encoder(encoder.library, 20, 1000, 12).vocabulary.id != encoder.vocabulary.id


def test_a_split_is_kept_in_the_order_of_its_ids(encoder):
    tokens, labels = tokens_of(encoder, encoder.split_tokens("valid"))
    found = encoder.library.split("valid")
    assert labels.tolist() == found.label_ids.tolist()
    expected = encoder.vocabulary.encode(found.texts, most_tokens=12)
    assert np.array_equal(tokens.ids, expected.ids)
    assert np.array_equal(tokens.offsets, expected.offsets)


def test_every_document_is_wrapped_and_cut(encoder):
    tokens, _ = tokens_of(encoder, encoder.split_tokens("train"))
    assert tokens.lengths.max() == 14
    assert {tokens[i][0] for i in range(len(tokens))} == {BOS}
    assert {tokens[i][-1] for i in range(len(tokens))} == {EOS}


def test_noise_changes_texts_and_never_labels_or_places(encoder):
    clean, facts = encoder.test_tokens("test", "none", 0.0, 0, limit=None)
    noisy, noise = encoder.test_tokens("test", "keyboard", 0.3, 0, limit=None)
    assert clean != noisy
    assert facts["realised_rate"] == facts["length_drift"] == 0
    assert 0.2 < noise["realised_rate"] < 0.4
    assert noise["oov_rate"] > facts["oov_rate"]
    (a, labels), (b, same) = tokens_of(encoder, clean), tokens_of(encoder, noisy)
    assert labels.tolist() == same.tolist()
    assert len(a) == len(b)
    assert a.ids.tolist() != b.ids.tolist()


def test_a_kept_test_set_says_again_what_the_noise_did(encoder):
    first = encoder.test_tokens("test", "keyboard", 0.1, 0, limit=20)
    other = Encoder(encoder.library, 2, 1000, 12)
    assert other.test_tokens("test", "keyboard", 0.1, 0, limit=20) == first
    assert set(first[1]) == set(NOISE_FACTS)


@pytest.mark.parametrize(
    "change",
    [
        {"split": "valid"}, {"kind": "none", "level": 0.0}, {"level": 0.2}, {"seed": 1},
        {"limit": 21},
    ],
)  # fmt: skip
def test_test_sets_are_kept_apart(encoder, change):
    base = {"split": "test", "kind": "keyboard", "level": 0.1, "seed": 0, "limit": 20}
    assert encoder.test_tokens(**base)[0] != encoder.test_tokens(**(base | change))[0]


def test_a_limit_takes_the_same_documents_always(encoder):
    few, more = (encoder.library.split("test", limit=n).ids for n in (5, 15))
    assert len(few) == 5
    assert set(few) < set(more)
    assert list(few) == sorted(few)


def test_a_subset_is_read_only_where_it_is_not_kept_yet(encoder):
    found = encoder.library.split("train")
    key = encoder.subset_tokens("s1-made", lambda: found)

    def never():
        raise AssertionError("it is kept already")

    assert encoder.subset_tokens("s1-made", never) == key


def test_what_is_there_under_a_key_is_not_replaced(store):
    shelf = artefacts_of(store)
    one, two = {"x": np.zeros(3)}, {"x": np.ones(3)}
    assert kept(shelf, "feature", "a", lambda: (one, {})).tensors["x"].tolist() == [0, 0, 0]
    assert kept(shelf, "feature", "a", lambda: (two, {})).tensors["x"].tolist() == [0, 0, 0]
    with pytest.raises(StoreError, match="never overwritten"):
        shelf.save("feature", "a", two, {})
