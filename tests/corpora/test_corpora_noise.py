from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibkit.corpora.noise import corrupt, noise_kinds
from calibkit.errors import BadInput, UnknownName

TEXTS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], max_codepoint=0x1FFFF), max_size=60),
    max_size=8,
)
LEVELS = st.floats(0, 1)


def ids_of(texts):
    return [f"d1-{number:020x}" for number in range(len(texts))]


def changed_at(clean, noisy):
    return {i: new for i, (old, new) in enumerate(zip(clean, noisy, strict=True)) if old != new}


def test_keyboard_noise_is_this_one():
    """Golden text: another result would change every stored noise row."""
    noisy = corrupt(["The quick brown fox jumps over 13 lazy dogs."], ["d1-0"], "keyboard", 0.3, 0)
    assert noisy.texts == ("The q8ick brpwn fox jumpa ovrr 13 oazy dkgs.",)


@given(TEXTS, LEVELS, LEVELS, st.integers(0, 9))
def test_what_a_lower_level_corrupts_a_higher_one_corrupts_alike(texts, one, other, seed):
    low, high = sorted((one, other))
    ids = ids_of(texts)
    less = corrupt(texts, ids, "keyboard", low, seed)
    more = corrupt(texts, ids, "keyboard", high, seed)
    for clean, slightly, heavily in zip(texts, less.texts, more.texts, strict=True):
        assert changed_at(clean, slightly).items() <= changed_at(clean, heavily).items()
    assert less.changed <= more.changed <= more.eligible == less.eligible


@given(TEXTS, LEVELS, st.randoms())
def test_noise_does_not_depend_on_the_order_of_the_documents(texts, level, random):
    ids = ids_of(texts)
    order = list(range(len(texts)))
    random.shuffle(order)
    straight = corrupt(texts, ids, "keyboard", level, 3)
    mixed = corrupt([texts[i] for i in order], [ids[i] for i in order], "keyboard", level, 3)
    assert mixed.texts == tuple(straight.texts[i] for i in order)
    assert mixed.changed == straight.changed


@given(TEXTS, st.integers(0, 9))
def test_level_zero_is_the_identity(texts, seed):
    noisy = corrupt(texts, ids_of(texts), "keyboard", 0.0, seed)
    assert noisy.texts == tuple(texts)
    assert noisy.changed == 0
    assert noisy.realised_rate == noisy.length_drift == 0.0


@given(TEXTS)
def test_level_one_changes_every_letter_and_digit_and_nothing_else(texts):
    noisy = corrupt(texts, ids_of(texts), "keyboard", 1.0, 0)
    for clean, dirty in zip(texts, noisy.texts, strict=True):
        for old, new in zip(clean, dirty, strict=True):
            assert (old != new) == (old.isascii() and old.isalnum())


def test_case_and_neighbourhood_are_kept():
    texts = ["Q" * 400, "g" * 400, "0" * 400]
    noisy = corrupt(texts, ids_of(texts), "keyboard", 1.0, 0).texts
    assert set(noisy[0]) == set("12WA")
    assert set(noisy[1]) == set("tyfhvb")
    assert set(noisy[2]) == set("9op")  # a digit has no case to keep: lower


def test_the_realised_rate_is_the_level():
    texts = ["plain letters and 12 digits, again and again"] * 500
    noisy = corrupt(texts, ids_of(texts), "keyboard", 0.1, 0)
    eligible = 500 * sum(map(str.isalnum, texts[0]))
    assert noisy.eligible == eligible
    assert noisy.realised_rate == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / eligible))
    assert noisy.changed == round(noisy.realised_rate * eligible)


def test_seeds_and_documents_have_streams_of_their_own():
    text = "the same text " * 5
    one = corrupt([text, text], ["d1-a", "d1-b"], "keyboard", 0.3, 0).texts
    assert one[0] != one[1]
    assert corrupt([text], ["d1-a"], "keyboard", 0.3, 1).texts[0] != one[0]


def test_none_is_a_kind_with_one_level():
    assert corrupt(["a"], ["d"], "none", 0.0, 0).texts == ("a",)
    with pytest.raises(BadInput, match="only level is 0"):
        corrupt(["a"], ["d"], "none", 0.1, 0)


def test_unknown_kinds_and_impossible_levels_are_refused():
    assert noise_kinds() == ("keyboard",)
    with pytest.raises(UnknownName, match="did you mean 'keyboard'"):
        corrupt([], [], "keybord", 0.1, 0)
    for level in (-0.1, 1.5, float("nan")):
        with pytest.raises(BadInput, match="between 0 and 1"):
            corrupt([], [], "keyboard", level, 0)
    with pytest.raises(BadInput, match="2 texts but 1 document ids"):
        corrupt(["a", "b"], ["d"], "keyboard", 0.1, 0)
