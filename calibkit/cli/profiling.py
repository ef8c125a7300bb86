"""Where the time of a recipe's cells went, from what every cell noted when it was measured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from calibkit.cli.summary import percent
from calibkit.cli.table import Figure, Table

if TYPE_CHECKING:
    import duckdb

REST = "(else)"
"""Time outside of every stage: reading artefacts, what several cells share."""

_CELLS = """
    SELECT model, any_value(seconds), any_value(stages)
    FROM provenance WHERE recipe = ? GROUP BY model, cell_id ORDER BY model, cell_id
"""


def read_profile(con: duckdb.DuckDBPyConnection, recipe: str) -> Table:
    """Return wall seconds per model and stage over the measured cells of a recipe.

    Columns: model, stage, cells, seconds (of all cells), per_cell, share (of the model's time).
    Each cell counts once, whenever it was measured. A cell to which noise levels were added later
    tells the time of its first measurement.
    """
    found = con.execute(_CELLS, [recipe]).fetchall()
    return Table.of(
        [
            record
            for model in dict.fromkeys(row[0] for row in found)
            for record in _of_model(
                model, [(s, json.loads(stages or "{}")) for m, s, stages in found if m == model]
            )
        ]
    )


def _of_model(
    model: str, cells: Sequence[tuple[float | None, Mapping[str, float]]]
) -> list[dict[str, Any]]:
    by_stage: dict[str, float] = {}
    for seconds, stages in cells:
        for stage, took in stages.items():
            by_stage[stage] = by_stage.get(stage, 0.0) + took
        rest = max((seconds or 0.0) - sum(stages.values()), 0.0)
        by_stage[REST] = by_stage.get(REST, 0.0) + rest
    by_stage[REST] = by_stage.pop(REST)  # last
    total = sum(by_stage.values())
    return [
        {
            "model": model,
            "stage": stage,
            "cells": len(cells),
            "seconds": took,
            "per_cell": took / len(cells),
            "share": took / total if total else 0.0,
        }
        for stage, took in by_stage.items()
    ]


def profile_words(con: duckdb.DuckDBPyConnection, recipe: str) -> str:
    """Return the profile as a table for people, with what it means below."""
    from calibkit.cli.layout import lay_out

    records = read_profile(con, recipe).records()
    if not records:
        return f"no cell of {recipe} has been measured, so there is no profile\n"
    shown = [
        {
            "model": one["model"],
            "stage": one["stage"],
            "cells": one["cells"],
            "seconds": Figure(f"{one['seconds']:.1f}"),
            "a cell": Figure(f"{one['per_cell']:.3f}"),
            "share": percent(one["share"]),
        }
        for one in records
    ]
    return (
        f"{lay_out(Table.of(shown))}\n"
        f"wall seconds of {recipe}'s cells by stage; share in percent of the model's time\n"
        "rounding = the network is built and its weights are rounded;"
        f" {REST} = reading, and what cells share\n"
    )
