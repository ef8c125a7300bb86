"""Exports to C read texts as calibkit does: the same tokens, the same ids, for any bytes."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from c_text import LETTERS, Reader, build, vocabulary_of
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.corpora.text import tokenize
from calibkit.corpora.vocabulary import BOS, EOS, Vocabulary
from calibkit.errors import BadInput
from calibkit.export.c.text import text_part

AG_NEWS = Path(__file__).parents[3] / "shared" / "data" / "ag_news"

BROKEN = [
    b"\x80", b"\xbf", b"\xc0\x80", b"\xc1\xbf", b"\xc2", b"\xc2a", b"\xc3\xa9", b"\xdf\xbf\xbf",
    b"\xe0\x80\x80", b"\xe0\x9f\xbf", b"\xe0\xa0", b"\xe0\xa0\x80", b"\xe1\x80", b"\xe1\x80a",
    b"\xe2\x82\xac", b"\xed\x9f\xbf", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xef\xbf\xbd", b"\xef",
    b"\xf0\x80\x80\x80", b"\xf0\x8f\xbf\xbf", b"\xf0\x90", b"\xf0\x90\x80", b"\xf0\x90\x80\x80",
    b"\xf0\x90\x80a", b"\xf4\x8f\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xff",
    b"\xf8\x88\x80\x80\x80", b"\xfe", b"\0", b"a\0b", b"\xef\xbb\xbfa", b"\xe1\x80\xe1\x80\x80",
]  # fmt: skip
"""Bytes at which a reader of UTF-8 can go wrong, and neighbours of them that are right."""


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """Every word of up to three of `LETTERS` has an id, and so has every sign."""
    words = ("".join(letters) for n in (1, 2, 3) for letters in product(LETTERS, repeat=n))
    found = (token for word in words for token in tokenize(word))
    return build(tmp_path_factory.mktemp("c"), vocabulary_of(found))


@given(st.lists(st.text(LETTERS, max_size=12) | st.text(max_size=12), max_size=50))
@settings(max_examples=60, deadline=None)
def test_texts_have_the_ids_that_the_vocabulary_gives_them(
    reader: Reader, texts: list[str]
) -> None:
    given_texts = [text.encode() for text in texts]
    assert reader.ids(given_texts) == reader.expected(given_texts)


@given(st.lists(st.binary(max_size=20) | st.lists(st.sampled_from(BROKEN)).map(b"".join)))
@settings(max_examples=60, deadline=None)
def test_bytes_that_are_no_utf_8_are_read_as_python_replaces_them(
    reader: Reader, texts: list[bytes]
) -> None:
    assert reader.ids(texts) == reader.expected(texts)


def test_each_broken_sequence_between_words(reader: Reader) -> None:
    texts = [left + broken + right for left in (b"", b"a") for right in (b"", b"a")
             for broken in BROKEN]  # fmt: skip
    assert reader.ids(texts) == reader.expected(texts)


def test_the_lower_case_and_the_kind_of_every_character_in_every_place(reader: Reader) -> None:
    around = "\n{0}Σ\nA{0}Σ\nAΣ{0}\nAΣ{0}A"
    every = "".join(map(chr, range(0x110000)))
    kinds = np.arange(0x110000, dtype=np.uint32)
    for pattern, flag in ((r"\w+", 1 << 24), (r"\s+", 1 << 25)):
        for found in re.finditer(pattern, every):
            kinds[found.start() : found.end()] |= flag
    for plane in range(17):
        characters = every[plane << 16 : plane + 1 << 16]
        text = "".join(around.format(c) for c in characters if not "\ud800" <= c < "\ue000")
        expected = kinds[np.frombuffer(text.lower().encode("utf-32-le"), dtype="<u4")]
        assert np.array_equal(reader.characters(text.encode()), expected), plane


def test_a_text_is_cut_and_says_how_many_ids_it_has(tmp_path: Path) -> None:
    five = build(tmp_path, vocabulary_of(["a", "b"]), most_tokens=5)
    texts = [b"", b" \n", b"a", b"a b a b a", b"a b a b a b", b"a " * 1000, b"b" * 100_000]
    counts = [2, 2, 3, 7, 7, 7, 3]
    assert five.ids(texts) == five.expected(texts)
    for room in (0, 1, 2, 6, 7, 100):
        assert five.counts(texts, room) == counts
        assert five.ids(texts, room) == [ids[:room] for ids in five.expected(texts)]


def _vocabularies() -> Iterator[tuple[str, list[str]]]:
    yield "none", []
    yield "one", ["a"]
    yield "block", [f"w{n}" for n in range(16)]
    yield "block and one", [f"w{n}" for n in range(17)]
    yield "long", ["x" * n for n in (*range(1, 40), 142, 143, 144, 300, 40_000)]
    yield "long apart", ["x" * n + y for n in (14, 15, 16, 142, 143, 400) for y in "abé"]
    yield "beyond", ["a", "\ud800", "", "<x>", "Ab", "a b", "b"]
    yield "planes", ["é", "ß", "中", "中国", "𐐨𐐨", "𐐨", "�", "~", "\x7f", "\x80"]


@pytest.mark.parametrize("words", [pytest.param(words, id=name) for name, words in _vocabularies()])
def test_every_word_of_a_vocabulary_is_found_and_no_other(tmp_path: Path, words: list[str]) -> None:
    one = build(tmp_path, vocabulary_of(words), flags=("-O0",))
    near = [
        start + end
        for word in words
        for start, end in product((word, word[:-1], f"0{word}"), ("", "0", "z", "~", "é", "中"))
    ]
    texts = [word.encode("utf-8", "replace") for word in near] + [b"<unk>", b"<pad>"]
    assert one.ids(texts) == one.expected(texts)


def test_a_vocabulary_that_c_cannot_number_is_refused() -> None:
    class Huge(Vocabulary):
        def __len__(self) -> int:
            return (1 << 25) + 1

    with pytest.raises(BadInput, match="33,554,433 types does not fit into C; 33,554,432 at most"):
        text_part(Huge(vocabulary_of(["a"]).types), 80)


@pytest.mark.skipif(not AG_NEWS.is_dir(), reason="the AG News files are not here")
def test_ag_news_is_read_alike(tmp_path: Path) -> None:
    with (AG_NEWS / "test.csv").open(newline="", encoding="utf-8") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    reader = build(tmp_path, Vocabulary.build(texts[::2]))
    given_texts = [text.encode() for text in texts]
    found = reader.ids(given_texts)
    assert found == reader.expected(given_texts)
    assert all(ids[0] == BOS and ids[-1] == EOS for ids in found)
