"""Which comparisons a recipe declared as claims, and their p values within the declared family."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from calibkit.decide.claims import judge_claims
from calibkit.decide.evidence import Group
from calibkit.decide.evidence_rows import literal
from calibkit.errors import RecipeError
from calibkit.measure.multiple import holm
from calibkit.recipe import Claim, Recipe, parse_recipe
from calibkit.store import Store, query


@dataclass(frozen=True)
class Declared:
    """p: by group, of no difference, corrected by Holm in the family; None where not declared.

    unread: recipes whose claims this version cannot read.
    """

    p: tuple[float | None, ...]
    unread: tuple[str, ...] = ()


def declared_p(store: Store, groups: Sequence[Group], a: str, b: str, axis: str) -> Declared:
    """Return the corrected p values of the groups that the claims of their recipe are about.

    A claim is about a group where its arms are ``a`` and ``b`` either way round, and measure, noise
    and all settings are the same. Its family are the claims of the same family name in the recipe
    that the latest run stored, each tested against no difference; those without measurements count
    as p = 1. Whether claims hold, with the sizes that they name, is what ``judge_claims`` says.
    """
    known: dict[str, list[tuple[Claim, float]]] = {}
    unread = []
    for name in sorted({str(group.keys["recipe"]) for group in groups}):
        try:
            recipe = _stored(store, name)
        except RecipeError:
            unread.append(name)
            continue
        own = [group for group in groups if group.keys["recipe"] == name]
        if recipe is not None and any(
            _is_about(claim, group, {a, b}, axis) for claim in recipe.claims for group in own
        ):
            known[name] = _corrected(store, recipe)
    found: list[float | None] = []
    for group in groups:
        claims = known.get(str(group.keys["recipe"]), [])
        p = (p for claim, p in claims if _is_about(claim, group, {a, b}, axis))
        found.append(next(p, None))
    return Declared(tuple(found), tuple(unread))


def _stored(store: Store, name: str) -> Recipe | None:
    """Return the recipe of that name as its latest run stored it; None where it claims nothing."""
    found = query(
        store,
        "SELECT arg_max(recipe_text, (started_at, run_id)) FROM runs"
        f" WHERE recipe = {literal(name)}",
    ).rows
    text = found[0][0] if found else None
    if not text or "claims:" not in text:
        return None
    return parse_recipe(text, f"the recipe of {name}")


def _corrected(store: Store, recipe: Recipe) -> list[tuple[Claim, float]]:
    """Return the claims of a recipe with their corrected p values."""
    families: dict[str, list[tuple[Claim, float]]] = defaultdict(list)
    for judged in judge_claims(store, recipe):
        p = judged.gain.p if judged.gain is not None else None
        families[judged.claim.family].append((judged.claim, 1.0 if p is None else p))
    return [
        (claim, adjusted)
        for family in families.values()
        for (claim, _), adjusted in zip(family, holm([p for _, p in family]), strict=True)
    ]


def _is_about(claim: Claim, group: Group, arms: set[str], axis: str) -> bool:
    keys = group.keys
    if claim.axis != axis or {str(claim.a), str(claim.b)} != arms or "site" in keys:
        return False
    if claim.measure != group.measure.name or claim.noise_kind != keys["noise_kind"]:
        return False
    if claim.noise is not None and claim.noise != keys["noise"]:
        return False
    return all(_same(value, keys.get(name)) for name, value in claim.where.items() if name in keys)


def _same(declared: Any, kept: Any) -> bool:
    """Return whether a setting is the declared one; of a scheme with two names, either is."""
    return str(declared) in str(kept).split("+") or declared == kept
