from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.errors import Infeasible
from calibkit.policies.features import TfidfSpace, tfidf_svd

SPACE = ["the rocket reached orbit", "a rocket left for the moon", "orbit around the moon"]
FOOD = ["bread with butter", "butter and jam on bread", "jam with bread"]


def test_texts_about_the_same_thing_are_nearer_to_each_other():
    vectors = tfidf_svd(SPACE + FOOD, dims=2)
    assert vectors.shape == (6, 2)
    assert vectors.dtype == np.float32
    likeness = vectors @ vectors.T
    assert likeness[:3, :3].min() > likeness[:3, 3:].max()
    assert likeness[3:, 3:].min() > likeness[:3, 3:].max()


def test_rows_have_length_one_and_texts_without_words_are_zero():
    lengths = np.linalg.norm(tfidf_svd([*SPACE, "", "?!", *FOOD]), axis=1)
    assert lengths[[3, 4]].tolist() == [0, 0]
    assert np.delete(lengths, [3, 4]) == pytest.approx(1, abs=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.permutations(SPACE + FOOD + SPACE[:1] + ["", "unrelated"]))
def test_a_texts_vector_does_not_depend_on_the_order_of_texts(texts):
    reference = sorted(texts)
    expected = dict(zip(reference, tfidf_svd(reference), strict=True))
    for text, vector in zip(texts, tfidf_svd(texts), strict=True):
        assert vector.tobytes() == expected[text].tobytes()


def test_other_texts_have_vectors_in_the_same_space():
    space = TfidfSpace.of(SPACE + FOOD, dims=2)
    new = space.vectors(["butter on bread", SPACE[1], "nothing known"])
    pool = tfidf_svd(SPACE + FOOD, dims=2)
    assert new.dtype == np.float32
    assert new[1].tobytes() == pool[1].tobytes()
    assert (new[0] @ pool[3:].T).min() > (new[0] @ pool[:3].T).max()
    assert new[2].tolist() == [0, 0]


def test_small_pools_get_fewer_dimensions():
    assert tfidf_svd(SPACE).shape == (3, 2)
    assert tfidf_svd(["one text"]).tolist() == [[1.0]]
    assert tfidf_svd(["same", "same", "same same"]).tolist() == [[1.0], [1.0], [1.0]]
    many = [f"w{i} w{i + 1} w{i + 2}" for i in range(200)]
    assert tfidf_svd(many).shape == (200, 64)
    assert tfidf_svd(many, dims=7).shape == (200, 7)


def test_the_global_random_state_neither_matters_nor_moves():
    np.random.seed(1)
    first = tfidf_svd(SPACE + FOOD)
    after = np.random.get_state()[1].copy()
    np.random.seed(1)
    assert (np.random.get_state()[1] == after).all()
    np.random.seed(2)
    assert (tfidf_svd(SPACE + FOOD) == first).all()


@pytest.mark.parametrize("texts", [[], ["", "..."]])
def test_texts_without_a_single_word_are_infeasible(texts):
    with pytest.raises(Infeasible, match="tfidf-svd"):
        tfidf_svd(texts)
