from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.errors import BadInput
from calibkit.policies.profile import profile
from calibkit.ragged import Ragged

BOS, EOS, UNK = 2, 3, 1


def test_a_profile_counts_what_is_there():
    tokens = Ragged.of([[BOS, 4, 5, UNK, EOS], [BOS, 4, 4, 9, EOS], [BOS, EOS]])
    found = profile(
        ["a", "a", "b"],
        np.array([3, 30, 0]),
        tokens,
        pool_counts={"a": 1, "b": 1, "c": 2},
        vocabulary_types=12,
    )
    assert (found.documents, found.tokens) == (3, 33)
    assert (found.length_p10, found.length_p50, found.length_p90) == pytest.approx((0.6, 3, 24.6))
    assert found.oov_share == pytest.approx(1 / 6)
    assert found.vocabulary_coverage == pytest.approx(3 / 12)
    assert found.label_mix == pytest.approx({"a": 2 / 3, "b": 1 / 3, "c": 0})
    assert found.label_total_variation == pytest.approx(0.5)  # (5/12 + 1/12 + 6/12) / 2


@settings(deadline=None)
@given(st.lists(st.sampled_from("abcd"), min_size=1), st.data())
def test_total_variation_is_zero_for_the_pool_and_never_above_one(pool, data):
    def variation(labels):
        n = len(labels)
        tokens = Ragged.of([[BOS, 4, EOS]] * n)
        found = profile(labels, np.ones(n), tokens, pool_counts=Counter(pool), vocabulary_types=1)
        assert sum(found.label_mix.values()) == pytest.approx(1)
        return found.label_total_variation

    assert variation(pool) == 0
    some = data.draw(st.lists(st.sampled_from(pool), min_size=1))
    assert 0 <= variation(some) < 1


@pytest.mark.parametrize(
    ("labels", "lengths", "documents", "message"),
    [
        ([], [], [], "empty subset"),
        (["z"], [1], [[4]], "label 'z', which its pool does not have"),
        (["a", "a"], [1], [[4]], "2, 1 and 1"),
    ],
)
def test_what_does_not_fit_is_refused(labels, lengths, documents, message):
    with pytest.raises(BadInput, match=message):
        profile(
            labels,
            np.array(lengths, dtype=np.int64),
            Ragged.of(documents),
            pool_counts={"a": 1},
            vocabulary_types=1,
        )
