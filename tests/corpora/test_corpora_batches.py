"""What is done by the batch, against the same done row by row."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.corpora import files, ingest
from calibkit.corpora.batches import all_clean, batches
from calibkit.corpora.delimited import delimited_rows
from calibkit.corpora.files import SourceFile, text_lines
from calibkit.corpora.ingest import prepared
from calibkit.corpora.text import clean, clean_all, token_counts, tokenize
from calibkit.corpora.validation import Block, FileProblem, Limits, Row, checked
from calibkit.errors import BadInput

TEXTS = st.one_of(
    st.text(max_size=12),
    st.text("ab_ .,-9\t\n\x1c\x1f\x0b\0é\u0301\u2028\x85", max_size=12),
    st.text("ab c", max_size=12),
)


@given(st.lists(TEXTS, max_size=8))
def test_token_counts_are_the_lengths_of_the_token_lists(texts):
    assert token_counts(texts).tolist() == [len(tokenize(text)) for text in texts]


@given(st.lists(TEXTS, max_size=8))
def test_texts_cleaned_together_are_cleaned_each(texts):
    assert clean_all(texts) == [clean(text) for text in texts]


@settings(max_examples=300)
@given(
    st.lists(
        st.builds(
            Row,
            st.integers(1, 99),
            st.one_of(st.none(), TEXTS, st.just("\ud800"), st.just("x" * 30)),
            st.one_of(st.none(), TEXTS, st.just("y" * 300), st.sampled_from(["one", "two"])),
            st.sampled_from(["", "", "", "", "a reader's problem"]),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_rows_checked_together_are_checked_each(rows):
    limits = Limits(document_bytes=25)
    found = all_clean(rows, limits)
    each = [checked(row, limits) for row in rows]
    if any(isinstance(one, str) for one in each):
        assert found is None
    elif all(len(row.text) * 4 <= limits.document_bytes for row in rows):
        assert found is not None
    if found is not None:
        assert list(zip(found.texts, found.labels, strict=True)) == each
        assert list(found.lines) == [row.line for row in rows]
        assert found.tokens.tolist() == [len(tokenize(text)) for text, _ in each]


def test_what_a_source_raises_comes_after_the_rows_before_it():
    def rows():
        yield Row(1, "a", "x")
        yield Row(2, "b", "x")
        raise FileProblem("broken")

    seen = []
    with pytest.raises(FileProblem, match="broken"):
        for batch in batches(rows()):
            seen += batch
    assert [row.line for row in seen] == [1, 2]
    assert list(batches([])) == []


def line_by_line(raw, place, name, limits):
    """The lines of a file, each looked at by itself."""
    stream = io.BytesIO(raw.removeprefix(b"\xef\xbb\xbf"))
    number = 0
    while line := stream.readline(limits.line_bytes + 1):
        number += 1
        if len(line) > limits.line_bytes:
            raise FileProblem(f"{place}:{number}: a line of more than {limits.line_bytes:,} bytes")
        if b"\0" in line:
            raise FileProblem(f"{place}:{number}: a NUL byte")
        try:
            yield line.decode()
        except UnicodeDecodeError as error:
            raise FileProblem(
                f"{place}:{number}: byte 0x{line[error.start]:02X} at position {error.start + 1}"
            ) from error


def outcome(lines):
    seen = []
    try:
        for line in lines:
            seen.append(line)  # noqa: PERF402
    except FileProblem as error:
        return seen, str(error)
    return seen, ""


@settings(deadline=None, max_examples=200)
@given(
    parts=st.lists(
        st.sampled_from(
            [b"a", b"bc", b"\n", b"\r\n", b"\r", b"\xc3\xa9", b"\xe2\x80\xa8", b"\x85", b"\x0b"]
            + [b"\0", b"\xc3", b"12345678901234567890"]
        ),
        min_size=1,
        max_size=25,
    ),
    mark=st.sampled_from([b"", b"\xef\xbb\xbf"]),
    block=st.integers(3, 40),
)
def test_a_file_read_by_blocks_has_the_same_lines_and_problems(
    tmp_path_factory, parts, mark, block
):
    path = tmp_path_factory.mktemp("lines") / "t.csv"
    path.write_bytes(mark + b"".join(parts))
    source, limits = SourceFile(path, "csv", is_gzipped=False), Limits(line_bytes=18)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_BLOCK", block)
        seen, problem = outcome(text_lines(source, limits))
    expected, other = outcome(line_by_line(path.read_bytes(), source.place, path.name, limits))
    assert seen == expected
    assert problem.startswith(other) and bool(problem) == bool(other)


def test_problems_of_reading_and_of_checking_stand_in_the_order_of_the_lines(
    fresh_store, write, labelled
):
    lines = b",x\nonly one field\n ,x\na,b,c\n,x\n"
    good = b"".join(f"{text},{label}\n".encode() for text, label in labelled)
    path = write("train.csv", b"text,label\n" + lines + good)
    with pytest.raises(BadInput) as caught:
        ingest(fresh_store, "mine", train=path)
    assert [line.split(": ", 1)[1] for line in str(caught.value).splitlines()[:5]] == [
        "empty text",
        "1 fields where the header has 2",
        "empty text (white space only)",
        "3 fields where the header has 2",
        "empty text",
    ]


def test_too_many_bad_rows_are_told_before_a_broken_end_of_the_file(fresh_store, write):
    path = write("train.csv", b'text,label\n,x\n,x\n,x\ngood,x\n"never closed,x\n')
    with pytest.raises(BadInput, match="more than 2 bad rows"):
        ingest(fresh_store, "mine", train=path, on_error="skip", max_rejects=2)
    with pytest.raises(BadInput, match="never closed"):
        ingest(fresh_store, "mine", train=path, on_error="skip", max_rejects=3)


def test_a_given_split_keeps_the_texts_that_are_taken_out_of_train(write, labelled):
    """Train's own copy goes to valid; the same text in the given test split stays there."""
    rows = list(labelled)
    with prepared(
        "mine", files={"train": write("train.csv", rows), "test": write("test.csv", rows)}
    ) as corpus:
        assert corpus.staged.documents == {"train": 81, "valid": 9, "test": 90}
        assert corpus.staged.in_test == 90


def test_many_documents_are_written_in_the_order_of_their_ids(fresh_store, write, monkeypatch):
    monkeypatch.setattr("calibkit.corpora.staging._BATCH", 50)
    rows = [(f"text {number}", f"label {number % 3}") for number in range(2000)]
    report = ingest(fresh_store, "mine", train=write("train.parquet", rows))
    with fresh_store.reading() as con:
        stored = con.execute("SELECT split, doc_id FROM documents ORDER BY rowid").fetchall()
    assert stored == sorted(stored)
    assert len(set(stored)) == sum(report.documents.values()) == 2000


def delimited(raw, tmp_path_factory, block):
    """Every row of a csv file whose header is text,label, in order, and the error at its end."""
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_bytes(raw)
    source = SourceFile(path, "csv", is_gzipped=False)
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_BLOCK", block)
        try:
            for one in delimited_rows(source, "text", "label", Limits(line_bytes=60)):
                seen += [one] if isinstance(one, Row) else one.rows()
        except FileProblem as error:
            return seen, str(error).removeprefix(source.place)
    return seen, ""


def record_by_record(raw):
    """The same from one csv reader over all lines."""
    reader = csv.reader(io.StringIO(raw.decode(), newline="\n"), strict=True)
    seen, line = [], 1
    try:
        for record in reader:
            if record and line > 1:
                ragged = f"{len(record)} fields where the header has 2"
                good = len(record) == 2
                seen.append(Row(line, *record) if good else Row(line, None, None, ragged))
            line = reader.line_num + 1
    except csv.Error:
        return seen, line
    return seen, 0 if seen else None


PIECES = st.sampled_from(
    ["a", "b c", ",", ",", "\n", "\n", "\r\n", '"', '""', '"x, y"', '"two\nlines"', 'q"', "a,b\n"]
    + ["one,x\n", '"q ""q""",y\n', "\r"]
)


@settings(deadline=None, max_examples=300)
@given(st.lists(PIECES, max_size=30), st.integers(12, 60))
def test_csv_read_by_blocks_has_the_same_rows_lines_and_problems(tmp_path_factory, pieces, block):
    raw = ("text,label\n" + "".join(pieces)).encode()
    seen, problem = delimited(raw, tmp_path_factory, block)
    expected, at = record_by_record(raw)
    if at is None:
        assert problem == ": there is a header line but no document below it"
    elif at:
        assert problem.startswith(f":{at}: ")
    else:
        assert problem == ""
    assert seen == expected


def test_rows_before_a_bad_byte_are_read_even_inside_of_an_open_quote(tmp_path_factory):
    raw = b'text,label\none,x\n"opens\n\xff'
    seen, problem = delimited(raw, tmp_path_factory, 12)
    assert seen == [Row(2, "one", "x")]
    assert problem.startswith(":4: byte 0xFF")


@given(
    st.lists(
        st.one_of(
            st.builds(Row, st.integers(1, 9), st.just("a"), st.just("x")),
            st.lists(st.integers(1, 9), min_size=1, max_size=5).map(
                lambda lines: Block(lines, ["b"] * len(lines), ["y"] * len(lines))
            ),
        ),
        max_size=12,
    ),
    st.integers(1, 8),
)
def test_batches_keep_the_order_of_rows_and_blocks(source, size):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("calibkit.corpora.batches._BATCH", size)
        found = list(batches(source))
    one_by_one = [row for one in source for row in ([one] if isinstance(one, Row) else one.rows())]
    listed = [
        row for batch in found for row in (batch if isinstance(batch, list) else batch.rows())
    ]
    assert listed == one_by_one
    assert all(
        len(batch) >= size if isinstance(batch, list) else len(batch.lines) >= size
        for batch, after in zip(found, found[1:], strict=False)
        if isinstance(batch, list) == isinstance(after, list)
    )


@settings(deadline=None)
@given(st.lists(st.tuples(st.one_of(st.none(), TEXTS), st.one_of(st.none(), TEXTS)), min_size=1))
def test_a_block_is_checked_like_its_rows(pairs):
    block = Block(range(2, 2 + len(pairs)), *map(list, zip(*pairs, strict=True)))
    of_block, of_rows = (all_clean(one, Limits()) for one in (block, list(block.rows())))
    if of_rows is None:
        assert of_block is None
    else:
        assert (of_block.texts, of_block.labels) == (of_rows.texts, of_rows.labels)
        assert list(of_block.lines) == list(of_rows.lines)
