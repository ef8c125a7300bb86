"""How much a parquet file may become in memory, from its metadata, before any of it is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO

AT_ONCE = 2048
"""Most rows of a batch."""
_BATCH_BYTES = 128 << 20
_DICTIONARY_PAGE = 2
_HEADER_BYTES = 32
_NUMBER_BYTES = 8


def expanded_bytes(metadata: Any, columns: Sequence[str]) -> int:
    """Return the bytes that columns have once decompressed, at least, by what the file says."""
    return sum(
        max(chunk.total_uncompressed_size, _numbers(chunk) * _NUMBER_BYTES)
        for chunk in _chunks(metadata, columns)
    )


def rows_at_once(file: BinaryIO, metadata: Any, columns: Sequence[str]) -> int:
    """Return how many rows may be read at once, so that a batch stays under 128 MiB.

    A value that is written once, in a dictionary or as the beginning of the next ones, may stand
    in every row.
    """
    largest = max((_repeated(file, chunk) for chunk in _chunks(metadata, columns)), default=0)
    return max(1, min(AT_ONCE, _BATCH_BYTES // max(1, largest)))


def _chunks(metadata: Any, columns: Sequence[str]) -> list[Any]:
    return [
        chunk
        for group in range(metadata.num_row_groups)
        for place in range(metadata.num_columns)
        if (chunk := metadata.row_group(group).column(place)).path_in_schema.split(".")[0]
        in columns
    ]


def _numbers(chunk: Any) -> int:
    """Return how many numbers a column has; none where it holds texts."""
    return 0 if chunk.physical_type == "BYTE_ARRAY" else int(chunk.num_values)


def _repeated(file: BinaryIO, chunk: Any) -> int:
    """Return the bytes that values standing in many rows have together, at most."""
    if any("DELTA" in encoding for encoding in chunk.encodings):
        return int(chunk.total_uncompressed_size)
    offsets = [chunk.dictionary_page_offset, chunk.data_page_offset]
    file.seek(min(offset for offset in offsets if offset is not None))
    return _dictionary_bytes(file.read(_HEADER_BYTES))


def _dictionary_bytes(header: bytes) -> int:
    """Return the uncompressed size of a dictionary page, 0 for another page.

    A page begins with its header in Thrift's compact protocol: its type, then its size. What is
    not written like that is left to the reader of the page.
    """
    found = []
    at = 0
    for _ in range(2):
        if header[at : at + 1] != b"\x15":  # the next field, a 32-bit integer
            return 0
        value, at = _varint(header, at + 1)
        found.append(value >> 1)  # zigzag; neither is negative
    kind, size = found
    return size if kind == _DICTIONARY_PAGE else 0


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data):
        byte = data[at]
        value |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if not byte & 0x80:
            break
    return value, at
