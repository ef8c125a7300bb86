"""Gain over random draws: forest plots, and the table with every comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from calibkit.report.comparisons import MEANINGS, Comparison
from calibkit.report.conditions import Condition, panels
from calibkit.report.elements import (
    Cell,
    Column,
    chip,
    facts,
    figure,
    name,
    nothing,
    section,
    table,
)
from calibkit.report.figures import intervals
from calibkit.report.html import Child, Markup, join, tag
from calibkit.report.queries import literal
from calibkit.report.study import Study
from calibkit.report.wording import NOTHING, fixed, points, span

MOST_PANELS = 4
MOST_FIGURES = 16
FEW_POLICIES = 4


def gains(study: Study) -> Markup:
    """Return the section on gains over the reference."""
    title = f"Gain over {study.reference}" if study.reference else "Gain over random draws"
    if not study.comparisons:
        return section(
            "gains",
            title,
            nothing(
                "There is nothing to compare yet."
                if study.reference or not study.conditions
                else "The recipe has no policy that draws at random, so there is no gain over it."
            ),
        )
    lede = join(
        "Accuracy of a policy minus that of ", name(study.reference or ""), ", in points, paired by"
        " seed, float model, size and scheme; 95 % intervals over draws. The noise floor is what"
        " two random draws differ by on average.",
    )  # fmt: skip
    drawn = _figures(study)
    return section("gains", title, *drawn, _legend(), _table(study), lede=lede)


def _figures(study: Study) -> list[Markup]:
    drawn: list[Markup] = []
    policies = {one.policy for one in study.comparisons}
    by_policy = len(policies) <= FEW_POLICIES and len(study.conditions) > MOST_PANELS
    groups = panels(study.conditions, 1, study.naming, 10_000 if by_policy else MOST_PANELS)
    groups = [(called, [c for c in group if study.of(c)]) for called, group in groups]
    for called, group in groups[:MOST_FIGURES]:
        if not group:
            continue
        drawn.append(
            figure(
                intervals(
                    _rows(study, group),
                    label="setting" if by_policy else "policy",
                    panel="policy" if by_policy else "setting",
                    value="gain", low="low", high="high", floor="floor",
                    title=f"Gain over {study.reference}: {called}",
                    value_name="gain", better=f"ahead of {study.reference}",
                    worse=f"behind {study.reference}",
                    caption="Intervals are not corrected for the number of comparisons; the table"
                    " says what is decided.",
                    sql=pairs_sql(study), name=called,
                )
            )
        )  # fmt: skip
    if len(groups) > MOST_FIGURES:
        drawn.append(
            nothing(
                f"{len(groups) - MOST_FIGURES:,} more groups of settings are in the table only."
            )
        )
    return drawn


def _rows(study: Study, group: Sequence[Condition]) -> list[dict[str, Any]]:
    chosen = [one for condition in group for one in study.of(condition)]
    best: dict[str, float] = {}  # summed gain, so that one order does for all panels
    for one in chosen:
        best[one.policy] = best.get(one.policy, 0.0) + one.gain.gain
    chosen.sort(key=lambda one: (group.index(one.condition), -best[one.policy]))
    return [
        {
            "policy": one.policy,
            "setting": study.naming(one.condition),
            "gain": one.gain.gain,
            "low": one.gain.low,
            "high": one.gain.high,
            "floor": one.gain.floor,
        }
        for one in chosen
    ]


def _legend() -> Markup:
    pairs = [(chip(standing), meaning) for standing, (_, meaning) in MEANINGS.items()]
    return tag(
        "details",
        tag("summary", "What the verdicts mean"),
        facts([(mark, meaning) for mark, meaning in pairs]),
        facts(
            [
                ("p", "exact sign-flip test over draws; with several float models the larger of it"
                 " and the t test of the interval"),
                ("corrected", "Benjamini and Hochberg over all comparisons of this table"),
                ("finds", "the true gain that these draws would find four times in five"),
                ("draws to decide", "how many would, if mean and spread stay as they are"),
            ]
        ),
    )  # fmt: skip


def _table(study: Study) -> Markup:
    columns = [
        Column("policy"), Column("setting", is_whole=True), Column("gain", is_number=True),
        Column("95 % interval", is_number=True), Column("verdict"),
        Column("wins", is_number=True, explained="pairs in which the policy is ahead"),
        Column("draws", is_number=True), Column("models", is_number=True),
        Column("p", is_number=True), Column("corrected", is_number=True),
        Column("finds", is_number=True), Column("draws to decide", is_number=True),
    ]  # fmt: skip
    rows = [_row(study, one) for one in study.comparisons]
    return table(
        f"Every comparison with {study.reference}, gains in points", columns, rows, pairs_sql(study)
    )


def _row(study: Study, one: Comparison) -> list[Child | Cell]:
    gain = one.gain
    order = {standing: place for place, standing in enumerate(MEANINGS)}
    return [
        Cell(name(one.policy), one.policy),
        study.naming.whole(one.condition),
        Cell(points(gain.gain), gain.gain),
        Cell(span(gain.low, gain.high), gain.low),
        Cell(join(chip(one.standing), " between dead networks" if study.is_void(one) else None),
             f"{order[one.standing]}"),
        Cell(f"{gain.wins} of {gain.pairs}", gain.wins / gain.pairs),
        gain.draws,
        gain.models,
        _p(gain.p),
        _p(one.p),
        Cell(NOTHING if gain.detectable is None else fixed(100 * gain.detectable, 2),
             gain.detectable),
        Cell(NOTHING if gain.draws_needed is None else f"{gain.draws_needed:,}",
             gain.draws_needed and float(gain.draws_needed)),
    ]  # fmt: skip


def _p(p: float | None) -> Cell:
    shown = NOTHING if p is None else "<.001" if p < 0.001 else fixed(p, 3).replace("0.", ".", 1)
    return Cell(shown, p)


def pairs_sql(study: Study) -> str:
    """Return the SQL that lists the pairs behind every gain."""
    recipe, reference = literal(study.recipe.name), literal(study.reference or "")
    return f"""
SELECT DISTINCT x.model, x.size, x.bits, x.rounding, x.scheme_id, x.policy, x.model_seed, x.seed,
       x.accuracy, y.accuracy AS accuracy_of_reference, x.accuracy - y.accuracy AS gain,
       x.subset_id, y.subset_id AS subset_of_reference
FROM results AS x JOIN results AS y
  ON x.recipe = y.recipe AND x.model = y.model AND x.model_seed = y.model_seed AND x.size = y.size
 AND x.seed = y.seed AND x.scheme_id = y.scheme_id AND x.noise_kind = y.noise_kind
WHERE x.recipe = {recipe} AND x.noise_kind = 'none' AND x.policy <> y.policy
  AND y.policy = {reference}
ORDER BY ALL""".strip()
