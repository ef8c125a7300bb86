"""Whole numbers as C: constants, arrays, strings, and streams of numbers of few bits."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

import numpy as np

from calibkit.export.network import Whole

_PER_LINE = 24
_OVERHANG = 5
"""Bytes behind a stream: a number is read with those that follow its first."""


def part(file: str) -> str:
    """Return a C file of this package."""
    return (files("calibkit.export.c") / file).read_text(encoding="utf-8")


def defines(numbers: Mapping[str, int | str]) -> str:
    """Return macros by name, without the prefix; negative numbers stand in brackets."""
    plain = {
        name: f"({value})" if isinstance(value, int) and value < 0 else value
        for name, value in numbers.items()
    }
    return "\n".join(f"#define CK_{name} {value}" for name, value in plain.items())


def array(kind: str, name: str, values: Whole) -> str:
    """Return the definition of an array of whole numbers that only its source sees."""
    suffix = "u" if kind.startswith("u") and kind != "uint8_t" else ""
    listed = [_number(kind, value) + suffix for value in values.ravel().tolist()]
    lines = [",".join(listed[i : i + _PER_LINE]) for i in range(0, len(listed), _PER_LINE)]
    body = ",\n  ".join(lines)
    return f"static const {kind} ck_{name}[{len(listed)}] = {{\n  {body}}};"


def _number(kind: str, value: int) -> str:
    if kind == "int64_t":  # C has no negative literals, and 2^63 is none of int64
        return f"-INT64_C({-value})" if value < 0 else f"INT64_C({value})"
    if kind == "int32_t" and value == -(1 << 31):
        return "(-2147483647 - 1)"
    return str(value)


def quoted(text: str) -> str:
    """Return a text as a C string literal in UTF-8."""
    plain = {ord(sign) for sign in " !#$%&'()*+,-./:;<=>@[]^_`{|}~"}
    letters = {*range(48, 58), *range(65, 91), *range(97, 123)}
    kept = plain | letters  # no question mark: two of them begin a trigraph
    return '"' + "".join(chr(b) if b in kept else f"\\{b:03o}" for b in text.encode()) + '"'


def width_of(values: Whole) -> int:
    """Return how many bits numbers that are not negative take; at least one."""
    return max(1, int(values.max(initial=0)).bit_length())


def stream(fields: list[tuple[Whole, int]]) -> tuple[Whole, int]:
    """Return rows as bytes, and the number of bytes of a row.

    fields: numbers (rows, n) that are not negative and the bits that each takes, in the order in
    which they stand in a row. Low bits come first; a row begins with a byte.
    """
    bits = [
        ((values[:, :, None] >> np.arange(width)) & 1).astype(np.uint8).reshape(len(values), -1)
        for values, width in fields
    ]
    rows = np.packbits(np.concatenate(bits, axis=1), axis=1, bitorder="little")
    found = np.concatenate([rows.ravel(), np.zeros(_OVERHANG, dtype=np.uint8)])
    return found.astype(np.int64), rows.shape[1]
