"""What a store has measured of each way to calibrate: one value per cell, for one objective."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import duckdb

from calibkit.decide.halving import Arm
from calibkit.decide.recommend import Scored
from calibkit.errors import BadInput, Infeasible, UnknownName
from calibkit.store.conditions import meeting

Objective = Literal["accuracy", "worst-label", "noise-auc"]

_TYPES = {
    **dict.fromkeys(("recipe", "model", "model_kind", "policy", "policy_kind"), "VARCHAR"),
    **dict.fromkeys(("model_seed", "size", "seed"), "BIGINT"),
    **dict.fromkeys(("scheme_id", "preset", "rounding", "cell_id", "subset_id"), "VARCHAR"),
    "split": "VARCHAR",
}
"""What a condition may speak of."""

_CELLS = """
    SELECT r.recipe, r.model, r.model_kind, r.policy, r.policy_kind, r.model_seed, r.size, r.seed,
           r.scheme_id, r.preset, r.rounding, r.cell_id, r.subset_id, tests.split,
           r.noise_kind, r.noise, r.accuracy, r.float_accuracy, r.worst_label_accuracy,
           r.documents, r.seconds, cells.model_id, cells.test_id
    FROM results AS r
    JOIN cells ON cells.cell_id = r.cell_id
    LEFT JOIN test_sets AS tests ON tests.test_id = cells.test_id
    WHERE r.corpus = ? AND r.bits = ? AND ? IN (r.model, r.model_kind)
    ORDER BY r.recipe, r.policy, r.size, r.scheme_id, r.preset, r.model_seed, r.seed, r.noise_kind,
             r.noise
"""


@dataclass(frozen=True)
class Question:
    """What is to be shipped: for which corpus, float model (alias or kind) and bits.

    size: documents, None for any. recipe: the study to go by, None for the one that says most.
    where: an SQL condition that its cells must meet. reference: the alias of the policy that others
    are held against, None for `random`.
    """

    corpus: str
    model: str
    bits: int
    size: int | None = None
    objective: Objective = "accuracy"
    recipe: str | None = None
    where: str | None = None
    reference: str | None = None


@dataclass(frozen=True)
class SchemeName:
    """A scheme as people know it."""

    scheme_id: str
    preset: str
    rounding: str

    def __str__(self) -> str:
        """Return preset and rounding."""
        return f"{self.preset} ({self.rounding})"


@dataclass(frozen=True)
class MeasuredCell:
    """One cell: what it is, and what it came to.

    value: the objective, a fraction.
    """

    arm: Arm
    policy_kind: str
    scheme: SchemeName
    model_seed: int
    seed: int
    cell_id: str
    subset_id: str
    model_id: str
    test_id: str
    value: float
    float_value: float | None
    seconds: float | None

    @property
    def scored(self) -> Scored:
        """What the rule sees of it."""
        return Scored(self.model_seed, self.seed, self.subset_id, self.value)


@dataclass(frozen=True)
class Evidence:
    """The cells of one recipe that bear on a question, in a stated order.

    split: where they were measured. reference: alias of the policy to compare with, None where the
    recipe has none.
    """

    recipe: str
    model: str
    model_kind: str
    split: str
    documents: int
    reference: str | None
    cells: tuple[MeasuredCell, ...]
    levels: tuple[tuple[str, float], ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)

    def by_scheme(self) -> dict[SchemeName, dict[Arm, list[Scored]]]:
        """Return the values of every arm under every scheme."""
        found: dict[SchemeName, dict[Arm, list[Scored]]] = {}
        for cell in self.cells:
            found.setdefault(cell.scheme, {}).setdefault(cell.arm, []).append(cell.scored)
        return found

    def draws(self, policy: str | None) -> int:
        """Return the most draws (seeds) that a policy has in one scheme and size."""
        seeds: dict[tuple[SchemeName, Arm], set[int]] = {}
        for cell in self.cells:
            if cell.arm.policy == policy:
                seeds.setdefault((cell.scheme, cell.arm), set()).add(cell.seed)
        return max((len(found) for found in seeds.values()), default=0)


def read_evidence(con: duckdb.DuckDBPyConnection, question: Question) -> tuple[Evidence, ...]:
    """Return what each recipe has measured, in the order of their names.

    Raises UnknownName for a corpus or recipe that is not there, BadInput for a condition that is
    no SQL, Infeasible where nothing of the kind is measured.
    """
    corpora = {row[0] for row in con.execute("SELECT name FROM corpora").fetchall()}
    measured = con.execute("SELECT DISTINCT corpus FROM results").fetchall()
    corpora |= {row[0] for row in measured}
    if question.corpus not in corpora:
        raise UnknownName("corpus", question.corpus, corpora)
    rows = _rows(con, question)
    if question.recipe is not None:
        recipes = {row["recipe"] for row in rows}
        if rows and question.recipe not in recipes:
            raise UnknownName("recipe with such cells", question.recipe, recipes)
        rows = [row for row in rows if row["recipe"] == question.recipe]
    if question.size is not None:
        rows = [row for row in rows if row["size"] == question.size]
    if question.where is not None and rows:
        places = meeting(rows, _TYPES, question.where, "--where")
        rows = [rows[place] for place in places]
    if not rows:
        raise Infeasible(_nothing(con, question))
    by_recipe: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_recipe.setdefault(row["recipe"], []).append(row)
    every = [_evidence(name, found, question) for name, found in sorted(by_recipe.items())]
    able = tuple(one for one in every if one.cells)
    if not able:
        lacks = {
            "noise-auc": "no noise level is measured of them; a recipe asks for some under"
            " measure.noise",
            "worst-label": "their accuracy by label is not measured",
        }.get(question.objective, "none of them is measured on clean documents")
        raise Infeasible(f"no cell has the objective {question.objective!r}: {lacks}")
    return able


def area(levels: Sequence[tuple[float, float]]) -> float:
    """Return the area under accuracy over noise, divided by the largest level: a mean accuracy.

    levels: (noise, accuracy), the clean one first; trapezoids between them.
    """
    at = sorted(levels)
    total = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in zip(at, at[1:], strict=False))
    return total / (at[-1][0] - at[0][0])


def _rows(con: duckdb.DuckDBPyConnection, question: Question) -> list[dict[str, Any]]:
    result = con.execute(_CELLS, [question.corpus, question.bits, question.model])
    names = [str(column[0]) for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _nothing(con: duckdb.DuckDBPyConnection, question: Question) -> str:
    rows = con.execute(
        "SELECT DISTINCT model, model_kind, bits, size FROM results WHERE corpus = ?"
        " ORDER BY model, bits DESC, size",
        [question.corpus],
    ).fetchall()
    asked = f"model {question.model!r} at {question.bits} bits"
    if question.size is not None:
        asked += f" and size {question.size:,}"
    if question.where is not None:
        asked += f", where {question.where}"
    if not rows:
        return f"no cell on corpus {question.corpus!r} is measured, so none of {asked}"
    has = [f"{model} at {bits} bits with {size:,} documents" for model, _, bits, size in rows]
    shown = "; ".join(has[:6]) + ("" if len(has) <= 6 else f"; and {len(has) - 6} more")
    return f"no cell on corpus {question.corpus!r} is one of {asked}; measured are: {shown}"


def _evidence(name: str, rows: Sequence[Mapping[str, Any]], question: Question) -> Evidence:
    aliases = {row["model"] for row in rows}
    model = question.model if question.model in aliases else sorted(aliases)[0]
    if question.model not in aliases and len(aliases) > 1:
        raise BadInput(
            f"recipe {name!r} has several {question.model} models: {', '.join(sorted(aliases))};"
            " name one of them with --model"
        )
    rows = [row for row in rows if row["model"] == model]
    grouped: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        at = (row["policy"], row["size"], row["scheme_id"], row["preset"], row["model_seed"])
        grouped.setdefault((*at, row["seed"]), []).append(row)
    levels = _levels(rows)
    cells = [cell for found in grouped.values() if (cell := _cell(found, levels, question))]
    first = rows[0]
    kinds = {row["policy"]: row["policy_kind"] for row in rows}
    return Evidence(
        name,
        model,
        first["model_kind"],
        first["split"] or "test",
        max(row["documents"] or 0 for row in rows),
        _reference(kinds, question.reference),
        _one_per_scheme(cells),
        levels,
        kinds,
    )


def _levels(rows: Iterable[Mapping[str, Any]]) -> tuple[tuple[str, float], ...]:
    """Return the noise levels of the first kind, by name, that the recipe has; without clean."""
    found = sorted({(row["noise_kind"], row["noise"]) for row in rows if row["noise"]})
    return tuple(level for level in found if level[0] == found[0][0])


def _cell(
    rows: Sequence[Mapping[str, Any]], levels: Sequence[tuple[str, float]], question: Question
) -> MeasuredCell | None:
    by_level = {(row["noise_kind"], row["noise"]): row for row in rows}
    clean = by_level.get(("none", 0.0))
    if clean is None:
        return None
    value, floated = clean["accuracy"], clean["float_accuracy"]
    if question.objective == "worst-label":
        value, floated = clean["worst_label_accuracy"], None
    elif question.objective == "noise-auc":
        if not levels:
            return None
        found = [(0.0, clean), *((noise, by_level.get((kind, noise))) for kind, noise in levels)]
        if any(row is None for _, row in found):
            return None
        whole = [(noise, row) for noise, row in found if row is not None]
        value = area([(noise, row["accuracy"]) for noise, row in whole])
        floats = [(noise, row["float_accuracy"]) for noise, row in whole]
        floated = None if any(f is None for _, f in floats) else area(floats)
    if value is None:
        return None
    return MeasuredCell(
        Arm(clean["policy"], clean["size"]),
        clean["policy_kind"],
        SchemeName(clean["scheme_id"], clean["preset"], clean["rounding"]),
        clean["model_seed"],
        clean["seed"],
        clean["cell_id"],
        clean["subset_id"],
        clean["model_id"],
        clean["test_id"],
        value,
        floated,
        clean["seconds"],
    )


def _one_per_scheme(cells: Sequence[MeasuredCell]) -> tuple[MeasuredCell, ...]:
    """Give a scheme that has two names the first, and leave out what then stands there twice."""
    names: dict[str, SchemeName] = {}
    kept: dict[tuple[Any, ...], MeasuredCell] = {}
    for cell in cells:
        name = names.setdefault(cell.scheme.scheme_id, cell.scheme)
        at = (cell.arm, cell.scheme.scheme_id, cell.model_seed, cell.seed)
        kept.setdefault(at, replace(cell, scheme=name))
    return tuple(kept.values())


def _reference(kinds: Mapping[str, str], asked: str | None) -> str | None:
    if asked is not None:
        return asked if asked in kinds else None
    if kinds.get("random") == "random":
        return "random"
    drawn = [alias for alias, kind in kinds.items() if kind == "random"]
    return drawn[0] if len(drawn) == 1 else None
