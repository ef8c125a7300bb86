"""Made-up results of a recipe: rows as a sweep would leave them, with numbers that a test gives."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from calibkit.recipe import GridPoint, Recipe
from calibkit.store import Store, insert

WHEN = datetime(2026, 1, 2, 3, 4, 5)


def make_results(
    store: Store,
    recipe: Recipe,
    accuracy: Callable[[GridPoint], float | None],
    *,
    float_accuracy: Callable[[str, int], float] = lambda model, seed: 0.9,
    flags: Callable[[GridPoint], str] = lambda point: "",
    documents: int = 200,
) -> None:
    """Plan every cell of a recipe, and measure those of which ``accuracy`` says a number.

    Clean test documents only; a draw is a (policy, size, seed).
    """
    recipe_id, run = recipe.id(), {"run_id": "n1-made", "started_at": WHEN}
    planned, plans, cells, evaluations = [], [], [], []
    for number, point in enumerate(recipe.cells()):
        key, cell = f"p1-{number:08x}", f"x1-{number:08x}"
        planned.append(
            dict(
                recipe_id=recipe_id, plan_key=key, recipe=recipe.name, ordinal=number,
                corpus=recipe.corpus.name, model=point.model,
                model_kind=recipe.models[point.model].kind, model_seed=point.model_seed,
                policy=point.policy, policy_kind=recipe.policies[point.policy].name,
                size=point.size, seed=point.seed, bits=point.bits, rounding=point.rounding,
                preset=point.preset, scheme_id=point.scheme.id,
            )
        )  # fmt: skip
        measured = accuracy(point)
        if measured is None:
            continue
        plans.append(dict(plan_key=key, cell_id=cell))
        cells.append(
            dict(
                cell_id=cell, model_id=model_id(point.model, point.model_seed), test_id="t1-made",
                subset_id=f"s1-{point.policy}-{point.size}-{point.seed}",
                scheme_id=point.scheme.id, seconds=1.0, run_id="n1-made", measured_at=WHEN,
            )
        )  # fmt: skip
        evaluations.append(
            dict(
                cell_id=cell, noise_kind="none", noise=0.0, noise_seed=0, documents=documents,
                accuracy=measured, macro_f1=measured, nll=0.5, flags=flags(point),
            )
        )  # fmt: skip
    floats = [
        dict(
            model_id=model_id(alias, seed), test_id="t1-made", stage=stage, noise_kind="none",
            noise=0.0, noise_seed=0, documents=documents, accuracy=float_accuracy(alias, seed),
        )
        for alias in recipe.grid.model
        for seed in recipe.models[alias].seeds
        for stage in ("float", "port")
    ]  # fmt: skip
    tables: dict[str, list[dict[str, Any]]] = {
        "runs": [{**run, "recipe": recipe.name, "recipe_id": recipe_id}],
        "recipe_cells": planned,
        "plan_cells": plans,
        "cells": cells,
        "evaluations": evaluations,
        "baseline_evaluations": floats,
    }
    tables["runs"][0]["recipe_text"] = recipe.text
    with store.writing() as con:
        for table, rows in tables.items():
            insert(con, table, rows)


def model_id(alias: str, seed: int) -> str:
    return f"m1-{alias}-{seed}"
