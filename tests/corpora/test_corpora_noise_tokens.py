"""Noise on token level: what the models read, and the controls that match unknown tokens."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibkit.corpora.noise import corrupt, corrupt_tokens, noise_kinds, noise_version
from calibkit.corpora.noise.kinds import CONTROLS, KINDS
from calibkit.corpora.vocabulary import UNK, Vocabulary
from calibkit.errors import BadInput, UnknownName

WORDS = ["the", "clarinet", "players", "claim", "modern", "horns", "never", "rest", ",", ".", "10"]
VOCABULARY = Vocabulary.build([" ".join(WORDS)], min_count=1)
TEXT = st.lists(st.sampled_from([*WORDS, "strange", "zebra"]), max_size=30).map(" ".join)
TEXTS = st.lists(TEXT, max_size=5)
LEVEL = st.floats(0, 1)
CONTROL = st.sampled_from(sorted(CONTROLS))


def ids_of(texts):
    return [f"d1-{number:020x}" for number in range(len(texts))]


def read(texts, kind, level, seed=0, most_tokens=80):
    return corrupt_tokens(
        texts, ids_of(texts), kind, level, seed, VOCABULARY, most_tokens=most_tokens
    )


def unknown(tokens, row):
    return int((tokens[row] == UNK).sum())


@given(st.sampled_from([*sorted(KINDS), "none"]), TEXTS, LEVEL, st.integers(0, 12))
def test_tokens_of_a_kind_on_text_are_those_of_the_noisy_text(kind, texts, level, most):
    level = 0.0 if kind == "none" else level
    noisy = corrupt(texts, ids_of(texts), kind, level, 3)
    found = read(texts, kind, level, 3, most)
    expected = VOCABULARY.encode(noisy.texts, most_tokens=most)
    assert found.tokens.ids.tolist() == expected.ids.tolist()
    assert found.tokens.offsets.tolist() == expected.offsets.tolist()
    assert found.oov_rate == VOCABULARY.oov_share(noisy.texts)
    assert (found.realised_rate, found.changed) == (noisy.realised_rate, noisy.changed)
    assert found.length_drift == noisy.length_drift


@given(CONTROL, TEXTS, LEVEL, st.integers(0, 5))
def test_a_control_has_the_unknown_share_of_its_kind_in_every_document(kind, texts, level, seed):
    clean = read(texts, "none", 0.0)
    matched = read(texts, CONTROLS[kind], level, seed, 10_000).tokens
    found = read(texts, kind, level, seed)
    for row in range(len(texts)):
        old, new, other = clean.tokens[row], found.tokens[row], matched[row]
        share = unknown(matched, row) / max(len(other) - 2, 1)
        wanted = max(share * (len(old) - 2), unknown(clean.tokens, row))
        assert abs(unknown(found.tokens, row) - wanted) <= 0.5 + 1e-9
        assert ((new == old) | (new == UNK)).all()
    known = sum(len(t) - 2 - unknown(clean.tokens, r) for r, t in enumerate(clean.tokens))
    assert found.eligible == known
    assert found.changed == int((found.tokens.ids != clean.tokens.ids).sum())
    assert found.length_drift == 0.0


@given(TEXTS, LEVEL, st.integers(0, 5))
def test_the_plain_control_has_exactly_the_unknown_tokens_of_keyboard(texts, level, seed):
    clean = read(texts, "none", 0.0).tokens
    noisy = read(texts, "keyboard", level, seed).tokens
    found = read(texts, "unk-match", level, seed).tokens
    for row in range(len(texts)):  # keyboard makes no word longer, shorter or two
        assert len(noisy[row]) == len(clean[row])
        assert unknown(found, row) == max(unknown(noisy, row), unknown(clean, row))


@given(CONTROL, CONTROL, TEXTS, LEVEL, LEVEL)
def test_of_two_controls_of_a_document_the_one_with_more_contains_the_other(
    one, other, texts, p, q
):
    first, second = read(texts, one, p).tokens, read(texts, other, q).tokens
    for row in range(len(texts)):
        less, more = sorted((first[row], second[row]), key=lambda ids: int((ids == UNK).sum()))
        assert set(np.flatnonzero(less == UNK)) <= set(np.flatnonzero(more == UNK))


@given(CONTROL, TEXTS, st.integers(0, 5))
def test_a_control_at_level_zero_is_the_clean_text(kind, texts, seed):
    found, clean = read(texts, kind, 0.0, seed), read(texts, "none", 0.0)
    assert found.tokens.ids.tolist() == clean.tokens.ids.tolist()
    assert (found.changed, found.realised_rate) == (0, 0.0)
    assert found.oov_rate == clean.oov_rate


@given(CONTROL, TEXTS, LEVEL, st.randoms(), st.integers(0, 12))
def test_a_control_depends_on_a_document_and_not_on_the_others(kind, texts, level, random, most):
    ids = ids_of(texts)
    straight = read(texts, kind, level, most_tokens=most).tokens
    some = random.sample(range(len(texts)), random.randint(0, len(texts)))
    mixed = corrupt_tokens(
        [texts[i] for i in some],
        [ids[i] for i in some],
        kind,
        level,
        0,
        VOCABULARY,
        most_tokens=most,
    ).tokens
    assert [mixed[n].tolist() for n in range(len(some))] == [straight[i].tolist() for i in some]


def test_a_control_at_every_level_is_nested_and_matches_the_whole():
    texts = [" ".join(WORDS) for _ in range(200)]
    before: set[int] = set()
    for level in (0.01, 0.05, 0.1, 0.3):
        found = read(texts, "unk-match", level)
        assert found.oov_rate == read(texts, "keyboard", level).oov_rate
        here = set(np.flatnonzero(found.tokens.ids == UNK).tolist())
        assert before < here
        before = here
    assert len({tuple(found.tokens[row].tolist()) for row in range(200)}) > 100


def test_a_cut_document_is_matched_whole_and_then_cut():
    texts = [" ".join(WORDS * 20)]
    whole = read(texts, "unk-match", 0.1, most_tokens=10_000)
    cut = read(texts, "unk-match", 0.1, most_tokens=30)
    assert cut.tokens.ids.tolist() == [*whole.tokens.ids[:31].tolist(), 3]
    assert cut.oov_rate == whole.oov_rate


def test_a_document_of_which_nothing_is_left_and_one_without_words():
    found = read(["", "the horns"], "unk-match-delete", 1.0)
    assert [found.tokens[row].tolist() for row in range(2)] == [
        read(["", "the horns"], "none", 0.0).tokens[row].tolist() for row in range(2)
    ]


def test_controls_are_named_after_the_kinds_that_make_words_unknown():
    assert CONTROLS["unk-match"] == "keyboard"
    assert CONTROLS["unk-match-ocr"] == "ocr"
    assert not {"unk-match-keyboard", "unk-match-case", "unk-match-word-drop"} & set(noise_kinds())
    assert noise_version("unk-match-ocr") == [1, 1]
    assert noise_version("none") == 1


def test_unknown_kinds_and_impossible_levels_are_refused():
    with pytest.raises(UnknownName, match="did you mean 'unk-match'"):
        read([], "unkmatch", 0.1)
    with pytest.raises(BadInput, match="unk-match: level 2"):
        read([], "unk-match", 2)
    with pytest.raises(BadInput, match="noise unk-match: 1 texts but 0 document ids"):
        corrupt_tokens(["a"], [], "unk-match", 0.1, 0, VOCABULARY)
