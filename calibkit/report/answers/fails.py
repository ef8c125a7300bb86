"""Where it fails: collapsed networks, policies to avoid, labels, noise, and cells that failed."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from calibkit.decide.contrast import MARGIN
from calibkit.report.comparisons import change
from calibkit.report.conditions import Condition
from calibkit.report.elements import name
from calibkit.report.html import Child, join, tag
from calibkit.report.study import Study
from calibkit.report.wording import count, listed, percent, points, span


def where_it_fails(study: Study) -> list[Child]:
    """Return sentences about everything that does not work, the gravest first."""
    said = [
        *_failed(study), *_conflicts(study), *_collapsed(study), *_worse(study), *_label(study),
        *_noise(study),
    ]  # fmt: skip
    if said:
        return said
    if not study.conditions:
        return ["Nothing is measured yet, and nothing has failed."]
    return ["No cell failed, no network collapsed, and no policy loses half a point or more."]


def _failed(study: Study) -> list[Child]:
    failed = study.progress["failed"]
    if not failed:
        return []
    rows = study.rows("failed")
    first = rows[0]
    said = [f"{count(failed, 'cell')} could not be measured"]
    policies = list(dict.fromkeys(row["policy"] for row in rows))
    said.append(f", all of {policies[0]}" if len(policies) == 1 else f", of {listed(policies)}")
    said.append(f". Most often ({first['cells']:,}): {_short(str(first['message']))}")
    return [join(tag("b", "Failed cells."), " ", *said)]


def _conflicts(study: Study) -> list[Child]:
    conflicts = study.rows("conflicts")[0]["conflicts"]
    if not conflicts:
        return []
    return [
        f"{count(conflicts, 'number')} in this store came back different when measured again"
        " (table conflicts): something there is not deterministic."
    ]


def _collapsed(study: Study) -> list[Child]:
    flagged = Counter[Condition]()
    cells = Counter[Condition]()
    flags: set[str] = set()
    for row in study.rows("flags"):
        condition = Condition.of(row)
        cells[condition] += row["cells"]
        flagged[condition] += row["flagged"]
        flags.update(flag for flag in re.split(r"[,\s]+", row["flags"] or "") if flag)
    total = sum(flagged.values())
    if not total:
        return []
    worst = sorted((c for c in flagged if flagged[c]), key=lambda c: -flagged[c] / cells[c])
    where = [f"{flagged[c]:,} of {cells[c]:,} at {study.naming.whole(c)}" for c in worst]
    return [
        join(
            tag("b", "Networks that no longer work."),
            " ",
            f"{total:,} of {count(sum(cells.values()), 'cell')} have a sign of it"
            f" ({listed(sorted(flags))}): {'; '.join(where[:5])}"
            + (f"; and {count(len(where) - 5, 'more setting')}" if len(where) > 5 else "")
            + ". Their accuracy means little.",
        )  # fmt: skip
    ]


def _worse(study: Study) -> list[Child]:
    """Return who loses against the reference, where an interval lies below 0."""
    losing = [
        one
        for one in study.telling
        if one.standing in ("worse", "behind") and one.gain.gain <= -MARGIN
    ]
    if not losing or study.reference is None:
        return []
    losing.sort(key=lambda one: one.gain.gain)
    decided = sum(one.standing == "worse" for one in losing)
    worst = [
        f"{one.policy} {points(one.gain.gain)} {span(one.gain.low, one.gain.high)} at"
        f" {study.naming.whole(one.condition)}"
        for one in losing[:3]
    ]
    said = (
        f"{count(len(losing), 'comparison')} with an interval below 0 and half a point or more,"
        f" {decided:,} of them decided. Furthest: {'; '.join(worst)}."
    )
    return [
        join(
            tag("b", "Policies that lose against ", name(study.reference), "."),
            " ",
            said,
        )  # fmt: skip
    ]


def _label(study: Study) -> list[Child]:
    rows = [row for row in study.rows("labels") if row["accuracy_drop"] is not None]
    if not rows:
        return []
    worst = max(rows, key=lambda row: row["accuracy_drop"])
    if worst["accuracy_drop"] < MARGIN:
        return []
    return [
        join(
            tag("b", "Labels."),
            " ",
            f"Hit hardest is {worst['label']} at {study.naming.whole(Condition.of(worst))}:"
            f" {percent(worst['accuracy'])} % right, {percent(worst['float_accuracy'])} % by the"
            " float model, averaged over policies and draws.",
        )  # fmt: skip
    ]


def _noise(study: Study) -> list[Child]:
    """Return whether quantization makes noise hurt more, where it is furthest from nothing."""
    found = []
    for (condition, policy, kind, level), rows in noise_rows(study).items():
        usual = study.reference or study.policies[0]
        if policy != usual or (condition, policy) in study.dead:
            continue
        excess = change(rows, "loss", "clean_loss")
        if excess is not None:
            found.append((excess, condition, kind, level))
    sure = [one for one in found if one[0].low is not None and one[0].low > 0]
    if not found:
        return []
    title = join(tag("b", "Noise."), " ")
    if not sure:
        return [
            join(title, "That quantization makes noise hurt more is not decided in any of"
                 f" {count(len(found), 'setting')} (intervals hold 0 or less, or there is none).")
        ]  # fmt: skip
    excess, condition, kind, level = max(sure, key=lambda one: one[0].gain)
    return [
        join(
            title,
            f"{percent(level, 0)} % {kind} noise costs the quantized network"
            f" {points(excess.gain)} points {span(excess.low, excess.high)} more than the float"
            f" one at {study.naming.whole(condition)}, the most of {count(len(found), 'setting')};"
            f" in {len(sure):,} of them the interval lies above 0 (not corrected).",
        )  # fmt: skip
    ]


NoiseKey = tuple[Condition, str, str, float]


def noise_rows(study: Study) -> dict[NoiseKey, list[dict[str, Any]]]:
    """Return noisy cells by condition, policy, kind and level, with what quantization loses.

    loss: float accuracy - accuracy under the noise; clean_loss: the same on clean documents, whose
    accuracies are accuracy_before and float_accuracy_before.
    """
    clean = {
        (row["cell_id"], row["policy"], row["seed"], row["model_seed"]): row for row in study.clean
    }
    found: dict[NoiseKey, list[dict[str, Any]]] = {}
    for row in study.rows("cells"):
        before = clean.get((row["cell_id"], row["policy"], row["seed"], row["model_seed"]))
        known = before is not None and None not in (
            before["float_accuracy"],
            row["float_accuracy"],
        )
        if row["noise_kind"] == "none" or before is None or not known:
            continue
        key = (Condition.of(row), row["policy"], row["noise_kind"], float(row["noise"]))
        found.setdefault(key, []).append(
            {
                **row,
                "loss": row["float_accuracy"] - row["accuracy"],
                "clean_loss": before["float_accuracy"] - before["accuracy"],
                "accuracy_before": before["accuracy"],
                "float_accuracy_before": before["float_accuracy"],
            }
        )
    return found


def _short(message: str, most: int = 300) -> str:
    said = " ".join(message.split())
    return said if len(said) <= most else f"{said[: most - 1]}…"
