"""One line of a benchmark: what was measured, how much faster it is, and whether it is right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Target:
    """What a row should reach: one of its numbers (`name`, as in `Row.as_dict`), and the limit."""

    name: str
    limit: float
    at_most: bool = False
    unit: str = ""

    def reached(self, value: float) -> bool:
        """Return whether a value meets the target; the limit itself does."""
        return value <= self.limit if self.at_most else value >= self.limit

    def text(self, value: float) -> str:
        """Return the target in words, with its verdict."""
        sign = "<=" if self.at_most else ">="
        verdict = "met" if self.reached(value) else "missed"
        return f"{self.name} {sign} {self.limit:g}{self.unit}: {verdict}"


@dataclass(frozen=True)
class Row:
    """One measured thing.

    ratio: plain time / this time for the same work, the median over repetitions that took turns
    in one process; low, high: the smallest and the largest of them. exact: whether the outcome is
    right, in the sense of the fact ``against``. peak_mb: largest resident memory of a process that
    did this alone. seconds, plain_seconds: median time, of CPU unless the fact ``clock`` says
    otherwise. growth: what the size was raised to in the time, by the size's name. facts: sizes
    and whatever else belongs to the row.
    """

    what: str
    engine: str
    ratio: float
    low: float
    high: float
    exact: bool
    seconds: float
    plain_seconds: float
    peak_mb: float = 0.0
    growth: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self, targets: Sequence[Target] = ()) -> dict[str, Any]:
        """Return the row for machines; ``met`` is None where there is no target."""
        found: dict[str, Any] = {
            "what": self.what,
            "engine": self.engine,
            "ratio": self.ratio,
            "low": self.low,
            "high": self.high,
            "exact": self.exact,
            "peak_mb": self.peak_mb,
            "seconds": self.seconds,
            "plain_seconds": self.plain_seconds,
        }
        found |= {f"growth_{size}": exponent for size, exponent in self.growth.items()}
        found |= self.facts
        held = [target for target in targets if target.name in found]
        found["targets"] = [target.text(found[target.name]) for target in held]
        met = all(target.reached(found[target.name]) for target in held)
        return found | {"met": met if held else None}


def growth_words(row: Mapping[str, Any]) -> str | None:
    """Return the growth exponents of a row's dictionary in words, None where it has none."""
    words = [
        f"{name.removeprefix('growth_')} {value:.2f}"
        for name, value in row.items()
        if name.startswith("growth_")
    ]
    return ", ".join(words) or None


def wrong(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names of the rows whose outcome is not right."""
    return [f"{row['what']}, {row['engine']}" for row in rows if not row["exact"]]
