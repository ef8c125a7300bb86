"""Every bad input: one clear error, and a store that is as it was."""

from __future__ import annotations

import gzip
import re

import pytest

from calibkit.corpora import ingest
from calibkit.corpora.validation import SHOWN, Limits
from calibkit.errors import BadInput, ExitCode

GOOD = b"text,label\n" + b"".join(
    b"text %d,%s\n" % (n, b"xy"[n % 2 : n % 2 + 1]) for n in range(20)
)
GOOD_LINES = GOOD.count(b"\n")

ONE = b'{"text": "a", "label": "x"}\n'
LAST = rf":{GOOD_LINES + 1}: "

AS_TRAIN = {
    "empty file": ("t.csv", b"", r"t\.csv: the file is empty"),
    "empty gz": ("t.csv.gz", b"", r"t\.csv\.gz:1: there is no header line"),
    "header only": ("t.csv", b"text,label\n", "no document below it"),
    "missing column": ("t.csv", b"text,topic\na,b\n", r"t\.csv:1: no column is called 'label'"),
    "renamed column": ("t.csv", b"texts,label\na,b\n", "did you mean 'texts'"),
    "column twice": ("t.csv", b"text,label,label\na,b,c\n", "2 columns are called 'label'"),
    "no header": ("t.csv", b"some words,Sports\nothers,World\n", "no column is called 'text'"),
    "semicolons": ("t.csv", b"text;label\na;b\n", "separated by semicolons"),
    "tabs in csv": ("t.csv", b"text\tlabel\na\tb\n", "separated by tabs"),
    "swapped header": (
        "t.csv",
        b"text,label\n" + b"".join(b"x,words number %d\n" % n for n in range(9)),
        "columns swapped",
    ),
    "UTF-16": ("t.csv", GOOD.decode().encode("utf-16"), r"t\.csv:1: the file is UTF-16.*iconv"),
    "UTF-32": ("t.csv", GOOD.decode().encode("utf-32"), "the file is UTF-32"),
    "UTF-16 without mark": ("t.csv", GOOD.decode().encode("utf-16-le"), r"t\.csv:1: a NUL byte"),
    "latin-1": ("t.csv", GOOD + "café,x\n".encode("latin-1"), LAST + r"byte 0xE9"),
    "NUL": ("t.csv", GOOD + b"a\0b,x\n", LAST + r"a NUL byte"),
    "NUL in JSON": (
        "t.jsonl",
        b'{"text": "a\\u0000b", "label": "x"}\n{"text": "b", "label": "y"}\n',
        r"t\.jsonl:1: a NUL character",
    ),
    "half a surrogate": (
        "t.jsonl",
        b'{"text": "a\\ud800", "label": "x"}\n{"text": "b", "label": "y"}\n',
        r"t\.jsonl:1: half of a surrogate pair",
    ),
    "unclosed quote": ("t.csv", GOOD + b'"never closed,x\nmore,y\n', LAST + r".*never closed"),
    "quote closed too late": (
        "t.csv",
        GOOD + b'"opens,x\nfine,y\n"closes,x\n',
        LAST + r"a closing quote is followed by more text",
    ),
    "short row": ("t.csv", GOOD + b"only text\n", LAST + r"1 fields where the header has 2"),
    "long row": ("t.csv", GOOD + b"a,b,c\n", LAST + r"3 fields"),
    "old carriage returns": ("t.csv", b"text,label\ra,x\rb,y\r", "carriage return"),
    "one label": ("t.csv", b"text,label\na,x\nb,x\n", "every document has the label 'x'"),
    "empty text": ("t.csv", GOOD + b",x\n", LAST + r"empty text"),
    "blank text": ("t.csv", GOOD + b" \t ,x\n", LAST + r"empty text"),
    "empty label": ("t.csv", GOOD + b"a,\n", LAST + r"empty label"),
    "long document": ("t.csv", GOOD + b"a" * (2 << 20) + b",x\n", "more than 1,048,576 bytes"),
    "long wide document": (
        "t.csv",
        GOOD + "é".encode() * (600 << 10) + b",x\n",
        "more than 1,048,576",
    ),
    "long label": ("t.csv", GOOD + b"a," + b"x" * 300 + b"\n", "a label of more than 256 bytes"),
    "endless line": ("t.csv", GOOD + b"a" * (17 << 20), LAST + "a line of more than"),
    "endless quote": ("t.csv", GOOD + b'"' + b"aaaa\n" * (4 << 20), LAST + ".*never closed"),
    "not gzipped": ("t.csv.gz", None, "is called .gz but is not gzipped"),
    "gzipped csv": ("t.csv", gzip.compress(GOOD), "is gzipped; rename it with .gz"),
    "other format": ("t.xlsx", GOOD, "csv, tsv, jsonl, ndjson or parquet"),
    "array of JSON": ("t.jsonl", b'[{"text": "a", "label": "x"}]\n', r"t\.jsonl:1: a JSON list"),
    "malformed JSON": (
        "t.jsonl",
        ONE + b'\n{"text": "b", "label": "y"\n{"text": "c", "label": "y"}\n',
        r"t\.jsonl:3: no JSON",
    ),
    "deep JSON": ("t.jsonl", ONE + b"[" * 100_000 + b"\n", r"t\.jsonl:2: no"),
    "key missing everywhere": ("t.jsonl", b'{"txt": "a", "label": "x"}\n', "did you mean 'txt'"),
    "key missing once": (
        "t.jsonl",
        ONE + b'{"text": "b"}\n{"text": "c", "label": "y"}\n',
        r"t\.jsonl:2: no key 'label'",
    ),
    "null text": (
        "t.jsonl",
        ONE + b'{"text": null, "label": "y"}\n{"text": "c", "label": "y"}\n',
        r"t\.jsonl:2: empty text",
    ),
    "number as text": (
        "t.jsonl",
        ONE + b'{"text": 7, "label": "y"}\n{"text": "c", "label": "y"}\n',
        r"t\.jsonl:2: 'text' is no string: 7",
    ),
    "list as label": (
        "t.jsonl",
        ONE + b'{"text": "b", "label": ["y"]}\n{"text": "c", "label": "y"}\n',
        r"t\.jsonl:2: a label must be text or a whole number",
    ),
    "no JSON document": ("t.jsonl", b"\n\n", "there is no document in the file"),
    "not parquet": ("t.parquet", GOOD, "not a readable parquet file"),
}


@pytest.mark.parametrize("case", AS_TRAIN)
def test_a_bad_training_file_is_one_clear_error(case, fresh_store, tmp_path, write):
    name, data, message = AS_TRAIN[case]
    if data is None:
        (tmp_path / name).write_bytes(GOOD)
    else:
        write(name, data)
    with pytest.raises(BadInput, match=message) as caught:
        ingest(fresh_store, "mine", train=tmp_path / name)
    assert caught.value.exit_code == ExitCode.USAGE
    assert len(str(caught.value).splitlines()) <= 2
    assert not fresh_store.path.exists()


def test_missing_files_and_folders_are_named(fresh_store, tmp_path):
    with pytest.raises(BadInput, match="nowhere.csv: there is no such file"):
        ingest(fresh_store, "mine", train=tmp_path / "nowhere.csv")
    with pytest.raises(BadInput, match="is a folder"):
        ingest(fresh_store, "mine", train=tmp_path)
    with pytest.raises(BadInput, match="needs a training split"):
        ingest(fresh_store, "mine", test=tmp_path / "test.csv")


def test_an_existing_store_is_untouched_by_a_bad_valid_or_test_file(fresh_store, write, labelled):
    train = write("train.csv", labelled)
    ingest(fresh_store, "mine", train=train)
    before = fresh_store.path.read_bytes()
    unseen = write("test.csv", [("fine", "apple"), ("new", "durian"), ("newer", "durian")])
    with pytest.raises(BadInput) as caught:
        ingest(fresh_store, "mine", train=train, valid=write("valid.csv", labelled), test=unseen)
    assert str(caught.value).splitlines()[:2] == [
        f"{unseen}:3: label 'durian' does not occur in the training split",
        f"{unseen}:4: label 'durian' does not occur in the training split",
    ]
    with pytest.raises(BadInput, match="no document below it"):
        ingest(fresh_store, "mine", train=train, valid=write("valid.csv", []))
    assert fresh_store.path.read_bytes() == before


def test_labels_unseen_in_training_can_be_left_out_on_purpose(fresh_store, write, labelled):
    test = write("test.csv", [("fine", "apple"), ("new", "durian")])
    report = ingest(
        fresh_store, "mine", train=write("train.csv", labelled), test=test, on_error="skip"
    )
    assert (report.skipped, report.documents["test"]) == (1, 1)
    assert report.labels == ("apple", "bread", "cheese")


def test_the_first_problems_of_all_files_are_listed_with_their_lines(fresh_store, write, labelled):
    train = write("train.csv", [("", "x")] * 15 + list(labelled))
    test = write("test.jsonl", b"{}\n" + b'{"text": " ", "label": "apple"}\n' * 30)
    with pytest.raises(BadInput, match="no key is called 'text'"):
        ingest(fresh_store, "mine", train=train, test=test)
    test = write(
        "test.jsonl",
        b'{"text": " ", "label": "apple"}\n' * 29 + b'{"text": "a", "label": "apple"}\n',
    )
    with pytest.raises(BadInput) as caught:
        ingest(fresh_store, "mine", train=train, test=test)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{train}:2: empty text"
    assert lines[SHOWN - 1] == f"{test}:5: empty text (white space only)"
    assert lines[SHOWN] == "... and 24 more"
    assert "44 bad rows: nothing was ingested" in lines[SHOWN + 1]


def test_line_numbers_count_the_lines_inside_quotes(fresh_store, write, labelled):
    path = write("train.csv", [("one\ntwo\nthree", "apple"), ("", "bread"), *labelled])
    with pytest.raises(BadInput, match=r"train\.csv:5: empty text"):
        ingest(fresh_store, "mine", train=path)


def test_a_truncated_gz_is_named(fresh_store, tmp_path):
    rows = b"".join(b"text %d is different,%d\n" % (n * n, n % 3) for n in range(20_000))
    path = tmp_path / "t.csv.gz"
    packed = gzip.compress(b"text,label\n" + rows)
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(BadInput, match=r"t\.csv\.gz: the gzip file is cut off"):
        ingest(fresh_store, "mine", train=path)
    path.write_bytes(packed[:2000] + b"\xff" * 2000 + packed[4000:])
    with pytest.raises(BadInput, match="the gzip file is damaged"):
        ingest(fresh_store, "mine", train=path)
    assert not fresh_store.exists()


@pytest.mark.parametrize("name", ["bomb.csv.gz", "bomb.jsonl.gz", "bomb.parquet.gz"])
def test_a_decompression_bomb_is_refused_early(name, fresh_store, tmp_path):
    path = tmp_path / name
    path.write_bytes(gzip.compress(GOOD + b"the same again,x\n" * 3_000_000))
    with pytest.raises(BadInput, match="decompression bomb"):
        ingest(fresh_store, "mine", train=path)
    assert not fresh_store.exists()


def test_a_parquet_bomb_is_refused(fresh_store, write):
    path = write("bomb.parquet", [("a" * 100_000, "x"), ("b" * 100_000, "y")] * 2000)
    assert path.stat().st_size < 500_000
    with pytest.raises(BadInput, match="decompression bomb"):
        ingest(fresh_store, "mine", train=path)


def test_parquet_columns_are_checked(fresh_store, write):
    rows = [(1, "x"), (2, "y")]
    with pytest.raises(BadInput, match="column 'text' holds int64, not text"):
        ingest(fresh_store, "mine", train=write("t.parquet", rows))
    with pytest.raises(BadInput, match="no column is called 'label'"):
        ingest(fresh_store, "mine", train=write("t.parquet", [("a", "x")], ("text", "topic")))
    with pytest.raises(BadInput, match="there are columns but no document"):
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = write("t.parquet", b"")
        pq.write_table(
            pa.table({"text": pa.array([], "string"), "label": pa.array([], "string")}), path
        )
        ingest(fresh_store, "mine", train=path)
    with pytest.raises(BadInput, match=r"t\.parquet:2: a label must be text or a whole number"):
        ingest(fresh_store, "mine", train=write("t.parquet", [("a", 1.0), ("b", 2.5), ("c", 2.0)]))


def test_too_many_labels_are_refused(fresh_store, write):
    path = write("t.csv", [(f"text {number}", f"label {number}") for number in range(12)])
    with pytest.raises(BadInput, match="12 different labels; at most 10"):
        ingest(fresh_store, "mine", train=path, limits=Limits(labels=10))


def test_too_few_documents_to_split_say_so(fresh_store, write):
    path = write("t.csv", [("a", "x"), ("b", "y")])
    with pytest.raises(BadInput, match="too few documents per label to take a valid split"):
        ingest(fresh_store, "mine", train=path)


@pytest.mark.parametrize(
    "name", ["", "a b", "../up", "-x", ".x", "é", "a/b", "x" * 65, "a'b", "a\n"]
)
def test_a_bad_corpus_name_is_refused(name, fresh_store, write, labelled):
    with pytest.raises(BadInput, match=re.escape(f"{name!r} cannot be the name of a corpus")):
        ingest(fresh_store, name, train=write("train.csv", labelled))


def test_contradictory_arguments_are_refused(fresh_store, write, labelled):
    path = write("train.csv", labelled)
    with pytest.raises(BadInput, match="cannot both be column 'text'"):
        ingest(fresh_store, "mine", train=path, label_column="text")
    with pytest.raises(BadInput, match="not both"):
        ingest(fresh_store, "mine", train=path, source="docstrings")
    with pytest.raises(BadInput, match="no source is called 'docstring'"):
        ingest(fresh_store, "mine", source="docstring")
    with pytest.raises(BadInput, match="allowed: abort, skip"):
        ingest(fresh_store, "mine", train=path, on_error="ignore")  # type: ignore[arg-type]
