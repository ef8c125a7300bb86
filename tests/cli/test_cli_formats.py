"""What each format looks like, byte for byte, and that nothing is lost on the way."""

from __future__ import annotations

import csv
import io
import json
from datetime import date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibkit.cli import formats
from calibkit.cli.layout import lay_out, lay_out_records, shown
from calibkit.cli.table import Figure, Table
from calibkit.cli.text import one_line, printable
from calibkit.table import distinct_names

EXAMPLE = Table(
    ("name", "n", "share", "when", "mix", "good", "labels"),
    (
        ("plain", 1200, 0.123456789, datetime(2026, 1, 2, 3, 4, 5, 678), '{"a": 0.5}', True, ["x"]),
        ('a "quoted", one', None, 0.5, None, None, False, []),
        ("", -3, None, datetime(2026, 1, 2), "{}", None, None),
    ),
    ("VARCHAR", "BIGINT", "DOUBLE", "TIMESTAMP", "JSON", "BOOLEAN", "VARCHAR[]"),
)


def test_table_for_people() -> None:
    assert lay_out(EXAMPLE) == (
        "name                n   share  when                 mix     good   labels\n"
        "───────────────  ────  ──────  ───────────────────  ──────  ─────  ──────\n"
        "plain            1200  0.1235  2026-01-02 03:04:05  a: 0.5  true   x\n"
        'a "quoted", one     —  0.5000  —                    —       false\n'
        "                   -3       —  2026-01-02 00:00:00          —      —\n"
    )


def test_csv() -> None:
    assert formats.as_csv(EXAMPLE).decode() == (
        "name,n,share,when,mix,good,labels\n"
        'plain,1200,0.123456789,2026-01-02 03:04:05.000678,"{""a"": 0.5}",true,"[""x""]"\n'
        '"a ""quoted"", one",,0.5,,,false,[]\n'
        '"",-3,,2026-01-02 00:00:00,{},,\n'
    )


def test_jsonl() -> None:
    assert formats.as_jsonl(EXAMPLE).decode() == (
        '{"name": "plain", "n": 1200, "share": 0.123456789, "when": "2026-01-02T03:04:05.000678",'
        ' "mix": {"a": 0.5}, "good": true, "labels": ["x"]}\n'
        '{"name": "a \\"quoted\\", one", "n": null, "share": 0.5, "when": null, "mix": null,'
        ' "good": false, "labels": []}\n'
        '{"name": "", "n": -3, "share": null, "when": "2026-01-02T00:00:00", "mix": {},'
        ' "good": null, "labels": null}\n'
    )


def test_json_is_one_array_of_the_same_objects() -> None:
    lines = formats.as_jsonl(EXAMPLE).decode().splitlines()
    assert json.loads(formats.as_json(EXAMPLE)) == [json.loads(line) for line in lines]
    assert formats.as_json(Table(("a",), ())) == b"[]\n"
    assert formats.as_jsonl(Table(("a",), ())) == b""


def test_markdown() -> None:
    table = Table(("a|b", "x"), (("one\ntwo | three", 0.25), (None, 1)))
    assert formats.as_markdown(table).decode() == (
        "| a\\|b | x |\n| --- | ---: |\n| one two \\| three | 0.25 |\n|  | 1 |\n"
    )


def test_parquet_keeps_types_and_values() -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    read = parquet.read_table(io.BytesIO(formats.as_parquet(EXAMPLE)))
    assert read.column_names == list(EXAMPLE.columns)
    assert [str(field.type) for field in read.schema] == [
        "string", "int64", "double", "timestamp[us]", "string", "bool", "list<element: string>",
    ]  # fmt: skip
    assert [tuple(row.values()) for row in read.to_pylist()] == list(EXAMPLE.rows)


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (7, "HUGEINT", 7),
        (2**70, "HUGEINT", Decimal(2**70)),
        (date(2026, 1, 2), "DATE", date(2026, 1, 2)),
        (None, "NULL", None),
        ({"a": 1}, "STRUCT(a INTEGER)", {"a": 1}),
        (Decimal("1.50"), "DECIMAL(9,2)", Decimal("1.50")),
    ],
)
def test_parquet_of_rarer_types(value: object, kind: str, expected: object) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    data = formats.as_parquet(Table(("x",), ((value,), (None,)), (kind,)))
    assert parquet.read_table(io.BytesIO(data)).to_pylist() == [{"x": expected}, {"x": None}]


def test_columns_of_one_name_are_kept_apart() -> None:
    assert distinct_names(["a", "a", "a_1", "a"]) == ["a", "a_2", "a_1", "a_3"]
    table = Table(("a", "a"), ((1, 2),))
    assert json.loads(formats.as_jsonl(table)) == {"a": 1, "a_1": 2}


def test_json_has_no_nan() -> None:
    table = Table(("x",), ((float("nan"),), (float("inf"),), (Decimal("2.50"),), (b"\x00",)))
    rows = [json.loads(line) for line in formats.as_jsonl(table).splitlines()]
    assert [row["x"] for row in rows] == [None, None, 2.5, "AA=="]


texts = st.text(st.characters(codec="utf-8"))


@given(st.lists(st.tuples(texts, st.none() | st.floats(allow_nan=False)), max_size=5))
def test_csv_and_jsonl_give_back_any_text_and_number(rows: list[tuple[str, float | None]]) -> None:
    table = Table(("text", "number"), tuple(rows))
    read = list(csv.reader(io.StringIO(formats.as_csv(table).decode(), newline="")))
    assert read[0] == ["text", "number"]
    assert [(t, None if x == "" else float(x)) for t, x in read[1:]] == rows
    lines = formats.as_jsonl(table).decode().split("\n")[:-1]
    found = [json.loads(line) for line in lines]
    finite = [(t, x if x is None or abs(x) != float("inf") else None) for t, x in rows]
    assert [(row["text"], row["number"]) for row in found] == finite


@given(texts)
def test_what_a_terminal_gets_has_no_control_characters(text: str) -> None:
    for shown_text in (printable(text), one_line(text)):
        assert not any(
            (ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 or "\u202a" <= c <= "\u202e"
            for c in shown_text
        )
    assert "\n" not in one_line(text)


@pytest.mark.parametrize(
    ("attack", "seen"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]52;c;cHduZWQ=\x1b\\text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b2Jgone?", "gone?"),
        ("\x1bcreset", "reset"),
        ("a\x08b\x7fc", "abc"),
        ("abc\u202edcba", "abcdcba"),
        ("\x1b]0;never ended", "0;never ended"),
        ("two\r\nlines", "two lines"),
    ],
)
def test_control_sequences_of_documents_do_not_reach_the_terminal(attack: str, seen: str) -> None:
    table = Table(("text",), ((attack,),))
    assert lay_out(table).splitlines()[2] == seen
    assert lay_out_records(table).rstrip() in (f"text  {seen}", "text  two\n      lines")
    assert seen in formats.as_markdown(table).decode()
    assert "\x1b" not in formats.as_jsonl(table).decode()
    assert json.loads(formats.as_jsonl(table)) == {"text": attack}


def test_control_sequences_in_column_names_are_stripped_as_well() -> None:
    assert lay_out(Table(("\x1b[2Jx",), ((1,),))).startswith("x\n")


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([0.91234567, 0.5], ["0.9123", "0.5000"]),
        ([0.05, 0.1, 0.0], ["0.05", "0.10", "0.00"]),
        ([1.0, 2.0], ["1", "2"]),
        ([12.3456, 1.0], ["12.35", "1.00"]),
        ([123.456, 7.0], ["123.5", "7.0"]),
        ([0.9, 0.0000012], ["0.9", "1.2e-06"]),
        ([1e-7, 2e-5], ["1e-07", "2e-05"]),
        ([3.2e12], ["3.2e+12"]),
        ([float("nan"), 0.25], ["nan", "0.25"]),
    ],
)
def test_numbers_are_rounded_alike_within_a_column(
    numbers: list[float], expected: list[str]
) -> None:
    lines = lay_out(Table(("x",), tuple((x,) for x in numbers))).splitlines()[2:]
    assert [line.strip() for line in lines] == expected


def test_wide_characters_count_two_cells() -> None:
    lines = lay_out(Table(("a", "b"), (("漢字", "x"), ("ab", "y")))).splitlines()
    assert lines[2:] == ["漢字  x", "ab    y"]


def test_a_narrow_terminal_cuts_long_texts_and_nothing_else() -> None:
    table = Table(("id", "text"), (("s1-0123456789abcdef", "word " * 40),))
    lines = lay_out(table, 60).splitlines()
    assert all(len(line) <= 60 for line in lines)
    assert lines[2].startswith("s1-0123456789abcdef  word") and lines[2].endswith("…")


def test_columns_that_do_not_fit_go_on_below() -> None:
    table = Table(tuple(f"column_{i}" for i in range(12)), (tuple(range(12)), tuple(range(12))))
    text = lay_out(table, 50)
    assert all(len(line) <= 50 for line in text.splitlines())
    assert all(f"column_{i}" in text for i in range(12))
    assert text.count("#") == 3


def test_nested_values_show_where_they_end() -> None:
    assert shown({"a": {"b": 1, "c": [2, 3]}, "d": None}) == "a: {b: 1, c: [2, 3]}, d: —"


def test_records_have_a_line_per_value_and_tables_of_their_own() -> None:
    table = Table.of(
        [{"id": "s1-1", "share": 0.123456, "first": [{"n": 1, "text": "a"}, {"n": 2, "text": "b"}]}]
    )
    assert lay_out_records(table, 80) == (
        "id     s1-1\nshare  0.1235\nfirst\n    n  text\n    ─  ────\n    1  a\n    2  b\n"
    )


def test_long_record_values_break_between_words() -> None:
    lines = lay_out_records(Table.of([{"about": "some words " * 12}]), 40).splitlines()
    assert all(len(line) <= 40 for line in lines)
    assert " ".join(" ".join(lines).split()) == "about " + ("some words " * 12).strip()


def test_figures_stand_to_the_right_as_they_are() -> None:
    table = Table(("x",), ((Figure("88.0"),), (None,), (Figure("7.5"),)))
    assert lay_out(table) == "   x\n────\n88.0\n   —\n 7.5\n"


def test_csv_of_one_column_keeps_rows_without_a_value() -> None:
    table = Table(("x",), (("a",), (None,), ("b",)))
    assert list(csv.reader(io.StringIO(formats.as_csv(table).decode()))) == [
        ["x"], ["a"], [""], ["b"],
    ]  # fmt: skip


def test_ids_and_commits_are_not_cut() -> None:
    commit = "0123456789" * 4
    table = Table(("commit", "text"), ((commit, "some words " * 20),))
    line = lay_out(table, 70).splitlines()[2]
    assert line.startswith(f"{commit}  some") and len(line) <= 70
