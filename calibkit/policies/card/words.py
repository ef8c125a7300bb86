"""A card in one line of plain words: what its verdicts come to, and no more than they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from calibkit.policies.card.envelope import OUTSIDE, OUTSIDE_ALL, Line
from calibkit.policies.card.metrics import BY_NAME

COUNTS = (OUTSIDE, OUTSIDE_ALL)

NOT_COMPARED = "cannot be compared with random draws"

MOST_NAMED = 4
"""So many metrics are named; the lines have them all."""

FAR = 1.0
"""A metric is far off when it is so many widths of the 5-95 % range away from the draws' median:
3.3 standard deviations, where the draws are normal."""


def in_words(lines: Sequence[Line], draws: int) -> str:
    """Return what a card comes to, in one line.

    lines: of one subset, `OUTSIDE` or `OUTSIDE_ALL` included. Says first whether the subset looks
    like a random draw: whether no more of its metrics are outside of the range of ``draws`` random
    draws than are for 19 in 20 random draws. Then what is bad, and what is outside on the bad side
    by so little that it is often so by chance; what is far better than by chance, and how much of
    the pool's ranges is covered, where a model says so.
    """
    main = [line for line in lines if not line.site and line.metric not in COUNTS]
    judged = [line for line in lines if _is_judged(line)]
    told = _by_distance(_without_echo(main))
    bad = [line for line in told if line.is_bad]
    worse = [line for line in bad if _is_far(line) or BY_NAME[line.metric].harmful]
    slightly = [line for line in bad if line not in worse]
    far = [line for line in told if not line.is_bad and _is_far(line)]
    good = [line for line in far if BY_NAME[line.metric].bad]
    neither = [line for line in far if not BY_NAME[line.metric].bad]
    parts = [_compared(_likeness(lines, judged), judged, draws)]
    if judged and not bad:
        parts.append("nothing bad")
    for name, some in {
        "bad": worse,
        "slightly bad": slightly,
        "better than by chance": good,
        "also": neither,
    }.items():
        if some:
            parts.append(f"{name}: {_named(some)}")
    covered = next((line for line in main if line.metric == "range_covered"), None)
    if covered is not None and covered.value is not None:
        parts.append(_covered(covered))
    return "; ".join(parts)


def in_short(lines: Sequence[Line]) -> str:
    """Return whether the subset looks like a random draw, in a few words: for progress lines."""
    judged = [line for line in lines if _is_judged(line)]
    likeness = _likeness(lines, judged)
    if likeness is None:
        return NOT_COMPARED
    return f"{likeness.called} ({likeness.count} of {len(judged)} metrics outside)"


def _is_judged(line: Line) -> bool:
    return not line.site and line.metric not in COUNTS and line.verdict is not None


def _without_echo(lines: Sequence[Line]) -> list[Line]:
    """Return the lines without the chi-square, where the label distance has the same verdict."""
    verdicts = {line.metric: line.verdict for line in lines}
    echo = verdicts.get("label_chi_square") == verdicts.get("label_distance")
    return [line for line in lines if not (echo and line.metric == "label_chi_square")]


@dataclass(frozen=True)
class _Likeness:
    """What a subset is called, how many of its metrics are outside, and how many usually are."""

    called: str
    count: int
    most: int


def _likeness(lines: Sequence[Line], judged: Sequence[Line]) -> _Likeness | None:
    totals = [line for line in lines if line.metric in COUNTS]
    total = totals[-1] if totals else None  # the one of all metrics comes last
    if total is None or total.value is None or total.high is None:
        return None
    called = "looks like a random draw"
    if total.verdict == "high":
        called = "unlike a random draw"
    elif any(_is_far(line) for line in judged):
        called = "like a random draw in most respects, not in all"
    return _Likeness(called, round(total.value), round(total.high))


def _compared(likeness: _Likeness | None, judged: Sequence[Line], draws: int) -> str:
    if likeness is None:
        return NOT_COMPARED
    told = f"{likeness.count} of {len(judged)} metrics outside the 5-95 % range of {draws} random"
    usual = f"19 in 20 random draws have at most {likeness.most}"
    return f"{likeness.called}: {told} draws, {usual}"


def _distance(line: Line) -> float:
    """Return how far a value is from the draws' median, in widths of their 5-95 % range."""
    if line.value is None or line.low is None or line.median is None or line.high is None:
        return float("inf")
    width, off = line.high - line.low, abs(line.value - line.median)
    if width > 0:
        return off / width
    # nearly all draws say the same: what none of them says is far off
    return 0.0 if not off else 2 * FAR if line.rank in (0.0, 1.0) else FAR


def _is_far(line: Line) -> bool:
    return line.verdict in ("low", "high") and _distance(line) > FAR


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
        return f"{said} ({_number(line.value, 3)})"
    # so many digits that what is outside of the range is seen to be
    digits = next((n for n in (3, 4, 5) if _differ(line.value, line.low, line.high, n)), 6)
    value, low, high = (_number(x, digits) for x in (line.value, line.low, line.high))
    return f"{said} ({value}; random {low} to {high})"


def _differ(value: float, low: float, high: float, digits: int) -> bool:
    ends = (_number(low, digits), _number(high, digits))
    return value in (low, high) or _number(value, digits) not in ends


def _number(value: float, digits: int) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"


def _covered(line: Line) -> str:
    assert line.value is not None
    said = f"covers {_percent(line.value)} of the pool's ranges"
    if line.low is None or line.high is None:
        return said
    low, high = _percent(line.low), _percent(line.high)
    if low == high == _percent(line.value):
        return f"{said}, as random draws do"
    return f"{said} (random {low} to {high})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
