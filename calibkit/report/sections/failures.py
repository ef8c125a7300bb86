"""Where it fails: cells without numbers, networks that collapsed, labels that are lost."""

from __future__ import annotations

import re
from collections import Counter

from calibkit.report.conditions import Condition
from calibkit.report.elements import Cell, Column, name, nothing, section, table
from calibkit.report.html import Child, Markup, tag
from calibkit.report.study import Study
from calibkit.report.wording import percent, points

FLAGS = {
    "dead-lstm": "the hidden state is next to 0",
    "constant-output": "the last hidden states of all documents are about the same",
    "one-label": "one label is predicted nearly always",
    "nll-explodes": "the true label became far less likely",
    "range-explodes": "a quantizer's range is far wider than the values",
}
MOST_LABELS = 40


def failures(study: Study) -> Markup:
    """Return the section on what does not work."""
    parts = [*_cells(study), *_collapsed(study), *_labels(study)]
    if not parts:
        parts.append(nothing("No cell failed or is missing, and no network collapsed."))
    return section("failures", "Where it fails", *parts)


def _cells(study: Study) -> list[Markup]:
    parts: list[Markup] = []
    if study.rows("failed"):
        columns = [
            Column("policy"), Column("model"), Column("size", is_number=True),
            Column("bits", is_number=True), Column("preset"), Column("cells", is_number=True),
            Column("stage"), Column("error"), Column("message"),
        ]  # fmt: skip
        rows: list[list[Child | Cell]] = [
            [
                Cell(name(row["policy"]), row["policy"]), row["model"], row["size"], row["bits"],
                row["preset"], row["cells"], row["stage"], row["error_type"],
                Cell(tag("div", str(row["message"]), class_="wide"), str(row["message"])),
            ]
            for row in study.rows("failed")
        ]  # fmt: skip
        parts += [
            tag("h3", "Cells that failed"),
            table("Failed cells by message", columns, rows, study.sql("failed")),
        ]
    missing = [row for row in study.rows("left") if row["missing"]]
    if missing:
        columns = [
            Column("policy"), Column("model"), Column("size", is_number=True),
            Column("bits", is_number=True), Column("rounding"), Column("preset"),
            Column("planned", is_number=True), Column("done", is_number=True),
            Column("missing", is_number=True),
        ]  # fmt: skip
        rows = [
            [
                Cell(name(row["policy"]), row["policy"]), row["model"], row["size"], row["bits"],
                row["rounding"], row["preset"], row["planned"], row["done"], row["missing"],
            ]
            for row in missing
        ]  # fmt: skip
        parts += [
            tag("h3", "Cells that are not measured yet"),
            table("Missing cells", columns, rows, study.sql("left")),
        ]
    return parts


def _collapsed(study: Study) -> list[Markup]:
    flagged = [row for row in study.rows("flags") if row["flagged"]]
    if not flagged:
        return []
    columns = [
        Column("setting", is_whole=True), Column("policy"), Column("with a flag", is_number=True),
        Column("cells", is_number=True), Column("flags"),
    ]  # fmt: skip
    rows: list[list[Child | Cell]] = []
    seen = Counter[str]()
    for row in flagged:
        flags = sorted({flag for flag in re.split(r"[,\s]+", row["flags"]) if flag})
        seen.update(flags)
        rows.append(
            [
                study.naming.whole(Condition.of(row)), Cell(name(row["policy"]), row["policy"]),
                row["flagged"], row["cells"], ", ".join(flags),
            ]
        )  # fmt: skip
    said = "; ".join(f"{flag}: {FLAGS.get(flag, 'see the README')}" for flag in sorted(seen))
    return [
        tag("h3", "Networks that no longer work"),
        tag("p", f"Whatever their accuracy, these cells are no evidence for a policy. {said}."),
        table("Cells with flags, under any noise", columns, rows, study.sql("flags")),
    ]


def _labels(study: Study) -> list[Markup]:
    known = [row for row in study.rows("labels") if row["accuracy_drop"] is not None]
    if not known:
        return []
    known.sort(key=lambda row: -row["accuracy_drop"])
    columns = [
        Column("label"), Column("setting", is_whole=True), Column("right, %", is_number=True),
        Column("float, %", is_number=True), Column("change, points", is_number=True),
        Column("worst cell, %", is_number=True), Column("test documents", is_number=True),
    ]  # fmt: skip
    rows: list[list[Child | Cell]] = [
        [
            row["label"] if row["label"] is not None else "(unnamed)",
            study.naming.whole(Condition.of(row)),
            Cell(percent(row["accuracy"]), row["accuracy"]),
            Cell(percent(row["float_accuracy"]), row["float_accuracy"]),
            Cell(points(-row["accuracy_drop"]), -row["accuracy_drop"]),
            Cell(percent(row["worst"]), row["worst"]),
            Cell(f"{row['documents']:,.0f}", float(row["documents"])),
        ]
        for row in known[:MOST_LABELS]
    ]
    more = f", the {MOST_LABELS} that lose most" if len(known) > MOST_LABELS else ""
    return [
        tag("h3", "Label by label"),
        table(
            f"Mean over policies and draws on clean documents{more}",
            columns, rows, study.sql("labels"),
        ),
    ]  # fmt: skip
