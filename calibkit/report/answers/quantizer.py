"""Whether the quantizer matters more than the documents: schemes of the same bits, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from calibkit.decide.contrast import Gain, Paired, contrast
from calibkit.report.conditions import Condition
from calibkit.report.elements import name
from calibkit.report.html import Child, Markup, join
from calibkit.report.study import Study
from calibkit.report.wording import percent, points, span


def quantizer_first(study: Study) -> list[Child]:
    """Return a sentence per model where another scheme of the same bits does more than any policy.

    That is said only where the lower end of its interval, with the same random draws under both
    schemes, is above what any policy gains on average under the better scheme.
    """
    if study.reference is None:
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
            if gain is None or gain.low is None or gain.low <= most or gain.gain < 0.005:
                continue
            if best is None or gain.gain > best[0].gain:
                best = gain, better, worse, most
    if best is None:
        return None
    gain, better, worse, most = best
    accuracies = study.accuracies()
    kept = [percent(accuracies[c, study.reference or ""]["accuracy"]) for c in (better, worse)]
    said = (
        f" under {study.naming(better)} and {kept[1]} % under {study.naming(worse)}:"
        f" {points(gain.gain)} points {span(gain.low, gain.high)}."
    )
    compared = study.of(better)
    if compared:
        said += (
            f" Under {study.naming(better)} no policy is further than {percent(most, 2)} points"
            " from it on average."
        )
    return join(
        Markup("<b>"), f"The quantizer matters more than the documents ({model}). ",
        Markup("</b>"), "With the same sets, ", name(study.reference or ""),
        f" keeps {kept[0]} %", said,
    )  # fmt: skip


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
        if row["policy"] == study.reference and Condition.of(row) == condition
    }
