from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibkit.corpora.text import tokenize
from calibkit.corpora.vocabulary import BOS, EOS, SPECIALS, UNK, Vocabulary
from calibkit.errors import BadInput

TEXTS = st.lists(st.text(st.sampled_from("abcd .,é"), max_size=20), max_size=20)


def test_types_are_ordered_by_count_then_name_and_rare_ones_left_out():
    built = Vocabulary.build(["b a b", "a c", "c a d"], min_count=2)
    assert built.types == (*SPECIALS, "a", "b", "c")


def test_most_limits_the_types_besides_the_specials():
    assert Vocabulary.build(["a a a b b c"], min_count=1, most=2).types == (*SPECIALS, "a", "b")


def test_documents_are_wrapped_cut_and_unknown_tokens_marked():
    vocabulary = Vocabulary((*SPECIALS, "good", "day"))
    encoded = vocabulary.encode(["Good day sir", "", "good " * 5], most_tokens=3)
    assert [row.tolist() for row in map(encoded.__getitem__, range(3))] == [
        [BOS, 4, 5, UNK, EOS],
        [BOS, EOS],
        [BOS, 4, 4, 4, EOS],
    ]
    assert encoded.ids.dtype == np.int32
    assert encoded.offsets.dtype == np.int64


def test_a_text_cannot_spell_a_special():
    vocabulary = Vocabulary.build(["<pad> <bos>"] * 5)
    assert set(vocabulary.encode(["<pad> <bos>"])[0].tolist()).isdisjoint({0, 1})


@given(TEXTS, st.integers(1, 3))
def test_encoding_and_decoding_give_the_tokens_back(texts, min_count):
    vocabulary = Vocabulary.build(texts, min_count=min_count)
    counts = Counter(token for text in texts for token in tokenize(text))
    encoded = vocabulary.encode(texts, most_tokens=1000)
    assert len(encoded) == len(texts)
    for row, text in enumerate(texts):
        kept = [t if counts[t] >= min_count else "<unk>" for t in tokenize(text)]
        assert vocabulary.decode(encoded[row]) == ["<bos>", *kept, "<eos>"]


@given(TEXTS, st.randoms())
def test_the_id_does_not_depend_on_the_order_of_the_texts(texts, random):
    mixed = list(texts)
    random.shuffle(mixed)
    assert Vocabulary.build(mixed, min_count=1).id == Vocabulary.build(texts, min_count=1).id


def test_different_types_have_different_ids():
    assert Vocabulary((*SPECIALS, "a")).id != Vocabulary((*SPECIALS, "b")).id


def test_the_oov_share_counts_tokens():
    vocabulary = Vocabulary((*SPECIALS, "a", "b"))
    assert vocabulary.oov_share(["a b c", "c"]) == 0.5
    assert vocabulary.oov_share(["a b c", "c"], most_tokens=2) == pytest.approx(1 / 3)
    assert vocabulary.oov_share([""]) == 0.0


@pytest.mark.parametrize("types", [("a", "b"), (*SPECIALS, "a", "a")])
def test_a_vocabulary_without_specials_or_with_repeats_is_refused(types):
    with pytest.raises(BadInput):
        Vocabulary(types)
