from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from calibkit.corpora.text import clean, tokenize

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


def test_clean_composes_and_collapses_white_space():
    assert clean("  Caf\u0065\u0301 \t\n noir\u00a0 ") == "Café noir"


@given(ANY_TEXT)
def test_clean_is_idempotent_and_has_no_white_space_but_single_spaces(text):
    once = clean(text)
    assert clean(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert once.split() == [part for part in once.split(" ") if part]


def test_tokens_are_lower_case_words_and_single_signs():
    assert tokenize("Tuesday # 39 ; s 3-1, x_1!") == [
        *("tuesday", "#", "39", ";", "s", "3", "-", "1", ",", "x_1", "!")
    ]


@given(ANY_TEXT)
def test_tokens_keep_every_visible_character_in_order(text):
    assert "".join(tokenize(text)) == "".join(text.lower().split())


@given(ANY_TEXT)
def test_a_clean_text_that_is_not_empty_has_a_token(text):
    assert bool(tokenize(clean(text))) == bool(clean(text))
