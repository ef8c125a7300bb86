"""Why two arms cannot be compared, and what there is instead."""

from __future__ import annotations

from collections.abc import Sequence

from calibkit.decide.evidence_rows import FLOAT, Row, read_rows
from calibkit.decide.measures import Measure
from calibkit.errors import BadInput, CalibkitError, UnknownName
from calibkit.store import Store, query

_SAID = ("recipe", "model", "size", "bits", "rounding", "noise")


def explain(
    store: Store,
    measure: Measure,
    axis: str,
    arms: tuple[str, str],
    recipe: str | None,
    where: str | None,
    rows: Sequence[Row],
    *,
    by_site: bool,
) -> CalibkitError:
    """Return the error that says why ``rows`` have no pair of the two arms."""
    known = [str(row[0]) for row in query(store, "SELECT DISTINCT recipe FROM results").rows]
    if recipe is not None and recipe not in known:
        return UnknownName("measured recipe", recipe, known)
    every = read_rows(store, measure, axis, None, recipe, where, by_site=by_site)
    if not every:
        unmet = "" if where is None else f" that meets --where {where!r}"
        if not known:
            return BadInput("no cell is measured yet; `calibkit evaluate RECIPE` measures")
        return BadInput(
            f'no measured cell{unmet} has {measure.name}; `calibkit sql "FROM results"` shows'
            " what there is"
        )
    present = {row.arm for row in every}
    for arm in arms:
        if arm not in present and not (axis == "policy" and arm == FLOAT):
            return UnknownName(f"{axis} among the measured cells", arm, present)
    if axis == "policy" and FLOAT in arms:
        return BadInput(f"the float models of these cells have no {measure.name}")
    had = "; ".join(_has(arm, [row for row in rows if row.arm == arm]) for arm in arms)
    return BadInput(
        f"{arms[0]!r} and {arms[1]!r} have no cells to pair: a pair has the same recipe, model,"
        f" float model, size, seed and scheme ({had})"
    )


def _has(arm: str, rows: Sequence[Row]) -> str:
    if not rows:
        return f"{arm!r} has none under these conditions"
    said = []
    for name in _SAID:
        values = sorted({row.keys[name] for row in rows if row.keys[name] is not None})
        said.append(f"{name} {', '.join(str(value) for value in values)}")
    seeds = sorted({row.seed for row in rows})
    models = sorted({row.model_seed for row in rows})
    said.append(f"seed {', '.join(map(str, seeds))}")
    said.append(f"float model {', '.join(map(str, models))}")
    return f"{arm!r} has {'; '.join(said)}"
