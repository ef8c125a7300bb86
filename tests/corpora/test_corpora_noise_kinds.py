"""What each kind of noise does, and in which sense its levels are nested."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibkit.corpora.noise import corrupt
from calibkit.corpora.noise.shapes import DOUBLES, MISREAD, MISREAD_PAIRS
from calibkit.corpora.text import clean, tokenize

CHARACTERS = st.one_of(
    st.sampled_from("the clarinet, ri rn cl MO01 __ 9"),
    st.characters(exclude_categories=["Cs"], max_codepoint=0x1FFFF),
)
TEXT = st.text(CHARACTERS, max_size=80)
LEVEL = st.floats(0, 1)
SEED = st.integers(0, 9)
SAME_LENGTH = ["case", "homoglyph", "keyboard", "scramble-middle", "substitute", "swap"]


def noisy(text, kind, level, seed=0):
    return corrupt([text], ["d1-0"], kind, level, seed).texts[0]


def changed_at(old, new):
    assert len(old) == len(new)
    return {
        i: after for i, (before, after) in enumerate(zip(old, new, strict=True)) if before != after
    }


def is_within(part, whole):
    """Tell whether ``part`` is ``whole`` with characters left out."""
    rest = iter(whole)
    return all(character in rest for character in part)


# --------------------------------------------------------------------------------- nested levels


@pytest.mark.parametrize("kind", SAME_LENGTH)
@given(TEXT, LEVEL, LEVEL, SEED)
def test_positions_that_a_lower_level_changes_a_higher_one_changes_alike(kind, text, p, q, seed):
    less, more = (noisy(text, kind, level, seed) for level in sorted((p, q)))
    assert changed_at(text, less).items() <= changed_at(text, more).items()


@pytest.mark.parametrize("kind", ["delete", "word-drop"])
@given(TEXT, LEVEL, LEVEL, SEED)
def test_what_a_lower_level_leaves_out_a_higher_one_leaves_out(kind, text, p, q, seed):
    less, more = (noisy(text, kind, level, seed) for level in sorted((p, q)))
    assert is_within(more, less)
    assert is_within(less, text)


@pytest.mark.parametrize("kind", ["insert", "repeat"])
@given(TEXT, LEVEL, LEVEL, SEED)
def test_what_a_lower_level_puts_in_a_higher_one_puts_in(kind, text, p, q, seed):
    less, more = (noisy(text, kind, level, seed) for level in sorted((p, q)))
    assert is_within(text, less)
    assert is_within(less, more)


def gaps(text):
    """Return how much white space stands before each visible character and at the end."""
    return [len(gap) for gap in re.split(r"\S", text)]


@given(TEXT, LEVEL, LEVEL, SEED)
def test_gaps_that_a_lower_level_changes_a_higher_one_changes_further(text, p, q, seed):
    less, more = (noisy(text, "space", level, seed) for level in sorted((p, q)))
    assert "".join(text.split()) == "".join(less.split()) == "".join(more.split())
    for before, slightly, heavily in zip(gaps(text), gaps(less), gaps(more), strict=True):
        assert before <= slightly <= heavily <= 1 or before >= slightly >= heavily


PLACES = [*MISREAD, *MISREAD_PAIRS]


@given(st.lists(st.sampled_from([*PLACES, "x", "é", "rx"])), LEVEL, LEVEL, SEED)
def test_places_that_a_lower_level_misreads_a_higher_one_misreads_alike(places, p, q, seed):
    text = " ".join(places)
    levels = [noisy(text, "ocr", level, seed).split() for level in sorted((p, q))]
    for before, slightly, heavily in zip(places, *levels, strict=True):
        allowed = {before, MISREAD_PAIRS.get(before, before), *MISREAD.get(before, [])}
        assert slightly in ({before, heavily} & allowed if before != "rx" else {"rx"})


# ------------------------------------------------------------------------------------ single kinds


@given(st.lists(TEXT, max_size=5))
def test_keyboard_changes_ascii_letters_and_digits_and_nothing_else(texts):
    for text in texts:
        for old, new in zip(text, noisy(text, "keyboard", 1.0), strict=True):
            assert (old != new) == (old.isascii() and old.isalnum())


def test_keyboard_keeps_case_and_neighbourhood():
    assert set(noisy("Q" * 400, "keyboard", 1.0)) == set("12WA")
    assert set(noisy("g" * 400, "keyboard", 1.0)) == set("tyfhvb")
    assert set(noisy("0" * 400, "keyboard", 1.0)) == set("9op")  # a digit has no case: lower


@given(TEXT)
def test_substitute_stays_with_letters_digits_and_case(text):
    for old, new in zip(text, noisy(text, "substitute", 1.0), strict=True):
        assert (old != new) == old.isalnum()
        if old != new:
            assert new.isascii()
            assert new.isalpha() == old.isalpha()
            assert new.isupper() == old.isupper() or not old.isalpha()


def test_substitute_and_insert_use_the_whole_alphabet_evenly():
    found = noisy("e" * 2600, "substitute", 1.0)
    assert set(found) == set("abcdfghijklmnopqrstuvwxyz")
    assert max(found.count(x) for x in set(found)) < 160
    assert set(noisy("7" * 2600, "substitute", 1.0)) == set("012345689")
    assert set(noisy("E" * 2600, "insert", 1.0)[1::2]) == set("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert set(noisy("7" * 2600, "insert", 1.0)[1::2]) == set("0123456789")


@given(TEXT)
def test_delete_leaves_all_letters_and_digits_out_at_level_one(text):
    assert noisy(text, "delete", 1.0) == "".join(x for x in text if not x.isalnum())


@given(TEXT)
def test_repeat_types_all_letters_and_digits_twice_at_level_one(text):
    assert noisy(text, "repeat", 1.0) == "".join(x * 2 if x.isalnum() else x for x in text)


@given(TEXT)
def test_insert_puts_one_character_behind_each_letter_or_digit_at_level_one(text):
    found = noisy(text, "insert", 1.0)
    places = "".join(r"(\w)." if x.isalnum() else "(.)" for x in text)
    match = re.fullmatch(places, found, re.DOTALL)
    assert match is not None
    assert "".join(match.groups()) == text


def test_case_turns_every_letter_at_level_one_and_is_invisible_to_the_tokenizer():
    text = "Hello WORLD, Ünïcode: ßﬁ 東京 42"
    assert noisy(text, "case", 1.0) == "hELLO world, üNÏCODE: ßﬁ 東京 42"
    for level in (0.1, 0.5, 1.0):
        assert tokenize(noisy(text, "case", level)) == tokenize(text)


@given(TEXT, LEVEL, SEED)
def test_swap_exchanges_disjoint_neighbours_within_words(text, level, seed):
    found = noisy(text, "swap", level, seed)
    place = 0
    while place < len(text):
        if found[place] == text[place]:
            place += 1
            continue
        assert found[place : place + 2] == text[place + 1] + text[place]
        assert text[place].isalnum()
        assert text[place + 1].isalnum()
        place += 2


def test_every_pair_of_a_word_can_be_swapped_and_short_words_always_have_one():
    found = {corrupt(["abcd"], [f"d{n}"], "swap", 1.0, 0).texts[0] for n in range(40)}
    assert found == {"badc", "acbd"}
    assert {corrupt(["ab"], [f"d{n}"], "swap", 1.0, 0).texts[0] for n in range(20)} == {"ba"}
    assert noisy("a aa 11 ,.", "swap", 1.0) == "a aa 11 ,."


@given(TEXT, SEED)
def test_scramble_middle_keeps_first_and_last_and_all_characters_of_a_word(text, seed):
    found = noisy(text, "scramble-middle", 1.0, seed)
    words = re.compile(r"[^\W_]+")
    spans = [match.span() for match in words.finditer(text)]
    assert [match.span() for match in words.finditer(found)] == spans
    for start, end in spans:
        old, new = text[start:end], found[start:end]
        assert (old[0], old[-1], sorted(old)) == (new[0], new[-1], sorted(new))
        assert (old != new) == (len(set(old[1:-1])) > 1)


def test_scramble_middle_reaches_every_order():
    found = {corrupt(["xabcy"], [f"d{n}"], "scramble-middle", 1.0, 0).texts[0] for n in range(99)}
    assert found == {"xacby", "xbacy", "xbcay", "xcaby", "xcbay"}


def test_ocr_takes_pairs_for_one_place():
    assert noisy("rn cl ri", "ocr", 1.0) == "m d n"
    assert noisy("m d w", "ocr", 1.0) == "rn cl vv"
    assert {noisy("l" * 200, "ocr", 1.0), *noisy("l" * 200, "ocr", 1.0)} > {"1", "I"}
    assert noisy("r", "ocr", 1.0) + noisy("x z", "ocr", 1.0) == "rx z"
    assert corrupt(["r", "n"], ["a", "b"], "ocr", 1.0, 0).texts == ("r", "ri")  # not across texts


def test_no_pair_ends_as_another_begins_and_nothing_is_misread_as_itself():
    assert not {pair[0] for pair in MISREAD_PAIRS} & {pair[1] for pair in MISREAD_PAIRS}
    for letter, instead in MISREAD.items():
        assert letter not in instead
        assert {len(word) for word in instead} <= {1, 2}


def test_doubles_are_other_letters_that_normal_forms_leave_alone():
    for letter, doubles in DOUBLES.items():
        for double in doubles:
            assert clean(double) == double
            assert double.isalpha()
            assert not double.isascii()
            assert double.isupper() == letter.isupper()
            assert double.lower() != letter.lower()
    assert set(noisy("e" * 50, "homoglyph", 1.0)) == {"\u0435"}


def test_space_drops_white_space_and_parts_words_at_level_one():
    assert noisy("one two, 3 x", "space", 1.0) == "o n et w o,3x"


def test_word_drop_takes_words_with_one_space_behind_them():
    assert noisy("one two, a_b  3 x!", "word-drop", 1.0) == ",  !"
    texts = ["one", "two"]
    assert corrupt(texts, ["a", "b"], "word-drop", 1.0, 0).texts == ("", "")
    found = {corrupt(["one two three"], [f"d{n}"], "word-drop", 0.5, 0).texts[0] for n in range(99)}
    assert found == {
        "",
        "one ",
        "two ",
        "three",
        "one two ",
        "one three",
        "two three",
        "one two three",
    }
