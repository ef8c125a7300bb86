"""Files that cannot be ingested, with what is said of them; and files that only look as if."""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Content = bytes | Callable[[Path], object]


@dataclass(frozen=True)
class Case:
    """Files by split, what must be said of them (a pattern), options, and lower limits."""

    files: dict[str, tuple[str, Content]]
    says: str
    options: tuple[str, ...] = ()
    limits: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Fine:
    """Files by split, and what comes in."""

    files: dict[str, tuple[str, Content]]
    documents: int = 20
    labels: int = 2
    options: tuple[str, ...] = ()


GOOD = b"text,label\n" + b"".join(
    b"text %d words,%s\n" % (n, b"yx"[n % 2 :][:1]) for n in range(20)
)
OBJECTS = [{"text": f"text {n} words", "label": "xy"[n % 2]} for n in range(20)]


def train(name: str, content: Content, says: str, **more: Any) -> Case:
    return Case({"train": (name, content)}, says, **more)


def lines(*more: object) -> bytes:
    """Twenty good lines of JSON and then these, objects or texts."""
    every = [*OBJECTS, *more]
    return "".join(f"{x if isinstance(x, str) else json.dumps(x)}\n" for x in every).encode()


def parquet(**columns: Any) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = io.BytesIO()
    given = {"text": [o["text"] for o in OBJECTS], "label": [o["label"] for o in OBJECTS]}
    pq.write_table(pa.table({**given, **columns}), file, store_schema=False)
    return file.getvalue()


def repeated_value(path: Path) -> None:
    """One text of 4 MB, and 5,000 rows that refer to it: a file of a few kB, 20 GB when read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = pa.array(["a" * (4 << 20)]).dictionary_encode().take(pa.array([0] * 5_000))
    table = pa.table({"text": texts, "label": ["x", "y"] * 2_500})
    options = {"compression": "zstd", "dictionary_pagesize_limit": 1 << 30}
    pq.write_table(table, path, store_schema=False, **options)


def long_vectors(path: Path) -> None:
    """Rows with vectors of 4,000,000 equal numbers."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    vectors = pa.ListArray.from_arrays([0, 4_000_000, 8_000_000], pa.array([0.5] * 8_000_000))
    table = pa.table({"text": ["a", "b"], "label": ["x", "y"], "v": vectors})
    pq.write_table(table, path, compression="zstd", store_schema=False)


def link(target: str) -> Callable[[Path], object]:
    return lambda path: path.symlink_to(target)


def two_labels(line: str) -> bytes:
    return GOOD + line.encode()


LINE = ":22: "  # the line behind those of GOOD
PACKED = gzip.compress(
    b"text,label\n" + b"".join(b"words %d,%d\n" % (n * n, n % 3) for n in range(5000))
)

CASES: dict[str, Case] = {
    # what is no text, or another
    "latin-1": train("t.csv", GOOD + b"caf\xe9,x\n", r"t\.csv:22: byte 0xE9 at position 4"),
    "broken UTF-8": train("t.csv", GOOD + b"\xe2\x82,x\n", r"t\.csv:22: byte 0xE2"),
    "overlong UTF-8": train("t.csv", GOOD + b"\xc0\xaf,x\n", r"t\.csv:22: byte 0xC0"),
    "surrogate in UTF-8": train("t.csv", GOOD + b"\xed\xa0\x80,x\n", r"t\.csv:22: byte 0xED"),
    "UTF-16": train("t.csv", GOOD.decode().encode("utf-16"), r"t\.csv:1: the file is UTF-16"),
    "UTF-16 without mark": train("t.csv", GOOD.decode().encode("utf-16-be"), r":1: a NUL byte"),
    "UTF-32": train("t.csv", GOOD.decode().encode("utf-32"), r"t\.csv:1: the file is UTF-32"),
    "two marks": train("t.csv", b"\xef\xbb\xbf" * 2 + GOOD, r"did you mean '\\ufefftext'"),
    "NUL": train("t.csv", GOOD + b"a\0b,x\n", r"t\.csv:22: a NUL byte"),
    "NUL in JSON": train("t.jsonl", lines({"text": "a\0b", "label": "x"}), r":21: a NUL character"),
    "half a surrogate": train("t.jsonl", lines({"text": "\ud800", "label": "x"}), r":21: half of"),
    "a zip": train("t.csv", b"PK\x03\x04" + b"\0" * 90, r"t\.csv:1: a NUL byte"),
    "a PDF": train("t.csv", b"%PDF-1.4\n%\xe2\xe3\n", r"t\.csv:1: no column is called 'text'"),
    "one byte": train("t.csv", b"x", r"t\.csv:1: no column is called 'text'; columns: x"),
    # rows and fields
    "short row": train("t.csv", GOOD + b"alone\n", r"t\.csv:22: 1 fields where the header has 2"),
    "long row": train("t.csv", GOOD + b"a,b,c\n", r"t\.csv:22: 3 fields where the header has 2"),
    "unclosed quote": train("t.csv", GOOD + b'"a,x\nb,y\n', r"t\.csv:22: .*never closed"),
    "quote closed late": train("t.csv", GOOD + b'"a,x\nb,y\n"c,x\n', r"t\.csv:22: a closing quote"),
    "mixed newlines": train("t.csv", GOOD.replace(b"\n", b"\r", 7), r":1: a carriage return"),
    "empty text": train("t.csv", GOOD + b",x\n", r"t\.csv:22: empty text"),
    "empty label": train("t.csv", GOOD + b"a,\n", r"t\.csv:22: empty label"),
    "blank text": train("t.csv", GOOD + b" \t ,x\n", r"t\.csv:22: empty text"),
    "field of 20 MB": train("t.csv", GOOD + b"a" * (20 << 20) + b",x\n", r":22: a line of more"),
    "document too long": train(
        "t.csv",
        GOOD + b"a" * 600 + b",x\n",
        r":22: a text of more than 512",
        limits={"document_bytes": 512},
    ),
    "label too long": train("t.csv", GOOD + b"a," + b"x" * 300, r":22: a label of more than 256"),
    "label with escapes": train("t.csv", GOOD + b"a,\x1b[2J" + b"x" * 300, r"starting '\\x1b\[2Jx"),
    # the header
    "empty file": train("t.csv", b"", r"t\.csv: the file is empty"),
    "header alone": train("t.csv", b"text,label\n", r"t\.csv: there is a header line but no doc"),
    "blank lines alone": train("t.csv", b"\n\n\n", r"t\.csv:1: there is no header line"),
    "no header": train("t.csv", b"some words,Sports\n", r"t\.csv:1: no column is called 'text'"),
    "renamed column": train("t.csv", GOOD.replace(b"text,", b"texts,", 1), r"did you mean 'texts'"),
    "other case": train("t.csv", GOOD.replace(b"text,", b"Text,", 1), r"did you mean 'Text'"),
    "space in the header": train("t.csv", GOOD.replace(b",l", b", l", 1), r"did you mean ' label'"),
    "swapped header": train(
        "t.csv",
        b"label,text\n" + b"".join(b"some words %d,x\n" % n for n in range(9)),
        r"t\.csv: 9 different labels but only 1 different texts; are the two columns swapped",
    ),
    "column twice": train(
        "t.csv", b"text,label,label\na,b,c\n", r":1: 2 columns are called 'label'"
    ),
    "semicolons": train("t.csv", GOOD.replace(b",", b";"), r"t\.csv:1: .*separated by semicolons"),
    "tabs": train("t.csv", GOOD.replace(b",", b"\t"), r"t\.csv:1: .*separated by tabs"),
    "header with a line break": train(
        "t.csv", b'"te\nxt",label\na,b\n', r"columns: 'te\\nxt', label"
    ),
    "header with escapes": train(
        "t.csv", b"\x1b[31mtext,label\na,b\n", r"columns: '\\x1b\[31mtext'"
    ),
    "200,000 columns": train(
        "t.csv", b",".join(b"c%d" % n for n in range(200_000)), r":1: no column is called 'text'"
    ),
    # labels
    "one label": train("t.csv", GOOD.replace(b",y", b",x"), r"every document has the label 'x'"),
    "too many labels": train(
        "t.csv", GOOD + b"a,z\n", r"t\.csv: 3 different labels; at most 2", limits={"labels": 2}
    ),
    "a label per text": train(
        "t.csv", b"text,label\n" + b"".join(b"same,%d\n" % n for n in range(20)), r"columns swapped"
    ),
    "label only in test": Case(
        {"train": ("t.csv", GOOD), "test": ("e.csv", GOOD + b"a,durian\n")},
        r"e\.csv:22: label 'durian' does not occur in the training split",
    ),
    "label only in valid": Case(
        {"train": ("t.csv", GOOD), "valid": ("v.jsonl", lines({"text": "a", "label": 7}))},
        r"v\.jsonl:21: label '7' does not occur",
    ),
    "NaN label": train("t.jsonl", lines({"text": "a", "label": float("nan")}), r":21: .* not nan"),
    "infinite label": train("t.jsonl", lines('{"text": "a", "label": 1e999}'), r":21: .* not inf"),
    "fraction as label": train("t.jsonl", lines({"text": "a", "label": 0.5}), r":21: .* not 0\.5"),
    "null label": train("t.jsonl", lines({"text": "a", "label": None}), r":21: empty label"),
    "list as label": train("t.jsonl", lines({"text": "a", "label": ["x"]}), r":21: a label must"),
    # JSON
    "nested JSON": train(
        "t.jsonl", lines({"text": {"a": "b"}, "label": "x"}), r":21: 'text' is no s"
    ),
    "array of objects": train("t.jsonl", json.dumps(OBJECTS).encode(), r"t\.jsonl:1: a JSON list"),
    "pretty JSON": train("t.jsonl", json.dumps(OBJECTS, indent=1).encode(), r"t\.jsonl:1: no JSON"),
    "cut-off JSON": train("t.jsonl", lines('{"text": "a", "lab'), r"t\.jsonl:21: no JSON"),
    "two objects a line": train("t.jsonl", lines('{"text": "a"}{"text": "b"}'), r":21: no JSON"),
    "a number a line": train("t.jsonl", lines("7"), r"t\.jsonl:21: a JSON int, not an object"),
    "key twice": train(
        "t.jsonl",
        lines('{"text": "a", "label": "x", "label": "y"}'),
        r":21: the key 'label' stands twice",
    ),
    "key twice, escaped": train(
        "t.jsonl",
        lines('{"text": "a", "label": "x", "te\\u0078t": "y"}'),
        r":21: the key 'text' stands",
    ),
    "deep JSON": train("t.jsonl", lines("[" * 90_000 + "]" * 90_000), r":21: .*nested too deep"),
    "deep JSON beside": train(
        "t.jsonl",
        lines('{"text": "a", "label": "x", "z": ' + "[" * 90_000 + "]" * 90_000 + "}"),
        r":21: .*nested too deep",
    ),
    "endless number": train(
        "t.jsonl", lines(f'{{"text": "a", "label": {"9" * 9_000}}}'), r":21: .*digits"
    ),
    # compressed
    "gz that is none": train("t.csv.gz", GOOD, r"t\.csv\.gz: is called \.gz but is not gzipped"),
    "gz by another name": train("t.csv", gzip.compress(GOOD), r"is gzipped; rename it with \.gz"),
    "gz cut off": train(
        "t.csv.gz", PACKED[: len(PACKED) // 2], r"t\.csv\.gz: the gzip file is cut off"
    ),
    "gz damaged": train(
        "t.csv.gz", PACKED[:2000] + b"\xff" * 2000 + PACKED[4000:], r"the gzip file is damaged"
    ),
    "gz with more behind it": train(
        "t.csv.gz", gzip.compress(GOOD) + b"junk", r"gzip file is damaged"
    ),
    "gz in gz": train("t.csv.gz", gzip.compress(gzip.compress(GOOD)), r"t\.csv\.gz:1: a NUL byte"),
    "bomb": train(
        "t.csv.gz", gzip.compress(GOOD + b"the same again,x\n" * 700_000), r"decompression bomb"
    ),
    "bomb of JSON": train(
        "t.jsonl.gz", gzip.compress(lines() + b"\n" * 10_000_000), r"decompression bomb"
    ),
    # parquet
    "no parquet": train("t.parquet", GOOD, r"t\.parquet: not a readable parquet file"),
    "parquet cut off": train("t.parquet", parquet()[:-20], r"t\.parquet: not a readable parquet"),
    "parquet of numbers": train(
        "t.parquet",
        parquet(text=list(range(20))),
        r"t\.parquet: column 'text' holds int64, not text",
    ),
    "parquet of bytes": train(
        "t.parquet", parquet(text=[b"a"] * 20), r"column 'text' holds binary, not text"
    ),
    "parquet label of lists": train(
        "t.parquet", parquet(label=[["x"]] * 20), r"t\.parquet:1: a label must be text"
    ),
    "parquet NaN label": train(
        "t.parquet", parquet(label=[1.0] * 19 + [float("nan")]), r"t\.parquet:20: .* not nan"
    ),
    "parquet null label": train(
        "t.parquet", parquet(label=["x", "y"] * 9 + ["x", None]), r"t\.parquet:20: empty label"
    ),
    "parquet that repeats": train("t.parquet", repeated_value, r"t\.parquet: .*decompression bomb"),
    "parquet of long vectors": train(
        "t.parquet", long_vectors, r"t\.parquet: .*decompression bomb", options=("--vectors", "v")
    ),
    # what is no file, or no name
    "folder": train("t.csv", Path.mkdir, r"'--train': File .*t\.csv' is a directory"),
    "missing": train("t.csv", lambda path: None, r"'--train': File .*t\.csv' does not exist"),
    "pipe": train("t.csv", os.mkfifo, r"t\.csv: is a pipe or a device, no file"),
    "link to a device": train("t.csv", link("/dev/zero"), r"t\.csv: is a pipe or a device"),
    "link to nothing": train(
        "t.csv", link("/nowhere"), r"'--train': File .*t\.csv' does not exist"
    ),
    "link to itself": train("t.csv", link("t.csv"), r"'--train': File .*t\.csv' does not exist"),
    "wrong suffix": train("t.xlsx", GOOD, r"t\.xlsx: the name says no format that can be ingested"),
    "gz twice": train("t.csv.gz.gz", GOOD, r"the name says no format that can be ingested"),
    "name with a line break": train(
        "t\nError: x.csv", b"", r"'.*t\\nError: x\.csv': the file is e"
    ),
    "repeats under --strict": Case(
        {"train": ("t.csv", GOOD), "test": ("e.csv", GOOD)},
        r"20 documents have a text that stands in the test split, for example 'text 0 words'",
        options=("--strict",),
    ),
}

FINE: dict[str, Fine] = {
    "byte order mark": Fine({"train": ("t.csv", b"\xef\xbb\xbf" + GOOD)}),
    "CRLF and LF": Fine({"train": ("t.csv", GOOD.replace(b"\n", b"\r\n", 7))}),
    "no newline at the end": Fine({"train": ("t.csv", GOOD[:-1])}),
    "blank lines": Fine({"train": ("t.csv", GOOD.replace(b"\n", b"\n\n"))}),
    "link to a file": Fine(
        {
            "train": (
                "t.csv",
                lambda p: (p.with_name("other").write_bytes(GOOD), p.symlink_to("other")),
            )
        }
    ),
    "the same file twice": Fine({"train": ("t.csv", GOOD), "test": ("e.csv", GOOD)}, documents=40),
    "gz in parts": Fine(
        {"train": ("t.csv.gz", gzip.compress(GOOD[:70]) + gzip.compress(GOOD[70:]))}
    ),
    "numbers as labels": Fine(
        {"train": ("t.jsonl", lines().replace(b'"x"', b"1").replace(b'"y"', b"2"))}
    ),
    "1, 1.0 and '1'": Fine(
        {"train": ("t.jsonl", lines({"text": "a", "label": 1.0}, {"text": "b", "label": "1"}))},
        22,
        3,
    ),
    "words like null": Fine(
        {"train": ("t.csv", GOOD + b"null,NULL\nnan,nan\nNone,NULL\nb,nan\n")}, 24, 4
    ),
    "keys in values": Fine(
        {"train": ("t.jsonl", lines({"text": '"text": "label"', "label": "x", "z": {"text": 1}}))},
        21,
    ),
    "parquet of categories": Fine({"train": ("t.parquet", parquet())}),
}
