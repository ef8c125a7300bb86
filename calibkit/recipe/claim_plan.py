"""Which cells of a recipe decide its claims."""

from __future__ import annotations

from collections.abc import Iterator

from calibkit.recipe.claims import Claim
from calibkit.recipe.recipe import GridPoint, Recipe


def planned_sides(recipe: Recipe, claim: Claim) -> tuple[dict[tuple[int, int], GridPoint], ...]:
    """Return the cells of A and of B, each by (float seed, seed of the draw).

    Only those that have a partner; one entry for a claim that compares nothing.
    """
    sides = [
        {(point.model_seed, point.seed): point for point in recipe.at(values).cells()}
        for values in claim.sides()
    ]
    shared = set.intersection(*(set(side) for side in sides))
    return tuple({key: side[key] for key in sorted(shared)} for side in sides)


def undecidable(recipe: Recipe) -> Iterator[tuple[int, str]]:
    """Yield (place, what is wrong) of claims that no cell of the recipe can decide."""
    for place, claim in enumerate(recipe.claims):
        first, *_ = planned_sides(recipe, claim)
        if not first and claim.axis is None:
            yield place, "exclude leaves out every cell that this claim is about"
        elif not first:
            what = f"no cell of {claim.a} has one of {claim.b} with the same seed and float seed"
            yield place, f"{what}; change exclude, or the seeds under models"
        elif claim.measure == "code_change":
            scheme = next(iter(first.values())).scheme
            if all(rounding == "nearest" for _, rounding in scheme.rounding):
                what = "code_change counts weights that are not rounded to nearest; here all are"
                yield place, f"{what}; choose another rounding"
