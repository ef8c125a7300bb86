"""Made-up results beyond clean accuracy: under noise, and of weights."""

from __future__ import annotations

from collections.abc import Callable

from made_results import model_id

from calibkit.recipe import GridPoint, Recipe
from calibkit.store import Store, insert


def make_noise(
    store: Store,
    recipe: Recipe,
    accuracy: Callable[[GridPoint, float], float | None],
    float_accuracy: Callable[[str, float], float],
) -> None:
    """Measure cells under every noise level of the recipe at which ``accuracy`` says a number."""
    noises = [
        dict(recipe_id=recipe.id(), noise_kind=kind, noise=level, noise_seed=0)
        for kind, level in recipe.measure.noise
    ]
    evaluations = [
        dict(cell_id=f"x1-{number:08x}", noise_kind=kind, noise=level, noise_seed=0,
             documents=200, accuracy=found, macro_f1=found, nll=0.6, flags="")
        for number, point in enumerate(recipe.cells())
        for kind, level in recipe.measure.noise
        if (found := accuracy(point, level)) is not None
    ]  # fmt: skip
    floats = [
        dict(model_id=model_id(alias, seed), test_id="t1-made", stage="float", noise_kind=kind,
             noise=level, noise_seed=0, documents=200, accuracy=float_accuracy(alias, level))
        for alias in recipe.grid.model
        for seed in recipe.models[alias].seeds
        for kind, level in recipe.measure.noise
    ]  # fmt: skip
    with store.writing() as con:
        insert(con, "recipe_noises", noises)
        insert(con, "evaluations", evaluations)
        insert(con, "baseline_evaluations", floats)


def make_code_changes(
    store: Store, recipe: Recipe, changed: Callable[[GridPoint], float | None]
) -> None:
    """Say what share of the codes of two weights a cell's rounding method changed."""
    rows = [
        dict(cell_id=f"x1-{number:08x}", quantity="weights", site=site, pair="nearest-rounded",
             bits=point.bits, code_change_rate=share + more)
        for number, point in enumerate(recipe.cells())
        if (share := changed(point)) is not None
        for site, more in (("first", 0.0), ("second", 0.02))
    ]  # fmt: skip
    with store.writing() as con:
        insert(con, "distributions", rows)
