"""The calibration sets themselves: lengths, words, labels, and their cards."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from calibkit.report.elements import Cell, Column, name, nothing, section, table
from calibkit.report.html import Child, Markup, tag
from calibkit.report.study import Study, means
from calibkit.report.wording import NOTHING, fixed, listed

MOST_LABELS = 4


def sets(study: Study) -> Markup:
    """Return the section on calibration sets, one row per policy and size."""
    title = "The calibration sets"
    rows = study.rows("profiles")
    if not rows:
        return section("sets", title, nothing("No subset of a measured cell has a profile."))
    groups: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["policy"], row["size"]), []).append(row)
    order = {policy: place for place, policy in enumerate(study.policies)}
    keys = sorted(groups, key=lambda key: (order.get(key[0], len(order)), key[1]))
    has_cards = any(row["outside"] is not None for row in rows)
    columns = [
        Column("policy"), Column("documents", is_number=True), Column("sets", is_number=True),
        Column("tokens", is_number=True), Column("median length", is_number=True),
        Column("unknown words, %", is_number=True), Column("vocabulary covered, %", is_number=True),
        Column("label mix off the pool, %", is_number=True,
               explained="total variation distance of the label mix from that of the pool"),
        Column("labels"),
    ]  # fmt: skip
    if has_cards:
        columns.append(
            Column("card: out of range", is_number=True,
                   explained="metrics outside of the 5-95 % range of random draws, mean over sets")
        )  # fmt: skip
    lede = (
        "What each policy chose, the mean over its sets. No text of a document stands in this page;"
        " calibkit show SUBSET prints a set, and calibkit profile SUBSET its whole card."
    )
    body = [_row(key, groups[key], has_cards=has_cards) for key in keys]
    shown = table("Calibration sets by policy", columns, body, study.sql("profiles"))
    return section("sets", title, shown, lede=lede)


def _row(
    key: tuple[str, int], rows: Sequence[Mapping[str, Any]], *, has_cards: bool
) -> list[Child | Cell]:
    policy, size = key
    row: list[Child | Cell] = [
        Cell(name(policy), policy),
        size,
        len({row["subset_id"] for row in rows}),
        _mean(rows, "tokens", 0),
        _mean(rows, "length_p50", 0),
        _mean(rows, "oov_share", 1, 100.0),
        _mean(rows, "vocabulary_coverage", 1, 100.0),
        _mean(rows, "label_total_variation", 1, 100.0),
        tag("div", _labels(rows), class_="wide"),
    ]
    if has_cards:
        row.append(_mean(rows, "outside", 1))
    return row


def _mean(rows: Sequence[Mapping[str, Any]], column: str, digits: int, scale: float = 1.0) -> Cell:
    value = means(rows, column)
    return Cell(NOTHING if value is None else fixed(scale * value, digits), value)


def _labels(rows: Sequence[Mapping[str, Any]]) -> str:
    shares = Counter[str]()
    for row in rows:
        mix = row["label_mix"]
        for label, share in (json.loads(mix) if isinstance(mix, str) else mix or {}).items():
            shares[label] += share / len(rows)
    most = [f"{label} {100 * share:.0f} %" for label, share in shares.most_common(MOST_LABELS)]
    more = len(shares) - len(most)
    return listed([*most, *([f"{more:,} more"] if more > 0 else [])]) if most else NOTHING
