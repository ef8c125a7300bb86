"""Shift of weights and activations by site, against what random draws do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from calibkit.report.conditions import Condition, panels
from calibkit.report.elements import Cell, Column, figure, name, nothing, section, table
from calibkit.report.figures import shifts as draw_shifts
from calibkit.report.html import Child, Markup, join, tag
from calibkit.report.study import Study
from calibkit.report.wording import NOTHING, fixed

MOST_PANELS = 4
MOST_FIGURES = 8
SMALL = 1e-6
"""Means of equal values may differ by this, and more than this is a difference."""
KINDS = (("weights", "Weights"), ("activations", "Activations"))


def shifts(study: Study) -> Markup:
    """Return the section on distribution shifts."""
    title = "Shift of weights and activations"
    parts: list[Child] = []
    for kind, called in KINDS:
        if study.rows(kind):
            parts += [tag("h3", f"{called}, site by site"), *_figures(study, kind, called)]
            parts.append(_table(study, kind, called))
    if not parts:
        parts.append(
            nothing(
                "No distributions are stored; ",
                tag("code", "measure: {distributions: [weights, activations]}"),
                " keeps them.",
            )
        )
    lede = join(
        "Kolmogorov-Smirnov distance D between float and quantized values, 0 to 1, for each tensor"
        " and each activation quantizer. Bands are the least and the most of ",
        name(study.reference) if study.reference else "random draws",
        ": what lies inside of them, random draws do as well.",
    )
    return section("shifts", title, *parts, lede=lede)


SiteKey = tuple[Condition, str]


def _by_site(rows: Sequence[Mapping[str, Any]]) -> dict[SiteKey, dict[str, Mapping[str, Any]]]:
    found: dict[SiteKey, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault((Condition.of(row), row["site"]), {})[row["policy"]] = row
    return found


def _figures(study: Study, kind: str, called: str) -> list[Markup]:
    by_site = _by_site(study.rows(kind))
    there = [c for c in study.conditions if any(condition == c for condition, _ in by_site)]
    groups = panels(there, 1, study.naming, MOST_PANELS)
    drawn = [
        figure(
            draw_shifts(
                _rows(study, by_site, group),
                site="site", value="ks", low="low", high="high",
                panel="setting" if len(group) > 1 else None,
                title=f"{called}: {group_name}"
                + ("" if len(group) > 1 else f" · {study.naming(group[0])}"),
                value_name="Kolmogorov-Smirnov D",
                envelope_name=f"{study.reference or 'random'} draws, least to most",
                caption=_caption(study), sql=study.sql(kind), name=f"{kind} {group_name}",
            )
        )
        for group_name, group in groups[:MOST_FIGURES]
    ]  # fmt: skip
    if len(groups) > MOST_FIGURES:
        drawn.append(nothing(f"{len(groups) - MOST_FIGURES:,} more are in the table only."))
    return drawn


def _caption(study: Study) -> str:
    others = [policy for policy in study.policies if policy != study.reference]
    if study.reference is None or not others:
        return "Dots: the mean over all policies that are measured."
    return f"Dots: the mean over the policies other than {study.reference}."


def _rows(
    study: Study, by_site: Mapping[SiteKey, Mapping[str, Mapping[str, Any]]],
    group: Sequence[Condition],
) -> list[dict[str, Any]]:  # fmt: skip
    rows = []
    for condition in group:
        for (at, site), of_policy in by_site.items():
            if at != condition:
                continue
            reference = of_policy.get(study.reference or "")
            others = [row for policy, row in of_policy.items() if policy != study.reference]
            values = [row["ks"] for row in others or of_policy.values() if row["ks"] is not None]
            if not values:
                continue
            has_band = reference is not None and reference["draws"] > 1
            rows.append(
                {
                    "site": site,
                    "setting": study.naming(condition),
                    "ks": sum(values) / len(values),
                    "low": reference["ks_low"] - SMALL if reference and has_band else None,
                    "high": reference["ks_high"] + SMALL if reference and has_band else None,
                }
            )
    return rows


def _table(study: Study, kind: str, called: str) -> Markup:
    extra = {
        "weights": (("sqnr_db", "SQNR, dB", 1, 1.0),),
        "activations": (
            ("clip_rate", "clipped, %", 2, 100.0),
            ("range_use", "range used, %", 0, 100.0),
        ),
    }[kind]
    reference = study.reference or "all policies"
    columns = [
        Column("site"), Column("setting", is_whole=True),
        Column(f"D of {reference}", is_number=True), Column("least", is_number=True),
        Column("most", is_number=True),
        *(Column(head, is_number=True) for _, head, _, _ in extra),
        Column("outside of it", is_number=True, explained="other policies whose mean lies outside"),
        Column("furthest below"), Column("furthest above"),
    ]  # fmt: skip
    rows = [
        _row(study, condition, site, of_policy, extra)
        for (condition, site), of_policy in sorted(
            _by_site(study.rows(kind)).items(),
            key=lambda item: (study.conditions.index(item[0][0]), item[0][1]),
        )
        if condition in study.conditions
    ]
    return table(f"{called}: D by site", columns, rows, study.sql(kind))


def _row(
    study: Study, condition: Condition, site: str, of_policy: Mapping[str, Mapping[str, Any]],
    extra: Sequence[tuple[str, str, int, float]],
) -> list[Child | Cell]:  # fmt: skip
    reference = of_policy.get(study.reference or "")
    shown = [reference] if reference is not None else list(of_policy.values())
    low, high = min(r["ks_low"] for r in shown), max(r["ks_high"] for r in shown)
    others = {p: r["ks"] for p, r in of_policy.items() if p != study.reference}
    outside = {p: v for p, v in others.items() if not low - SMALL <= v <= high + SMALL}
    has_band = reference is not None and reference["draws"] > 1
    below = min(outside, key=lambda p: outside[p], default=None)
    above = max(outside, key=lambda p: outside[p], default=None)
    middle = sum(r["ks"] for r in shown) / len(shown)
    return [
        Cell(tag("code", site), site),
        study.naming.whole(condition),
        _number(middle, 3),
        _number(low, 3),
        _number(high, 3),
        *(_number(_mean(shown, column), digits, scale) for column, _, digits, scale in extra),
        Cell(f"{len(outside)} of {len(others)}" if has_band else NOTHING,
             float(len(outside)) if has_band else None),
        _furthest(below, outside, beyond=lambda value: value < low) if has_band else NOTHING,
        _furthest(above, outside, beyond=lambda value: value > high) if has_band else NOTHING,
    ]  # fmt: skip


def _furthest(policy: str | None, outside: Mapping[str, float], beyond: Any) -> Child:
    if policy is None or not beyond(outside[policy]):
        return NOTHING
    return join(name(policy), f" {outside[policy]:.3f}")


def _mean(rows: Sequence[Mapping[str, Any]], column: str) -> float | None:
    found = [row[column] for row in rows if row[column] is not None]
    return sum(found) / len(found) if found else None


def _number(value: float | None, digits: int, scale: float = 1.0) -> Cell:
    return Cell(NOTHING if value is None else fixed(scale * value, digits), value)
