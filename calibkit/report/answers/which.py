"""Which policy: the best one per setting, or that none is shown to be."""

from __future__ import annotations

from collections.abc import Sequence

from calibkit.decide.contrast import MARGIN
from calibkit.report.comparisons import Comparison
from calibkit.report.conditions import Condition
from calibkit.report.elements import name
from calibkit.report.html import Child, Markup, join, tag
from calibkit.report.study import Study
from calibkit.report.wording import count, listed, p_value, percent, points, span

MOST_SETTINGS = 5
"""So many settings are told one by one."""


def headline(study: Study) -> Markup:
    """Return the finding of the page in one sentence."""
    if not study.conditions:
        return join("Nothing is measured yet, so no policy can be named.")
    if len(study.policies) == 1:
        only = study.policies[0]
        return join("Only ", name(only), " is measured: there is nothing to compare it with.")
    if study.reference is None:
        return join(
            "There are no random draws in this study, so nothing shows what chance alone does, and"
            " no policy is called better than another."
        )
    if not study.comparisons:
        return join("No policy has a cell to be compared with ", name(study.reference), ".")
    settings = count(len(study.conditions), "setting")
    telling = study.telling
    better = [one for one in telling if one.standing == "better"]
    ahead = [one for one in telling if one.standing == "ahead" and one.gain.gain >= MARGIN]
    if not telling:
        return join(
            "No network works any more in any setting, so no policy can be told from another."
        )
    if all(one.standing == "unknown" for one in telling):
        return join(
            "Which policy is better is not decided: no comparison has the two draws that an"
            " interval takes."
        )
    if better:
        return _better(study, better, settings)
    beats = join("No policy is shown to be better than ", name(study.reference))
    if ahead:
        top = max(ahead, key=lambda one: one.gain.gain)
        where = len({one.condition for one in ahead})
        more = "" if where == 1 else f" (something leads in {where - 1} more as well)"
        return join(
            beats, f" in any of {settings}. Closest to it: ", name(top.policy),
            f", {points(top.gain.gain)} points {span(top.gain.low, top.gain.high)}"
            f" at {study.naming.whole(top.condition)}{more}; not decided with"
            f" {count(top.gain.draws, 'draw')} and {count(len(study.comparisons), 'comparison')}.",
        )  # fmt: skip
    if all(one.standing == "same" for one in telling):
        return join(
            "The choice of documents made no difference that matters: in ", settings,
            " every policy lies inside ±0.5 points of ", name(study.reference), ".",
        )  # fmt: skip
    return join(beats, f" in any of {settings}.")


def which_policy(study: Study) -> list[Child]:
    """Return sentences: the settings where a policy stands out, then all the others in one."""
    if not study.comparisons:
        return [_without_comparison(study)]
    told = [one for one in map(study.of, study.conditions) if _stands_out(one)]
    told.sort(key=lambda group: -leading_of(group)[0].gain.gain)
    said: list[Child] = [_setting(study, group) for group in told[:MOST_SETTINGS]]
    if len(told) > MOST_SETTINGS:
        more = len(told) - MOST_SETTINGS
        said.append(
            f"{count(more, 'more setting')} with a lead of half a point or more:"
            " see the table of gains."
        )
    rest = [one for one in map(study.of, study.conditions) if one and not _stands_out(one)]
    if rest:
        said.append(_others(study, rest, is_all=not told))
    said += _left_out(study)
    return said


def leading_of(group: Sequence[Comparison]) -> list[Comparison]:
    """Return who is better in a setting, the largest gain first.

    Where nobody is, those who are ahead by half a point or more; else nobody.
    """
    better = [one for one in group if one.standing == "better"]
    ahead = [one for one in group if one.standing == "ahead" and one.gain.gain >= MARGIN]
    return sorted(better or ahead, key=lambda one: -one.gain.gain)


def _better(study: Study, better: Sequence[Comparison], settings: str) -> Markup:
    assert study.reference is not None
    top = max(better, key=lambda one: one.gain.gain)
    where = len({one.condition for one in better if one.policy == top.policy})
    others = sorted({one.policy for one in better} - {top.policy})
    return join(
        name(top.policy), " is better than ", name(study.reference), f" in {where} of {settings}",
        f", by up to {points(top.gain.gain)} points ({study.naming.whole(top.condition)})",
        join("; so, somewhere, ", "is " if len(others) == 1 else "are ", listed(others, 4))
        if others else "",
        ".",
    )  # fmt: skip


def _without_comparison(study: Study) -> Child:
    if not study.conditions:
        planned = count(study.progress["planned"], "planned cell")
        return f"Not one of {planned} is measured, so there is no accuracy to look at yet."
    if len(study.policies) == 1:
        return "The choice of documents was not varied; what was is told by setting below."
    if study.reference is None:
        best = []
        for condition in study.conditions[:MOST_SETTINGS]:
            rows = {p: r for (c, p), r in study.accuracies().items() if c == condition}
            top = max(rows, key=lambda policy: rows[policy]["accuracy"])
            best.append(
                f"{study.naming.whole(condition)}: {top} with {percent(rows[top]['accuracy'])} %"
            )
        return join(
            "The highest means are ", "; ".join(best), ". That one is highest proves nothing:"
            " something always is. Add the policy ", name("random"), " to the recipe, with the"
            " same seeds, and gains over it can be told from luck.",
        )  # fmt: skip
    return join(
        "No other policy has a cell with the same float model, size, seed and scheme as ",
        name(study.reference), ".",
    )  # fmt: skip


def _left_out(study: Study) -> list[Child]:
    said: list[Child] = []
    dead = len(study.collapsed)
    if dead:
        said.append(
            f"Left out: {count(dead, 'setting')} in which no network works any more, whichever"
            " documents calibrate it."
        )
    alone = [c for c in study.conditions if not study.of(c) and c not in study.collapsed]
    if alone:
        said.append(
            f"{count(len(alone), 'setting')} cannot be compared: no pair has both sides measured."
        )
    return said


def _setting(study: Study, group: Sequence[Comparison]) -> Child:
    """Return what is to be said of a setting where a policy is better, or ahead."""
    assert study.reference is not None
    leading = leading_of(group)
    top = leading[0]
    gain = top.gain
    parts: list[Child] = [
        join(tag("b", study.naming.whole(top.condition)), ": "),
        join(name(top.policy), " keeps ", _accuracy(study, top.condition, top.policy)),
        join(" where ", name(study.reference), " keeps "),
        _accuracy(study, top.condition, study.reference),
        " (its network no longer works)" if (top.condition, study.reference) in study.dead else "",
        f": {points(gain.gain)} points, {span(gain.low, gain.high)},"
        f" ahead in {gain.wins} of {count(gain.pairs, 'pair')}",
    ]
    if top.standing == "better":
        parts.append(f"; {p_value(top.p)} after correction")
        parts.append(_also(leading[1:], "better as well"))
        return join(*parts)
    parts.append(join(". ", tag("b", "Not decided"), ": ", _reason(top, len(study.comparisons))))
    parts.append(_also(leading[1:], "ahead as well"))
    return join(*parts)


def _reason(one: Comparison, family: int) -> str:
    """Return why a lead whose interval excludes 0 does not decide."""
    gain = one.gain
    if gain.p is None:
        return "there is no exact test of so few draws"
    corrected = f"{p_value(one.p)} when corrected for {count(family, 'comparison')}"
    least = 2.0 ** (1 - gain.draws)
    if gain.models == 1 and gain.p <= least * (1 + 1e-9):
        said = (
            f"an exact test of {count(gain.draws, 'draw')} cannot give less than"
            f" {p_value(gain.p)}, which is {corrected}"
        )
    else:
        said = f"{p_value(gain.p)} alone is {corrected}"
    if gain.draws_needed is not None:
        said += f"; {gain.draws_needed:,} draws would do if they went on like this"
    return said


def _also(others: Sequence[Comparison], words: str) -> Child:
    if not others:
        return "."
    shown = listed([f"{one.policy} ({points(one.gain.gain)})" for one in others], 4)
    return f". {words.capitalize()}: {shown}."


def _others(study: Study, groups: Sequence[Sequence[Comparison]], *, is_all: bool) -> Child:
    """Return one sentence for the settings where nothing stands out."""
    assert study.reference is not None
    every = [one for group in groups for one in group]
    n = len(groups)
    if is_all and not study.collapsed:
        where = "In the one setting" if n == 1 else f"In all {n:,} settings"
    elif is_all:
        where = f"In {count(n, 'setting')} whose networks work"
    else:
        where = "In the other setting" if n == 1 else f"In the other {n:,} settings"
    top, low = (pick(every, key=lambda one: one.gain.gain) for pick in (max, min))
    known = [one for one in every if one.standing != "unknown"]
    if not known:
        return join(
            where, " the largest mean difference from ", name(study.reference), " is ",
            _told(study, top if abs(top.gain.gain) >= abs(low.gain.gain) else low),
            "; with one draw in common there is no interval, and this may be luck.",
        )  # fmt: skip
    same = sum(one.standing == "same" for one in known)
    open_ones = len(known) - same
    parts: list[Child] = [
        join(where, " nothing is ahead of ", name(study.reference), " by half a point or more"
             " with an interval above 0. "),
        join("Largest mean gain: ", _told(study, top), ". "),
    ]  # fmt: skip
    if low.gain.gain < 0:
        parts.append(join("Largest mean loss: ", _told(study, low), ". "))
    parts.append(
        f"{same:,} of {count(len(known), 'comparison')} lie inside ±0.5 points"
        + (f"; {open_ones:,} are wider or outside." if open_ones else ".")
    )
    return join(*parts)


def _told(study: Study, one: Comparison) -> Child:
    interval = f" {span(one.gain.low, one.gain.high)}" if one.gain.low is not None else ""
    return join(
        name(one.policy),
        f" {points(one.gain.gain)} points{interval} ({study.naming.whole(one.condition)})",
    )


def _accuracy(study: Study, condition: Condition, policy: str) -> str:
    row = study.accuracies()[condition, policy]
    interval = f" {span(row['ci_low'], row['ci_high'], signed=False)}" if row["ci_low"] else ""
    return f"{percent(row['accuracy'])} %{interval}"


def _stands_out(group: Sequence[Comparison]) -> bool:
    return bool(leading_of(group))
