"""A card in one line of plain words: what its verdicts come to, and no more than they say."""

from __future__ import annotations

from collections.abc import Sequence

from calibkit.policies.card.envelope import OUTSIDE, OUTSIDE_ALL, Line
from calibkit.policies.card.metrics import BY_NAME

COUNTS = (OUTSIDE, OUTSIDE_ALL)

MOST_NAMED = 4
"""So many metrics are named; the lines have them all."""

FAR = 1.0
"""A metric is far off when it is so many widths of the 5-95 % range away from the draws' median:
3.3 standard deviations, where the draws are normal."""


def in_words(lines: Sequence[Line], draws: int) -> str:
    """Return what a card comes to, in one line.

    lines: of one subset, `OUTSIDE` or `OUTSIDE_ALL` included. Says first whether the subset looks
    like a random draw: whether no more of its metrics are outside of the range of ``draws`` random
    draws than are for 19 in 20 random draws. Then what is bad, what is better than by chance, and
    how much of the pool's ranges is covered, where a model says so.
    """
    main = [line for line in lines if not line.site and line.metric not in COUNTS]
    judged = [line for line in main if line.verdict is not None]
    told = _without_echo(main)
    bad = _by_distance([line for line in told if line.is_bad])
    outside = [line for line in told if line.verdict not in (None, "inside")]
    good = _by_distance([line for line in outside if not line.is_bad and BY_NAME[line.metric].bad])
    neither = _by_distance([line for line in outside if not BY_NAME[line.metric].bad])
    parts = [_likeness(lines, judged, draws)]
    if bad:
        parts.append(f"bad: {_named(bad)}")
    elif judged:
        parts.append("nothing bad")
    if good:
        parts.append(f"better than by chance: {_named(good)}")
    if neither:
        parts.append(f"also: {_named(neither)}")
    covered = next((line for line in main if line.metric == "range_covered"), None)
    if covered is not None and covered.value is not None:
        parts.append(_covered(covered))
    return "; ".join(parts)


def _without_echo(lines: Sequence[Line]) -> list[Line]:
    """Return the lines without the chi-square, where the label distance has the same verdict."""
    verdicts = {line.metric: line.verdict for line in lines}
    echo = verdicts.get("label_chi_square") == verdicts.get("label_distance")
    return [line for line in lines if not (echo and line.metric == "label_chi_square")]


def _likeness(lines: Sequence[Line], judged: Sequence[Line], draws: int) -> str:
    totals = [line for line in lines if line.metric in COUNTS]
    total = totals[-1] if totals else None  # the one of all metrics comes last
    if total is None or total.value is None or total.high is None:
        return "cannot be compared with random draws"
    count, most = round(total.value), round(total.high)
    told = f"{count} of {len(judged)} metrics outside the 5-95 % range of {draws} random draws"
    usual = f"19 in 20 random draws have at most {most}"
    if total.verdict == "high":
        return f"unlike a random draw: {told}, {usual}"
    if any(line.verdict != "inside" and _distance(line) > FAR for line in judged):
        return f"like a random draw in most respects, not in all: {told}, {usual}"
    return f"looks like a random draw: {told}, {usual}"


def _distance(line: Line) -> float:
    """Return how far a value is from the draws' median, in widths of their 5-95 % range."""
    if line.value is None or line.low is None or line.median is None or line.high is None:
        return float("inf")
    width, off = line.high - line.low, abs(line.value - line.median)
    return off / width if width > 0 else (float("inf") if off else 0.0)


def _by_distance(lines: Sequence[Line]) -> list[Line]:
    return sorted(lines, key=lambda line: -_distance(line))


def _named(lines: Sequence[Line]) -> str:
    told = [_told(line) for line in lines[:MOST_NAMED]]
    more = f" and {len(lines) - MOST_NAMED} more" if len(lines) > MOST_NAMED else ""
    return ", ".join(told) + more


def _told(line: Line) -> str:
    metric = BY_NAME[line.metric]
    said = metric.low if line.verdict == "low" else metric.high
    assert line.value is not None
    if line.low is None or line.high is None:
        return f"{said} ({_number(line.value)})"
    return f"{said} ({_number(line.value)}; random {_number(line.low)} to {_number(line.high)})"


def _covered(line: Line) -> str:
    assert line.value is not None
    said = f"covers {_percent(line.value)} of the pool's ranges"
    if line.low is None or line.high is None:
        return said
    return f"{said} (random {_percent(line.low)} to {_percent(line.high)})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
