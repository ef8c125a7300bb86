"""Numbers as people read them: percent, points, intervals, p values, counts, times."""

from __future__ import annotations

import math
from collections.abc import Sequence

MINUS = "\N{MINUS SIGN}"
NOTHING = "\N{EN DASH}"
"""Stands where there is no number."""


def percent(fraction: float | None, digits: int = 1) -> str:
    """Return ``78.3`` for .783, without the sign of percent."""
    return NOTHING if _none(fraction) else fixed(100 * _is(fraction), digits)


def points(fraction: float | None, *, digits: int | None = None) -> str:
    """Return ``+12.3`` for .123: a difference of fractions in points, with its sign.

    Two decimals below one point, one above, unless ``digits`` says otherwise.
    """
    if _none(fraction):
        return NOTHING
    value = 100 * _is(fraction)
    shown = fixed(value, digits_of(value) if digits is None else digits)
    return shown if value <= 0 or float(shown) == 0 else f"+{shown}"


def digits_of(value: float) -> int:
    """Return how many decimals a difference in points is written with."""
    return 2 if abs(value) < 0.995 else 1


def span(low: float | None, high: float | None, *, signed: bool = True) -> str:
    """Return ``[-0.20, +0.61]`` for an interval of fractions, in points or in percent."""
    if _none(low) or _none(high):
        return "no interval"
    if not signed:
        return f"[{percent(low)}, {percent(high)}]"
    digits = digits_of(100 * max(abs(_is(low)), abs(_is(high))))
    return f"[{points(low, digits=digits)}, {points(high, digits=digits)}]"


def with_half(mean: float | None, low: float | None, high: float | None, digits: int = 1) -> str:
    """Return ``78.3 ± 0.4`` in percent; the half width is left out where there is no interval."""
    if _none(mean):
        return NOTHING
    if _none(low) or _none(high):
        return percent(mean, digits)
    return f"{percent(mean, digits)} ± {fixed(50 * (_is(high) - _is(low)), digits)}"


def p_value(p: float | None) -> str:
    """Return ``p = .031``; the smallest is written as ``p < .001``."""
    if _none(p):
        return "no p value"
    if _is(p) < 0.001:
        return "p < .001"
    return "p = 1" if _is(p) > 0.9995 else f"p = {_is(p):.3f}".replace("0.", ".", 1)


def fixed(value: float | None, digits: int = 1) -> str:
    """Return a number with so many decimals, with a true minus sign and never ``-0``."""
    if _none(value):
        return NOTHING
    shown = f"{_is(value):,.{digits}f}"
    if shown.startswith("-"):
        shown = shown[1:] if not shown.strip("-0.,") else f"{MINUS}{shown[1:]}"
    return shown


def count(number: int, what: str, plural: str | None = None) -> str:
    """Return ``1 draw`` or ``6 draws``."""
    return f"{number:,} {what if number == 1 else plural or f'{what}s'}"


def duration(seconds: float | None) -> str:
    """Return ``0.8 s``, ``12 min`` or ``2.4 h``."""
    if _none(seconds):
        return NOTHING
    value = _is(seconds)
    if value < 0.95:
        return f"{value:.2f} s"
    if value < 95:
        return f"{value:.1f} s" if value < 9.5 else f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 5700 else f"{value / 3600:.1f} h"


def listed(names: Sequence[str], most: int = 6) -> str:
    """Return ``a, b and c``, or the first ones and how many more there are."""
    if len(names) > most:
        return f"{', '.join(names[: most - 1])} and {len(names) - most + 1:,} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def between(values: Sequence[float], unit: str, *, signed: bool = False) -> str:
    """Return ``0.2 to 1.4 points``, or the one number that all of them are as shown."""
    digits = digits_of(100 * max(map(abs, values)))
    shown = [points(v, digits=digits) if signed else percent(v, digits) for v in values]
    low = shown[values.index(min(values))]
    high = shown[values.index(max(values))]
    return f"{low} {unit}" if low == high else f"{low} to {high} {unit}"


def _none(value: float | None) -> bool:
    return value is None or not math.isfinite(value)


def _is(value: float | None) -> float:
    assert value is not None
    return float(value)
