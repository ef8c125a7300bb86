"""Rows of the view ``results`` with the one number that is compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from calibkit.decide.measures import Measure
from calibkit.errors import BadInput
from calibkit.store import Store, query

AXES: dict[str, frozenset[str]] = {
    "policy": frozenset({"policy", "preset"}),
    "size": frozenset({"size", "preset"}),
    "model": frozenset({"model", "preset"}),
    "bits": frozenset({"bits", "scheme_id"}),
    "rounding": frozenset({"rounding", "scheme_id"}),
    "preset": frozenset({"preset", "rounding", "scheme_id"}),
}
"""Axis -> the settings that it changes; under the same scheme, presets are only names of it."""

FLOAT = "float"
"""As a policy: no quantization at all."""

_SETTINGS = (
    "corpus", "recipe", "model", "policy", "size", "bits", "rounding", "scheme_id", "preset",
    "noise_kind", "noise",
)  # fmt: skip
_OF_FLOAT = ("accuracy", "macro_f1", "worst_label_accuracy", "nll", "noise_drop")


@dataclass(frozen=True)
class Row:
    """One cell under one noise level: its settings, its draw, and the number that is compared.

    arm: its value of the axis, as text. levels: noise levels of a curve, else empty.
    """

    keys: dict[str, Any]
    arm: str
    policy_kind: str
    model_seed: int
    seed: int
    subset: str
    value: float
    levels: tuple[float, ...] = ()


def read_rows(
    store: Store,
    measure: Measure,
    axis: str,
    arms: Sequence[str] | None,
    recipe: str | None,
    where: str | None,
    *,
    by_site: bool,
) -> list[Row]:
    """Return the rows of the arms (None: of all), and of random draws, that meet ``where``."""
    conditions = ["value IS NOT NULL"]
    if arms is not None:
        listed = ", ".join(literal(arm) for arm in arms)
        of_random = " OR policy_kind = 'random'" if axis == "policy" else ""
        conditions.append(f"(CAST({axis} AS VARCHAR) IN ({listed}){of_random})")
    if recipe is not None:
        conditions.append(f"recipe = {literal(recipe)}")
    if where is not None:
        # brackets could be closed inside; a CASE cannot be left half-way
        conditions.append(f"CASE WHEN\n{where}\nTHEN true ELSE false END")
    site = "site" if by_site else "NULL"
    sql = (
        f"SELECT {', '.join(_SETTINGS)}, {site} AS site, CAST({axis} AS VARCHAR) AS arm,"
        " policy_kind, model_seed, seed, subset_id, value"
        f" FROM ({_source(measure, by_site=by_site)})"
        f" WHERE {' AND '.join(conditions)} ORDER BY ALL"
    )
    try:
        found = query(store, sql).rows
    except BadInput as error:
        if where is not None:
            _check_condition(store, where)
        raise error
    places = len(_SETTINGS) + 1
    names = (*_SETTINGS, "site")
    return [Row(dict(zip(names, row, strict=False)), *row[places:]) for row in found]


def float_rows(store: Store, measure: Measure, other: str, rows: Sequence[Row]) -> list[Row]:
    """Return what the float models measured, in the place of each row of the arm ``other``.

    Raises BadInput for a measure that a float model has not.
    """
    if measure.column not in _OF_FLOAT:
        raise BadInput(
            f"the float model has no {measure.name}; compare it by accuracy, macro_f1,"
            " worst_label_accuracy, nll, noise_drop or noise_auc"
        )
    found = query(
        store,
        f"SELECT recipe, model, model_seed, noise_kind, noise, {measure.column} FROM baselines"
        f" WHERE stage = 'float' AND {measure.column} IS NOT NULL",
    ).rows
    floats = {tuple(row[:5]): float(row[5]) for row in found}
    made = []
    for row in rows:
        keys = row.keys
        place = (keys["recipe"], keys["model"], row.model_seed, keys["noise_kind"], keys["noise"])
        if row.arm == other and place in floats:
            made.append(
                replace(
                    row, keys={**keys, "policy": FLOAT}, arm=FLOAT, policy_kind=FLOAT,
                    subset=FLOAT, value=floats[place],
                )
            )  # fmt: skip
    return made


def literal(text: str) -> str:
    """Return text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def _source(measure: Measure, *, by_site: bool) -> str:
    """Return the query whose rows have the columns of ``results``, ``value`` and maybe ``site``."""
    if measure.quantity is not None:
        shifts = (
            f"SELECT cell_id, site, {measure.column} AS value FROM distributions"
            f" WHERE quantity = '{measure.quantity}' AND pair = '{measure.pair}'"
        )
        if not by_site:  # summed in the order of the sites, so that equal rows give equal bits
            shifts = (
                "SELECT cell_id, list_avg(list(value ORDER BY site)) AS value"
                f" FROM ({shifts}) GROUP BY cell_id"
            )
        return f"SELECT * FROM results JOIN ({shifts}) USING (cell_id) WHERE noise_kind = 'none'"
    if measure.column == "noise_excess":
        return (
            "SELECT results.*, accuracy_drop - (base.accuracy - clean.accuracy) AS value"
            " FROM results"
            " JOIN evaluations AS clean"
            " ON clean.cell_id = results.cell_id AND clean.noise_kind = 'none'"
            " JOIN cells ON cells.cell_id = results.cell_id"
            " JOIN baseline_evaluations AS base ON base.model_id = cells.model_id"
            " AND base.test_id = cells.test_id AND base.stage = 'float'"
            " AND base.noise_kind = 'none'"
            " WHERE results.noise_kind <> 'none'"
        )
    noisy = " WHERE noise_kind <> 'none'" if measure.rows == "noisy" else ""
    return f"SELECT *, {measure.column} AS value FROM results{noisy}"


def _check_condition(store: Store, where: str) -> None:
    try:
        query(
            store,
            f"SELECT 1 FROM results WHERE CASE WHEN\n{where}\nTHEN true ELSE false END LIMIT 0",
        )
    except BadInput as error:
        first = str(error).splitlines()[0]
        raise BadInput(
            f"--where {where!r}: {first}; it is an SQL condition over the columns of the view"
            " results, for example \"bits = 4 AND model = 'generative'\""
        ) from None
