"""Noise: accuracy of float and quantized networks over levels, and what quantization adds."""

from __future__ import annotations

from typing import Any

from calibkit.report.answers.fails import noise_rows
from calibkit.report.comparisons import change, standing
from calibkit.report.conditions import Condition, panels
from calibkit.report.elements import Cell, Column, figure, name, nothing, section, table
from calibkit.report.figures import curves
from calibkit.report.html import Child, Markup, join, tag
from calibkit.report.study import Study, means
from calibkit.report.wording import percent, points, span

MOST_PANELS = 6
MOST_FIGURES = 12
MOST_LINES = 4


def noise(study: Study) -> Markup:
    """Return the section on noisy documents."""
    title = "Noise: float against quantized"
    kinds = list(dict.fromkeys(row["noise_kind"] for row in _noisy(study)))
    if not kinds:
        measured = any(kind != "none" for kind, _ in study.recipe.measure.levels)
        return section(
            "noise",
            title,
            nothing(
                "No cell is measured under noise yet."
                if measured
                else join(
                    "The recipe asks for clean documents only; ",
                    tag("code", "measure: {noise: {keyboard: [0.05, 0.10]}}"),
                    " adds levels.",
                )
            ),
        )
    lede = (
        "Accuracy as letters and words go wrong. Every network meets the same noisy documents."
        " Bands and brackets are 95 % intervals over draws."
    )
    drawn = [one for kind in kinds for one in _figures(study, kind)]
    return section("noise", title, *drawn, *_excess(study), lede=lede)


def _noisy(study: Study) -> list[Any]:
    return [row for row in study.rows("accuracy") if row["noise_kind"] != "none"]


def _figures(study: Study, kind: str) -> list[Markup]:
    noisy = {Condition.of(row) for row in _noisy(study) if row["noise_kind"] == kind}
    there = [condition for condition in study.conditions if condition in noisy]
    drawn = []
    groups = panels(there, 1, study.naming, MOST_PANELS)
    for called, group in groups[:MOST_FIGURES]:
        rows = [row for condition in group for row in _lines(study, condition, kind)]
        drawn.append(
            figure(
                curves(
                    rows, x="noise", y="accuracy", line="network", low="low", high="high",
                    panel="setting" if len(group) > 1 else None,
                    title=f"Accuracy under {kind} noise: {called}"
                    + ("" if len(group) > 1 else f" · {study.naming(group[0])}"),
                    x_name=f"{kind} noise", y_name="accuracy",
                    caption=_which(study), sql=study.sql("accuracy"), name=f"{kind} {called}",
                )
            )
        )  # fmt: skip
    if len(groups) > MOST_FIGURES:
        drawn.append(nothing(f"{len(groups) - MOST_FIGURES:,} more are in the table only."))
    return drawn


def _shown(study: Study) -> list[str]:
    """Return the policies that have a curve: the reference, and the first others of the grid."""
    others = [policy for policy in study.policies if policy != study.reference]
    first = [study.reference] if study.reference else []
    return [*first, *others][:MOST_LINES]


def _which(study: Study) -> str:
    if len(study.policies) <= MOST_LINES:
        return ""
    return f"Of {len(study.policies)} policies, the first {MOST_LINES} of the recipe are drawn."


def _lines(study: Study, condition: Condition, kind: str) -> list[dict[str, Any]]:
    setting = study.naming(condition)
    rows = []
    levels = dict.fromkeys(
        (row["noise_kind"], row["noise"])
        for row in study.rows("floats")
        if row["model"] == condition.model and row["stage"] == "float"
        and row["noise_kind"] in ("none", kind)
    )  # fmt: skip
    for noise_kind, level in levels:
        found = [
            row for row in study.rows("floats")
            if row["model"] == condition.model and row["stage"] == "float"
            and (row["noise_kind"], row["noise"]) == (noise_kind, level)
        ]  # fmt: skip
        rows.append(
            {"network": "float", "setting": setting, "noise": level, "low": None, "high": None}
            | {"accuracy": means(found, "accuracy")}
        )
    for policy in _shown(study):
        rows += [
            {
                "network": f"quantized, {policy}", "setting": setting, "noise": row["noise"],
                "accuracy": row["accuracy"], "low": row["ci_low"], "high": row["ci_high"],
            }
            for row in study.rows("accuracy")
            if Condition.of(row) == condition and row["policy"] == policy
            and row["noise_kind"] in ("none", kind)
        ]  # fmt: skip
    return rows


def _excess(study: Study) -> list[Markup]:
    columns = [
        Column("setting", is_whole=True), Column("policy"), Column("noise"),
        Column("float loses", is_number=True), Column("quantized loses", is_number=True),
        Column("excess", is_number=True),
        Column("95 % interval", is_number=True), Column("verdict, not corrected"),
    ]  # fmt: skip
    rows: list[list[Child | Cell]] = []
    for (condition, policy, kind, level), cells in noise_rows(study).items():
        excess = change(cells, "loss", "clean_loss")
        if excess is None:
            continue
        losses = [
            {
                "float": row["float_accuracy_before"] - row["float_accuracy"],
                "quantized": row["accuracy_before"] - row["accuracy"],
            }
            for row in cells
        ]
        by_float, by_quantized = means(losses, "float"), means(losses, "quantized")
        rows.append(
            [
                study.naming.whole(condition),
                Cell(name(policy), policy),
                Cell(f"{kind} {percent(level, 0)} %", f"{kind} {level:.4f}"),
                Cell(percent(by_float), by_float),
                Cell(percent(by_quantized), by_quantized),
                Cell(points(excess.gain), excess.gain),
                Cell(span(excess.low, excess.high), excess.low),
                _verdict(excess),
            ]
        )
    if not rows:
        return []
    said = (
        "Excess is what noise costs the quantized network beyond what it costs the float one, in"
        " points: (float - quantized) under noise minus the same on clean documents. Above 0:"
        " quantization makes noise hurt more."
    )
    return [
        tag("h3", "Does quantization make noise hurt more?"),
        tag("p", said),
        table("Loss by noise, in points", columns, rows, study.sql("cells")),
    ]


def _verdict(excess: Any) -> Cell:
    """Return the verdict in words of its own: more loss is no gain."""
    words = {
        "better": "hurts more", "worse": "hurts less", "same": "same", "ahead": "hurts more?",
        "behind": "hurts less?", "open": "not decided", "unknown": "too few draws",
    }  # fmt: skip
    decided = standing(excess)
    look = {"better": "worse", "worse": "better", "ahead": "behind", "behind": "ahead"}
    mark = tag("span", words[decided], class_=f"chip {look.get(decided, decided)}")
    return Cell(mark, words[decided])
