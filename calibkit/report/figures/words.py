"""Labels and numbers of figures as text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

Unit = Literal["percent", "points", "number", "seconds"]
"""percent: fractions, times 100. points: differences of fractions, times 100, with their sign."""
UNITS: Mapping[str, str] = {
    "percent": "%",
    "points": "percentage points",
    "number": "",
    "seconds": "seconds",
}
MISSING = "–"

_NOT_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_TURNS = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def clean(text: object) -> str:
    """Return text on one line, without characters that XML has no place for."""
    return " ".join(_TURNS.sub("", _NOT_XML.sub("\ufffd", str(text))).split())


def label_of(value: object) -> str:
    """Return a value as a label; NULL is a dash."""
    if value is None:
        return MISSING
    if isinstance(value, float | Decimal):
        return f"{float(value):g}"
    return clean(value) or "(empty)"


def shortened(text: str, most: int = 30) -> str:
    """Return text of at most so many characters; the middle goes, since ends tell names apart."""
    if len(text) <= most:
        return text
    tail = (most - 1) // 3
    return f"{text[: most - 1 - tail].rstrip()}…{text[-tail:].lstrip()}"


def number_of(value: object) -> float:
    """Return a number, or NaN for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return math.nan
    number = float(value)
    return number if math.isfinite(number) else math.nan


def scaled(value: object, unit: Unit) -> float:
    """Return the number as it is drawn: fractions times 100."""
    return number_of(value) * (100.0 if unit in ("percent", "points") else 1.0)


def decimals_for(values: Iterable[float], unit: Unit) -> int:
    """Return how many decimals tell these numbers (as drawn) apart."""
    sizes = [abs(value) for value in values if math.isfinite(value)]
    most = max(sizes, default=0.0)
    if unit == "percent":
        return 1
    if unit == "points":
        return 1 if most >= 2 else 2
    return 0 if most >= 100 else 1 if most >= 10 else 2 if most >= 1 else 3


def written(number: float, decimals: int, unit: Unit = "number") -> str:
    """Return a drawn number as text: a true minus sign, a plus where the sign matters."""
    if not math.isfinite(number):
        return MISSING
    text = f"{number:+.{decimals}f}" if unit == "points" else f"{number:.{decimals}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", "\u2212")


def in_order(rows: Iterable[Mapping[str, Any]], column: str | None) -> list[Any]:
    """Return the distinct values of a column, in the order in which they first occur."""
    return [None] if column is None else list(dict.fromkeys(row[column] for row in rows))


def wrapped(text: str, width: int = 12, lines: int = 3) -> str:
    """Return text broken between words, or behind a slash, into at most so many lines."""
    parts: list[str] = []
    for word in re.split(r"\s+|(?<=/)(?=[^\s/])", text.strip()):
        gap = "" if parts and parts[-1].endswith("/") else " "
        if parts and len(parts[-1]) + len(gap) + len(word) <= width:
            parts[-1] += f"{gap}{word}"
        else:
            parts.append(shortened(word, max(width, 16)))
    if len(parts) > lines:
        parts = [*parts[: lines - 1], shortened(" ".join(parts[lines - 1 :]), max(width, 16))]
    return "\n".join(parts)


def listed(names: Sequence[str], most: int = 4) -> str:
    """Return names in a sentence, and how many more there are."""
    shown = [*names[:most], *([f"{len(names) - most} more"] if len(names) > most else [])]
    if len(shown) < 2:
        return "".join(shown)
    return f"{', '.join(shown[:-1])} and {shown[-1]}"
