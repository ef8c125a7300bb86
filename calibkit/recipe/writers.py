"""Which float model a subset is chosen through or written by."""

from __future__ import annotations

from collections.abc import Iterator

from calibkit.errors import Infeasible
from calibkit.policies.pool import needs_model
from calibkit.recipe.recipe import GridPoint, Recipe

WRITER = "writer"
"""The need of policies whose documents a generative model writes."""


def subset_model(recipe: Recipe, point: GridPoint) -> tuple[str, int] | None:
    """Return alias and seed of the float model that the subset of a cell needs, if it needs one.

    It is the cell's own model. Only where documents are to be written and that model is
    discriminative, it is a generative model of the recipe with the same seed: the first of those
    in the grid, or else of all. Raises Infeasible where the recipe has none.
    """
    needs = recipe.policies[point.policy].policy.every_need
    if not needs_model(needs):
        return None
    if WRITER not in needs or recipe.models[point.model].kind == "generative":
        return point.model, point.model_seed
    able = [alias for alias, choice in recipe.models.items() if choice.kind == "generative"]
    able = sorted(able, key=lambda alias: alias not in recipe.grid.model)
    for alias in able:
        if point.model_seed in recipe.models[alias].seeds:
            return alias, point.model_seed
    has = f"{able[0]} has no seed {point.model_seed}" if able else "the recipe has none"
    raise Infeasible(
        f"a generative model writes the documents, and for the cells of {point.model}, seed "
        f"{point.model_seed}, {has}; give one that seed under models, or exclude "
        f"{{model: {point.model}, policy: {point.policy}}}"
    )


def without_writers(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Yield (alias of a policy, what is wrong), once for every policy that nobody writes for."""
    writing = {
        alias for alias, choice in recipe.policies.items() if WRITER in choice.policy.every_need
    }
    if not writing.intersection(recipe.grid.policy):
        return
    said: set[str] = set()
    for point in recipe.cells():
        if point.policy not in writing - said:
            continue
        try:
            subset_model(recipe, point)
        except Infeasible as error:
            said.add(point.policy)
            yield point.policy, str(error)
