"""Every bad file through the command line: what is said, the exit code, and an untouched store."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from bad_files import CASES, FINE, Case, Fine
from click.testing import CliRunner
from seen_from_outside import Outside

from calibkit.cli.main import cli
from calibkit.corpora.validation import Limits


@dataclass
class Place:
    """A folder with a store that has a corpus, and who looks at it from outside."""

    folder: Path
    eye: Outside
    before: dict[str, str]

    def ingest(self, *args: object) -> tuple[int, str]:
        done = CliRunner().invoke(
            cli, ["--store", str(self.folder / "toy.duckdb"), "ingest", "mine", *map(str, args)]
        )
        assert done.stdout == ""
        assert "Traceback" not in done.stderr and "unexpected" not in done.stderr
        return done.exit_code, done.stderr

    def changed(self) -> bool:
        return self.eye.files(self.folder) != self.before


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, toy_files: dict[str, Path]) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("held") / "store"
    folder.mkdir()
    made = CliRunner().invoke(
        cli,
        ["--store", str(folder / "toy.duckdb"), "ingest", "toy"]
        + [f"--{split}={path}" for split, path in toy_files.items()],
    )
    assert made.exit_code == 0, made.stderr
    with Outside() as eye:
        yield Place(folder, eye, eye.files(folder))


def files_of(case: Case | Fine, folder: Path) -> list[str]:
    """Write the files of a case and return the options that name them."""
    options = []
    for split, (name, content) in case.files.items():
        path = folder / name
        if callable(content):
            content(path)
        else:
            path.write_bytes(content)
        options += [f"--{split}", str(path)]
    return [*options, *case.options]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", CASES)
def test_a_bad_file_is_told_and_the_store_untouched(
    name: str, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    if case.limits:
        limits = Limits(**case.limits)
        # the package has a function of the module's name
        monkeypatch.setattr(sys.modules["calibkit.corpora.ingest"], "Limits", lambda: limits)
    status, said = place.ingest(*files_of(case, tmp_path))
    assert status == 2, said
    assert re.search(case.says, said), said
    assert said.isprintable() or all(c.isprintable() or c == "\n" for c in said)
    assert len(said) < 6_000
    assert not place.changed()


@pytest.mark.parametrize("name", FINE)
def test_what_only_looks_odd_is_taken(name: str, tmp_path: Path) -> None:
    case = FINE[name]
    store = tmp_path / "own.duckdb"
    done = CliRunner().invoke(
        cli, ["--store", str(store), "ingest", "mine", *files_of(case, tmp_path)]
    )
    assert done.exit_code == 0, done.stderr
    assert f"{case.documents} documents, {case.labels} labels" in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"text,label\na,x\n")
    path.chmod(0)
    status, said = place.ingest("--train", path)
    assert (status, "not readable" in said) == (2, True)
    assert not place.changed()


def test_10_001_labels_are_not_taken(place: Place, tmp_path: Path) -> None:
    rows = [f"text number {n} of label {n % 10_001},label {n % 10_001}\n" for n in range(30_003)]
    path = tmp_path / "t.csv"
    path.write_text("text,label\n" + "".join(rows))
    status, said = place.ingest("--train", path)
    assert (status, "10,001 different labels; at most 10,000 are allowed" in said) == (2, True)
    assert not place.changed()


@pytest.mark.long
def test_10_000_labels_are_taken(tmp_path: Path) -> None:
    rows = [f"text number {n} of label {n % 10_000},label {n % 10_000}\n" for n in range(40_000)]
    (tmp_path / "t.csv").write_text("text,label\n" + "".join(rows))
    files = [f"--{split}={tmp_path / 't.csv'}" for split in ("train", "valid", "test")]
    done = CliRunner().invoke(cli, ["--store", str(tmp_path / "s.duckdb"), "ingest", "m", *files])
    assert done.exit_code == 0, done.stderr
    assert "120,000 documents, 10,000 labels" in done.stderr


@pytest.mark.long
@pytest.mark.parametrize("quoted", [False, True])
def test_a_field_of_100_mb_is_told_with_its_line(
    place: Place, tmp_path: Path, *, quoted: bool
) -> None:
    with (tmp_path / "t.csv").open("wb") as file:
        file.write(b"text,label\na,x\n" + b'"' * quoted)
        for _ in range(100):
            file.write(b"a" * (1 << 20))
        file.write(b'"' * quoted + b",x\n")
    status, said = place.ingest("--train", tmp_path / "t.csv")
    assert (status, "t.csv:3: a line of more than 16,777,216 bytes" in said) == (2, True)
    assert not place.changed()


@pytest.mark.long
def test_a_gigabyte_in_a_gz_is_refused_early(place: Place, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9) as file:
        file.write(b"text,label\n")
        for _ in range(1000):
            file.write(b"the same again,x\n" * 62_000)
    (tmp_path / "t.csv.gz").write_bytes(packed.getvalue())
    status, said = place.ingest("--train", tmp_path / "t.csv.gz")
    assert (status, "decompression bomb" in said) == (2, True)
    assert not place.changed()


def test_rows_left_out_on_purpose_are_counted_and_listed(tmp_path: Path) -> None:
    rows = [json.dumps({"text": f"text {n}", "label": "xy"[n % 2]}) for n in range(20)]
    rows[3:3] = [
        '{"text": "a", "text": "b", "label": "x"}',
        "[]",
        "\x1b[31m",
        '{"text": "\\u202e"}',
    ]
    (tmp_path / "t.jsonl").write_text("\n".join(rows))
    args = ["--store", str(tmp_path / "s.duckdb"), "ingest", "mine", "--on-error", "skip"]
    done = CliRunner().invoke(cli, [*args, "--train", str(tmp_path / "t.jsonl")])
    assert done.exit_code == 0, done.stderr
    assert "skipped 4 rows that could not be used" in done.stderr
    assert "t.jsonl:4: the key 'text' stands twice" in done.stderr
    assert "\x1b" not in done.stderr and "\u202e" not in done.stderr


def test_the_cases_are_counted(told: Callable[[str], None]) -> None:
    assert len(CASES) >= 40
    told(
        f"malformed corpora through `calibkit ingest`: {len(CASES) + 1} refused with file and"
        f" reason, store untouched (3 large ones by -m long); {len(FINE)} that only look odd, taken"
    )
