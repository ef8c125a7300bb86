"""What it costs: accuracy against the float model, documents, and computing time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calibkit.decide.contrast import Gain
from calibkit.report.comparisons import change
from calibkit.report.conditions import Condition
from calibkit.report.elements import name
from calibkit.report.html import Child, join, tag
from calibkit.report.study import Study, means
from calibkit.report.wording import count, duration, listed, percent, points, span

MOST_SETTINGS = 4


def what_it_costs(study: Study) -> list[Child]:
    """Return sentences about accuracy lost per model, calibration sets, and time."""
    if not study.conditions:
        return ["Nothing is measured yet."]
    said = [_of_model(study, model) for model in dict.fromkeys(c.model for c in study.conditions)]
    return [*said, *_sets(study), _time(study)]


def losses(study: Study) -> dict[Condition, Gain]:
    """Return accuracy minus float accuracy per setting, of the usual policy, over draws.

    That is the reference; without one, the first policy that is measured in the setting.
    """
    found = {}
    for condition in study.conditions:
        rows = _rows(study, condition)
        lost = change(rows, "accuracy", "float_accuracy")
        if lost is not None:
            found[condition] = lost
    return found


def _rows(study: Study, condition: Condition) -> list[Mapping[str, Any]]:
    rows = [row for row in study.clean if Condition.of(row) == condition]
    usual = [study.reference, *study.policies]
    for policy in usual:
        mine = [row for row in rows if row["policy"] == policy]
        if mine:
            return mine
    return rows


def _of_model(study: Study, model: str) -> Child:
    lost = {c: gain for c, gain in losses(study).items() if c.model == model}
    parts: list[Child] = [join(tag("b", model), ": ")]
    if not lost:
        return join(*parts, "the float model is not measured, so no loss can be told.")
    parts.append(f"the float model has {percent(study.float_accuracy(model))} %. With ")
    parts.append(name(study.reference or study.policies[0]))
    worst_first = sorted(lost, key=lambda c: lost[c].gain)
    shown = [c for c in lost if c in worst_first[:MOST_SETTINGS]]
    said = [f"{_lost(lost[c])} at {study.naming(c)}" for c in shown]
    more = len(lost) - len(shown)
    if more:
        least = lost[worst_first[MOST_SETTINGS]].gain
        others = count(more, "setting")
        said.append(
            f"{points(least)} at worst in the other {others}"
            if least < 0
            else f"no loss on average in the other {others}"
        )
    parts.append(f", in points of accuracy: {'; '.join(said)}.")
    return join(*parts)


def _lost(gain: Gain) -> str:
    return points(gain.gain) + (f" {span(gain.low, gain.high)}" if gain.low is not None else "")


def _sets(study: Study) -> list[Child]:
    sizes = sorted({c.size for c in study.conditions})
    tokens = means(study.rows("profiles"), "tokens")
    shown = listed([f"{size:,}" for size in sizes])
    said = f"A calibration set has {shown} documents"
    if tokens is not None and len(sizes) == 1:
        said += f" ({tokens:,.0f} tokens on average)"
    said += "; they need labels only where the policy looks at labels."
    return [said]


def _time(study: Study) -> Child:
    rows = study.rows("cost")
    cells = sum(row["cells"] for row in rows)
    seconds = sum(row["seconds"] or 0.0 for row in rows)
    calibrate = means(rows, "calibrate")
    trained = sum(row["seconds"] or 0.0 for row in study.rows("trained"))
    hosts = sorted({row["host"] for row in study.rows("provenance") if row["host"]})
    said = f"Measuring took {duration(seconds)} of one core for {count(cells, 'distinct cell')}"
    if calibrate is not None:
        rounding = means(rows, "rounding")
        said += f", of which a calibration takes {duration(calibrate)}"
        said += f" and rounding the weights {duration(rounding)}" if rounding is not None else ""
        said += " on average"
    if trained:
        said += f"; training the float models took {duration(trained)}"
    return f"{said}. Machine: {listed(hosts) if hosts else 'not recorded'}."
