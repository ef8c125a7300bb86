"""Recipe text is read as it looks, and nothing in it can hurt."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibkit.recipe.yaml_source import read_source


def value_of(text: str) -> object:
    source = read_source(text, "r.yaml")
    assert not source.problems
    return source.value


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1:0:0:0", "1:0:0:0"),
        ("12:30", "12:30"),
        ("[off, on, no, yes, n, y]", ["off", "on", "no", "yes", "n", "y"]),
        ("[true, False]", [True, False]),
        ("5e-2", 0.05),
        ("[.5, 1., +3, -2e3, 1E2]", [0.5, 1.0, 3, -2000.0, 100.0]),
        ("[010, 0x10, 1_000, 0o7]", ["010", "0x10", "1_000", "0o7"]),
        ("2024-01-01", "2024-01-01"),
        ("[~, null]", [None, None]),
        ("['null', \"1\"]", ["null", "1"]),
        ('["\\ud83d\\ude00", 😀]', ["😀", "😀"]),
        ("[.inf, .nan, =]", [".inf", ".nan", "="]),
        ("{1: a, no: b, ~: c, 2.50: d}", {"1": "a", "no": "b", "~": "c", "2.50": "d"}),
    ],
)
def test_words_mean_what_they_look_like(written: str, value: object) -> None:
    assert value_of(f"key: {written}") == {"key": value}
    assert repr(value_of(f"key: {written}")) == repr({"key": value})  # 1 is not true, nor 1.0


def test_places_are_those_of_keys_and_list_items() -> None:
    source = read_source("a:\n  b: [1,\n    2]\n  'ü x': {c: 3}\n", "r.yaml")
    assert source.places["a",] == (1, 1)
    assert source.places["a", "b"] == (2, 3)
    assert source.places["a", "b", 1] == (3, 5)
    assert source.places["a", "ü x", "c"] == (4, 11)
    missing = source.problem(("a", "ü x", "d", 0), "?")
    assert (missing.line, missing.column, missing.path) == (4, 3, "a.'ü x'.d[0]")


def test_a_path_never_breaks_the_line() -> None:
    problem = read_source('"a\\nb": 1\n', "r.yaml").problem(("a\nb",), "?")
    assert problem.path == r"'a\nb'"


def test_an_alias_bomb_is_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    began = time.process_time()
    source = read_source("\n".join(lines), "r.yaml")
    assert time.process_time() - began < 5
    assert len(source.problems) == 30 + 29 * 9
    assert len(repr(source.value)) < 10_000


@pytest.mark.parametrize("text", ["[" * 200_000, "{" * 200_000, "? " * 100_000, "- " * 100_000])
def test_deep_nesting_is_refused(text: str) -> None:
    source = read_source(text, "r.yaml")
    assert "nested deeper than 16 levels" in source.problems[-1].message
    assert not source.was_read(())


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system [echo]",
        "!!python/name:os.system : 1",
        "%TAG ! tag:example.com,2000:\n---\na: 1",
        "a: 1\n---\nb: 2",
        "[a, b]: 1",
        "*a : 1",
    ],
)
def test_what_goes_beyond_plain_data_is_refused(text: str) -> None:
    assert read_source(text, "r.yaml").problems


@given(st.text(max_size=60))
def test_no_text_makes_the_reader_fail(text: str) -> None:
    read_source(text, "r.yaml")


@given(st.text(alphabet="ab:[]{},&*!-?|>'\"#%@\n \t0.<~", max_size=40))
def test_no_punctuation_makes_the_reader_fail(text: str) -> None:
    source = read_source(text, "r.yaml")
    assert source.problems or source.value is not None or source.was_read(())
