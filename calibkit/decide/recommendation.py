"""From what a store has measured to what should be shipped: scheme first, then documents."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import duckdb

from calibkit.decide.arms import (
    Evidence,
    MeasuredCell,
    Question,
    SchemeName,
    read_evidence,
)
from calibkit.decide.contrast import Gain
from calibkit.decide.halving import Arm
from calibkit.decide.honest import HonestGain, honest_gain, read_halves
from calibkit.decide.recommend import Choice, Refusal, Rule, Scored, decide, ranked
from calibkit.errors import CalibkitError, Infeasible
from calibkit.policies import AnyPolicy
from calibkit.policies.pool import needs_model
from calibkit.recipe import Recipe, parse_recipe
from calibkit.store.connection import Store

RACE = re.compile(r"recommend-[0-9a-f]{8}-race")
"""Names of the recipes whose draws have chosen finalists: they cannot judge them any more."""

NOTHING, DOCUMENTS, MODEL = 0, 1, 2
"""What a policy looks at: labels and lengths at most, vectors or words, a float model."""

_LATEST = """
    SELECT arg_max(recipe_text, (started_at, run_id)), arg_max(command, (started_at, run_id))
    FROM runs WHERE recipe = ? AND recipe_id IS NOT NULL
"""
_MISSING = """
    SELECT count(*) FROM core.state
    WHERE recipe = ? AND model = ? AND bits = ? AND NOT is_done
"""
_SELECTION = """
    WITH events AS (
        SELECT created_at AS moment, request_key, subset_id, policy_kind FROM subset_requests
        UNION ALL SELECT started_at, NULL, NULL, NULL FROM runs
        UNION ALL SELECT trained_at, NULL, NULL, NULL FROM models
        UNION ALL SELECT measured_at, NULL, NULL, NULL FROM cells
    ),
    requests AS (
        SELECT *, lag(moment) OVER in_time AS before, lag(request_key) OVER in_time AS key_before
        FROM events WHERE moment IS NOT NULL
        WINDOW in_time AS (ORDER BY moment, request_key NULLS LAST)
    )
    SELECT median(epoch(moment - before)) FROM requests
    WHERE key_before IS NOT NULL AND list_contains(?, subset_id) AND policy_kind = ?
"""
"""The time between two subsets that were stored one after the other, with nothing between them."""


@dataclass(frozen=True)
class Costs:
    """What the recommended documents cost.

    selection_seconds: the usual time between two subsets that were stored one after the other, so
    with everything that the policy reads but what many draws share; None where that is not known.
    cell_seconds: mean of its cells. needs: what it looks at.
    """

    documents: int
    selection_seconds: float | None
    cell_seconds: float | None
    needs: str


@dataclass(frozen=True)
class Recommendation:
    """What to ship, and the evidence.

    schemes: every scheme with enough draws, the best first, and how much better the best is than
    it (same documents, chosen by the reference). floor: what two draws of the reference differ by,
    on average. mean_float: the float models' value. seed, subset_id: the first draw of the arm.
    paste: sections of a recipe that say it; None where the stored recipe cannot be read by this
    version, and then ``unread`` says why. others: other recipes that measured something of the
    kind.
    """

    question: Question
    evidence: Evidence
    scheme: SchemeName
    schemes: tuple[tuple[SchemeName, Gain], ...]
    choice: Choice
    mean: float
    mean_float: float | None
    floor: float | None
    honest: HonestGain | None
    costs: Costs
    runner_up_costs: Costs | None
    seed: int
    subset_id: str
    paste: str | None
    unread: str
    others: tuple[str, ...]
    missing: str = ""
    """Which planned cells of the recipe are not measured, and what measures them."""


@dataclass(frozen=True)
class _Settled:
    """One recipe's evidence, and what the rule says of it under its best scheme."""

    evidence: Evidence
    scheme: SchemeName
    schemes: tuple[tuple[SchemeName, Gain], ...]
    outcome: Choice | Refusal


def recommend(store: Store, question: Question, rule: Rule) -> Recommendation:
    """Return what to ship.

    Of several recipes, one that decides goes before one that does not, documents that are no test
    documents before test documents, then more draws of the reference, then more cells. Raises
    Infeasible, with what is missing, where the evidence is too thin, and what reading raises.
    """
    with store.reading() as con:
        found = read_evidence(con, question)
        if question.recipe is None:
            races, found = found, tuple(one for one in found if not RACE.fullmatch(one.recipe))
            if not found:
                raise Infeasible(
                    f"only {', '.join(one.recipe for one in races)} measured such cells, a race"
                    " whose draws have chosen finalists and cannot judge them; ask again with"
                    " --spend to measure them on fresh draws"
                )
        texts = {one.recipe: _text(con, one.recipe) for one in found}
        recipes = {name: _parsed(text, name) for name, (text, _) in texts.items()}
        settled = [_settled(one, rule, _efforts(one, recipes[one.recipe][0])) for one in found]
        best = max(settled, key=_place)
        if isinstance(best.outcome, Refusal):
            missing = _missing(con, best.evidence, question)
            raise Infeasible(_refused(best, best.outcome, question, missing))
        parsed, unread = recipes[best.evidence.recipe]
        found_one = _recommendation(con, best, best.outcome, question, parsed, unread, settled)
        return replace(found_one, missing=_missing(con, best.evidence, question))


def kinds_of_need(policy: AnyPolicy) -> int:
    """Return what a policy looks at: NOTHING, DOCUMENTS or MODEL."""
    needs = policy.every_need
    return MODEL if needs_model(needs) else DOCUMENTS if needs else NOTHING


NEEDS = {
    NOTHING: "no model",
    DOCUMENTS: "vectors or words of the documents, no model",
    MODEL: "the float model",
}


def _settled(evidence: Evidence, rule: Rule, effort: Mapping[str, int]) -> _Settled:
    schemes = evidence.by_scheme()
    first = next(iter(schemes))
    reference = evidence.reference
    if reference is None:
        drawn = [alias for alias, kind in evidence.kinds.items() if kind == "random"]
        what = f"several random ones ({', '.join(drawn)})" if drawn else "no policy of that kind"
        asked = f"{evidence.recipe} has {what}; say with --against which alias the others are held"
        return _Settled(
            evidence,
            first,
            (),
            Refusal((f"{asked} against, of: {', '.join(evidence.kinds)}",), rule.draws),
        )
    drawn_by = {
        (scheme, arm.size): cells
        for scheme, arms in schemes.items()
        for arm, cells in arms.items()
        if arm.policy == reference
    }
    names = {f"{scheme.scheme_id} {size}": (scheme, size) for scheme, size in drawn_by}
    order = ranked({name: drawn_by[at] for name, at in names.items()}, rule)
    if not order:
        return _Settled(evidence, first, (), decide(schemes[first], reference, rule, effort))
    scheme, size = names[order[0][0]]
    same_size = {one.scheme_id: drawn_by[one, n] for one, n in drawn_by if n == size}
    by_id = {one.scheme_id: one for one in schemes}
    compared = tuple((by_id[name], gain) for name, gain in ranked(same_size, rule))
    return _Settled(evidence, scheme, compared, decide(schemes[scheme], reference, rule, effort))


def _place(one: _Settled) -> tuple[bool, bool, int, int]:
    evidence = one.evidence
    return (
        isinstance(one.outcome, Choice),
        evidence.split != "test",
        evidence.draws(evidence.reference),
        len(evidence.cells),
    )


def _recommendation(
    con: duckdb.DuckDBPyConnection,
    best: _Settled,
    choice: Choice,
    question: Question,
    recipe: Recipe | None,
    unread: str,
    settled: Sequence[_Settled],
) -> Recommendation:
    evidence = best.evidence
    cells = [cell for cell in evidence.cells if cell.scheme == best.scheme]
    own = [cell for cell in cells if cell.arm == choice.arm]
    drawn = [cell for cell in cells if cell.arm == choice.base]
    first = min(own, key=lambda cell: (cell.seed, cell.model_seed))
    floats = {cell.model_id: cell.float_value for cell in own}
    known = [value for value in floats.values() if value is not None]
    reference = str(evidence.reference)
    candidates = {one.arm for one in choice.standings} | {
        Arm(reference, one.arm.size) for one in choice.standings
    }
    judged = [cell for cell in cells if cell.arm in candidates]
    halves = read_halves(con, judged, question.objective, evidence.levels)
    efforts = _efforts(evidence, recipe)
    beside = None
    if choice.runner_up is not None:
        others = [cell for cell in cells if cell.arm == choice.runner_up]
        beside = _costs(con, others, efforts)
    standing = choice.standing
    return Recommendation(
        question,
        evidence,
        best.scheme,
        best.schemes,
        choice,
        choice.base_mean if standing is None else standing.mean,
        sum(known) / len(known) if len(known) == len(floats) and known else None,
        noise_floor([cell.scored for cell in drawn]),
        honest_gain(halves, reference),
        _costs(con, own, efforts),
        beside,
        first.seed,
        first.subset_id,
        None if recipe is None else sections(recipe, first, question.bits),
        unread,
        tuple(one.evidence.recipe for one in settled if one is not best),
    )


def noise_floor(draws: Sequence[Scored]) -> float | None:
    """Return what two draws of one arm differ by, as `calibkit compare` says it; None for one."""
    from calibkit.decide.evidence import noise_floor as of_rows
    from calibkit.decide.evidence_rows import Row

    rows = [Row({}, "", "", one.model_seed, one.seed, one.subset, one.value) for one in draws]
    return of_rows(rows)


def sections(recipe: Recipe, cell: MeasuredCell, bits: int) -> str:
    """Return the sections of a recipe that say how a cell was calibrated and quantized."""
    from calibkit.quantize.shortest import shortest_settings
    from calibkit.recipe.dump import dump_document

    alias = cell.arm.policy
    choice = recipe.policies[alias]
    point = next(p for p in recipe.cells() if p.scheme.id == cell.scheme.scheme_id)
    settings = shortest_settings(point.scheme, preset=point.preset)
    return dump_document(
        {
            "policies": {alias: {"use": choice.name, **fewest_parameters(choice.policy)}},
            "quantize": settings.model_dump(mode="json", exclude_unset=True),
            "grid": {"policy": [alias], "size": [cell.arm.size], "bits": [bits]},
        }
    )


def fewest_parameters(policy: AnyPolicy) -> dict[str, object]:
    """Return the parameters that were given: those that are not as they would be anyway."""
    given = policy.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    return dict(sorted(given.items()))


def _costs(
    con: duckdb.DuckDBPyConnection, cells: Sequence[MeasuredCell], efforts: Mapping[str, int]
) -> Costs:
    subsets = sorted({cell.subset_id for cell in cells})
    row = con.execute(_SELECTION, [subsets, cells[0].policy_kind]).fetchone()
    seconds = [cell.seconds for cell in cells if cell.seconds is not None]
    alias = cells[0].arm.policy
    return Costs(
        cells[0].arm.size,
        row[0] if row else None,
        sum(seconds) / len(seconds) if seconds else None,
        NEEDS[efforts[alias]] if alias in efforts else "unknown",
    )


def _efforts(evidence: Evidence, recipe: Recipe | None) -> dict[str, int]:
    """Return what each policy looks at, where the recipe can be read."""
    if recipe is None:
        return {}
    known = recipe.policies
    return {a: kinds_of_need(known[a].policy) for a in evidence.kinds if a in known}


def _text(con: duckdb.DuckDBPyConnection, recipe: str) -> tuple[str, str]:
    row = con.execute(_LATEST, [recipe]).fetchone()
    return (row[0] or "", row[1] or "") if row else ("", "")


def _parsed(text: str, name: str) -> tuple[Recipe | None, str]:
    """Return the recipe that is stored, or why this version cannot read it."""
    try:
        return parse_recipe(text, name), ""
    except CalibkitError as error:
        return None, str(error).splitlines()[0]


def _missing(con: duckdb.DuckDBPyConnection, evidence: Evidence, question: Question) -> str:
    """Say which cells of the recipe are planned and not measured, and what measures them."""
    row = con.execute(_MISSING, [evidence.recipe, evidence.model, question.bits]).fetchone()
    if row is None or not row[0]:
        return ""
    _, command = _text(con, evidence.recipe)
    measures = f": `{command}` measures them" if command else ""
    return (
        f"{row[0]:,} cells of {evidence.recipe} for {evidence.model} at {question.bits} bits are"
        f" planned and not measured{measures}"
    )


def _refused(one: _Settled, refusal: Refusal, question: Question, missing: str) -> str:
    evidence = one.evidence
    kinds = len([alias for alias in evidence.kinds if alias != evidence.reference])
    lines = [
        f"too little evidence to recommend anything for {evidence.model} on {question.corpus} at"
        f" {question.bits} bits. Looked at: recipe {evidence.recipe}, {one.scheme},"
        f" {len(evidence.cells):,} cells on the split {evidence.split}, {kinds:,} candidates.",
        *(f"- {reason}" for reason in refusal.reasons),
    ]
    if missing:
        lines.append(f"- {missing}")
    ask = replace(question, recipe=None, where=None)
    lines.append(
        f"What to do: give {evidence.recipe} {refusal.draws:,} draws or more (grid.seed) of"
        f" {evidence.reference or 'random'} and of the policies in question, and evaluate it; or"
        f" let fresh cells be chosen: `{command_of(ask)} --spend 60`"
    )
    return "\n".join(lines)


def command_of(question: Question) -> str:
    """Return the command line that asks a question."""
    said = f"calibkit recommend --corpus {question.corpus} --model {question.model}"
    said += f" --bits {question.bits}"
    if question.size is not None:
        said += f" --size {question.size}"
    if question.objective != "accuracy":
        said += f" --objective {question.objective}"
    return said
