"""Source files: found, decompressed within limits, hashed, and cut into lines."""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from calibkit.corpora.validation import FileProblem, Limits, naming

FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
"""Last suffix (before .gz) -> format."""

_WIDE = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
_BOM = b"\xef\xbb\xbf"
_BLOCK = 1 << 20
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class SourceFile:
    """A file that can be read: its format by name, and whether it is gzipped."""

    path: Path
    format: str  # noqa: A003
    is_gzipped: bool

    @property
    def place(self) -> str:
        """How problems call it."""
        return place_of(self.path)


def place_of(path: Path) -> str:
    """Return how messages call a file: by its path, quoted where that would break the line."""
    text = str(path)
    return text if text.isprintable() else repr(text)


def find_file(path: str | Path) -> SourceFile:
    """Return the source file at ``path``; a symbolic link is what it leads to.

    Raises FileProblem when it is missing, a folder, a pipe or a device (whose content may never
    end, and is gone once it was read), empty, or of no known format.
    """
    path = Path(path)
    place = place_of(path)
    allowed = "csv, tsv, jsonl, ndjson or parquet, each also with .gz"
    if path.is_dir():
        raise FileProblem(
            f"{place}: is a folder; give one file per split: --train F --valid F --test F"
        )
    if not path.exists():
        raise FileProblem(f"{place}: there is no such file")
    if not path.is_file():
        raise FileProblem(
            f"{place}: is a pipe or a device, no file; write what it gives to a file first"
        )
    is_gzipped = path.suffix.lower() == ".gz"
    suffix = Path(path.stem).suffix.lower() if is_gzipped else path.suffix.lower()
    if suffix not in FORMATS:
        raise FileProblem(
            f"{place}: the name says no format that can be ingested ({allowed}); rename it"
        )
    with naming(place), path.open("rb") as file:
        magic = file.read(2)
    if not magic:
        raise FileProblem(f"{place}: the file is empty; it needs a text and a label per row")
    if is_gzipped != (magic == _GZIP):
        is_not = "is called .gz but is not gzipped" if is_gzipped else "is gzipped"
        raise FileProblem(
            f"{place}: {is_not}; rename it {'without' if is_gzipped else 'with'} .gz at the end"
        )
    return SourceFile(path, FORMATS[suffix], is_gzipped)


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes, as they are on disk."""
    with naming(place_of(path)), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Bounded(io.RawIOBase):
    """A gzip stream that refuses to grow beyond the limits."""

    def __init__(self, raw: BinaryIO, place: str, packed_bytes: int, limits: Limits) -> None:
        self._stream = gzip.GzipFile(fileobj=raw)
        self._place = place
        self._seen = 0
        self._most = min(
            limits.expanded_bytes,
            max(limits.expansion_free_bytes, limits.expansion * packed_bytes),
        )
        self._packed = packed_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        try:
            count = self._stream.readinto(buffer)  # type: ignore[arg-type]
        except EOFError as error:
            raise FileProblem(
                f"{self._place}: the gzip file is cut off after {self._seen:,} bytes of text; get a"
                " complete copy"
            ) from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise FileProblem(f"{self._place}: the gzip file is damaged: {error}") from error
        self._seen += count
        if self._seen > self._most:
            raise FileProblem(
                f"{self._place}: {self._packed:,} compressed bytes grow to more than"
                f" {self._most:,}; that is taken for a decompression bomb. If the file is sound,"
                " decompress it first and ingest the result"
            )
        return count


@contextmanager
def open_bytes(source: SourceFile, limits: Limits) -> Iterator[BinaryIO]:
    """Yield the file's bytes, decompressed; a gzip file is bounded by ``limits``."""
    with naming(source.place), source.path.open("rb") as raw:
        if source.is_gzipped:
            size = source.path.stat().st_size
            bounded = _Bounded(raw, source.place, size, limits)
            yield io.BufferedReader(bounded, buffer_size=1 << 18)
        else:
            yield raw


def text_lines(source: SourceFile, limits: Limits) -> Iterator[str]:
    """Yield the file's lines with their line ends, decoded from UTF-8 (a BOM is dropped).

    Raises FileProblem, with the line, for another encoding, a NUL byte or an endless line.
    """
    return chain.from_iterable(line_blocks(source, limits))


def line_blocks(source: SourceFile, limits: Limits) -> Iterator[list[str]]:
    """Yield what `text_lines` yields, about a megabyte of lines at once."""
    with open_bytes(source, limits) as stream:
        number = 0
        for block in _blocks(stream, source.place, limits.line_bytes):
            lines = _plain_lines(block, limits.line_bytes)
            if lines is None:
                for line in _checked_lines(block, number, source, limits.line_bytes):
                    yield [line]
                number += block.count(b"\n")
            else:
                yield lines
                number += len(lines)


def _blocks(stream: BinaryIO, place: str, line_bytes: int) -> Iterator[bytes]:
    """Yield the bytes in blocks of whole lines, without a BOM; an endless line is cut off."""
    rest = b""
    is_first = True
    while chunk := stream.read(_BLOCK):
        if is_first:
            chunk, is_first = _without_mark(chunk, place), False
        end = chunk.rfind(b"\n") + 1
        if end:
            yield rest + chunk[:end]
            rest = chunk[end:]
        else:
            rest += chunk
        if len(rest) > line_bytes:
            break
    if rest:
        yield rest


def _plain_lines(block: bytes, line_bytes: int) -> list[str] | None:
    """Return the decoded lines of a block, or None where one of them may be a problem."""
    if len(block) > line_bytes or b"\0" in block:
        return None
    try:
        return list(io.StringIO(block.decode(), newline="\n"))
    except UnicodeDecodeError:
        return None


def _checked_lines(block: bytes, before: int, source: SourceFile, line_bytes: int) -> Iterator[str]:
    """Yield the lines of a block one by one; ``before`` is the number of lines before it."""
    for number, raw in enumerate(io.BytesIO(block), start=before + 1):
        if len(raw) > line_bytes:
            raise FileProblem(f"{source.place}:{number}: a line of more than {line_bytes:,} bytes")
        if b"\0" in raw:
            raise FileProblem(
                f"{source.place}:{number}: a NUL byte; the file is damaged or no UTF-8 text"
                " (UTF-16 looks like this: iconv -f UTF-16 -t UTF-8 converts it)"
            )
        try:
            yield raw.decode()
        except UnicodeDecodeError as error:
            raise FileProblem(
                f"{source.place}:{number}: byte 0x{raw[error.start]:02X} at position"
                f" {error.start + 1} of the line is not UTF-8; convert the file first, for"
                f" example: iconv -f LATIN1 -t UTF-8 {source.path.name}"
            ) from error


def _without_mark(raw: bytes, place: str) -> bytes:
    for mark, encoding in _WIDE.items():
        if raw.startswith(mark):
            raise FileProblem(
                f"{place}:1: the file is {encoding}, and UTF-8 is needed; convert it first, for"
                f" example: iconv -f {encoding} -t UTF-8"
            )
    return raw.removeprefix(_BOM)
