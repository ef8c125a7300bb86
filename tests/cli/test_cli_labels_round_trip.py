"""Labels and texts of any kind, through every format in and every format out."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from calibkit.cli import formats
from calibkit.cli.layout import lay_out
from calibkit.cli.main import cli
from calibkit.cli.table import Table
from calibkit.cli.text import one_line
from calibkit.corpora.text import clean

LABELS = [
    'say "hi"',
    "it's",
    "a, b; c",
    "first\nsecond",
    "tab\there",
    "crlf\r\nhere",
    "émoji 😀 👩‍👩‍👧 🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "'; DROP TABLE labels; --",
    "Robert'); DELETE FROM corpora; --",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\u202egnp.exe",
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "<script>alert(1)</script>",
    "a|b",
    "**bold** _it_ `code` [link](http://x) ![i](http://x) ~~s~~ &amp; <b>",
    "\\n \\ \\\\",
    "null",
    "NULL",
    "nan",
    "true",
    "007",
    "1e5",
    "#hash",
    "{'a': 1}",
    "[1, 2]",
    "%s {0} ${x} $(id)",
    "../../etc/passwd",
    "عربى",
    "日本語",
    "a\u0301",  # is stored as one character
    "\u00a0wide\u3000space\u00a0",
    "zero\u200bwidth",
    "x" * 256,
    "--flag",
    "\ufeffmark",
    "\x7f\x80",
]
STORED = [clean(label) for label in LABELS]


def as_lines(delimiter: str) -> Callable[[list[tuple[str, str]]], bytes]:
    def write(rows: list[tuple[str, str]]) -> bytes:
        file = io.StringIO()
        csv.writer(file, delimiter=delimiter).writerows([("text", "label"), *rows])
        return file.getvalue().encode()

    return write


def as_objects(rows: list[tuple[str, str]]) -> bytes:
    return "".join(f"{json.dumps({'text': t, 'label': la})}\n" for t, la in rows).encode()


def as_parquet(rows: list[tuple[str, str]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = io.BytesIO()
    texts, labels = zip(*rows, strict=True)
    pq.write_table(pa.table({"text": list(texts), "label": list(labels)}), file)
    return file.getvalue()


WRITERS: dict[str, Callable[[list[tuple[str, str]]], bytes]] = {
    "csv": as_lines(","),
    "tsv": as_lines("\t"),
    "jsonl": as_objects,
    "parquet": as_parquet,
}


def run(*args: object) -> bytes:
    done = CliRunner().invoke(cli, [str(arg) for arg in args])
    assert done.exit_code == 0, done.stderr
    return done.stdout_bytes


@pytest.fixture(scope="module", params=WRITERS)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose corpus has every label, from a file of one of the formats."""
    folder = tmp_path_factory.mktemp(request.param)
    files: list[object] = []
    for split in ("train", "valid", "test"):
        rows = [(f"{label} {n} {split}", label) for n in range(2) for label in LABELS]
        file = folder / f"{split}.{request.param}"
        file.write_bytes(WRITERS[request.param](rows))
        files += [f"--{split}", file]
    path = folder / "s.duckdb"
    run("--store", path, "ingest", "odd", *files)
    return path


def test_every_format_gives_every_label_and_text_back(store: Path) -> None:
    import pyarrow.parquet as pq

    sql = (
        "SELECT label, min(text) AS text FROM documents JOIN labels USING (corpus_id, label_id)"
        " WHERE split = 'train' GROUP BY ALL ORDER BY label"
    )
    expected = sorted((label, clean(f"{label} 0 train")) for label in STORED)

    def said(form: str) -> bytes:
        return run("--store", store, "sql", sql, "--format", form)

    read = list(csv.reader(io.StringIO(said("csv").decode(), newline="")))
    assert [tuple(row) for row in read[1:]] == expected
    for rows in (json.loads(said("json")), [json.loads(x) for x in said("jsonl").splitlines()]):
        assert [(row["label"], row["text"]) for row in rows] == expected
    table = pq.read_table(io.BytesIO(said("parquet"))).to_pylist()
    assert [(row["label"], row["text"]) for row in table] == expected
    shown = [(one_line(label).strip(), one_line(text).strip()) for label, text in expected]
    assert markdown_cells(said("markdown").decode())[2:] == [list(row) for row in shown]
    lines = said("table").decode().splitlines()[2:]
    assert [line.split() for line in lines] == [f"{a} {b}".split() for a, b in shown]


def test_what_people_see_of_labels_is_printable(store: Path) -> None:
    joins = "\u200b\u200d\U000e007f"  # parts of emoji, and no harm
    for command in (["show", "odd"], ["list", "corpora"], ["sql", "FROM labels"]):
        said = run("--store", store, *command).decode()
        assert not {c for c in said if c < "\U000e0000" and not c.isprintable()} - {"\n", *joins}


def test_labels_can_be_asked_for_in_sql_and_in_policies(store: Path) -> None:
    for label in ("'; DROP TABLE labels; --", "\x1b[31mred\x1b[0m", LABELS[6]):
        literal = label.replace("'", "''")
        sql = f"SELECT label FROM labels WHERE label = '{literal}'"
        assert json.loads(run("--store", store, "sql", sql, "--json")) == {"label": label}
    for label in ('say "hi"', "\x1b[31mred\x1b[0m"):
        weights = f"weights={{{json.dumps(label)}: 1}}"
        call = ["build-subset", "odd", "--policy", "skewed", "--size", 1, "--seed", 0]
        subset = run("--store", store, *call, "--param", weights).decode().strip()
        record = json.loads(run("--store", store, "show", subset, "--json"))
        assert record["first_documents"][0]["label"] == label
        assert record["asked_for"][0]["params"]["weights"] == {label: 1}


def markdown_cells(text: str) -> list[list[str]]:
    """Read a Markdown table as its standard says: split at bare pipes, take the backslashes out."""
    rows = []
    for line in text.splitlines():
        cells = re.findall(r"((?:\\.|[^\\|])*)\|", line)[1:]
        rows.append([re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", cell.strip(" ")) for cell in cells])
    return rows


any_text = st.text(st.characters(codec="utf-8"), max_size=20)


@given(st.lists(st.tuples(any_text, any_text), min_size=1, max_size=4))
def test_any_text_comes_back_from_every_format(rows: list[tuple[str, str]]) -> None:
    import pyarrow.parquet as pq

    table = Table(("a", "b"), tuple(rows), ("VARCHAR", "VARCHAR"))
    read = list(csv.reader(io.StringIO(formats.as_csv(table).decode(), newline="")))
    assert [tuple(row) for row in read[1:]] == rows
    assert [tuple(row.values()) for row in json.loads(formats.as_json(table))] == rows
    lines = formats.as_jsonl(table).decode().split("\n")[:-1]
    assert [tuple(json.loads(line).values()) for line in lines] == rows
    found = pq.read_table(io.BytesIO(formats.as_parquet(table))).to_pylist()
    assert [tuple(row.values()) for row in found] == rows
    cells = markdown_cells(formats.as_markdown(table).decode())[2:]
    assert cells == [[one_line(value).strip(" ") for value in row] for row in rows]
    assert len(lay_out(table).splitlines()) == 2 + len(rows)


@given(any_text)
def test_markdown_makes_nothing_of_a_text(text: str) -> None:
    (cell,) = markdown_cells(formats.as_markdown(Table(("x",), ((text,),))).decode())[2]
    raw = formats.as_markdown(Table(("x",), ((text,),))).decode().splitlines()[2][2:-2]
    assert cell == one_line(text).strip(" ")
    bare = re.sub(r"\\[!-/:-@\[-`{-~]", "", raw)
    assert not set(bare) & set("<`*[~|\\")


def test_the_labels_are_counted(told: Callable[[str], None]) -> None:
    told(f"labels through {len(WRITERS)} formats in and 6 out: {len(LABELS)} kinds")
