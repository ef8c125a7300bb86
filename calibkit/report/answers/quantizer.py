"""Whether the quantizer matters more than the documents: schemes of the same bits, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from calibkit.decide.contrast import MARGIN, Gain, Paired, contrast
from calibkit.report.conditions import Condition
from calibkit.report.elements import name
from calibkit.report.html import Child, join, tag
from calibkit.report.study import Study
from calibkit.report.wording import percent, points, span


def quantizer_first(study: Study) -> list[Child]:
    """Return a sentence per model where another scheme of the same bits does more than any policy.

    That is said only where two things hold: with the same random draws under both schemes, the
    lower end of the interval is above what any policy gains or loses on average under the better
    scheme; and random draws under the better scheme keep more than any policy under the other.
    """
    if study.usual is None:
        return []
    found = [_of_model(study, model) for model in dict.fromkeys(c.model for c in study.conditions)]
    return [one for one in found if one is not None]


def _of_model(study: Study, model: str) -> Child | None:
    best: tuple[Gain, Condition, Condition, float] | None = None
    for better in study.conditions:
        for worse in study.conditions:
            same = (better.model, better.bits, better.size) == (model, worse.bits, worse.size)
            if not same or worse.model != model or better.scheme_id == worse.scheme_id:
                continue
            gain = _between(study, better, worse)
            most = max((abs(one.gain.gain) for one in study.of(better)), default=0.0)
            if gain is None or gain.low is None or gain.low <= most or gain.gain < MARGIN:
                continue
            if study.comparisons and _best(study, worse)[1] >= gain.a:
                continue
            if best is None or gain.gain > best[0].gain:
                best = gain, better, worse, most
    if best is None:
        return None
    gain, better, worse, most = best
    accuracies = study.accuracies()
    usual = study.usual or ""
    kept = [percent(accuracies[c, usual]["accuracy"]) for c in (better, worse)]
    said = (
        f" at {study.naming(better)} and {kept[1]} % at {study.naming(worse)}:"
        f" {points(gain.gain)} points {span(gain.low, gain.high)}."
    )
    policy, kept_there = _best(study, worse)
    if policy != usual:
        said += f" Even {policy}, the best there, keeps {percent(kept_there)} %."
    if study.of(better):
        said += (
            f" At {study.naming(better)} no policy is further than {percent(most, 2)} points from"
            " it on average."
        )
    title = "The quantizer matters"
    if study.comparisons:
        title += " more than the documents"
    return join(
        tag("b", f"{title} ({model})."),
        " With the same sets, ",
        name(usual),
        f" keeps {kept[0]} %",
        said,
    )


def _best(study: Study, condition: Condition) -> tuple[str, float]:
    """Return the policy with the highest mean accuracy, and that mean."""
    means = {
        policy: float(row["accuracy"])
        for (at, policy), row in study.accuracies().items()
        if at == condition
    }
    best = max(means, key=lambda policy: means[policy])
    return best, means[best]


def _between(study: Study, better: Condition, worse: Condition) -> Gain | None:
    a, b = (_draws(study, condition) for condition in (better, worse))
    pairs = [
        Paired(*at, a[at]["subset_id"], b[at]["subset_id"], a[at]["accuracy"], b[at]["accuracy"])
        for at in sorted(a.keys() & b.keys())
    ]
    return contrast(pairs) if pairs else None


def _draws(study: Study, condition: Condition) -> Mapping[tuple[int, int], Mapping[str, Any]]:
    rows: Sequence[Mapping[str, Any]] = study.clean
    return {
        (row["model_seed"], row["seed"]): row
        for row in rows
        if row["policy"] == study.usual and Condition.of(row) == condition
    }
