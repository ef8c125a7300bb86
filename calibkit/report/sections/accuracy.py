"""Accuracy by policy and setting: a heat map per model, and the table behind it."""

from __future__ import annotations

from typing import Any

from calibkit.report.conditions import Condition, panels
from calibkit.report.elements import Cell, Column, figure, name, nothing, section, table
from calibkit.report.figures import heat_map
from calibkit.report.html import Child, Markup, join
from calibkit.report.study import Study
from calibkit.report.wording import percent, with_half

MOST_COLUMNS = 8


def accuracy(study: Study) -> Markup:
    """Return the section on accuracy on clean documents."""
    title = "Accuracy by policy and setting"
    if not study.conditions:
        return section("accuracy", title, nothing("Nothing is measured yet."))
    lede = join(
        "Percent of the test documents that the quantized network gets right, the mean over draws;"
        " ± is half a 95 % t interval over draws, where there are two or more. ",
        _everywhere(study),
    )
    return section("accuracy", title, *_maps(study), _table(study), lede=lede)


def _everywhere(study: Study) -> str:
    said = [
        f"{value} documents" if axis == "size" else f"{axis} {value}"
        for axis, value in study.naming.everywhere.items()
    ]
    return f"The same everywhere: {', '.join(said)}." if said else ""


def _maps(study: Study) -> list[Markup]:
    drawn = []
    few_policies = len(study.policies) <= MOST_COLUMNS
    groups = panels(study.conditions, 1, study.naming, 10_000 if few_policies else MOST_COLUMNS)
    for called, conditions in groups:
        rows = _rows(study, conditions)
        across = few_policies and len(conditions) > 4
        model = conditions[0].model
        float_accuracy = percent(study.float_accuracy(model))
        drawn.append(
            figure(
                heat_map(
                    rows,
                    x="policy" if across else "setting",
                    y="setting" if across else "policy",
                    value="accuracy", low="ci_low", high="ci_high",
                    title=f"Accuracy in percent: {called}",
                    caption=f"The float model has {float_accuracy} %. Policies with the highest"
                    " mean over these settings come first; that order is no ranking.",
                    value_name="accuracy", sql=study.sql("accuracy"), name=called,
                )
            )
        )  # fmt: skip
    return drawn


def _rows(study: Study, conditions: list[Condition]) -> list[dict[str, Any]]:
    """Return rows of the map, best policy first; it has a row for each that is measured."""
    measured = study.accuracies()
    found: dict[str, list[float]] = {}
    for (condition, policy), row in measured.items():
        if condition in conditions:
            found.setdefault(policy, []).append(row["accuracy"])
    most = max(map(len, found.values()))
    ranked = sorted(
        (p for p in study.policies if p in found),
        key=lambda p: (-len(found[p]) if len(found[p]) < most else -most, -sum(found[p])),
    )
    return [
        {**measured[condition, policy], "setting": study.naming(condition)}
        for policy in ranked
        for condition in conditions
        if (condition, policy) in measured
    ]


def _table(study: Study) -> Markup:
    columns = [Column("policy"), *_heads(study)]
    measured = study.accuracies()
    rows: list[list[Child | Cell]] = []
    for policy in study.policies:
        cells: list[Child | Cell] = [Cell(name(policy), policy)]
        for condition in study.conditions:
            row = measured.get((condition, policy))
            if row is None:
                cells.append(Cell("not measured"))
            else:
                shown = with_half(row["accuracy"], row["ci_low"], row["ci_high"])
                cells.append(Cell(shown, row["accuracy"]))
        rows.append(cells)
    if len(study.conditions) > 2 * MOST_COLUMNS:
        return _turned(study)
    return table(
        "Accuracy in percent, ± half a 95 % interval", columns, rows, study.sql("accuracy")
    )


def _heads(study: Study) -> list[Column]:
    models = {condition.model for condition in study.conditions}
    called = study.naming if len(models) == 1 else study.naming.whole
    return [Column(called(condition), is_number=True) for condition in study.conditions]


def _turned(study: Study) -> Markup:
    """Return the table with a row per setting and policy, for studies with many settings."""
    columns = [
        Column("setting", is_whole=True), Column("policy"), Column("accuracy", is_number=True),
        Column("float", is_number=True), Column("draws", is_number=True),
    ]  # fmt: skip
    rows: list[list[Child | Cell]] = [
        [
            study.naming.whole(condition),
            Cell(name(policy), policy),
            Cell(with_half(row["accuracy"], row["ci_low"], row["ci_high"]), row["accuracy"]),
            _percent(study.float_accuracy(condition.model)),
            row["draws"],
        ]
        for (condition, policy), row in _in_order(study)
    ]
    return table(
        "Accuracy in percent, ± half a 95 % interval", columns, rows, study.sql("accuracy")
    )


def _in_order(study: Study) -> list[tuple[tuple[Condition, str], Any]]:
    measured = study.accuracies()
    return [
        ((condition, policy), measured[condition, policy])
        for condition in study.conditions
        for policy in study.policies
        if (condition, policy) in measured
    ]


def _percent(value: float | None) -> Cell:
    return Cell(percent(value), value)
